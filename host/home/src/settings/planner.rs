//! `planner`: the model that plans jobs over tools.

use std::net::IpAddr;
use std::time::Duration;

use aiw_core::{ProviderName, is_valid_model_name, one_line};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Settings;
use crate::{ExecutionContext, HomeError, SecretRef, base_url, entry};

/// The model that Ollama is asked for, if none is named.
const DEFAULT_MODEL: &str = "qwen3:1.7b";

/// Anthropic's own address.
const ANTHROPIC_URL: &str = "https://api.anthropic.com";

aiw_core::string_enum! {
    /// The APIs by which a model is asked at an address.
    #[warn(missing_docs)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    pub enum PlannerApiName {
        /// `ollama`
        Ollama = "ollama",
        /// `chat-completions`: OpenAI's, which many servers speak.
        ChatCompletions = "chat-completions",
        /// `messages`: Anthropic's.
        Messages = "messages",
    }
}

/// Where the model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannerHost {
    /// At an address. Without one, Ollama is where `OLLAMA_HOST` says.
    Url {
        /// The API.
        api: PlannerApiName,
        /// Its address, if it is written.
        url: Option<String>,
        /// The key, if it takes one.
        key: Option<SecretRef>,
    },
    /// One of the providers.
    Provider(ProviderName),
}

/// The model that plans jobs: `planner`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannerSettings {
    /// Where it is.
    pub host: PlannerHost,
    /// Its name. None for the usual one.
    pub model: Option<String>,
    /// How long a plan may take: `seconds`.
    pub plan_timeout: Duration,
    /// How long the code of a plan that is more than steps one after the other may take: `code_timeout_seconds`.
    pub code_timeout: Duration,
    /// The most tokens of a plan: `max_plan_tokens`.
    pub max_plan_tokens: u32,
    /// The tokens that prompt and answer need together: `context_tokens`.
    pub context_tokens: u32,
}

/// `planner` as it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(!default)]
pub(super) struct PlannerEntry {
    #[serde(deserialize_with = "entry::optional_string_enum")]
    api: Option<PlannerApiName>,
    #[serde(deserialize_with = "entry::url")]
    url: Option<String>,
    #[schemars(with = "Value")]
    key: Option<SecretRef>,
    #[schemars(with = "String")]
    provider: Option<ProviderName>,
    #[serde(deserialize_with = "entry::model")]
    model: Option<String>,
    #[serde(deserialize_with = "entry::number::<1, 120, _, _>")]
    timeout_seconds: u64,
    #[serde(deserialize_with = "entry::number::<1, 120, _, _>")]
    code_timeout_seconds: u64,
    #[serde(deserialize_with = "entry::number::<50, 4000, _, _>")]
    max_plan_tokens: u32,
    #[serde(deserialize_with = "entry::number::<1024, 200_000, _, _>", skip_serializing)]
    context_tokens: u32,
}

impl Default for PlannerEntry {
    fn default() -> Self {
        let (api, url, key, provider, model) = Default::default();
        let (max_plan_tokens, context_tokens) = (120, 4096);
        Self {
            api,
            url,
            key,
            provider,
            model,
            timeout_seconds: 3,
            code_timeout_seconds: 3,
            max_plan_tokens,
            context_tokens,
        }
    }
}

impl From<&PlannerSettings> for PlannerEntry {
    fn from(planner: &PlannerSettings) -> Self {
        let (api, url, key, provider) = match planner.host.clone() {
            PlannerHost::Url { api, url, key } => (Some(api), url, key, None),
            PlannerHost::Provider(name) => (None, None, None, Some(name)),
        };
        let (seconds, code_timeout_seconds) = (planner.plan_timeout.as_secs(), planner.code_timeout.as_secs());
        let (max_plan_tokens, context_tokens) = (planner.max_plan_tokens, planner.context_tokens);
        let model = planner.model.clone();
        Self {
            api,
            url,
            key,
            provider,
            model,
            timeout_seconds: seconds,
            code_timeout_seconds,
            max_plan_tokens,
            context_tokens,
        }
    }
}

impl PlannerSettings {
    /// A model at a place, with the usual limits.
    pub fn new(place: PlannerHost, model: Option<String>) -> Self {
        Self::limited(place, model, &PlannerEntry::default())
    }

    fn limited(place: PlannerHost, model: Option<String>, by: &PlannerEntry) -> Self {
        let (plan_time, code_time) =
            (Duration::from_secs(by.timeout_seconds), Duration::from_secs(by.code_timeout_seconds));
        Self {
            host: place,
            model,
            plan_timeout: plan_time,
            code_timeout: code_time,
            max_plan_tokens: by.max_plan_tokens,
            context_tokens: by.context_tokens,
        }
    }

    /// Returns the name of the model, if it is known without asking the provider.
    pub fn model(&self) -> Option<&str> {
        let usual = match &self.host {
            PlannerHost::Url { api: PlannerApiName::Ollama, .. } => Some(DEFAULT_MODEL),
            _ => None,
        };
        self.model.as_deref().or(usual)
    }

