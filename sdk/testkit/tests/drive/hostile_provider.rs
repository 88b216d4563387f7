//! A provider whose answers break the rules only makes its own call fail with one clear error.

use aiw_testkit::provider::{Api, Auth, Family, Value};
use aiw_testkit::{CallError, Cli, Driver, Testkit};

use crate::accounts::{account, target};
use crate::common::{self, bytes, fetch, hostile};

fn kit() -> Testkit {
    common::kit("hostile-provider")
}

/// Returns the component with a mode of `describe` written into its bytes, because `describe` cannot ask the host
/// for one.
fn describing(mode: &str) -> Testkit {
    let (mut bytes, marker) = (bytes("hostile-provider"), b"hostile-describe:");
    let at = bytes.windows(marker.len()).position(|window| window == marker).expect("the marker is in the component");
    bytes[at + marker.len()..][..mode.len()].copy_from_slice(mode.as_bytes());
    Testkit::new(bytes).unwrap()
}

const URLS: [(Family, &str); 2] =
    [(Family::Anthropic, "https://own.example"), (Family::Openai, "https://own.example/v1")];

/// Returns the notes of a plan, or the error message without its common parts.
async fn plan(driver: &Driver, preset: &str) -> String {
    match driver.provider().plan(&account(preset, &URLS, &["token"]), &target(Api::Messages)).await {
        Ok(intent) => match intent.notes.join(" ") {
            notes if notes.is_empty() => "taken".into(),
            notes => notes,
        },
        Err(e) => e.to_string().replace("component `hostile-provider` ", "").replace("made a plan that ", ""),
    }
}

#[tokio::test]
async fn an_intent_that_names_what_the_account_has_is_taken() {
    let driver = kit().load().await.unwrap();
    for preset in [
        "polite",
        "api:responses",
        "api:chat-completions",
        "none",
        "bearer:token",
        "api-key:token",
        "auth-header:x-acme-key=token",
        "header:x-team=tools and more",
        "header-secret:x-second=token",
        "header-prefix:Token ",
        "model:some/model:7b",
        "models",
        "context:200000",
        "output:64000",
        "timeout:600",
        "no-betas",
        "tag:account-7",
    ] {
        assert_eq!(plan(&driver, preset).await, "taken", "{preset}");
    }
    let mine = account("auth-header:X-Acme-Key=token", &URLS, &["token"]);
    let intent = driver.provider().plan(&mine, &target(Api::Messages)).await.unwrap();
    let header = Auth::Header { header: "X-Acme-Key".into(), secret: "token".into() };
    assert_eq!(intent.auth, header);
    let mine = account("header-prefix:Token ", &URLS, &["token"]);
    let intent = driver.provider().plan(&mine, &target(Api::Messages)).await.unwrap();
    assert_eq!(intent.headers[0].value, Value::Secret { secret: "token".into(), prefix: "Token ".into() });
}

