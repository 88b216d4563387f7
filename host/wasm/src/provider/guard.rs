//! What a launch plan may touch.
//!
//! A component runs in a sandbox, the CLI that it prepares does not: a variable such as
//! `LD_PRELOAD`, a hook in the CLI's settings or `-c notify=…` would run any command. So a plan
//! may only do what sends a CLI to a provider: keys, addresses, models, and switches between APIs;
//! and an address is one of the profile's own, since the secrets go where it leads.

use std::path::Path;

use aiw_core::{CliKind, one_line};
use aiw_net::origin;

use super::{Entry, Overlay, Passing, Plan, Profile, Value};

/// The end of a sentence.
type Bad = String;

/// Refuses a plan that does more than send the CLI to the profile's addresses.
pub(super) fn check(plan: &Plan, profile: &Profile, cli: CliKind) -> Result<(), Bad> {
    for set in &plan.set {
        variable(set.name.as_str(), &set.value, profile)?;
    }
    if let Some(name) = plan.unset.iter().find(|name| !is_ours(name.as_str())) {
        return Err(format!("takes away the variable `{name}`, which is none of a provider's"));
    }
    match cli {
        CliKind::Claude => plain_arguments(&plan.arguments, &["--model"])?,
        CliKind::Codex => codex_arguments(plan, profile)?,
        CliKind::Gemini => plain_arguments(&plan.arguments, &["-m", "--model"])?,
    }
    plan.overlays.iter().try_for_each(|overlay| self::overlay(overlay, profile, cli))
}

/// What switches between APIs, or tunes how one is spoken to.
const SWITCHES: [&str; 21] = [
    "ANTHROPIC_BETAS",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_VERTEX_PROJECT_ID",
    "API_TIMEOUT_MS",
    "AWS_PROFILE",
    "AWS_REGION",
    "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    "CLAUDE_CODE_MAX_RETRIES",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
    "CLOUD_ML_REGION",
    "DISABLE_PROMPT_CACHING",
    "ENABLE_TOOL_SEARCH",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_GENAI_USE_GCA",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "MAX_THINKING_TOKENS",
];

/// Variables that a plan may take away or empty beside those that it may set.
const VENDORS: [&str; 11] = [
    "ANTHROPIC_",
    "AWS_",
    "AZURE_",
    "CLAUDE_CODE_API_",
    "CLAUDE_CODE_OAUTH_",
    "CLAUDE_CODE_SKIP_",
    "CLAUDE_CODE_USE_",
    "GEMINI_API_",
    "GEMINI_CLI_CUSTOM_HEADERS",
    "GOOGLE_",
    "OPENAI_",
];

fn is_key(name: &str) -> bool {
    name.ends_with("_KEY") || name.ends_with("_TOKEN")
}

fn is_address(name: &str) -> bool {
    name.ends_with("_BASE_URL") || name.ends_with("_ENDPOINT")
}

fn is_plain(name: &str) -> bool {
    SWITCHES.contains(&name) || name.ends_with("_MODEL")
}

fn is_ours(name: &str) -> bool {
    is_key(name) || is_address(name) || is_plain(name) || VENDORS.iter().any(|vendor| name.starts_with(vendor))
}

fn variable(name: &str, value: &Value, profile: &Profile) -> Result<(), Bad> {
    match value {
        Value::Literal(text) if text.is_empty() && is_ours(name) => Ok(()),
        Value::Literal(text) if is_address(name) => address(name, text, profile),
        Value::Literal(_) if is_key(name) || is_plain(name) => Ok(()),
        Value::Secret { .. } if is_key(name) || name == "ANTHROPIC_CUSTOM_HEADERS" => Ok(()),
        Value::Literal(_) => Err(format!("sets the variable `{name}`, which is none of a provider's")),
        Value::Secret { .. } => Err(format!("puts a secret into the variable `{name}`, which holds none")),
    }
}

/// Keys go where an address leads.
fn address(name: &str, url: &str, profile: &Profile) -> Result<(), Bad> {
    let to = origin(url);
    match to.is_some() && profile.base_urls.values().any(|url| origin(url) == to) {
        true => Ok(()),
        false => Err(format!(
            "leads `{name}` to `{}`, which is no address of the provider `{}`",
            one_line(&aiw_core::without_query(url), 120),
            profile.name
        )),
    }
}

fn not_ours(argument: &str) -> Bad {
    format!("has an argument that is none of a provider's: `{}`", one_line(argument, 80))
}

/// Pairs of a flag and a word.
fn plain_arguments(arguments: &[String], flags: &[&str]) -> Result<(), Bad> {
    for pair in arguments.chunks(2) {
        match pair {
            [flag, word] if flags.contains(&flag.as_str()) && is_word(word) => {}
            _ => return Err(not_ours(&pair[0])),
        }
    }
    Ok(())
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && !word.starts_with('-') && !word.contains(char::is_control)
}

fn codex_arguments(plan: &Plan, profile: &Profile) -> Result<(), Bad> {
    for pair in plan.arguments.chunks(2) {
        match pair {
            [flag, word] if ["-m", "--model"].contains(&flag.as_str()) && is_word(word) => {}
            [flag, setting] if ["-c", "--config"].contains(&flag.as_str()) => codex_setting(setting, plan, profile)?,
            _ => return Err(not_ours(&pair[0])),
        }
    }
    Ok(())
}