    /// Returns the address, and none for a provider.
    pub fn url(&self, around: &ExecutionContext) -> Option<String> {
        match &self.host {
            PlannerHost::Url { url: Some(url), .. } => Some(url.clone()),
            PlannerHost::Url { api: PlannerApiName::Messages, .. } => Some(ANTHROPIC_URL.to_owned()),
            PlannerHost::Url { .. } => Some(ollama_host(around.variable_str("OLLAMA_HOST").unwrap_or_default())),
            PlannerHost::Provider(_) => None,
        }
    }

    /// Reads what the variable `AIW_PLANNER` says: `off`, `ollama` or the name of a provider, and after `/` a model. None for
    /// `off`.
    fn from_variable(text: &str) -> Result<Option<Self>, String> {
        let (place, model) = text.split_once('/').map_or((text, None), |(place, model)| (place, Some(model)));
        if model.is_some_and(|model| !is_valid_model_name(model)) {
            return Err(format!("`AIW_PLANNER` names a model that can't be one: `{}`", one_line(text, 80)));
        }
        let place = match place {
            word if ["off", "none", "no", "0"].contains(&word.to_lowercase().as_str()) && model.is_none() => {
                return Ok(None);
            }
            "ollama" => PlannerHost::Url { api: PlannerApiName::Ollama, url: None, key: None },
            name => PlannerHost::Provider(name.parse().map_err(|_| {
                format!("`AIW_PLANNER` is `off`, `ollama` or the name of a provider, not `{}`", one_line(text, 80))
            })?),
        };
        Ok(Some(Self::new(place, model.map(str::to_owned))))
    }

    /// The error is the end of a sentence about `planner`.
    fn read(mut written: PlannerEntry) -> Result<Self, &'static str> {
        use PlannerApiName::{ChatCompletions, Ollama};

        let model = written.model.take();
        let place = match (written.provider.take(), written.api) {
            (Some(name), None) => PlannerHost::Provider(name),
            (None, Some(ChatCompletions)) if written.url.is_none() => return Err("has no `url`"),
            (None, Some(api)) if api != Ollama && model.is_none() => return Err("has no `model`"),
            (None, Some(api)) => PlannerHost::Url { api, url: written.url.take(), key: written.key.take() },
            _ => return Err("has neither an `api` nor a `provider`, or both"),
        };
        Ok(Self::limited(place, model, &written))
    }
}

impl Settings {
    /// Returns the model that plans jobs, if there is one. The variable `AIW_PLANNER` comes first.
    pub fn planner(&self, around: &ExecutionContext) -> Result<Option<PlannerSettings>, HomeError> {
        match around.variable_str("AIW_PLANNER") {
            Some(text) if !text.trim().is_empty() => {
                let named = PlannerSettings::from_variable(text.trim())
                    .map_err(|problem| HomeError::InvalidVariable { problem })?;
                let Some(named) = named else { return Ok(None) };
                let is_same = |written: &PlannerSettings| match (&written.host, &named.host) {
                    (PlannerHost::Url { api, .. }, PlannerHost::Url { api: named, .. }) => api == named,
                    (written, named) => written == named,
                };
                // Another model at the same place, or another place with the same limits.
                Ok(Some(match self.configured_planner().ok().flatten() {
                    Some(written) if is_same(&written) => {
                        PlannerSettings { model: named.model.or(written.model), ..written }
                    }
                    Some(written) => PlannerSettings { host: named.host, model: named.model, ..written },
                    None => named,
                }))
            }
            _ => self.configured_planner(),
        }
    }

    /// Returns the model that is written in the settings.
    pub fn configured_planner(&self) -> Result<Option<PlannerSettings>, HomeError> {
        let Some(Value::Object(fields)) = self.document.get(&["planner"]) else { return Ok(None) };
        let invalid = |problem| HomeError::invalid(self.document.path(), problem);
        let mut fields = fields.clone();
        if fields.get("provider").is_some_and(|provider| !provider.is_null()) {
            // A provider has its own address and key.
            fields.retain(|field, _| field != "url" && field != "key");
        }
        let written = entry::read("planner", fields).map_err(invalid)?;
        let problem = |problem| invalid(format!("has a `planner` that {problem}"));
        PlannerSettings::read(written).map(Some).map_err(problem)
    }

    /// Writes which model plans jobs, or that none does. Limits that are written stay.
    pub fn set_planner(&mut self, planner: Option<&PlannerSettings>) -> Result<(), HomeError> {
        // What is wrong is replaced whole.
        if planner.is_none() || self.configured_planner().is_err() {
            self.document.remove(&["planner"])?;
        }
        let Some(planner) = planner else { return Ok(()) };
        for (field, value) in entry::fields(&PlannerEntry::from(planner)) {
            match value {
                Some(value) => self.document.set(&["planner", &field], &value)?,
                None => drop(self.document.remove(&["planner", &field])?),
            }
        }
        Ok(())
    }
}

