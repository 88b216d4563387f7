//! Parts of aiw that are lacking, and the commands that add them.

use aiw_core::{CliKind, ProviderName, SecretName};
use aiw_home::{Home, ProvidersFile, SecretRef};
use aiw_setup::SetupClient;
use aiw_sync::has_store;
use schemars::JsonSchema;
use serde::Serialize;

use crate::AppError;
use crate::models::{DEFAULT_MODEL, EmbeddingModels, ModelStatus, RUNTIME_NAME, StateName};
use crate::setup::{clients_without_aiw, hook_statuses, installed_kinds, is_registered};

/// A part of aiw that may be lacking.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InitPart {
    /// A provider with a key
    Provider,
    /// AI CLIs that know aiw
    Clients,
    /// The hooks of the history
    Hooks,
    /// A model for search by meaning
    Model,
    /// A remote for configuration
    Sync,
}

impl InitPart {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Clients => "clients",
            Self::Hooks => "hooks",
            Self::Model => "model",
            Self::Sync => "sync",
        }
    }
}

/// A part that is lacking
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MissingPart {
    /// `provider`, `clients`, `hooks`, `model` or `sync`
    #[schemars(with = "String")]
    pub part: InitPart,
    /// The lack, in a few words
    pub about: String,
    /// The command that adds it
    pub command: String,
    /// The clients that are to be set up.
    #[serde(skip)]
    pub(super) clients: Vec<&'static SetupClient>,
    /// A provider that is there, and the secret that it lacks.
    #[serde(skip)]
    pub(super) key: Option<(ProviderName, SecretName)>,
    /// The bytes to download.
    #[serde(skip)]
    pub(super) bytes: u64,
}

/// `aiw init`
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct InitStatus {
    /// The parts that are lacking, in the order in which they are asked about
    pub lacking: Vec<MissingPart>,
}

/// Looks for what is lacking. It starts and changes nothing.
///
/// # Errors
///
/// The home can't be read, the files of the clients have no place, or this aiw is not to be found.
pub fn inspect(home: &Home) -> Result<InitStatus, AppError> {
    let part = |part, about: &str, command: &str| MissingPart {
        part,
        about: about.to_owned(),
        command: command.to_owned(),
        clients: Vec::new(),
        key: None,
        bytes: 0,
    };
    let mut lacking = Vec::new();
    let providers = home.providers()?;
    if !providers.providers().iter().any(|provider| aiw_providers::has_secrets(home, provider)) {
        let added = || part(InitPart::Provider, "no API provider with a key", "aiw provider add");
        let filled = |(provider, secret): (ProviderName, SecretName)| {
            let about = format!("the provider `{provider}` lacks the secret `{secret}`");
            let lacks = part(InitPart::Provider, &about, &format!("aiw secret set {secret}"));
            MissingPart { key: Some((provider, secret)), ..lacks }
        };
        lacking.push(missing_key(home, &providers).map_or_else(added, filled));
    }
    let clients = clients_without_aiw(home)?;
    if !clients.is_empty() {
        let about = format!("aiw is not set up in {}", join_client_names(&clients));
        let lacks = part(InitPart::Clients, &about, &setup_command(&clients));
        lacking.push(MissingPart { clients, ..lacks });
    }
    if lacks_hooks(home)? {
        lacking.push(part(InitPart::Hooks, "no hooks of the history in Claude Code", "aiw history hooks install"));
    }
    if let Some(bytes) = lacks_model(home)? {
        let about = format!("no model for search by meaning, a download of {} MB", bytes / 1_000_000);
        lacking.push(MissingPart { bytes, ..part(InitPart::Model, &about, "aiw model pull") });
    }
    if !has_store(home) {
        let about = "no remote for your configuration";
        lacking.push(part(InitPart::Sync, about, "aiw sync init REMOTE"));
    }
    Ok(InitStatus { lacking })
}

/// Whether there is neither a provider nor an AI CLI that knows aiw: then `aiw init` comes before anything else.
pub(crate) fn needs_init(home: &Home) -> bool {
    home.providers().is_ok_and(|file| file.providers().is_empty()) && is_registered(home).is_ok_and(|is_in| !is_in)
}

/// Returns the first secret that the vault lacks for a provider.
fn missing_key(home: &Home, file: &ProvidersFile) -> Option<(ProviderName, SecretName)> {
    file.providers().iter().find_map(|provider| {
        let secret = provider.references().find_map(|reference| match reference {
            SecretRef::Vault(secret) if !home.vault().is_taken(secret) => Some(secret.clone()),
            _ => None,
        })?;
        Some((provider.name.clone(), secret))
    })
}

fn lacks_hooks(home: &Home) -> Result<bool, AppError> {
    if aiw_history::is_off(home) || first_cli(home, &[CliKind::Claude]).is_none() {
        return Ok(false);
    }
    let statuses = hook_statuses(home)?;
    Ok(!statuses.iter().any(|status| status.installed || status.disabled || status.problem.is_some()))
}

/// Returns the bytes that a model takes to download; `None` if there is one, or it can't be had.
fn lacks_model(home: &Home) -> Result<Option<u64>, AppError> {
    let models = EmbeddingModels::new(home.clone());
    let (status, all): (ModelStatus, _) = (models.status()?, models.list()?);
    let is_usual = status.name.as_deref().is_none_or(|name| name == DEFAULT_MODEL);
    let is_lacking = matches!(status.state, StateName::None | StateName::Missing | StateName::Changed) && is_usual;
    let is_offered = all.iter().any(|model| model.name == RUNTIME_NAME);
    let wanted =
        all.iter().filter(|model| !model.pulled && [RUNTIME_NAME, DEFAULT_MODEL].contains(&model.name.as_str()));
    Ok((is_lacking && is_offered).then(|| wanted.map(|model| model.size).sum()))
}

pub(super) fn join_client_names(clients: &[&SetupClient]) -> String {
    clients.iter().map(|client| client.name).collect::<Vec<_>>().join(", ")
}

pub(super) fn setup_command(clients: &[&SetupClient]) -> String {
    let ids: Vec<&str> = clients.iter().map(|client| client.id).collect();
    format!("aiw setup {}", ids.join(" "))
}

/// Returns the first of these AI CLIs that is installed.
pub(super) fn first_cli(home: &Home, clis: &[CliKind]) -> Option<CliKind> {
    let installed = installed_kinds(home);
    clis.iter().copied().find(|cli| installed.contains(cli))
}
