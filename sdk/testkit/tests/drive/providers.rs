//! The providers of the binary: what they know, and the whole plan for each CLI that fits.

use aiw_core::{CliKind, Family};
use aiw_testkit::provider::{KeyState, Need, Passing, Plan, Preset, Profile, Value};
use aiw_testkit::{Answer, Refusal};

use crate::profiles::{bundled, profile, target};

const BUNDLED: [&str; 4] = ["provider-anthropic", "provider-gateway", "provider-google", "provider-openai"];

/// Variables that would send Claude Code elsewhere, beside key and models.
const CLAUDE_COMPETES: &str = "
    ANTHROPIC_SMALL_FAST_MODEL ANTHROPIC_CUSTOM_MODEL_OPTION CLAUDE_CODE_SUBAGENT_MODEL ANTHROPIC_CUSTOM_HEADERS
    ANTHROPIC_UNIX_SOCKET CLAUDE_CODE_API_BASE_URL CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR CLAUDE_CODE_OAUTH_TOKEN
    CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR CLAUDE_CODE_OAUTH_REFRESH_TOKEN ANTHROPIC_PROFILE ANTHROPIC_CONFIG_DIR
    ANTHROPIC_IDENTITY_TOKEN ANTHROPIC_IDENTITY_TOKEN_FILE ANTHROPIC_FEDERATION_RULE_ID ANTHROPIC_SERVICE_ACCOUNT_ID
    ANTHROPIC_ORGANIZATION_ID ANTHROPIC_WORKSPACE_ID ANTHROPIC_ENVIRONMENT_KEY CLAUDE_CODE_USE_BEDROCK
    CLAUDE_CODE_USE_VERTEX CLAUDE_CODE_USE_FOUNDRY CLAUDE_CODE_USE_MANTLE CLAUDE_CODE_USE_ANTHROPIC_AWS
    CLAUDE_CODE_USE_GATEWAY ANTHROPIC_BEDROCK_BASE_URL AWS_BEARER_TOKEN_BEDROCK ANTHROPIC_BEDROCK_MANTLE_BASE_URL
    ANTHROPIC_BEDROCK_MANTLE_API_KEY ANTHROPIC_VERTEX_BASE_URL ANTHROPIC_VERTEX_PROJECT_ID ANTHROPIC_FOUNDRY_BASE_URL
    ANTHROPIC_FOUNDRY_RESOURCE ANTHROPIC_FOUNDRY_API_KEY ANTHROPIC_FOUNDRY_AUTH_TOKEN ANTHROPIC_AWS_BASE_URL
    ANTHROPIC_AWS_API_KEY ANTHROPIC_AWS_WORKSPACE_ID ANTHROPIC_SMALL_FAST_MODEL_AWS_REGION";

const CLAUDE_MODELS: &str = "
    ANTHROPIC_MODEL ANTHROPIC_DEFAULT_OPUS_MODEL ANTHROPIC_DEFAULT_SONNET_MODEL ANTHROPIC_DEFAULT_HAIKU_MODEL
    ANTHROPIC_DEFAULT_FABLE_MODEL";

/// A plan as text, a line each.
fn shown(plan: &Plan) -> String {
    let value = |value: &Value| match value {
        Value::Literal(text) => format!("`{text}`"),
        Value::Secret { name, prefix } => format!("`{prefix}`<{name}>"),
    };
    let mut lines: Vec<String> = plan.set.iter().map(|set| format!("set {} {}", set.name, value(&set.value))).collect();
    lines.extend(plan.unset.iter().map(|name| format!("unset {name}")));
    lines.extend(plan.arguments.iter().map(|argument| format!("argument {argument}")));
    for overlay in &plan.overlays {
        let passed = match &overlay.passed {
            Passing::Argument(argument) => format!("by {argument}"),
            Passing::Variable(name) => format!("in {name}"),
        };
        let beneath = overlay.beneath.as_ref().map(|path| format!(" over {}", path.display())).unwrap_or_default();
        lines.push(format!("overlay {passed}{beneath}"));
        lines.extend(overlay.entries.iter().map(|e| format!("  {} {}", e.path.join("."), value(&e.value))));
    }
    lines.extend(plan.tag.iter().map(|tag| format!("tag {tag}")));
    lines.extend(plan.notes.iter().map(|note| format!("note {note}")));
    lines.join("\n")
}