#[tokio::test]
async fn an_intent_that_says_more_is_refused() {
    let driver = kit().load().await.unwrap();
    let not_set = |header: &str| format!("sets the header `{header}`, which is not one that a plan can set");
    for (preset, refused) in [
        ("api:generate-content", "wants the Gemini API, for which the provider `mine` has no address".to_owned()),
        ("bearer:other", "names the secret `other`, which the provider `mine` does not have".into()),
        ("api-key:", "names the secret ``, which the provider `mine` does not have".into()),
        ("auth-header:x-a=other", "names the secret `other`, which the provider `mine` does not have".into()),
        ("auth-header:Host=token", "sends a secret in the header `Host`, which is not one that a plan can set".into()),
        ("header:Authorization=Bearer x", not_set("Authorization")),
        ("header:X-API-Key=x", not_set("X-API-Key")),
        ("header:cookie=x", not_set("cookie")),
        ("header:host=evil.example", not_set("host")),
        ("header:transfer-encoding=chunked", not_set("transfer-encoding")),
        ("header:x a=1", "has a header name `x a` has characters other than letters, digits, `-` and `_`".into()),
        (
            "header:x-a\nauthorization=1",
            "has a header name `x-a authorization` has characters other than letters, digits, `-` and `_`".into(),
        ),
        (
            "header:x-a=1\nauthorization: evil",
            "sets the header `x-a` to something that is not 1 to 4096 visible characters".into(),
        ),
        ("header:x-a=\u{e9}", "sets the header `x-a` to something that is not 1 to 4096 visible characters".into()),
        ("header:x-a=", "sets the header `x-a` to something that is not 1 to 4096 visible characters".into()),
        ("header-long", "sets the header `x-a` to something that is not 1 to 4096 visible characters".into()),
        ("header-secret:x-a=other", "names the secret `other`, which the provider `mine` does not have".into()),
        ("header-prefix:a\nb", "puts something long or unprintable before the secret in the header `x-a`".into()),
        ("headers-twice", "sets the header `X-A` twice".into()),
        ("headers-many", "has more than 16 headers".into()),
        (
            "model:--dangerously-skip-permissions",
            "names a model `--dangerously-skip-permissions`, which is not a valid model name".into(),
        ),
        ("model:", "names a model ``, which is not a valid model name".into()),
        ("model-small:a\nb", "names a model `a b`, which is not a valid model name".into()),
        ("model-small:\u{202e}x", "names a model `\\u{202e}x`, which is not a valid model name".into()),
        ("context:0", "sets the context to 0, not to 1 to 100000000".into()),
        ("output:4000000000", "sets the output to 4000000000, not to 1 to 100000000".into()),
        ("timeout:100000", "sets the timeout to 100000, not to 1 to 86400".into()),
        ("notes-many", "has more than 8 notes".into()),
        ("tag:", "has a tag that is not one line of 1 to 32 printable characters: ``".into()),
        (
            "tag:123456789012345678901234567890123",
            "has a tag that is not one line of 1 to 32 printable characters: `123456789012345678901234567890123`"
                .into(),
        ),
        ("note:a\nb", "has a note that is not one line of 1 to 300 printable characters: `a b`".into()),
    ] {
        assert_eq!(plan(&driver, preset).await, refused, "{preset}");
    }
    assert!(plan(&driver, "note-long").await.starts_with("has a note that is not one line"));
}

#[tokio::test]
async fn a_plan_asks_the_host_for_tasks_and_settings_alone() {
    let driver = kit().setting("describe", "mine").load().await.unwrap();
    for (asked, function) in [
        ("https://declared.example/?token=x", "http.send"),
        ("start", "task-starts.start"),
        ("wait", "tasks.wait"),
        ("cache", "cache.get"),
        ("cache-put", "cache.put"),
        ("clock", "clock.now"),
    ] {
        let refused = format!(
            "called `{function}` in `plan`, where it may call only `log`, `settings.get`, `tasks.list`, `tasks.get`"
        );
        assert_eq!(plan(&driver, &format!("asks:{asked}")).await, refused);
    }
    assert_eq!(plan(&driver, "asks:tasks").await, "0");
    assert_eq!(plan(&driver, "asks:settings").await, "mine");
    assert_eq!(plan(&driver, "asks:task").await, "error: there is no task `000000000001`");
    assert!(driver.started_tasks().is_empty() && driver.requested_urls().is_empty());
}

#[tokio::test]
async fn a_description_asks_the_host_for_nothing() {
    for (asked, function) in [
        ("https://declared.example/", "http.send"),
        ("settings", "settings.get"),
        ("tasks", "tasks.list"),
        ("cache", "cache.get"),
        ("clock", "clock.now"),
    ] {
        let driver = describing(&format!("asks={asked}")).load().await.unwrap();
        let said = driver.provider().describe().await.unwrap_err().to_string();
        let refused = format!("called `{function}` in `describe`, where it may call only `log`");
        assert_eq!(said, format!("component `hostile-provider` {refused}"));
        assert!(driver.requested_urls().is_empty());
    }
}

#[tokio::test]
async fn a_plan_that_does_not_end_is_stopped() {
    let driver = kit().load().await.unwrap();
    assert_eq!(plan(&driver, "loop").await, "ran for 2 s without an answer and was stopped");
    let driver = describing("loop").load().await.unwrap();
    let said = driver.provider().describe().await.unwrap_err().to_string();
    assert_eq!(said, "component `hostile-provider` ran for 2 s without an answer and was stopped");
}

