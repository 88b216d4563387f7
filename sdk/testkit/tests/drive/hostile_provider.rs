//! A provider whose answers break the rules costs its own call one clear error.

use aiw_core::{CliKind, Family};
use aiw_testkit::{CallError, Driver, Testkit};

use crate::common::{bytes, fetch, hostile};
use crate::profiles::{profile, target};

fn kit() -> Testkit {
    Testkit::new(bytes("hostile-provider")).unwrap()
}

const URLS: [(Family, &str); 3] = [
    (Family::Anthropic, "https://own.example"),
    (Family::Openai, "https://own.example/v1"),
    (Family::Gemini, "https://own.example:8443"),
];

/// What came of a plan: its notes, or the error's words without those that all have.
async fn plan(driver: &Driver, cli: CliKind, preset: &str) -> String {
    match driver.launch_plan(&profile(preset, &URLS, &["token"]), &target(cli)).await {
        Ok(plan) => match plan.notes.join(" ") {
            notes if notes.is_empty() => "taken".into(),
            notes => notes,
        },
        Err(e) => {
            let text = e.to_string();
            text.replace("component `hostile-provider` made a launch plan that ", "")
        }
    }
}

#[tokio::test]
async fn a_plan_that_sends_the_cli_to_its_provider_is_taken() {
    let driver = kit().load().await.unwrap();
    for (cli, preset) in [
        (CliKind::Claude, "set:ANTHROPIC_BASE_URL=https://own.example/api"),
        (CliKind::Claude, "set:GOOGLE_GEMINI_BASE_URL=https://OWN.example:8443/"),
        (CliKind::Claude, "set:X_BASE_URL="),
        (CliKind::Claude, "set-secret:ANTHROPIC_API_KEY=token"),
        (CliKind::Claude, "set:CLAUDE_CODE_USE_BEDROCK=1"),
        (CliKind::Claude, "unset:AWS_SECRET_ACCESS_KEY"),
        (CliKind::Claude, "settings:env/ANTHROPIC_MODEL=large"),
        (CliKind::Claude, "settings:apiKeyHelper="),
        (CliKind::Claude, "arguments:--model|large"),
        (CliKind::Codex, "arguments:-m|large|-c|model_provider=\"x\""),
        (
            CliKind::Codex,
            "codex:model_providers.x={name=\"x\",base_url=\"https://own.example/v1\",env_key=\"OUR_KEY\"}",
        ),
        (CliKind::Codex, "codex:model_providers.x.base_url=\"https://own.example/v1\""),
        (CliKind::Gemini, "beneath:/etc/gemini-cli/settings.json"),
        (CliKind::Claude, "tag:account-7"),
    ] {
        assert_eq!(plan(&driver, cli, preset).await, "taken", "{preset}");
    }
}