/// What a plan for Claude Code must be: these variables, and the rest emptied.
fn claude(set: &[(&str, &str)], emptied: &[&str]) -> String {
    let emptied: Vec<&str> = emptied.iter().flat_map(|names| names.split_whitespace()).collect();
    let mut lines: Vec<String> = set.iter().map(|(name, value)| format!("set {name} {value}")).collect();
    lines.extend(emptied.iter().map(|name| format!("unset {name}")));
    lines.push("overlay by --settings".into());
    lines.extend(set.iter().map(|(name, value)| format!("  env.{name} {value}")));
    lines.extend(emptied.iter().map(|name| format!("  env.{name} ``")));
    lines.push("  apiKeyHelper ``".into());
    lines.join("\n")
}

const CODEX_UNSET: &str = "unset OPENAI_API_KEY
unset OPENAI_BASE_URL
unset OPENAI_ORGANIZATION
unset OPENAI_ORG_ID
unset OPENAI_PROJECT
unset OPENAI_PROJECT_ID
unset CODEX_API_KEY";

/// What a plan for Gemini CLI must be, with these arguments.
fn gemini(key: &str, url: &str, arguments: &str) -> String {
    format!(
        "set GEMINI_API_KEY {key}
set GOOGLE_GEMINI_BASE_URL `{url}`
set GOOGLE_API_KEY ``
set GOOGLE_GENAI_USE_VERTEXAI ``
set GOOGLE_GENAI_USE_GCA ``
set GOOGLE_CLOUD_PROJECT ``
set GOOGLE_CLOUD_LOCATION ``
set GOOGLE_VERTEX_BASE_URL ``
set GOOGLE_GENAI_API_VERSION ``
set GEMINI_MODEL ``
set GEMINI_API_KEY_AUTH_MECHANISM ``
set GEMINI_CLI_CUSTOM_HEADERS ``
{arguments}overlay in GEMINI_CLI_SYSTEM_SETTINGS_PATH over /etc/gemini-cli/settings.json
  security.auth.selectedType `gemini-api-key`"
    )
}

/// The plan, or the words that refuse it.
async fn plan(component: &str, profile: &Profile, cli: CliKind) -> String {
    let driver = bundled(component).load().await.unwrap();
    match driver.launch_plan(profile, &target(cli)).await {
        Ok(plan) => shown(&plan),
        Err(e) => e.to_string(),
    }
}

fn with_model(mut profile: Profile, model: &str) -> Profile {
    profile.model = Some(model.into());
    profile
}

#[tokio::test]
async fn anthropic_itself_gets_its_key_as_x_api_key() {
    let mine = profile("anthropic", &[(Family::Anthropic, "https://api.anthropic.com/")], &["token"]);
    let set = [("ANTHROPIC_BASE_URL", "`https://api.anthropic.com`"), ("ANTHROPIC_API_KEY", "``<token>")];
    assert_eq!(
        plan("provider-anthropic", &mine, CliKind::Claude).await,
        claude(&set, &["ANTHROPIC_AUTH_TOKEN", CLAUDE_MODELS, CLAUDE_COMPETES])
    );
    let models = CLAUDE_MODELS.split_whitespace().map(|name| (name, "`claude-x`"));
    let set: Vec<_> = set.into_iter().chain(models).collect();
    assert_eq!(
        plan("provider-anthropic", &with_model(mine.clone(), "claude-x"), CliKind::Claude).await,
        claude(&set, &["ANTHROPIC_AUTH_TOKEN", CLAUDE_COMPETES])
    );
    let fits = "provider `mine` does not speak OpenAI Responses, which `codex` needs; it fits `claude`";
    assert_eq!(plan("provider-anthropic", &mine, CliKind::Codex).await, fits);
    let bare = profile("anthropic", &[(Family::Anthropic, "https://api.anthropic.com")], &[]);
    assert_eq!(plan("provider-anthropic", &bare, CliKind::Claude).await, "provider `mine` has no token");
}

