//! What a provider plans for an AI CLI.

use std::fmt;

use crate::{Account, Api, Auth, Cli, Error, Family, Field, Header, Intent, Models, Quirks, Target, Tuning, Value};

/// What to tell a CLI so that it reaches a provider. aiw turns it into what the CLI understands (variables,
/// arguments, settings), and keeps out the user's own logins, addresses and telemetry.
///
/// ```
/// use aiw_extension::{Account, Api, Auth, BaseUrl, Cli, Family, Intent, Target};
///
/// let account = Account {
///     name: "acme".into(),
///     preset: "acme".into(),
///     base_urls: vec![BaseUrl { family: Family::Openai, url: "https://llm.acme.example/v1".into() }],
///     model: Some("acme-large".into()),
///     secrets: vec!["token".into()],
/// };
/// let codex = Target { cli: Cli::Codex, version: None, speaks: vec![Api::Responses], model: None };
/// let intent = Intent::new(&account, &codex)?.header("x-team", "tools").small_model("acme-mini");
/// assert_eq!(intent.api, Api::Responses);
/// assert_eq!(intent.auth, Auth::Bearer("token".into()));
/// assert_eq!(intent.models.main.as_deref(), Some("acme-large"));
///
/// let claude = Target { cli: Cli::Claude, version: None, speaks: vec![Api::Messages], model: None };
/// let refused = Intent::new(&account, &claude).unwrap_err();
/// assert_eq!(refused.message(), "provider `acme` has no address for Anthropic Messages, which `claude` speaks");
/// # Ok::<(), aiw_extension::Error>(())
/// ```
impl Intent {
    /// Plans for the first API of the CLI that the account has an address for. Uses the secret `token`, if there is
    /// one, the way the API's own tools send it, and the model of this run or else of the account.
    pub fn new(account: &Account, target: &Target) -> Result<Self, Error> {
        let api = target.speaks.iter().copied().find(|api| account.base_url(api.family()).is_some());
        let Some(api) = api else {
            let speaks: Vec<&str> = target.speaks.iter().map(|api| api.label()).collect();
            let (name, cli, speaks) = (&account.name, &target.cli, speaks.join(" or "));
            return Err(Error::invalid(format!("provider `{name}` has no address for {speaks}, which `{cli}` speaks")));
        };
        let intent = Self {
            api,
            auth: Auth::None,
            headers: Vec::new(),
            models: Models {
                main: target.model.clone().or_else(|| account.model.clone()),
                large: None,
                medium: None,
                small: None,
            },
            tuning: Tuning {
                context_tokens: None,
                output_tokens: None,
                timeout_seconds: None,
                quirks: Quirks::empty(),
            },
            tag: None,
            notes: Vec::new(),
        };
        Ok(if account.has_secret("token") { intent.secret("token") } else { intent })
    }