#[tokio::test]
async fn a_plan_that_does_more_is_refused() {
    let driver = kit().load().await.unwrap();
    let not_ours = |what: &str| format!("{what}, which is none of a provider's");
    for (cli, preset, refused) in [
        (CliKind::Claude, "set:LD_PRELOAD=/tmp/x.so", not_ours("sets the variable `LD_PRELOAD`")),
        (CliKind::Claude, "set:NODE_OPTIONS=--require=x", not_ours("sets the variable `NODE_OPTIONS`")),
        (CliKind::Claude, "set:CLAUDE_CONFIG_DIR=/tmp", not_ours("sets the variable `CLAUDE_CONFIG_DIR`")),
        (CliKind::Claude, "set:HTTPS_PROXY=http://evil.example", not_ours("sets the variable `HTTPS_PROXY`")),
        (CliKind::Claude, "set:PATH=", not_ours("sets the variable `PATH`")),
        (CliKind::Claude, "unset:GEMINI_SANDBOX", not_ours("takes away the variable `GEMINI_SANDBOX`")),
        (
            CliKind::Claude,
            "set-secret:ANTHROPIC_MODEL=token",
            "puts a secret into the variable `ANTHROPIC_MODEL`, which holds none".into(),
        ),
        (
            CliKind::Claude,
            "set:ANTHROPIC_BASE_URL=https://evil.example?key=x",
            "leads `ANTHROPIC_BASE_URL` to `https://evil.example?…`, which is no address of the provider `mine`".into(),
        ),
        (
            CliKind::Claude,
            "settings:env/ANTHROPIC_BASE_URL=http://own.example",
            "leads `ANTHROPIC_BASE_URL` to `http://own.example`, which is no address of the provider `mine`".into(),
        ),
        (CliKind::Claude, "settings:hooks=x", not_ours("sets `hooks` in an overlay")),
        (CliKind::Claude, "settings:apiKeyHelper=evil", not_ours("sets `apiKeyHelper` in an overlay")),
        (CliKind::Claude, "settings:env/LD_PRELOAD=x", not_ours("sets the variable `LD_PRELOAD`")),
        (CliKind::Gemini, "argument:--settings", "passes an overlay in a way that is not one of `gemini`".into()),
        (CliKind::Claude, "argument:--mcp-config", "passes an overlay in a way that is not one of `claude`".into()),
        (CliKind::Gemini, "variable:GEMINI_MODEL", "passes an overlay in a way that is not one of `gemini`".into()),
        (CliKind::Gemini, "beneath:/etc/passwd", "keeps the file `/etc/passwd`, which is not one of `gemini`".into()),
        (CliKind::Gemini, "beneath:x/y", "keeps a file that is not an absolute path: `x/y`".into()),
    ] {
        assert_eq!(plan(&driver, cli, preset).await, refused, "{preset}");
    }
    for (cli, argument) in [
        (CliKind::Claude, "--dangerously-skip-permissions"),
        (CliKind::Claude, "--model|--dangerously-skip-permissions"),
        (CliKind::Codex, "-c|notify=[\"sh\"]"),
        (CliKind::Codex, "-c|mcp_servers.x={command=\"sh\"}"),
        (CliKind::Codex, "-s|danger-full-access"),
        (CliKind::Codex, "-c|model_provider=\"x\"\nnotify=[\"sh\"]"),
        (CliKind::Gemini, "--approval-mode|yolo"),
    ] {
        let refused = plan(&driver, cli, &format!("arguments:{argument}")).await;
        assert!(refused.starts_with("has an argument that is none of a provider's: `"), "{argument}: {refused}");
    }
    for setting in [
        "model_providers.x={auth={command=\"sh\"}}",
        "model_providers.x={env_key=\"AWS_SECRET_ACCESS_KEY\"}",
        "model_providers.x={env_http_headers={a=\"GITHUB_TOKEN\"}}",
        "model_providers.x.y.z=1",
        "model_providers.\"x\"={name=\"x\"}",
        "model_providers.x=unquoted",
        "model_provider",
    ] {
        let refused = plan(&driver, CliKind::Codex, &format!("codex:{setting}")).await;
        assert!(refused.starts_with("has an argument that is none of a provider's: `"), "{setting}: {refused}");
    }
    let elsewhere = plan(&driver, CliKind::Codex, "codex:model_providers.x={base_url=\"https://evil.example\"}").await;
    assert_eq!(elsewhere, "leads `base_url` to `https://evil.example`, which is no address of the provider `mine`");
}

#[tokio::test]
async fn a_plan_is_bounded() {
    let driver = kit().load().await.unwrap();
    for (preset, refused) in [
        ("set-many", "has more than 128 variables"),
        ("set-twice", "names the variable `X_API_KEY` twice"),
        ("set-long", "has a value that is longer than 4 KiB or holds a NUL"),
        ("set:a-b=c", "has a variable name `a-b` has characters other than letters, digits and `_`"),
        ("set-secret:ANTHROPIC_API_KEY=other", "names the secret `other`, which the provider `mine` does not have"),
        ("set-prefix:a\nb", "puts something long or unprintable before the secret `token`"),
        ("arguments-nul", "has an argument that is longer than 4 KiB or holds a NUL"),
        ("arguments-many", "has more than 64 arguments"),
        ("overlays-many", "has more than 4 overlays"),
        ("settings-twice", "sets `env.ANTHROPIC_MODEL` twice in an overlay"),
        ("settings-deep", "has an entry of an overlay that is not 1 to 8 keys deep"),
        ("notes-many", "has more than 8 notes"),
        ("tag:", "has a tag that is not one line of 1 to 32 printable characters: ``"),
        (
            "tag:123456789012345678901234567890123",
            "has a tag that is not one line of 1 to 32 printable characters: `123456789012345678901234567890123`",
        ),
        ("note:a\nb", "has a note that is not one line of 1 to 300 printable characters: `a b`"),
    ] {
        assert_eq!(plan(&driver, CliKind::Claude, preset).await, refused, "{preset}");
    }
    assert!(plan(&driver, CliKind::Claude, "note-long").await.starts_with("has a note that is not one line"));
}

#[tokio::test]
async fn a_plan_is_made_without_requests_and_without_starting_anything() {
    let driver = kit().load().await.unwrap();
    let refused =
        |what: &str| format!("error: component `hostile-provider` may not {what} while it makes a launch plan");
    let own = plan(&driver, CliKind::Claude, "http:https://declared.example/").await;
    assert_eq!(own, refused("ask for an address"));
    assert_eq!(plan(&driver, CliKind::Claude, "start").await, refused("start a task"));
    assert_eq!(plan(&driver, CliKind::Claude, "wait").await, refused("wait for a task"));
    assert_eq!(plan(&driver, CliKind::Claude, "tasks").await, "0");
    assert!(driver.started().is_empty() && driver.requests().is_empty());
}

