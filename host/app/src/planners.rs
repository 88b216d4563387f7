//! The model that plans jobs: what sets it, switches it off, and shows it.

use std::time::Duration;

use aiw_core::{Diagnostic, EnvName, InvalidName, PromptError, Prompter, ProviderName, SecretName, quoted_text};
use aiw_home::{
    Home, HomeError, Lock, PlannerApiName, PlannerHost, PlannerSettings, SecretRef, Settings, VaultError, base_url,
};
use aiw_providers::ProviderError;
use schemars::JsonSchema;
use serde::Serialize;

/// The name of the key in the vault.
const PLANNER_SECRET: &str = "planner";

/// Why the model that plans jobs can't be set or shown.
#[derive(Debug, thiserror::Error)]
pub enum PlannerSetError {
    /// The settings or the providers.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The name of the key.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The server has no usual address.
    #[error("`--openai` needs an address")]
    MissingUrl,
    /// The address can't be used.
    #[error("the address {0}")]
    InvalidUrl(String),
    /// The provider can't be used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The name of the model can't be one.
    #[error("{} is not a valid model name", quoted_text(.0, 80))]
    InvalidModel(String),
    /// The server has no usual model.
    #[error("no model is named")]
    MissingModel,
    /// A provider has its own key.
    #[error("the provider `{0}` has a key of its own")]
    ProviderHasKey(ProviderName),
    /// The key can't be asked for.
    #[error("{}", .0.to_message("nothing was changed"))]
    Prompt(#[from] PromptError),
    /// No key was typed.
    #[error("you typed nothing")]
    MissingKey,
    /// Another command set it meanwhile.
    #[error("another command changed the model that plans jobs meanwhile")]
    ConcurrentChange,
    /// The vault has another secret of the key's name.
    #[error("there is a secret `{PLANNER_SECRET}` in the vault already, for something else")]
    SecretExists,
}

impl Diagnostic for PlannerSetError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Prompt, Home, Provider, Vault)
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::MissingUrl => Some("give the server's address with its `/v1`".into()),
            Self::MissingModel => Some("name it with `--model NAME`".into()),
            Self::ProviderHasKey(name) => Some(format!("`aiw provider edit {name} --token-stdin` changes it")),
            Self::ConcurrentChange => Some("`aiw planner show` shows what it is now".into()),
            Self::SecretExists => Some(format!("`aiw secret remove {PLANNER_SECRET}` removes it")),
            _ => None,
        }
    }
}

/// Changes to the planning model's settings. Fields left out stay as they are; the first defaults are Ollama on this
/// machine.
#[derive(Debug, Default)]
pub struct PlannerSet {
    /// Where it is.
    pub location: Option<PlannerLocation>,
    /// Its name.
    pub model: Option<String>,
    /// Its key.
    pub key: Option<PlannerKey>,
    /// How long a plan may take.
    pub plan_timeout: Option<Duration>,
    /// How long the code of a plan may take.
    pub code_timeout: Option<Duration>,
    /// The most tokens of a plan.
    pub max_plan_tokens: Option<u32>,
}

/// A place of the model that plans jobs, as it is asked for.
#[derive(Debug)]
pub enum PlannerLocation {
    /// A server that speaks an API, at an address or where such a server usually is.
    Server(PlannerApiName, Option<String>),
    /// A provider of the user's.
    Provider(ProviderName),
}

/// A key of the model that plans jobs.
#[derive(Debug)]
pub enum PlannerKey {
    /// Read from a variable each time.
    Variable(EnvName),
    /// It is asked for, and stored in the vault.
    Prompted,
}

/// `aiw planner set`, `show`, `off`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlannerShow {
    /// The model that plans jobs, if one does
    pub planner: Option<PlannerSummary>,
}

/// A model that plans jobs.
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlannerSummary {
    /// `ollama`, `chat-completions` or `messages`; none for a provider
    pub api: Option<&'static str>,
    /// Its address; none for a provider
    pub url: Option<String>,
    /// The provider
    pub provider: Option<String>,
    /// Its name; none if the provider's is used
    pub model: Option<String>,
    /// `none`, `set` or `missing`; none for a provider
    pub key: Option<&'static str>,
    /// Whether the variable `AIW_PLANNER` says so, and not the settings
    pub from_variable: bool,
    /// How long a plan may take, in seconds
    pub timeout_seconds: u64,
    /// How long the code of a plan may take, in seconds
    pub code_timeout_seconds: u64,
    /// The most tokens of a plan
    pub max_plan_tokens: u32,
}