/// Settings of Codex that say which model is asked and how.
const CODEX_SETTINGS: [&str; 8] = [
    "model",
    "model_provider",
    "model_context_window",
    "model_max_output_tokens",
    "model_reasoning_effort",
    "model_reasoning_summary",
    "model_supports_reasoning_summaries",
    "model_verbosity",
];

/// Of one of its providers; others (`auth`, say) run commands.
const CODEX_PROVIDER: [&str; 9] = [
    "name",
    "base_url",
    "wire_api",
    "query_params",
    "http_headers",
    "request_max_retries",
    "stream_max_retries",
    "stream_idle_timeout_ms",
    "supports_websockets",
];

/// `key=value`, as Codex itself reads it: the key is split at dots, the value is TOML.
fn codex_setting(setting: &str, plan: &Plan, profile: &Profile) -> Result<(), Bad> {
    let bad = || not_ours(setting);
    let (key, value) = setting.split_once('=').ok_or_else(bad)?;
    let value = toml::from_str::<toml::Table>(&format!("x={value}")).ok().filter(|table| table.len() == 1);
    let value = value.and_then(|mut table| table.remove("x")).ok_or_else(bad)?;
    let mut path = key.split('.');
    match (path.next(), path.next(), path.next(), path.next()) {
        (Some(key), None, ..) if CODEX_SETTINGS.contains(&key) && !value.is_table() => Ok(()),
        (Some("model_providers"), Some(id), None, _) if is_id(id) => {
            let provider = value.as_table().ok_or_else(bad)?;
            match provider.iter().all(|(key, value)| is_codex_provider(key, value, plan)) {
                true => provider.get("base_url").map_or(Ok(()), |url| codex_address(url, profile)),
                false => Err(bad()),
            }
        }
        (Some("model_providers"), Some(id), Some(key), None) if is_id(id) && is_codex_provider(key, &value, plan) => {
            if key == "base_url" {
                codex_address(&value, profile)
            } else {
                Ok(())
            }
        }
        _ => Err(bad()),
    }
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn codex_address(url: &toml::Value, profile: &Profile) -> Result<(), Bad> {
    address("base_url", url.as_str().unwrap_or_default(), profile)
}

fn is_codex_provider(key: &str, value: &toml::Value, plan: &Plan) -> bool {
    // Any other variable of the user's would be sent to the provider.
    let is_set =
        |name: &toml::Value| name.as_str().is_some_and(|name| plan.set.iter().any(|v| v.name.as_str() == name));
    match key {
        "env_key" => is_set(value),
        "env_http_headers" => value.as_table().is_some_and(|headers| headers.values().all(is_set)),
        key => CODEX_PROVIDER.contains(&key),
    }
}

/// Where Gemini CLI itself looks for the settings of a whole machine.
const GEMINI_FILES: [&str; 4] = [
    "/etc/gemini-cli/settings.json",
    "/etc/gemini-cli/system-defaults.json",
    "/Library/Application Support/GeminiCli/settings.json",
    "/Library/Application Support/GeminiCli/system-defaults.json",
];

fn overlay(overlay: &Overlay, profile: &Profile, cli: CliKind) -> Result<(), Bad> {
    let passed = match (&overlay.passed, cli) {
        (Passing::Argument(argument), CliKind::Claude) => argument == "--settings",
        (Passing::Variable(name), CliKind::Gemini) => {
            ["GEMINI_CLI_SYSTEM_SETTINGS_PATH", "GEMINI_CLI_SYSTEM_DEFAULTS_PATH"].contains(&name.as_str())
        }
        _ => false,
    };
    if !passed {
        return Err(format!("passes an overlay in a way that is not one of `{cli}`"));
    }
    let known = |path: &Path| cli == CliKind::Gemini && GEMINI_FILES.iter().any(|file| Path::new(file) == path);
    if let Some(path) = overlay.beneath.as_deref().filter(|path| !known(path)) {
        let path = one_line(&path.to_string_lossy(), 80);
        return Err(format!("keeps the file `{path}`, which is not one of `{cli}`"));
    }
    overlay.entries.iter().try_for_each(|entry| self::entry(entry, profile, cli))
}

fn entry(entry: &Entry, profile: &Profile, cli: CliKind) -> Result<(), Bad> {
    let path: Vec<&str> = entry.path.iter().map(String::as_str).collect();
    let empty = matches!(&entry.value, Value::Literal(text) if text.is_empty());
    let literal = matches!(entry.value, Value::Literal(_));
    let ours = match (cli, path.as_slice()) {
        (CliKind::Claude, ["env", name]) => return variable(name, &entry.value, profile),
        (CliKind::Claude, ["model"]) => literal,
        // Commands: they can be switched off, and no more.
        (CliKind::Claude, ["apiKeyHelper" | "awsAuthRefresh" | "awsCredentialExport" | "gcpAuthRefresh"]) => empty,
        (CliKind::Gemini, ["security", "auth", "selectedType" | "enforcedType"] | ["model", "name"]) => literal,
        _ => false,
    };
    match ours {
        true => Ok(()),
        false => Err(format!("sets `{}` in an overlay, which is none of a provider's", one_line(&path.join("."), 80))),
    }
}