    /// Sends this secret of the account as `authorization: Bearer`, or to the Gemini API in its own header.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>) -> Self {
        self.auth = match self.api {
            Api::GenerateContent => Auth::ApiKey(name.into()),
            _ => Auth::Bearer(name.into()),
        };
        self
    }

    /// Sends the secret in the header of the API's maker: `x-api-key` for Anthropic Messages.
    #[must_use]
    pub fn as_api_key(mut self) -> Self {
        if let Auth::Bearer(name) = self.auth {
            self.auth = Auth::ApiKey(name);
        }
        self
    }

    /// Sends the secret in a header of this name.
    #[must_use]
    pub fn in_header(mut self, header: impl Into<String>) -> Self {
        if let Auth::Bearer(secret) | Auth::ApiKey(secret) = self.auth {
            self.auth = Auth::Header(Field { name: header.into(), value: secret });
        }
        self
    }

    /// Returns an error if there is no secret to send, otherwise the same intent.
    pub fn needs_secret(self, account: &Account) -> Result<Self, Error> {
        match self.auth {
            Auth::None => Err(Error::invalid(format!("provider `{}` has no token", account.name))),
            _ => Ok(self),
        }
    }

    /// Adds a header to each request. Its value is text, or a [`Secret`](crate::Secret) that aiw inserts.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.headers.push(Header { name: name.into(), value: value.into() });
        self
    }

    /// Sets the model for hard work, for CLIs that have one.
    #[must_use]
    pub fn large_model(mut self, id: impl Into<String>) -> Self {
        self.models.large = Some(id.into());
        self
    }

    /// Sets the model for everyday work, for CLIs that have one.
    #[must_use]
    pub fn medium_model(mut self, id: impl Into<String>) -> Self {
        self.models.medium = Some(id.into());
        self
    }

    /// Sets the model for small, quick work, for CLIs that have one.
    #[must_use]
    pub fn small_model(mut self, id: impl Into<String>) -> Self {
        self.models.small = Some(id.into());
        self
    }

    /// Names what the server doesn't support. If a CLI can't leave it out, aiw doesn't start it.
    #[must_use]
    pub fn without(mut self, quirks: Quirks) -> Self {
        self.tuning.quirks = self.tuning.quirks | quirks;
        self
    }

    /// Sets a tag that the task keeps, for later plans.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Adds a sentence that the user sees before the CLI starts.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl Api {
    /// Returns the family whose address the API uses.
    pub const fn family(self) -> Family {
        match self {
            Self::Messages => Family::Anthropic,
            Self::Responses | Self::ChatCompletions => Family::Openai,
            Self::GenerateContent => Family::Gemini,
        }
    }

    /// Returns the API's own name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Messages => "Anthropic Messages",
            Self::Responses => "OpenAI Responses",
            Self::ChatCompletions => "OpenAI Chat Completions",
            Self::GenerateContent => "the Gemini API",
        }
    }
}

/// The CLI's command: `claude`.
impl fmt::Display for Cli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Other(command) => command,
        })
    }
}

impl Account {
    /// Returns the address of an API, or `None` if the provider doesn't speak it.
    pub fn base_url(&self, family: Family) -> Option<&str> {
        let found = self.base_urls.iter().find(|at| at.family == family && !at.url.is_empty());
        found.map(|at| at.url.trim_end_matches('/'))
    }

    /// Returns whether the account has a secret with that name.
    pub fn has_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|secret| secret == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BaseUrl;

    fn account(family: Family, secrets: &[&str]) -> Account {
        Account {
            name: "mine".to_owned(),
            preset: "p".to_owned(),
            base_urls: vec![BaseUrl { family, url: "https://a.example/".to_owned() }],
            model: Some("m".to_owned()),
            secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn target(speaks: &[Api]) -> Target {
        Target {
            cli: Cli::Other("x".to_owned()),
            version: None,
            speaks: speaks.to_vec(),
            model: Some("run".to_owned()),
        }
    }

    #[test]
    fn the_key_goes_the_way_of_the_api() {
        let intent = |family, api| Intent::new(&account(family, &["token"]), &target(&[api])).unwrap();
        assert_eq!(intent(Family::Anthropic, Api::Messages).auth, Auth::Bearer("token".to_owned()));
        assert_eq!(intent(Family::Gemini, Api::GenerateContent).auth, Auth::ApiKey("token".to_owned()));
        let key = intent(Family::Anthropic, Api::Messages).as_api_key();
        assert_eq!((key.auth, key.models.main.as_deref()), (Auth::ApiKey("token".to_owned()), Some("run")));
        let header = intent(Family::Openai, Api::Responses).in_header("x-acme-key").auth;
        assert_eq!(header, Auth::Header(Field { name: "x-acme-key".to_owned(), value: "token".to_owned() }));
    }

    #[test]
    fn the_first_api_with_an_address_is_taken() {
        let both = [Api::Messages, Api::ChatCompletions];
        let intent = Intent::new(&account(Family::Openai, &[]), &target(&both)).unwrap();
        assert_eq!((intent.api, intent.auth.clone()), (Api::ChatCompletions, Auth::None));
        let refused = intent.needs_secret(&account(Family::Openai, &[])).unwrap_err();
        assert_eq!(refused.message(), "provider `mine` has no token");
        assert!(Intent::new(&account(Family::Gemini, &[]), &target(&both)).is_err());
    }
}
