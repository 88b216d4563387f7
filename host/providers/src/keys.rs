//! The variables that carry keys of API providers.

use aiw_core::EnvName;
use aiw_home::{Provider, SecretRef};

/// The variables in which programs look for the key of an API provider. A run under one provider gets no other
/// provider's key.
const VENDORS: [&str; 24] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AZURE_OPENAI_API_KEY",
    "CEREBRAS_API_KEY",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CODEX_API_KEY",
    "COHERE_API_KEY",
    "DEEPSEEK_API_KEY",
    "FIREWORKS_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GROQ_API_KEY",
    "LITELLM_API_KEY",
    "LITELLM_MASTER_KEY",
    "MISTRAL_API_KEY",
    "MOONSHOT_API_KEY",
    "OPENAI_API_KEY",
    "OPENROUTER_API_KEY",
    "PERPLEXITY_API_KEY",
    "TOGETHER_API_KEY",
    "XAI_API_KEY",
    "ZAI_API_KEY",
    "ZHIPUAI_API_KEY",
];

/// The variable that tells a nested aiw which variables a run did not get, as names with commas between them.
pub const WITHHELD_VARIABLE: &str = "AIW_WITHHELD";

/// The variable that names those that aiw has set for a run, with the key of its provider among them. They are not for
/// CLIs that this run starts.
pub const SET_VARIABLE: &str = "AIW_SET";

/// Returns whether vendors of models define the variable to hold their key.
pub fn is_vendor_key(name: &str) -> bool {
    VENDORS.contains(&name)
}

/// Returns whether a variable is hidden from runs with other providers if the user has not decided: its name says
/// that it is a key. Others, such as `GITHUB_TOKEN`, may serve other programs.
pub(crate) fn is_hidden_by_default(name: &EnvName) -> bool {
    name.as_str().ends_with("_KEY") && !name.is_general()
}

/// Returns the variables of a provider that runs with other providers don't get.
pub(crate) fn hidden(provider: &Provider) -> Vec<EnvName> {
    let by_name = || variables(provider).filter(|name| is_hidden_by_default(name)).cloned().collect();
    provider.withhold.clone().unwrap_or_else(by_name)
}

/// Returns the variables that runs under a provider don't get: the vendors' keys, and those of the user's providers
/// that are to be hidden.
pub fn withheld(providers: &[Provider]) -> Vec<String> {
    let hidden = providers.iter().flat_map(hidden).map(|name| name.to_string());
    VENDORS.into_iter().map(str::to_owned).chain(hidden).collect()
}

/// Returns the variables that a provider reads: for its token, its secrets, its headers and the variables of its runs.
pub(crate) fn variables(provider: &Provider) -> impl Iterator<Item = &EnvName> {
    provider.references().filter_map(|reference| match reference {
        SecretRef::Variable(name) => Some(name),
        SecretRef::Vault(_) => None,
    })
}
