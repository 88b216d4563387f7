//! How one CLI reaches one provider: the intent of the provider's component, with the address and the secrets that
//! only the host has.

use std::collections::BTreeMap;

use aiw_core::provider::{Account, Auth, Intent, Value};
use aiw_core::{CliKind, HeaderName, Secret};

use crate::LaunchError;

/// An intent that can be carried out.
pub(crate) struct ResolvedProvider<'a> {
    /// The provider's name.
    pub(crate) provider: &'a str,
    /// A random word that identifies the provider where its name could be ambiguous.
    pub(crate) id: &'a str,
    /// The account's address for the intent's API.
    pub(crate) base_url: &'a str,
    pub(crate) intent: &'a Intent,
    secrets: &'a BTreeMap<String, Secret>,
    /// The headers that the user added.
    own: &'a [(HeaderName, String)],
}

/// The placeholder for a missing credential: a CLI without a credential uses the user's own login, and would send
/// that to the provider.
const NO_KEY: &str = "none";

impl<'a> ResolvedProvider<'a> {
    pub(crate) fn new(
        account: &'a Account,
        id: &'a str,
        intent: &'a Intent,
        secrets: &'a BTreeMap<String, Secret>,
        own: &'a [(HeaderName, String)],
    ) -> Result<Self, LaunchError> {
        let base_url = account.base_urls.get(&intent.api.family()).ok_or_else(|| LaunchError::Invalid {
            message: format!("provider `{}` has no address for {}", account.name, intent.api),
            hint: None,
        })?;
        Ok(Self { provider: account.name.as_str(), id, base_url: base_url.trim_end_matches('/'), intent, secrets, own })
    }

    fn secret(&self, name: &str) -> Result<&'a str, LaunchError> {
        self.secrets.get(name).map(Secret::expose).ok_or_else(|| LaunchError::Invalid {
            message: format!("the plan needs a secret `{name}`, which provider `{}` does not have", self.provider),
            hint: None,
        })
    }

    /// Returns the key, or a placeholder if no key is sent or a header carries it.
    pub(crate) fn key(&self) -> Result<&'a str, LaunchError> {
        match &self.intent.auth {
            Auth::Bearer(name) | Auth::ApiKey(name) => self.secret(name),
            Auth::None | Auth::Header { .. } => Ok(NO_KEY),
        }
    }

    /// Returns the extra headers: the one that carries the key, if there is one, the intent's, and the user's, which
    /// replace the intent's.
    pub(crate) fn headers(&self) -> Result<Vec<(&'a str, String)>, LaunchError> {
        let mut headers = Vec::new();
        if let Auth::Header { header, secret } = &self.intent.auth {
            headers.push((header.as_str(), self.secret(secret)?.to_owned()));
        }
        for header in &self.intent.headers {
            headers.push((header.name.as_str(), self.text(&header.value)?));
        }
        for (name, value) in self.own {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name.as_str()));
            headers.push((name.as_str(), value.clone()));
        }
        Ok(headers)
    }

    fn text(&self, value: &Value) -> Result<String, LaunchError> {
        match value {
            Value::Literal(text) => Ok(text.clone()),
            Value::Secret { name, prefix } => Ok(format!("{prefix}{}", self.secret(name)?)),
        }
    }

    /// Returns the error for a part of the intent that a CLI cannot carry out.
    pub(crate) fn unsupported(&self, cli: CliKind, what: &str) -> LaunchError {
        LaunchError::invalid(
            format!("`{cli}` has no way to {what}, which provider `{}` needs", self.provider),
            "use another CLI or another provider",
        )
    }
}