/// Whether the variable `AIW_PLANNER` says which model plans jobs.
pub fn is_from_variable(home: &Home) -> bool {
    home.context().variable_str("AIW_PLANNER").is_some_and(|text| !text.trim().is_empty())
}

/// Sets the model that plans jobs.
pub async fn set(home: &Home, wanted: PlannerSet, ask: &dyn Prompter) -> Result<(), PlannerSetError> {
    // What is wrong now is replaced.
    let before = home.settings()?.configured_planner().ok().flatten();
    let place = wanted.location.map(place).transpose()?;
    let mut planner = match (place, before.clone()) {
        // A key and a model belong to the place that they were given for.
        (Some(place), Some(before)) if !is_same(&before.host, &place) => {
            PlannerSettings { host: place, model: None, ..before }
        }
        (_, Some(before)) => before,
        (place, None) => {
            let here = PlannerHost::Url { api: PlannerApiName::Ollama, url: None, key: None };
            PlannerSettings::new(place.unwrap_or(here), None)
        }
    };
    if let PlannerHost::Provider(name) = &planner.host {
        let file = home.providers()?;
        file.get(name.as_str())?.ok_or_else(|| ProviderError::not_found(&file, name.as_str()))?;
    }
    match wanted.model {
        Some(model) if !aiw_core::is_valid_model_name(&model) => return Err(PlannerSetError::InvalidModel(model)),
        Some(model) => planner.model = Some(model),
        None => {}
    }
    // Ollama and a provider have a usual one.
    if let PlannerHost::Url { api: PlannerApiName::ChatCompletions | PlannerApiName::Messages, .. } = planner.host
        && planner.model.is_none()
    {
        return Err(PlannerSetError::MissingModel);
    }
    let mut given = None;
    match (&mut planner.host, wanted.key) {
        (_, None) => {}
        (PlannerHost::Provider(name), Some(_)) => return Err(PlannerSetError::ProviderHasKey(name.clone())),
        (PlannerHost::Url { key, .. }, Some(PlannerKey::Variable(variable))) => {
            *key = Some(SecretRef::Variable(variable));
        }
        (PlannerHost::Url { url, key, .. }, Some(PlannerKey::Prompted)) => {
            let name: SecretName = PLANNER_SECRET.parse()?;
            if home.vault().is_taken(&name) && key_in_vault(before.as_ref()) != Some(&name) {
                return Err(PlannerSetError::SecretExists);
            }
            // A key that was typed for one address is not taken for another.
            let place = url.as_deref().unwrap_or("Ollama's usual address");
            let typed =
                ask.secret(&format!("Key of the model at {place}:")).await?.ok_or(PlannerSetError::MissingKey)?;
            *key = Some(SecretRef::Vault(name.clone()));
            given = Some((name, typed));
        }
    }
    planner.plan_timeout = wanted.plan_timeout.unwrap_or(planner.plan_timeout);
    planner.code_timeout = wanted.code_timeout.unwrap_or(planner.code_timeout);
    planner.max_plan_tokens = wanted.max_plan_tokens.unwrap_or(planner.max_plan_tokens);
    let lock = home.lock()?;
    let settings = home.settings()?;
    // The person may have typed for a while.
    if settings.configured_planner().ok().flatten() != before {
        return Err(PlannerSetError::ConcurrentChange);
    }
    if let Some((name, key)) = &given {
        home.vault().set(&lock, name, key)?;
    }
    save(home, &lock, settings, before.as_ref(), Some(&planner))
}

/// Lets no model plan jobs.
pub fn disable(home: &Home) -> Result<(), PlannerSetError> {
    let lock = home.lock()?;
    let settings = home.settings()?;
    let before = settings.configured_planner().ok().flatten();
    save(home, &lock, settings, before.as_ref(), None)
}

