//! What each CLI must be started with, so that it reaches one provider and nothing of another
//! provider's arrives there. Measured with the real CLIs, against settings and `.env` files that
//! say otherwise.

use crate::{Access, Entry, Overlay, Passing, Plan, Value, Variable};

/// What Claude Code calls its kinds of models by: each is the one model of the provider.
const CLAUDE_MODELS: [&str; 5] = [
    "ANTHROPIC_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
];

/// What would send Claude Code elsewhere, with another key, or for another model: other models,
/// logins, federated identities, clouds. <https://code.claude.com/docs/en/env-vars>, and the
/// names in its binary.
const CLAUDE_COMPETES: [&str; 39] = [
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_CUSTOM_MODEL_OPTION",
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_UNIX_SOCKET",
    "CLAUDE_CODE_API_BASE_URL",
    "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
    "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
    "ANTHROPIC_PROFILE",
    "ANTHROPIC_CONFIG_DIR",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
    "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_SERVICE_ACCOUNT_ID",
    "ANTHROPIC_ORGANIZATION_ID",
    "ANTHROPIC_WORKSPACE_ID",
    "ANTHROPIC_ENVIRONMENT_KEY",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_GATEWAY",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "AWS_BEARER_TOKEN_BEDROCK",
    "ANTHROPIC_BEDROCK_MANTLE_BASE_URL",
    "ANTHROPIC_BEDROCK_MANTLE_API_KEY",
    "ANTHROPIC_VERTEX_BASE_URL",
    "ANTHROPIC_VERTEX_PROJECT_ID",
    "ANTHROPIC_FOUNDRY_BASE_URL",
    "ANTHROPIC_FOUNDRY_RESOURCE",
    "ANTHROPIC_FOUNDRY_API_KEY",
    "ANTHROPIC_FOUNDRY_AUTH_TOKEN",
    "ANTHROPIC_AWS_BASE_URL",
    "ANTHROPIC_AWS_API_KEY",
    "ANTHROPIC_AWS_WORKSPACE_ID",
    "ANTHROPIC_SMALL_FAST_MODEL_AWS_REGION",
];

/// The `env` of the user's settings beats the process environment, and `--settings` beats those:
/// it repeats what is set and holds the rest as `""`. Without a model, the user's own variables
/// for one are emptied as well: they name models of another provider.
pub(crate) fn claude(access: &Access) -> Plan {
    let (ours, other) = match access.x_api_key {
        true => ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
        false => ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"),
    };
    let mut set = vec![variable("ANTHROPIC_BASE_URL", access.base_url.as_str()), variable(ours, access.key())];
    let mut unset = vec![other];
    match &access.model {
        Some(model) => set.extend(CLAUDE_MODELS.map(|name| variable(name, model.as_str()))),
        None => unset.extend(CLAUDE_MODELS),
    }
    unset.extend(CLAUDE_COMPETES);
    let env = |name: &str, value: Value| Entry { path: vec!["env".to_owned(), name.to_owned()], value };
    let mut entries: Vec<Entry> = set.iter().map(|set| env(&set.name, set.value.clone())).collect();
    entries.extend(unset.iter().map(|name| env(name, "".into())));
    // `null` would break the file.
    entries.push(Entry { path: vec!["apiKeyHelper".to_owned()], value: "".into() });
    Plan {
        set,
        unset: unset.into_iter().map(str::to_owned).collect(),
        arguments: Vec::new(),
        overlays: vec![Overlay { passed: Passing::Argument("--settings".to_owned()), beneath: None, entries }],
        tag: None,
        notes: Vec::new(),
    }
}

/// The variable that holds the key of a provider for Codex.
const CODEX_KEY: &str = "AIW_CODEX_KEY";

/// Codex does not honour the variables of OpenAI, but hands them on to what it runs.
const CODEX_COMPETES: [&str; 7] = [
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORGANIZATION",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT",
    "OPENAI_PROJECT_ID",
    "CODEX_API_KEY",
];

/// Codex speaks Responses only. Without a key it gets no `env_key`: it fails where that is unset.
pub(crate) fn codex(access: &Access) -> Plan {
    let (name, base_url) = (toml_string(&access.provider), toml_string(&access.base_url));
    let key = access.secret.as_ref().map_or_else(String::new, |_| format!("env_key={},", toml_string(CODEX_KEY)));
    let id = codex_id(&access.provider);
    let provider = format!("model_providers.{id}={{name={name},base_url={base_url},{key}wire_api=\"responses\"}}");
    let mut arguments = vec!["-c".to_owned(), format!("model_provider=\"{id}\""), "-c".to_owned(), provider];
    if let Some(model) = &access.model {
        arguments.extend(["-m".to_owned(), model.clone()]);
    }
    Plan {
        set: access.secret.iter().map(|_| variable(CODEX_KEY, access.key())).collect(),
        unset: CODEX_COMPETES.map(str::to_owned).to_vec(),
        arguments,
        overlays: Vec::new(),
        tag: None,
        notes: Vec::new(),
    }
}

/// What Codex knows a provider by. It merges what the user's `config.toml` says of the same id, headers and query
/// included, so it is an id that nobody writes there by chance. And it is the same in each run: Codex resumes a session
/// only where its provider is configured.
fn codex_id(provider: &str) -> String {
    // FNV-1a.
    let digest =
        provider.bytes().fold(0x811c_9dc5_u32, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("aiw-{digest:08x}")
}

/// What would send Gemini CLI elsewhere. Emptied, not taken away: it loads `.env` for every
/// variable that is not present. <https://geminicli.com/docs/reference/configuration>
const GEMINI_COMPETES: [&str; 10] = [
    "GOOGLE_API_KEY",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_GENAI_USE_GCA",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_VERTEX_BASE_URL",
    "GOOGLE_GENAI_API_VERSION",
    "GEMINI_MODEL",
    "GEMINI_API_KEY_AUTH_MECHANISM",
    "GEMINI_CLI_CUSTOM_HEADERS",
];

/// How it signs in stands in its settings alone; those of the system beat the user's and the
/// project's. A file that is there for the whole machine stays beneath.
pub(crate) fn gemini(access: &Access) -> Plan {
    let mut set =
        vec![variable("GEMINI_API_KEY", access.key()), variable("GOOGLE_GEMINI_BASE_URL", access.base_url.as_str())];
    set.extend(GEMINI_COMPETES.map(|name| variable(name, "")));
    let path = ["security", "auth", "selectedType"].map(str::to_owned).to_vec();
    let overlay = Overlay {
        passed: Passing::Variable("GEMINI_CLI_SYSTEM_SETTINGS_PATH".to_owned()),
        beneath: Some("/etc/gemini-cli/settings.json".to_owned()),
        entries: vec![Entry { path, value: "gemini-api-key".into() }],
    };
    let model = access.model.iter().flat_map(|model| ["-m".to_owned(), model.clone()]);
    Plan { set, unset: Vec::new(), arguments: model.collect(), overlays: vec![overlay], tag: None, notes: Vec::new() }
}

fn variable(name: &str, value: impl Into<Value>) -> Variable {
    Variable { name: name.to_owned(), value: value.into() }
}

/// A basic string of TOML. <https://toml.io/en/v1.0.0#string>
fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_for_codex_is_the_providers_own_and_stays() {
        assert_eq!(codex_id("foobar"), "aiw-bf9cf968");
        assert_ne!(codex_id("a"), codex_id("b"));
    }

    #[test]
    fn a_string_of_toml_is_escaped() {
        assert_eq!(toml_string("a \"b\" \\ c\n\u{7f}é"), r#""a \"b\" \\ c\u000A\u007Fé""#);
    }
}
