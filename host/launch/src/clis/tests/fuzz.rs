//! Tests that, whatever an intent contains, a CLI is told of its provider and nothing else.

use std::collections::BTreeSet;

use aiw_core::provider::{Auth, Header, Intent, Models, Tuning, Value as Text};
use aiw_core::{CliKind, HeaderName};
use proptest::prelude::*;
use proptest::{collection, option, sample};
use serde_json::Value;

use super::super::speaks;
use super::{arguments, draft, express, variable};

/// Generates names that the contract allows.
fn header_name() -> impl Strategy<Value = HeaderName> {
    "[A-Za-z][0-9A-Za-z-]{0,30}".prop_filter_map("a header that a plan may set", |name| {
        name.parse::<HeaderName>().ok().filter(|name| !name.is_reserved())
    })
}

/// Generates texts that try to inject something: TOML, JSON, shells, settings, variables, other hosts.
fn steering() -> impl Strategy<Value = String> {
    sample::select(vec![
        "x\"}, evil={base_url=\"https://evil.example\"",
        "a,authorization:Bearer evil",
        "${HOME} $(id) `id`",
        "{env:OPENAI_API_KEY}",
        "--dangerously-skip-permissions",
        "https://evil.example/v1",
        "arn:aws:bedrock:eu-west-1:1:inference-profile/x",
        "model_provider=azure",
        "/etc/passwd",
        "\\u0022,\"x\":\"",
    ])
    .prop_map(str::to_owned)
}

fn secret() -> impl Strategy<Value = String> {
    sample::select(vec!["token".to_owned(), "more".to_owned()])
}

fn value() -> impl Strategy<Value = Text> {
    let literal = prop_oneof!["[ -~]{1,60}", steering()];
    prop_oneof![
        literal.prop_map(Text::Literal),
        (secret(), "[ -~]{0,20}").prop_map(|(name, prefix)| Text::Secret { name, prefix }),
    ]
}

fn model() -> impl Strategy<Value = Option<String>> {
    let name = prop_oneof!["\\PC{1,40}", steering()];
    option::of(name.prop_filter("a name of a model", |name| aiw_core::is_model(name)))
}

fn auth() -> impl Strategy<Value = Auth> {
    prop_oneof![
        Just(Auth::None),
        secret().prop_map(Auth::Bearer),
        secret().prop_map(Auth::ApiKey),
        (header_name(), secret()).prop_map(|(header, secret)| Auth::Header { header, secret }),
    ]
}

fn tuning() -> impl Strategy<Value = Tuning> {
    let number = || option::weighted(0.2, 1_u32..4_000_000);
    let quirk = || proptest::bool::weighted(0.2);
    (number(), number(), number(), quirk(), quirk(), quirk()).prop_map(
        |(context_tokens, output_tokens, timeout_seconds, no_betas, no_prompt_caching, no_tool_search)| Tuning {
            context_tokens,
            output_tokens,
            timeout_seconds,
            no_betas,
            no_prompt_caching,
            no_tool_search,
        },
    )
}

/// Generates an intent that the contract allows, for one of the CLI's APIs.
fn intent(kind: CliKind) -> impl Strategy<Value = Intent> {
    let header = (header_name(), value()).prop_map(|(name, value)| Header { name, value });
    let models = (model(), model(), model(), model()).prop_map(|(main, large, medium, small)| Models {
        main,
        large,
        medium,
        small,
    });
    let api = sample::select(speaks(kind).to_vec());
    (api, auth(), collection::vec(header, 0..4), models, tuning()).prop_map(
        |(api, auth, mut headers, models, tuning)| {
            let mut names = BTreeSet::new();
            if let Auth::Header { header, .. } = &auth {
                names.insert(header.as_str().to_ascii_lowercase());
            }
            headers.retain(|header| names.insert(header.name.as_str().to_ascii_lowercase()));
            Intent { api, auth, headers, models, tuning, tag: None, notes: Vec::new() }
        },
    )
}

fn started() -> impl Strategy<Value = (CliKind, Intent)> {
    sample::select(CliKind::ALL.to_vec()).prop_flat_map(|kind| (Just(kind), intent(kind)))
}