/// Returns which model plans jobs. What the settings say wrongly is an error, unless the variable comes first.
pub fn show(home: &Home) -> Result<PlannerShow, PlannerSetError> {
    let settings = home.settings()?;
    let planner = settings.planner(home.context())?;
    let from_variable = is_from_variable(home);
    if !from_variable {
        settings.configured_planner()?;
    }
    let summary = |planner: PlannerSettings| {
        let (api, provider) = match &planner.host {
            PlannerHost::Url { api, .. } => (Some(api.as_str()), None),
            PlannerHost::Provider(name) => (None, Some(name.to_string())),
        };
        PlannerSummary {
            api,
            url: planner.url(home.context()),
            provider,
            model: planner.model().map(str::to_owned),
            key: key_state(home, &planner),
            from_variable,
            timeout_seconds: planner.plan_timeout.as_secs(),
            code_timeout_seconds: planner.code_timeout.as_secs(),
            max_plan_tokens: planner.max_plan_tokens,
        }
    };
    Ok(PlannerShow { planner: planner.map(summary) })
}

/// Returns the command that gives the model that plans jobs its key, if it lacks that.
pub(crate) fn missing_key_command(home: &Home) -> Option<String> {
    let planner = home.settings().ok()?.planner(home.context()).ok()??;
    let is_missing = key_state(home, &planner) == Some("missing");
    match planner.host {
        PlannerHost::Url { key: Some(key), .. } if is_missing => Some(match key {
            SecretRef::Vault(name) => format!("aiw secret set {name}"),
            SecretRef::Variable(name) => format!("export {name}=…"),
        }),
        PlannerHost::Url { .. } | PlannerHost::Provider(_) => None,
    }
}

fn has_value(home: &Home, variable: &EnvName) -> bool {
    home.context().variable_str(variable.as_str()).is_some_and(|value| !value.trim().is_empty())
}

fn key_state(home: &Home, planner: &PlannerSettings) -> Option<&'static str> {
    let PlannerHost::Url { key, .. } = &planner.host else { return None };
    let is_set = match key {
        None => return Some("none"),
        Some(SecretRef::Vault(name)) => home.vault().has(name),
        Some(SecretRef::Variable(name)) => has_value(home, name),
    };
    Some(if is_set { "set" } else { "missing" })
}

fn place(wanted: PlannerLocation) -> Result<PlannerHost, PlannerSetError> {
    match wanted {
        PlannerLocation::Provider(name) => Ok(PlannerHost::Provider(name)),
        PlannerLocation::Server(PlannerApiName::ChatCompletions, None) => Err(PlannerSetError::MissingUrl),
        PlannerLocation::Server(api, url) => {
            let url = url
                .map(|url| base_url(&url).map_err(|why| PlannerSetError::InvalidUrl(why.to_string())))
                .transpose()?;
            Ok(PlannerHost::Url { api, url, key: None })
        }
    }
}

/// Whether two places are the same one, whatever their keys.
fn is_same(one: &PlannerHost, other: &PlannerHost) -> bool {
    match (one, other) {
        (PlannerHost::Url { api, url, .. }, PlannerHost::Url { api: a, url: u, .. }) => api == a && url == u,
        (one, other) => one == other,
    }
}

/// Writes the settings, and removes the key that was stored for a model which is not used any more. One of another name
/// is the user's own.
fn save(
    home: &Home,
    lock: &Lock,
    mut settings: Settings,
    before: Option<&PlannerSettings>,
    now: Option<&PlannerSettings>,
) -> Result<(), PlannerSetError> {
    settings.set_planner(now)?;
    settings.save(lock)?;
    let gone = key_in_vault(before).filter(|name| name.as_str() == PLANNER_SECRET && key_in_vault(now) != Some(*name));
    if let Some(name) = gone
        && home.vault().is_taken(name)
        && home.providers()?.providers_using(name).next().is_none()
    {
        home.vault().remove(lock, name)?;
    }
    Ok(())
}

/// The key in the vault that settings refer to.
fn key_in_vault(planner: Option<&PlannerSettings>) -> Option<&SecretName> {
    match planner.map(|planner| &planner.host) {
        Some(PlannerHost::Url { key: Some(SecretRef::Vault(name)), .. }) => Some(name),
        _ => None,
    }
}
