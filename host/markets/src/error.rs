//! Why a marketplace or a plugin can't be used.

use aiw_components::LibraryError;
use aiw_core::{Diagnostic, ErrorKind, PluginId, PromptError, one_line};
use aiw_home::{HomeError, VaultError};
use aiw_net::NetError;
use aiw_servers::AddError;
use aiw_wasm::CallError;

/// An error that concerns marketplaces and plugins. Each is one sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A value that can't be used.
    #[error(transparent)]
    Value(#[from] AddError),
    /// Something outside.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A component's error, or a missing answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A component that does not load.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The reference can't be used as written.
    #[error("`{}` {why}", one_line(.reference, 200))]
    InvalidReference {
        /// The typed text.
        reference: String,
        /// Why, as the end of a sentence.
        why: String,
        /// The text to type instead.
        hint: Option<String>,
    },
    /// The marketplace document cannot be used.
    #[error("the marketplace.json of `{}` {problem}", one_line(.source_name, 200))]
    InvalidDocument {
        /// Where it came from.
        source_name: String,
        /// The problem, as the end of a sentence.
        problem: String,
    },
    /// The name is taken by another source.
    #[error("marketplace `{name}` already exists, from {source_name}")]
    NameTaken {
        /// The name.
        name: String,
        /// Where the existing one comes from.
        source_name: String,
    },
    /// The name belongs to Anthropic's own repositories.
    #[error("the name `{name}` belongs to repositories under github.com/anthropics, and this is not one")]
    NameReserved {
        /// The name.
        name: String,
    },
    /// The name could be mistaken for one that belongs to Anthropic's own repositories.
    #[error("the name `{name}` looks like `{reserved}`, which is Anthropic's, and this is not Anthropic's repository")]
    NameConfusable {
        /// The name.
        name: String,
        /// The reserved name that it resembles.
        reserved: &'static str,
    },
    /// The document's own name cannot be used.
    #[error("the marketplace has no usable name: {problem}")]
    NameUnusable {
        /// Why.
        problem: String,
    },
    /// No marketplace has that name.
    #[error("there is no marketplace `{}`", one_line(.name, 80))]
    UnknownMarket {
        /// The requested name.
        name: String,
    },
    /// The marketplace was never fetched.
    #[error("marketplace `{name}` is not fetched yet")]
    NotFetched {
        /// The marketplace.
        name: String,
    },
    /// No plugin has that name.
    #[error("there is no plugin `{}`{}", one_line(.name, 120), .place)]
    UnknownPlugin {
        /// The requested name.
        name: String,
        /// Where aiw looked for it: ` in marketplace …`, or nothing.
        place: String,
        /// Similar names.
        similar: Vec<String>,
        /// A marketplace that was not searched, because it was never fetched.
        not_fetched: Option<String>,
    },
    /// Several marketplaces have a plugin of that name.
    #[error("several marketplaces have a plugin `{name}`")]
    Ambiguous {
        /// The name.
        name: String,
        /// The full ids.
        ids: Vec<PluginId>,
    },
    /// The plugin cannot be used.
    #[error("plugin `{}` {problem}", one_line(.name, 120))]
    Unusable {
        /// Its name or id.
        name: String,
        /// Why, as the end of a sentence.
        problem: String,
        /// The next step.
        hint: Option<String>,
    },
    /// The plugin is not installed.
    #[error("plugin `{}` is not installed", one_line(.name, 120))]
    NotInstalled {
        /// The requested name.
        name: String,
    },
    /// A key of mcp.json is taken, and the user has not chosen what to do.
    #[error("the server name `{key}` is taken in mcp.json by {owner}")]
    KeyConflict {
        /// The key.
        key: String,
        /// Its owner, in words.
        owner: String,
    },
    /// An update changes what would run.
    #[error("the update of `{id}` changes its servers: {}", .changes.join("; "))]
    ServerChanges {
        /// The plugin.
        id: PluginId,
        /// The changes, a few words each.
        changes: Vec<String>,
    },
    /// Something else changed a file between the question and the answer.
    #[error("{what} changed in the meantime; nothing was done")]
    ConcurrentChange {
        /// The change.
        what: String,
    },
    /// The person said no, or nobody can be asked.
    #[error("{}", .0.to_message("nothing was done"))]
    Prompt(#[from] PromptError),
}

impl Diagnostic for MarketError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Vault, Value, Net, Call, Library, Prompt)
    }

    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::NotFetched { .. }) { ErrorKind::Unavailable } else { ErrorKind::User }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::InvalidReference { hint, .. } | Self::Unusable { hint, .. } => hint.clone(),
            Self::NameTaken { .. } | Self::NameReserved { .. } | Self::NameUnusable { .. } => {
                Some("add it under another name with `--name NAME`".into())
            }
            Self::NameConfusable { .. } => {
                Some("`--yes` adds it anyway; `--name NAME` adds it under another name".into())
            }
            Self::UnknownMarket { .. } => Some("`aiw plugin marketplace list` shows the marketplaces".into()),
            Self::NotFetched { name } => Some(format!("`aiw plugin marketplace update {name}` fetches it")),
            Self::UnknownPlugin { similar, .. } if !similar.is_empty() => Some(format!(
                "did you mean {}?",
                similar.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", ")
            )),
            Self::UnknownPlugin { not_fetched: Some(name), .. } => {
                Some(format!("marketplace `{name}` is not fetched yet: `aiw plugin marketplace update {name}`"))
            }
            Self::UnknownPlugin { .. } => Some("`aiw plugin search --all` lists the plugins".into()),
            Self::Ambiguous { ids, .. } => {
                Some(format!("name one of {}", ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")))
            }
            Self::NotInstalled { .. } => Some("`aiw plugin list` shows what is installed".into()),
            Self::KeyConflict { .. } => Some("choose with `--on-conflict overwrite`, `skip` or `rename`".into()),
            Self::ServerChanges { id, .. } => Some(format!("`aiw plugin update {id} --accept-changes` accepts this")),
            _ => None,
        }
    }
}