/// Returns how many headers the intent sends in addition to those of the API.
fn headers(intent: &Intent) -> usize {
    intent.headers.len() + usize::from(matches!(intent.auth, Auth::Header { .. }))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

proptest! {
    #[test]
    fn whatever_an_intent_holds_a_cli_is_told_of_its_provider_alone(
        (kind, intent) in started(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut draft = draft(dir.path(), &[("ANTHROPIC_API_KEY", "users"), ("GOOGLE_API_KEY", "users")]);
        let Ok(()) = express(kind, &intent, &mut draft) else { return Ok(()) };
        let arguments = arguments(&draft);
        // Every user of the machine can read the arguments.
        prop_assert!(!arguments.concat().contains("canary"), "{arguments:?}");
        let base_url = match kind {
            CliKind::Claude => claude(&intent, &draft, &arguments)?,
            CliKind::Codex => codex(&intent, &draft, &arguments)?,
            CliKind::Gemini => gemini(&intent, &draft, &arguments)?,
        };
        prop_assert_eq!(base_url, format!("https://{}.example", intent.api.family()));
    }
}

type Checked = Result<String, TestCaseError>;

fn claude(intent: &Intent, draft: &crate::builder::Draft, arguments: &[String]) -> Checked {
    prop_assert!(arguments.is_empty());
    let settings = draft.settings.as_ref().unwrap();
    let mut others = keys(settings);
    others.remove("env");
    for helper in others {
        prop_assert_eq!(&settings[helper], "");
    }
    for (name, value) in settings["env"].as_object().unwrap() {
        prop_assert!(value.is_string());
        let known = draft.set.contains(name) || draft.cleared.contains(name) || draft.own.contains(name);
        prop_assert!(known, "{}", name);
    }
    for name in &draft.set {
        // Both places contain the same value.
        prop_assert_eq!(variable(draft, name).unwrap(), settings["env"][name].as_str().unwrap());
    }
    let sent = variable(draft, "ANTHROPIC_CUSTOM_HEADERS").unwrap_or_default();
    prop_assert_eq!(sent.lines().count(), headers(intent));
    let keys = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"].map(|name| variable(draft, name)).into_iter().flatten();
    let keys: Vec<String> = keys.collect();
    prop_assert!(keys.len() == 1 && keys[0] != "users", "{:?}", keys);
    Ok(variable(draft, "ANTHROPIC_BASE_URL").unwrap())
}

fn codex(intent: &Intent, draft: &crate::builder::Draft, arguments: &[String]) -> Checked {
    prop_assert!(draft.settings.is_none());
    let mut provider = None;
    let mut arguments = arguments.iter();
    while let Some(flag) = arguments.next() {
        let value = arguments.next().unwrap();
        if flag == "-m" {
            prop_assert_eq!(Some(value), intent.models.main.as_ref());
            continue;
        }
        prop_assert_eq!(flag, "-c");
        // Codex reads the values as TOML: no part of the intent may end a value and begin another key.
        let table: toml::Table = toml::from_str(value).map_err(|e| TestCaseError::fail(format!("{e}: {value}")))?;
        prop_assert_eq!(table.len(), 1);
        let (key, value) = table.iter().next().unwrap();
        match key.as_str() {
            "model_provider" => prop_assert_eq!(value.as_str(), Some("aiw-id")),
            "model_context_window" => prop_assert!(value.is_integer()),
            "model_providers" => {
                let table = value.as_table().unwrap();
                prop_assert_eq!(table.keys().collect::<Vec<_>>(), ["aiw-id"]);
                provider = Some(table["aiw-id"].as_table().unwrap().clone());
            }
            "cli_auth_credentials_store" => prop_assert_eq!(value.as_str(), Some("ephemeral")),
            "otel" | "analytics" | "feedback" | "features" => {
                let off = value
                    .as_table()
                    .unwrap()
                    .values()
                    .all(|v| v.as_str() == Some("none") || v.as_bool() == Some(false));
                prop_assert!(off);
            }
            "check_for_update_on_startup" => prop_assert_eq!(value.as_bool(), Some(false)),
            other => prop_assert!(false, "{}", other),
        }
    }
    let provider = provider.unwrap();
    for (key, value) in &provider {
        match key.as_str() {
            "name" | "base_url" | "wire_api" | "env_key" => prop_assert!(value.is_str()),
            "stream_idle_timeout_ms" => prop_assert!(value.is_integer()),
            "env_http_headers" => {
                let sent = value.as_table().unwrap();
                prop_assert_eq!(sent.len(), headers(intent));
                for variable in sent.values() {
                    prop_assert!(draft.set.contains(variable.as_str().unwrap()));
                }
            }
            other => prop_assert!(false, "{}", other),
        }
    }
    Ok(provider["base_url"].as_str().unwrap().to_owned())
}

fn gemini(intent: &Intent, draft: &crate::builder::Draft, arguments: &[String]) -> Checked {
    match arguments {
        [] => prop_assert!(intent.models.main.is_none()),
        [flag, model] => prop_assert!(flag == "-m" && Some(model) == intent.models.main.as_ref()),
        _ => prop_assert!(false, "{:?}", arguments),
    }
    let settings = draft.settings.as_ref().unwrap();
    prop_assert_eq!(keys(settings), BTreeSet::from(["general", "privacy", "security", "telemetry"]));
    let sent = variable(draft, "GEMINI_CLI_CUSTOM_HEADERS").unwrap_or_default();
    prop_assert_eq!(sent.split(',').filter(|pair| !pair.is_empty()).count(), headers(intent));
    prop_assert_eq!(variable(draft, "GOOGLE_API_KEY").unwrap(), "");
    Ok(variable(draft, "GOOGLE_GEMINI_BASE_URL").unwrap())
}
