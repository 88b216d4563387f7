//! Presets for gateways and self-hosted servers.

use aiw_extension::{Account, Family, Need, Preset};

/// A preset, and the addresses that the gateway has besides the APIs of the CLIs.
pub struct Gateway {
    pub preset: Preset,
    /// The URL of the list of models, if it is not next to the CLIs' API.
    pub models_url: Option<&'static str>,
    /// A URL that answers only with a good key, for gateways whose list of models answers anyone.
    pub key_check_url: Option<&'static str>,
}

impl From<Preset> for Gateway {
    fn from(preset: Preset) -> Self {
        Self { preset, models_url: None, key_check_url: None }
    }
}

/// Returns the gateway that an account is based on.
pub fn find(account: &Account) -> Option<Gateway> {
    all().into_iter().find(|gateway| gateway.preset.id == account.preset)
}

/// Returns all gateways. Codex speaks only Responses, so an OpenAI address is listed only if the gateway supports
/// those.
pub fn all() -> [Gateway; 9] {
    [
        // https://openrouter.ai/docs/guides/coding-agents/claude-code-integration
        // https://openrouter.ai/docs/api-reference/responses-api/basic-usage
        // https://openrouter.ai/docs/api/api-reference/api-keys/get-current-api-key
        Gateway {
            preset: Preset::new("openrouter", "OpenRouter")
                .at(Family::Anthropic, "https://openrouter.ai/api")
                .at(Family::Openai, "https://openrouter.ai/api/v1")
                .token_page("https://openrouter.ai/keys"),
            models_url: None,
            key_check_url: Some("https://openrouter.ai/api/v1/key"),
        },
        // https://api-docs.deepseek.com/guides/anthropic_api/
        Gateway {
            preset: Preset::new("deepseek", "DeepSeek")
                .at(Family::Anthropic, "https://api.deepseek.com/anthropic")
                .token_page("https://platform.deepseek.com/api_keys"),
            models_url: Some("https://api.deepseek.com/models"),
            key_check_url: None,
        },
        // https://docs.litellm.ai/docs/simple_proxy
        Preset::new("litellm", "LiteLLM")
            .at_users(Family::Anthropic)
            .at_users(Family::Openai)
            .at_users(Family::Gemini)
            .token(Need::Optional)
            .into(),
        // https://platform.moonshot.ai/docs/guide/agent-support
        Gateway {
            preset: Preset::new("moonshot", "Moonshot AI (Kimi)")
                .at(Family::Anthropic, "https://api.moonshot.ai/anthropic")
                .token_page("https://platform.moonshot.ai/console/api-keys"),
            models_url: Some("https://api.moonshot.ai/v1/models"),
            key_check_url: None,
        },
        // https://docs.z.ai/devpack/tool/claude
        Preset::new("zai", "Z.ai (GLM)")
            .at(Family::Anthropic, "https://api.z.ai/api/anthropic")
            .token_page("https://z.ai/manage-apikey/apikey-list")
            .into(),
        // https://console.groq.com/docs/responses-api
        Preset::new("groq", "Groq")
            .at(Family::Openai, "https://api.groq.com/openai/v1")
            .token_page("https://console.groq.com/keys")
            .into(),
        // https://docs.ollama.com/api/anthropic-compatibility
        // https://docs.ollama.com/api/openai-compatibility
        Preset::new("ollama", "Ollama")
            .at(Family::Anthropic, "http://localhost:11434")
            .at(Family::Openai, "http://localhost:11434/v1")
            .token(Need::Optional)
            .into(),
        // https://lmstudio.ai/docs/developer/anthropic-compat
        // https://lmstudio.ai/docs/developer/openai-compat
        Preset::new("lmstudio", "LM Studio")
            .at(Family::Anthropic, "http://localhost:1234")
            .at(Family::Openai, "http://localhost:1234/v1")
            .token(Need::Optional)
            .into(),
        Preset::new("custom", "Any other, by its address")
            .at_users(Family::Anthropic)
            .at_users(Family::Openai)
            .at_users(Family::Gemini)
            .token(Need::Optional)
            .into(),
    ]
}