#[tokio::test]
async fn what_a_provider_says_of_itself_is_bounded() {
    for (mode, refused) in [
        ("id=Odd", "a preset whose extension id `Odd` has characters other than lowercase letters, digits and `-`"),
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
            "an address `https://u:p@gateway.example` that is not an `http` or `https` URL, or contains credentials",
        ),
        (
            "url=file:///etc/passwd",
            "an address `file:///etc/passwd` that is not an `http` or `https` URL, or contains credentials",
        ),
        ("url=https://gateway.example/", "an address `https://gateway.example/` that has a query, or a `/` at its end"),
        ("page=javascript:x", "a page `javascript:x` that is not an `https` address"),
        ("label=a\u{1b}[31m", "a label that is not one line of 1 to 100 printable characters: `a\\u{1b}[31m`"),
        ("twice", "two presets `polite`"),
        ("two-urls", "a preset `polite` that has two addresses for one API"),
        ("many", "more than 64 presets"),
    ] {
        let driver = describing(mode).load().await.unwrap();
        let said = driver.provider().describe().await.unwrap_err().to_string();
        assert_eq!(said, format!("component `hostile-provider` describes itself with {refused}"), "{mode}");
    }
    for own in ["url=http://localhost:11434", "url=http://127.0.0.1:1", "url=http://[::1]:1/v1", "url=https://10.0.0.1"]
    {
        let driver = describing(own).load().await.unwrap();
        let info = driver.provider().describe().await.unwrap();
        assert!(info.presets[0].base_urls.contains_key(&Family::Openai), "{own}");
    }
}

#[tokio::test]
async fn models_and_messages_are_bounded() {
    let driver = kit().load().await.unwrap();
    let models = async |preset: &str| driver.provider().models(&account(preset, &URLS, &[])).await;
    assert_eq!(models("polite").await.unwrap()[0].id, "polite");
    let many = models("many").await.unwrap_err().to_string();
    assert_eq!(many, "component `hostile-provider` names models with more than 2000 entries");
    let escape = models("escape").await.unwrap_err().to_string();
    assert!(
        escape.ends_with(r"with an id that is not one line of 1 to 200 printable characters: `\u{1b}[31m`"),
        "{escape}"
    );
    let health = driver.provider().check(&account("escape", &URLS, &[])).await.unwrap();
    assert_eq!(health.message, r"red \u{1b}[31m alert second line");
}

#[tokio::test]
async fn tasks_are_started_where_the_user_agreed() {
    let check = async |driver: &Driver, preset: &str| match driver.provider().check(&account(preset, &URLS, &[])).await
    {
        Ok(health) => health.message,
        Err(e) => e.to_string(),
    };
    let all = kit().load().await.unwrap();
    assert_eq!(check(&all, "start").await, "000000000001");
    assert_eq!(all.started_tasks()[0].prompt, "hello");
    assert_eq!(check(&all, "wait:000000000001").await, "State::Queued");
    assert_eq!(check(&all, "wait:../../x").await, "error: task id `../../x` is not 12 digits and lowercase letters");
    assert_eq!(check(&all, "wait:00000000zzzz").await, "error: there is no task `00000000zzzz`");
    assert_eq!(check(&all, "start-many").await, "component `hostile-provider` started more than 8 tasks in one call");
    // Another CLI is named by its command. One that aiw knows is that one.
    assert_eq!(check(&all, "start-other:emacs").await, "error: AI CLI `emacs` is not `claude`, `codex` or `gemini`");
    let started = all.started_tasks().len();
    assert!(!check(&all, "start-other:codex").await.starts_with("error"));
    assert_eq!(all.started_tasks()[started].cli, Cli::Codex);

    let mut grants = kit().info().requested;
    grants.get_mut("imports").unwrap().retain(|import| import != "task-starts");
    let Err(not_agreed) = kit().grants(&grants).load().await else { panic!("it loads") };
    assert_eq!(
        not_agreed.to_string(),
        "component `hostile-provider` imports `task-starts`, which you did not agree to: run `aiw extension update \
         hostile-provider --accept-changes`"
    );
}

#[tokio::test]
async fn a_component_is_called_as_what_it_is() {
    let provider = kit().load().await.unwrap();
    assert_eq!(fetch(&provider, "polite").await, "component `hostile-provider` is not a `market-source`");
    let market = hostile().load().await.unwrap();
    let refused = market.provider().describe().await.unwrap_err();
    assert!(matches!(refused, CallError::Unsupported { .. }));
    assert_eq!(refused.to_string(), "component `hostile` is not a `provider`");
}

#[tokio::test]
async fn a_plan_that_sleeps_is_stopped_within_seconds() {
    let driver = common::kit("hostile-provider-wasi").load().await.unwrap();
    assert_eq!(plan(&driver, "sleep").await, "gave no answer within 5 s");
}
