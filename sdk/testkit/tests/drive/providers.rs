//! The bundled providers: what they know, and the whole intent for each CLI that fits.

use aiw_testkit::provider::{Account, Api, Auth, Family, Intent, KeyState, Preset, Requirement, Value};
use aiw_testkit::{RecordedResponse, Refusal};

use crate::accounts::{account, bundled, target};

const BUNDLED: [&str; 4] = ["provider-anthropic", "provider-gateway", "provider-google", "provider-openai"];

/// Formats an intent as text.
fn shown(intent: &Intent) -> String {
    let auth = match &intent.auth {
        Auth::None => "no key".to_owned(),
        Auth::Bearer { secret: name } => format!("bearer <{name}>"),
        Auth::ApiKey { secret: name } => format!("API key <{name}>"),
        Auth::Header { header, secret } => format!("{header} <{secret}>"),
    };
    let mut parts = vec![intent.api.to_string(), auth];
    for header in &intent.headers {
        parts.push(match &header.value {
            Value::Literal { value: text } => format!("{}: {text}", header.name),
            Value::Secret { secret: name, prefix } => format!("{}: {prefix}<{name}>", header.name),
        });
    }
    let models = &intent.models;
    for (word, model) in
        [("main", &models.main), ("large", &models.large), ("medium", &models.medium), ("small", &models.small)]
    {
        parts.extend(model.iter().map(|model| format!("{word} {model}")));
    }
    parts.extend(intent.tag.iter().map(|tag| format!("tag {tag}")));
    parts.extend(intent.notes.iter().map(|note| format!("note {note}")));
    assert_eq!(intent.tuning, Default::default());
    parts.join(", ")
}

/// Returns the intent, or the message that refuses it.
async fn plan(component: &str, account: &Account, api: Api) -> String {
    let driver = bundled(component).load().await.unwrap();
    match driver.provider().plan(account, &target(api)).await {
        Ok(intent) => shown(&intent),
        Err(e) => e.to_string(),
    }
}

fn with_model(mut account: Account, model: &str) -> Account {
    account.model = Some(model.into());
    account
}

#[tokio::test]
async fn anthropic_itself_gets_its_key_as_x_api_key() {
    let mine = account("anthropic", &[(Family::Anthropic, "https://api.anthropic.com/")], &["token"]);
    assert_eq!(plan("provider-anthropic", &mine, Api::Messages).await, "Anthropic Messages, API key <token>");
    assert_eq!(
        plan("provider-anthropic", &with_model(mine.clone(), "claude-x"), Api::Messages).await,
        "Anthropic Messages, API key <token>, main claude-x"
    );
    let fits = "provider `mine` has no address for OpenAI Responses, which `codex` speaks";
    assert_eq!(plan("provider-anthropic", &mine, Api::Responses).await, fits);
    let bare = account("anthropic", &[(Family::Anthropic, "https://api.anthropic.com")], &[]);
    assert_eq!(plan("provider-anthropic", &bare, Api::Messages).await, "provider `mine` has no token");
}

#[tokio::test]
async fn openai_itself_is_a_provider_of_codex() {
    let mine = account("openai", &[(Family::Openai, "https://api.openai.com/v1")], &["token"]);
    assert_eq!(plan("provider-openai", &mine, Api::Responses).await, "OpenAI Responses, bearer <token>");
    let chosen = plan("provider-openai", &with_model(mine.clone(), "gpt-x"), Api::Responses).await;
    assert_eq!(chosen, "OpenAI Responses, bearer <token>, main gpt-x");
    let fits = "provider `mine` has no address for Anthropic Messages, which `claude` speaks";
    assert_eq!(plan("provider-openai", &mine, Api::Messages).await, fits);
}

#[tokio::test]
async fn google_itself_takes_its_key_in_its_own_header() {
    let mine = account("google", &[(Family::Gemini, "https://generativelanguage.googleapis.com")], &["token"]);
    assert_eq!(plan("provider-google", &mine, Api::GenerateContent).await, "the Gemini API, API key <token>");
    let chosen = plan("provider-google", &with_model(mine.clone(), "gemini-x"), Api::GenerateContent).await;
    assert_eq!(chosen, "the Gemini API, API key <token>, main gemini-x");
    let fits = "provider `mine` has no address for Anthropic Messages, which `claude` speaks";
    assert_eq!(plan("provider-google", &mine, Api::Messages).await, fits);
}

#[tokio::test]
async fn a_gateway_fits_the_clis_whose_api_it_speaks() {
    let urls = [
        (Family::Anthropic, "https://llm.example"),
        (Family::Openai, "https://llm.example/v1"),
        (Family::Gemini, "https://llm.example"),
    ];
    let mine = with_model(account("litellm", &urls, &["token"]), "a \"b\" \\c");
    for (api, expected) in [
        (Api::Messages, "Anthropic Messages, bearer <token>, main a \"b\" \\c"),
        (Api::Responses, "OpenAI Responses, bearer <token>, main a \"b\" \\c"),
        (Api::ChatCompletions, "OpenAI Chat Completions, bearer <token>, main a \"b\" \\c"),
        (Api::GenerateContent, "the Gemini API, API key <token>, main a \"b\" \\c"),
    ] {
        assert_eq!(plan("provider-gateway", &mine, api).await, expected);
    }
    let one = account("custom", &[urls[0], urls[2]], &["token"]);
    let fits = "provider `mine` has no address for OpenAI Responses, which `codex` speaks";
    assert_eq!(plan("provider-gateway", &one, Api::Responses).await, fits);
}