#[tokio::test]
async fn what_a_provider_says_of_itself_is_bounded() {
    for (mode, refused) in [
        ("id=Odd", "a preset whose extension id `Odd` has characters other than small letters, digits and `-`"),
        (
            "url=http://gateway.example",
            "an address `http://gateway.example` that is neither `https` nor on this machine",
        ),
        (
            "url=http://169.254.169.254/latest",
            "an address `http://169.254.169.254/latest` that is neither `https` nor on this machine",
        ),
        (
            "url=https://u:p@gateway.example",
            "an address `https://u:p@gateway.example` that is no `http` or `https` URL, or holds credentials",
        ),
        (
            "url=file:///etc/passwd",
            "an address `file:///etc/passwd` that is no `http` or `https` URL, or holds credentials",
        ),
        ("url=https://gateway.example/", "an address `https://gateway.example/` that has a query, or a `/` at its end"),
        ("page=javascript:x", "a page `javascript:x` that is no `https` address"),
        ("label=a\u{1b}[31m", "a label that is not one line of 1 to 100 printable characters: `a\\u{1b}[31m`"),
        ("twice", "two presets `polite`"),
        ("two-urls", "a preset `polite` that has two addresses for one API"),
        ("many", "more than 64 presets"),
    ] {
        let driver = kit().setting("describe", mode).load().await.unwrap();
        let said = driver.provider_info().await.unwrap_err().to_string();
        assert_eq!(said, format!("component `hostile-provider` describes itself with {refused}"), "{mode}");
    }
    for own in ["url=http://localhost:11434", "url=http://127.0.0.1:1", "url=http://[::1]:1/v1", "url=https://10.0.0.1"]
    {
        let driver = kit().setting("describe", own).load().await.unwrap();
        assert_eq!(driver.provider_info().await.unwrap().presets[0].clis(), [CliKind::Codex], "{own}");
    }
}

#[tokio::test]
async fn models_and_messages_are_bounded() {
    let driver = kit().load().await.unwrap();
    let models = async |preset: &str| driver.provider_models(&profile(preset, &URLS, &[])).await;
    assert_eq!(models("polite").await.unwrap()[0].id, "polite");
    let many = models("many").await.unwrap_err().to_string();
    assert_eq!(many, "component `hostile-provider` names models with more than 2000 entries");
    let escape = models("escape").await.unwrap_err().to_string();
    assert!(
        escape.ends_with(r"with an id that is not one line of 1 to 200 printable characters: `\u{1b}[31m`"),
        "{escape}"
    );
    let health = driver.check_provider(&profile("escape", &URLS, &[])).await.unwrap();
    assert_eq!(health.message, r"red \u{1b}[31m alert second line");
}

#[tokio::test]
async fn tasks_are_started_with_both_keys() {
    let check = async |driver: &Driver, preset: &str| match driver.check_provider(&profile(preset, &URLS, &[])).await {
        Ok(health) => health.message,
        Err(e) => e.to_string(),
    };
    let all = kit().load().await.unwrap();
    assert_eq!(check(&all, "start").await, "000000000001");
    assert_eq!(all.started()[0].prompt, "hello");
    assert_eq!(check(&all, "wait:000000000001").await, "State::Queued");
    assert_eq!(check(&all, "wait:../../x").await, "error: task id `../../x` is not 12 digits and small letters");
    assert_eq!(check(&all, "wait:00000000zzzz").await, "error: there is no task `00000000zzzz`");
    assert_eq!(check(&all, "start-many").await, "component `hostile-provider` started more than 8 tasks in one call");
    let mut grants = aiw_testkit::Grants::wanted(kit().about()).to_map();
    assert_eq!(grants.remove("tasks").unwrap(), ["start"]);
    let not_agreed = kit().grants(&grants).load().await.unwrap();
    assert_eq!(
        check(&not_agreed, "start").await,
        "error: component `hostile-provider` may not start tasks: its manifest asks for it, but it was not agreed to; \
         run `aiw extension update hostile-provider --accept-changes`"
    );
    assert!(not_agreed.started().is_empty());
}

#[tokio::test]
async fn a_component_is_called_as_what_it_is() {
    let provider = kit().load().await.unwrap();
    assert_eq!(fetch(&provider, "polite").await, "component `hostile-provider` is no `market-source`");
    let market = hostile().load().await.unwrap();
    let refused = market.provider_info().await.unwrap_err();
    assert!(matches!(refused, CallError::NotOffered { .. }));
    assert_eq!(refused.to_string(), "component `hostile` is no `provider`");
}