/// Returns the address that `OLLAMA_HOST` means, as Ollama reads it: `[SCHEME://]HOST[:PORT][/PATH]`. A server that listens
/// everywhere is asked on this machine.
pub fn ollama_host(variable: &str) -> String {
    let text = variable.trim().trim_matches(['"', '\'']);
    let (scheme, rest, usual) = match text.split_once("://") {
        Some(("https", rest)) => ("https", rest, 443),
        Some((_, rest)) => ("http", rest, 80),
        None => ("http", text, 11434),
    };
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match place.parse::<IpAddr>() {
        Ok(address) => (address.to_string(), usual),
        Err(_) => match place.rsplit_once(':') {
            Some((host, port)) => (host.to_owned(), port.parse().unwrap_or(usual)),
            None => (place.to_owned(), usual),
        },
    };
    let bare = host.trim_matches(['[', ']']);
    let host = match bare.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        Ok(address) => address.to_string(),
        Err(_) if bare.is_empty() => "127.0.0.1".to_owned(),
        Err(_) => bare.to_owned(),
    };
    let url = format!("{scheme}://{host}:{port}/{path}");
    base_url(&url).unwrap_or_else(|_| "http://127.0.0.1:11434".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Home;

    #[test]
    fn the_variable_of_ollama_is_read_as_ollama_reads_it() {
        for (text, url) in [
            ("", "http://127.0.0.1:11434"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("gpu", "http://gpu:11434"),
            ("gpu:1234", "http://gpu:1234"),
            (":1234", "http://127.0.0.1:1234"),
            ("http://gpu", "http://gpu"),
            ("https://gpu", "https://gpu"),
            ("https://gpu:8443/ollama/", "https://gpu:8443/ollama"),
            ("[::1]:1", "http://[::1]:1"),
            ("::1", "http://[::1]:11434"),
            ("\"gpu\"", "http://gpu:11434"),
            ("gpu:x", "http://gpu:11434"),
            ("a b:1", "http://127.0.0.1:11434"),
        ] {
            assert_eq!(ollama_host(text), url, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_wrong_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let read = |text: &str| {
            std::fs::write(home.settings_path(), format!(r#"{{"planner": {text}, "mine": 1}}"#)).unwrap();
            home.settings().and_then(|settings| settings.configured_planner())
        };
        assert_eq!(read("null").unwrap(), None);
        let ollama = read(r#"{"api": "ollama", "timeout_seconds": 5}"#).unwrap().unwrap();
        assert_eq!(
            (ollama.model(), ollama.plan_timeout.as_secs(), ollama.max_plan_tokens),
            (Some("qwen3:1.7b"), 5, 120)
        );
        let key = r#"{"api": "messages", "model": "m", "key": {"secret": "planner"}}"#;
        let messages = read(key).unwrap().unwrap();
        let around = home.context();
        assert_eq!(messages.url(around).unwrap(), "https://api.anthropic.com");
        assert!(matches!(messages.host, PlannerHost::Url { key: Some(SecretRef::Vault(_)), .. }));
        assert!(read(r#"{"provider": "router"}"#).unwrap().unwrap().url(around).is_none());
        for (bad, said) in [
            ("3", "not an object"),
            ("{}", "neither"),
            (r#"{"api": "ollama", "provider": "x"}"#, "both"),
            (r#"{"api": "x"}"#, "is not one of `ollama`"),
            (r#"{"api": "chat-completions", "model": "m"}"#, "no `url`"),
            (r#"{"api": "chat-completions", "url": "https://h/v1"}"#, "no `model`"),
            (r#"{"api": "ollama", "url": "http://u:canary@h"}"#, "credentials"),
            (r#"{"api": "messages", "model": "m", "key": "sk-canary"}"#, "a secret instead of a reference"),
            (r#"{"api": "ollama", "timeout_seconds": 0}"#, "from 1 to 120"),
            (r#"{"api": "ollama", "model": 3}"#, "not a valid model name"),
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("canary"), "{bad}: {error}");
        }
        let mut settings = {
            read(r#"{"api": "ollama", "mine": 2, "url": "http://gpu"}"#).unwrap();
            home.settings().unwrap()
        };
        let router = PlannerSettings::new(PlannerHost::Provider("router".parse().unwrap()), None);
        settings.set_planner(Some(&router)).unwrap();
        settings.save(&home.lock().unwrap()).unwrap();
        let settings = home.settings().unwrap();
        assert_eq!(settings.configured_planner().unwrap(), Some(router));
        let text = std::fs::read_to_string(home.settings_path()).unwrap();
        assert!(text.contains("\"mine\": 2") && !text.contains("gpu"), "{text}");
    }

    #[test]
    fn the_variable_names_a_model_or_switches_it_off() {
        let read = PlannerSettings::from_variable;
        assert_eq!(read("off"), Ok(None));
        assert_eq!(read("ollama/hf.co/a/b:q4").unwrap().unwrap().model(), Some("hf.co/a/b:q4"));
        assert!(matches!(read("router").unwrap().unwrap().host, PlannerHost::Provider(_)));
        assert!(read("no such thing!").is_err() && read("ollama/ ").is_err());
    }
}
