//! Where a client's requests lead.

use std::fmt;

use aiw_core::{Api, Secret};
use aiw_providers::ModelAccess;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a token is good for. It contains secrets, so it has no `Debug` of its parts.
#[derive(Clone, Serialize, Deserialize)]
pub struct Route {
    /// What clients show.
    pub token: String,
    /// Where requests go.
    pub upstream: Upstream,
}

/// A provider's model API.
#[derive(Clone, Serialize, Deserialize)]
pub struct Upstream {
    /// The provider's name.
    pub provider: String,
    /// The API that it speaks.
    pub api: Api,
    /// Its address for that API.
    pub url: String,
    /// Whether the address may be on this machine.
    pub is_granted: bool,
    headers: Vec<(String, String)>,
    secrets: Vec<(String, String)>,
    models: Models,
    /// The most tokens that its model writes in one answer.
    pub output_tokens: Option<u32>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Models {
    main: Option<String>,
    large: Option<String>,
    medium: Option<String>,
    small: Option<String>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("provider", &self.upstream.provider).finish_non_exhaustive()
    }
}

impl Route {
    /// Makes a route with a new token.
    pub fn new(upstream: Upstream) -> Result<Self, getrandom::Error> {
        let mut random = [0; 24];
        getrandom::fill(&mut random)?;
        let token = random.iter().fold("aiw-".to_owned(), |token, byte| format!("{token}{byte:02x}"));
        Ok(Self { token, upstream })
    }
}

impl Upstream {
    /// Makes an upstream of what a provider's component plans.
    pub fn new(provider: &str, access: ModelAccess) -> Self {
        let models = access.models;
        Self {
            provider: provider.to_owned(),
            api: access.api,
            url: access.url.trim_end_matches('/').to_owned(),
            is_granted: access.is_granted,
            headers: access.headers,
            secrets: access.secrets.into_iter().map(|(name, secret)| (name, secret.expose().to_owned())).collect(),
            models: Models { main: models.main, large: models.large, medium: models.medium, small: models.small },
            output_tokens: access.tuning.output_tokens,
        }
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        self.headers.clone()
    }

    pub(crate) fn secrets(&self) -> Vec<(String, Secret)> {
        self.secrets.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone()))).collect()
    }

    /// Takes the keys out of a text. Servers repeat the key that they refuse.
    pub(crate) fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (_, value) in &self.secrets {
            for value in [value.as_str(), value.trim_start_matches("Bearer ")] {
                if value.len() > 3 && text.contains(value) {
                    text = text.replace(value, "…");
                }
            }
        }
        text
    }

    /// Returns the model for the one that a client asks for. A provider that has models of its own does not know the names of
    /// another vendor, which a CLI uses for its smaller tasks.
    pub fn model_for(&self, asked: &str) -> String {
        let models = &self.models;
        let own = [&models.main, &models.large, &models.medium, &models.small];
        let Some(main) = &models.main else { return asked.to_owned() };
        if own.into_iter().flatten().any(|model| model == asked) || !is_of_a_vendor(asked) {
            return asked.to_owned();
        }
        let says = |words: &[&str]| words.iter().any(|word| asked.contains(word));
        let by_size = match () {
            () if says(&["haiku", "mini", "nano", "flash", "lite"]) => &models.small,
            () if says(&["opus", "pro", "fable", "max"]) => &models.large,
            () => &models.medium,
        };
        by_size.as_ref().unwrap_or(main).clone()
    }

    /// Returns the model if the client asks for none.
    pub fn main_model(&self) -> Option<&str> {
        self.models.main.as_deref()
    }

    /// Returns a word for the address and its API: reasoning of another one means nothing there.
    pub(crate) fn family(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.api.label());
        hash.update(&self.url);
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Returns whether a name is one that an AI CLI has by itself.
fn is_of_a_vendor(model: &str) -> bool {
    ["claude-", "gpt-", "gemini-", "codex-", "o3", "o4-"].iter().any(|start| model.starts_with(start))
}

#[cfg(test)]
mod tests {
    use aiw_core::provider;

    use super::*;

    fn upstream(main: Option<&str>, small: Option<&str>) -> Upstream {
        let models =
            provider::Models { main: main.map(Into::into), small: small.map(Into::into), ..Default::default() };
        Upstream::new(
            "p",
            ModelAccess {
                api: Api::ChatCompletions,
                url: "https://p.example/v1/".into(),
                is_granted: false,
                headers: Vec::new(),
                secrets: vec![("authorization".into(), Secret::new("Bearer sk-canary"))],
                models,
                tuning: provider::Tuning::default(),
            },
        )
    }

    #[test]
    fn names_of_other_vendors_become_the_providers_own_models() {
        let own = upstream(Some("deepseek-chat"), Some("deepseek-lite"));
        assert_eq!(own.model_for("claude-haiku-4-5-20251001"), "deepseek-lite");
        assert_eq!(own.model_for("claude-opus-5"), "deepseek-chat");
        assert_eq!(own.model_for("deepseek-reasoner"), "deepseek-reasoner");
        assert_eq!(upstream(None, None).model_for("claude-opus-5"), "claude-opus-5");
        assert_eq!(own.url, "https://p.example/v1");
    }

    #[test]
    fn keys_are_taken_out_of_what_a_server_says_and_out_of_debugging() {
        let own = upstream(None, None);
        assert_eq!(own.masked("bad key sk-canary"), "bad key …");
        let route = Route::new(own).unwrap();
        assert!(route.token.len() == 52 && !format!("{route:?}").contains(&route.token));
    }
}