#[tokio::test]
async fn openai_itself_is_a_provider_of_codex_with_a_variable_of_its_own() {
    let mine = profile("openai", &[(Family::Openai, "https://api.openai.com/v1")], &["token"]);
    let expected = format!(
        "set AIW_CODEX_KEY ``<token>
{CODEX_UNSET}
argument -c
argument model_provider=\"aiw-7e89edb6\"
argument -c
argument model_providers.aiw-7e89edb6={{name=\"mine\",base_url=\"https://api.openai.com/v1\",env_key=\"AIW_CODEX_KEY\",wire_api=\"responses\"}}"
    );
    assert_eq!(plan("provider-openai", &mine, CliKind::Codex).await, expected);
    let chosen = plan("provider-openai", &with_model(mine.clone(), "gpt-x"), CliKind::Codex).await;
    assert_eq!(chosen, format!("{expected}\nargument -m\nargument gpt-x"));
    let fits = "provider `mine` does not speak Anthropic Messages, which `claude` needs; it fits `codex`";
    assert_eq!(plan("provider-openai", &mine, CliKind::Claude).await, fits);
}

#[tokio::test]
async fn google_itself_is_forced_by_settings_of_the_system() {
    let url = "https://generativelanguage.googleapis.com";
    let mine = profile("google", &[(Family::Gemini, url)], &["token"]);
    assert_eq!(plan("provider-google", &mine, CliKind::Gemini).await, gemini("``<token>", url, ""));
    let chosen = plan("provider-google", &with_model(mine.clone(), "gemini-x"), CliKind::Gemini).await;
    assert_eq!(chosen, gemini("``<token>", url, "argument -m\nargument gemini-x\n"));
    let fits = "provider `mine` does not speak Anthropic Messages, which `claude` needs; it fits `gemini`";
    assert_eq!(plan("provider-google", &mine, CliKind::Claude).await, fits);
}

#[tokio::test]
async fn a_gateway_fits_the_clis_whose_api_it_speaks() {
    let urls = [
        (Family::Anthropic, "https://llm.example"),
        (Family::Openai, "https://llm.example/v1"),
        (Family::Gemini, "https://llm.example"),
    ];
    let mine = with_model(profile("litellm", &urls, &["token"]), "a \"b\" \\c");
    let url = ("ANTHROPIC_BASE_URL", "`https://llm.example`");
    let models = CLAUDE_MODELS.split_whitespace().map(|name| (name, "`a \"b\" \\c`"));
    let set: Vec<_> = [url, ("ANTHROPIC_AUTH_TOKEN", "``<token>")].into_iter().chain(models).collect();
    assert_eq!(
        plan("provider-gateway", &mine, CliKind::Claude).await,
        claude(&set, &["ANTHROPIC_API_KEY", CLAUDE_COMPETES])
    );
    assert_eq!(
        plan("provider-gateway", &mine, CliKind::Codex).await,
        format!(
            "set AIW_CODEX_KEY ``<token>
{CODEX_UNSET}
argument -c
argument model_provider=\"aiw-7e89edb6\"
argument -c
argument model_providers.aiw-7e89edb6={{name=\"mine\",base_url=\"https://llm.example/v1\",env_key=\"AIW_CODEX_KEY\",wire_api=\"responses\"}}
argument -m
argument a \"b\" \\c"
        )
    );
    assert_eq!(
        plan("provider-gateway", &mine, CliKind::Gemini).await,
        gemini("``<token>", "https://llm.example", "argument -m\nargument a \"b\" \\c\n")
    );
    let one = profile("custom", &[urls[0], urls[2]], &["token"]);
    let fits = "provider `mine` does not speak OpenAI Responses, which `codex` needs; it fits `claude` and `gemini`";
    assert_eq!(plan("provider-gateway", &one, CliKind::Codex).await, fits);
}

/// A CLI without any key takes the user's own login, and would send that to the gateway.
#[tokio::test]
async fn without_a_token_the_users_own_login_is_kept_out() {
    let urls = [
        (Family::Anthropic, "http://localhost:11434"),
        (Family::Openai, "http://localhost:11434/v1"),
        (Family::Gemini, "http://localhost:11434"),
    ];
    let mine = profile("custom", &urls, &[]);
    let set = [("ANTHROPIC_BASE_URL", "`http://localhost:11434`"), ("ANTHROPIC_AUTH_TOKEN", "`none`")];
    assert_eq!(
        plan("provider-gateway", &mine, CliKind::Claude).await,
        claude(&set, &["ANTHROPIC_API_KEY", CLAUDE_MODELS, CLAUDE_COMPETES])
    );
    assert_eq!(
        plan("provider-gateway", &mine, CliKind::Codex).await,
        format!(
            "{CODEX_UNSET}
argument -c
argument model_provider=\"aiw-7e89edb6\"
argument -c
argument model_providers.aiw-7e89edb6={{name=\"mine\",base_url=\"http://localhost:11434/v1\",wire_api=\"responses\"}}"
        )
    );
    assert_eq!(plan("provider-gateway", &mine, CliKind::Gemini).await, gemini("`none`", "http://localhost:11434", ""));
    let deepseek = profile("deepseek", &[(Family::Anthropic, "https://api.deepseek.com/anthropic")], &[]);
    assert_eq!(plan("provider-gateway", &deepseek, CliKind::Claude).await, "provider `mine` has no token");
}

#[tokio::test]
async fn the_model_of_a_run_goes_before_that_of_the_provider() {
    let driver = bundled("provider-openai").load().await.unwrap();
    let mine = with_model(profile("openai", &[(Family::Openai, "https://api.openai.com/v1")], &["token"]), "usual");
    let mut codex = target(CliKind::Codex);
    codex.model = Some("chosen".into());
    let plan = driver.launch_plan(&mine, &codex).await.unwrap();
    assert_eq!(plan.arguments[4..], ["-m", "chosen"]);
}

#[tokio::test]
async fn presets_are_known_by_one_name_each() {
    let mut presets: Vec<Preset> = Vec::new();
    for component in BUNDLED {
        let driver = bundled(component).load().await.unwrap();
        presets.extend(driver.provider_info().await.unwrap().presets);
    }
    let shown: Vec<String> = presets
        .iter()
        .map(|preset| {
            let urls = preset.base_urls.iter();
            let urls: Vec<String> =
                urls.map(|(family, url)| format!("{family} {}", url.as_deref().unwrap_or("?"))).collect();
            let clis: Vec<&str> = preset.clis().iter().map(|cli| cli.as_str()).collect();
            let token = match preset.token {
                Need::Required => "token",
                Need::Optional => "token?",
                Need::Never => "no token",
            };
            format!("{} ({token}) for {}: {}", preset.id, clis.join(" "), urls.join(", "))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "anthropic (token) for claude: anthropic https://api.anthropic.com",
            "openrouter (token) for claude codex: anthropic https://openrouter.ai/api, openai https://openrouter.ai/api/v1",
            "deepseek (token) for claude: anthropic https://api.deepseek.com/anthropic",
            "litellm (token?) for claude codex gemini: anthropic ?, openai ?, gemini ?",
            "moonshot (token) for claude: anthropic https://api.moonshot.ai/anthropic",
            "zai (token) for claude: anthropic https://api.z.ai/api/anthropic",
            "groq (token) for codex: openai https://api.groq.com/openai/v1",
            "ollama (token?) for claude codex: anthropic http://localhost:11434, openai http://localhost:11434/v1",
            "lmstudio (token?) for claude codex: anthropic http://localhost:1234, openai http://localhost:1234/v1",
            "custom (token?) for claude codex gemini: anthropic ?, openai ?, gemini ?",
            "google (token) for gemini: gemini https://generativelanguage.googleapis.com",
            "openai (token) for codex: openai https://api.openai.com/v1",
        ]
    );
    assert!(presets.iter().all(|p| p.token != Need::Required || p.token_page.is_some()));
}

#[tokio::test]
async fn a_check_asks_once_with_the_key_where_the_provider_wants_it() {
    let list = || Answer::ok(r#"{"data": [{"id": "m1", "display_name": "M 1"}]}"#);
    for (component, preset, family, base, url, header, value) in [
        (
            "provider-anthropic",
            "anthropic",
            Family::Anthropic,
            "https://api.anthropic.com",
            "https://api.anthropic.com/v1/models?limit=1000",
            "x-api-key",
            "hunter2!",
        ),
        (
            "provider-openai",
            "openai",
            Family::Openai,
            "https://api.openai.com/v1",
            "https://api.openai.com/v1/models",
            "authorization",
            "Bearer hunter2!",
        ),
        (
            "provider-google",
            "google",
            Family::Gemini,
            "https://generativelanguage.googleapis.com",
            "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1000",
            "x-goog-api-key",
            "hunter2!",
        ),
        (
            "provider-gateway",
            "custom",
            Family::Anthropic,
            "http://10.0.0.7:4000",
            "http://10.0.0.7:4000/v1/models?limit=1000",
            "authorization",
            "Bearer hunter2!",
        ),
    ] {
        let driver = bundled(component).secret("token", "hunter2!").answer(url, list()).load().await.unwrap();
        let mine = profile(preset, &[(family, base)], &["token"]);
        let health = driver.check_provider(&mine).await.unwrap();
        let place = url.split('?').next().unwrap();
        assert_eq!((health.key, health.message), (KeyState::Accepted, format!("`{place}` accepts the key")));
        let models = driver.provider_models(&mine).await.unwrap();
        assert_eq!((models[0].id.as_str(), models[0].label.as_deref()), ("m1", Some("M 1")));
        let asked = driver.asked();
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].url, url);
        assert_eq!(asked[0].headers[header], value);
    }
}

#[tokio::test]
async fn a_check_says_what_is_wrong() {
    let url = "https://llm.example/v1/models";
    let checked = async |answer: Option<Answer>| {
        let mut kit = bundled("provider-gateway").secret("token", "hunter2!");
        if let Some(answer) = answer {
            kit = kit.answer(url, answer);
        }
        let driver = kit.load().await.unwrap();
        let mine = profile("custom", &[(Family::Openai, "https://llm.example/v1")], &["token"]);
        driver.check_provider(&mine).await
    };
    let refused = checked(Some(Answer::status(401))).await.unwrap();
    assert_eq!(
        (refused.key, refused.message.as_str()),
        (KeyState::Refused, "`https://llm.example/v1/models` refuses the key (status 401)")
    );
    let page = checked(Some(Answer::ok("<html>"))).await.unwrap();
    assert_eq!(page.key, KeyState::Unknown);
    assert!(page.message.ends_with("but not as an API does: is the address right?"), "{}", page.message);
    let absent = checked(Some(Answer::status(404))).await.unwrap();
    assert_eq!(absent.key, KeyState::Unknown);
    let busy = checked(Some(Answer::status(429).header("retry-after", "7"))).await.unwrap_err();
    assert!(matches!(
        busy,
        aiw_testkit::CallError::Refused { refusal: Refusal::Unavailable { retry_after: Some(7) }, .. }
    ));
    let gone = checked(None).await.unwrap_err();
    assert_eq!(gone.to_string(), "no recorded answer for `https://llm.example/v1/models`");
}