#[tokio::test]
async fn a_gateway_without_a_token_is_one_only_where_it_needs_none() {
    let urls = [(Family::Anthropic, "http://localhost:11434")];
    let mine = account("custom", &urls, &[]);
    assert_eq!(plan("provider-gateway", &mine, Api::Messages).await, "Anthropic Messages, no key");
    let deepseek = account("deepseek", &[(Family::Anthropic, "https://api.deepseek.com/anthropic")], &[]);
    assert_eq!(plan("provider-gateway", &deepseek, Api::Messages).await, "provider `mine` has no token");
}

#[tokio::test]
async fn the_model_of_a_run_goes_before_that_of_the_provider() {
    let driver = bundled("provider-openai").load().await.unwrap();
    let mine = with_model(account("openai", &[(Family::Openai, "https://api.openai.com/v1")], &["token"]), "usual");
    let mut codex = target(Api::Responses);
    codex.model = Some("chosen".into());
    assert_eq!(driver.provider().plan(&mine, &codex).await.unwrap().models.main.as_deref(), Some("chosen"));
}

#[tokio::test]
async fn presets_are_known_by_one_name_each() {
    let mut presets: Vec<Preset> = Vec::new();
    for component in BUNDLED {
        let driver = bundled(component).load().await.unwrap();
        presets.extend(driver.provider().describe().await.unwrap().presets);
    }
    let shown: Vec<String> = presets
        .iter()
        .map(|preset| {
            let urls = preset.base_urls.iter();
            let urls: Vec<String> =
                urls.map(|(family, url)| format!("{family} {}", url.as_deref().unwrap_or("?"))).collect();
            let token = match preset.token {
                Requirement::Required => "token",
                Requirement::Optional => "token?",
                Requirement::Never => "no token",
            };
            format!("{} ({token}): {}", preset.id, urls.join(", "))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "anthropic (token): anthropic https://api.anthropic.com",
            "openrouter (token): anthropic https://openrouter.ai/api, openai https://openrouter.ai/api/v1",
            "deepseek (token): anthropic https://api.deepseek.com/anthropic",
            "litellm (token?): anthropic ?, openai ?, gemini ?",
            "moonshot (token): anthropic https://api.moonshot.ai/anthropic",
            "zai (token): anthropic https://api.z.ai/api/anthropic",
            "groq (token): openai https://api.groq.com/openai/v1",
            "ollama (token?): anthropic http://localhost:11434, openai http://localhost:11434/v1",
            "lmstudio (token?): anthropic http://localhost:1234, openai http://localhost:1234/v1",
            "custom (token?): anthropic ?, openai ?, gemini ?",
            "google (token): gemini https://generativelanguage.googleapis.com",
            "openai (token): openai https://api.openai.com/v1",
        ]
    );
    assert!(presets.iter().all(|p| p.token != Requirement::Required || p.token_page.is_some()));
}

#[tokio::test]
async fn a_check_asks_once_with_the_key_where_the_provider_wants_it() {
    let list = || RecordedResponse::ok(r#"{"data": [{"id": "m1", "display_name": "M 1"}]}"#);
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
        let driver = bundled(component).secret("token", "hunter2!").response(url, list()).load().await.unwrap();
        let mine = account(preset, &[(family, base)], &["token"]);
        let health = driver.provider().check(&mine).await.unwrap();
        let place = url.split('?').next().unwrap();
        assert_eq!((health.key, health.message), (KeyState::Accepted, format!("`{place}` accepts the key")));
        let models = driver.provider().models(&mine).await.unwrap();
        assert_eq!((models[0].id.as_str(), models[0].label.as_deref()), ("m1", Some("M 1")));
        let asked = driver.recorded_requests();
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].url, url);
        assert_eq!(asked[0].headers[header], value);
    }
}

#[tokio::test]
async fn a_check_says_what_is_wrong() {
    let url = "https://llm.example/v1/models";
    let checked = async |answer: Option<RecordedResponse>| {
        let mut kit = bundled("provider-gateway").secret("token", "hunter2!");
        if let Some(answer) = answer {
            kit = kit.response(url, answer);
        }
        let driver = kit.load().await.unwrap();
        let mine = account("custom", &[(Family::Openai, "https://llm.example/v1")], &["token"]);
        driver.provider().check(&mine).await
    };
    let refused = checked(Some(RecordedResponse::with_status(401))).await.unwrap();
    assert_eq!(
        (refused.key, refused.message.as_str()),
        (KeyState::Refused, "`https://llm.example/v1/models` refuses the key (status 401)")
    );
    let page = checked(Some(RecordedResponse::ok("<html>"))).await.unwrap();
    assert_eq!(page.key, KeyState::Unknown);
    assert!(page.message.ends_with("but not as an API does: is the address right?"), "{}", page.message);
    let absent = checked(Some(RecordedResponse::with_status(404))).await.unwrap();
    assert_eq!(absent.key, KeyState::Unknown);
    let busy = checked(Some(RecordedResponse::with_status(429).header("retry-after", "7"))).await.unwrap_err();
    assert!(matches!(
        busy,
        aiw_testkit::CallError::Rejected { refusal: Refusal::Unavailable { retry_after: Some(7) }, .. }
    ));
    let gone = checked(None).await.unwrap_err();
    assert_eq!(gone.to_string(), "no recorded answer for `https://llm.example/v1/models`");
}
