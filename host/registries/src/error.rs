//! Why registries can't be asked, or a server of theirs can't be installed.

use std::path::PathBuf;

use aiw_components::LibraryError;
use aiw_core::{Diagnostic, ErrorKind, ExtensionId, one_line, quoted_text};
use aiw_home::{HomeError, VaultError};
use aiw_wasm::{CallError, ComponentReason};

/// An error of this room.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The components can't be listed.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The secret of a registry can't be read.
    #[error("the key of `{id}` can't be read: {source}")]
    UnreadableKey {
        /// The component.
        id: ExtensionId,
        /// Why.
        source: VaultError,
    },
    /// The secret of a registry is a variable that is not set.
    #[error("the key of `{id}` is not set: registry.yaml takes it from `{variable}`")]
    MissingKey {
        /// The component.
        id: ExtensionId,
        /// The variable.
        variable: String,
    },
    /// The registry's component gave no answer.
    #[error("`{id}`: {source}")]
    CallFailed {
        /// The component.
        id: ExtensionId,
        /// Why.
        source: CallError,
    },
    /// The registry took too long.
    #[error("`{id}` gave no answer within {seconds} s")]
    Timeout {
        /// The component.
        id: ExtensionId,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The registry's feed of changes makes no sense.
    #[error("`{id}` {what}; what it said before is kept")]
    InvalidFeed {
        /// The component.
        id: ExtensionId,
        /// Its failure, as the end of a sentence.
        what: String,
    },
    /// A local copy can't be read or written.
    #[error("`{}`: {source}", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// All registries are switched off.
    #[error("no registry of MCP servers is switched on")]
    NoEnabledRegistry,
    /// There is no such registry.
    #[error("there is no registry `{}`", one_line(.id, 60))]
    UnknownRegistry {
        /// The text that was given.
        id: String,
    },
    /// No registry has the server.
    #[error("no registry has a server `{}`{}", one_line(.name, 80), but(.failed))]
    UnknownServer {
        /// The requested text.
        name: String,
        /// Why some registries gave no answer that can be used.
        failed: Vec<RegistryError>,
        /// Servers that could be meant: those of which the last part of the name is the same.
        near: Vec<String>,
    },
    /// A registry has the server, but not that version.
    #[error("there is no version `{}` of `{}`: the newest is {}", one_line(.version, 40), one_line(.name, 80), one_line(.newest, 40))]
    UnknownVersion {
        /// The server.
        name: String,
        /// The requested text.
        version: String,
        /// The newest version.
        newest: String,
    },
}

/// Says why some registries gave no answer that can be used: they could not be asked, or their row makes no sense.
fn but(failed: &[RegistryError]) -> String {
    let reasons: Vec<String> = failed.iter().map(|e| one_line(&e.to_string(), 300)).collect();
    match reasons.is_empty() {
        true => String::new(),
        false if failed.iter().all(RegistryError::is_malformed) => {
            format!(" that can be used: {}", reasons.join("; "))
        }
        false => format!(", but not all could be asked: {}", reasons.join("; ")),
    }
}

impl RegistryError {
    /// The error where its registry is named already.
    pub(crate) fn message_without_registry(&self) -> String {
        match self {
            Self::CallFailed { source, .. } => source.to_string(),
            other => other.to_string(),
        }
    }

    /// Whether the registry has answered, with a row that makes no sense.
    fn is_malformed(&self) -> bool {
        matches!(self, Self::CallFailed { source: CallError::Rejected { refusal: ComponentReason::Malformed, .. }, .. })
    }
}

impl Diagnostic for RegistryError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Library, UnreadableKey { source }, CallFailed { source })
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Timeout { .. } | Self::InvalidFeed { .. } | Self::Database { .. } => ErrorKind::Unavailable,
            Self::MissingKey { .. } | Self::NoEnabledRegistry => ErrorKind::Config,
            Self::UnknownRegistry { .. } => ErrorKind::User,
            Self::UnknownServer { failed, .. } if failed.iter().all(Self::is_malformed) => ErrorKind::User,
            Self::UnknownServer { .. } => ErrorKind::Unavailable,
            Self::UnknownVersion { .. } => ErrorKind::User,
            _ => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::MissingKey { variable, .. } => Some(format!("set `{variable}`, or change registry.yaml")),
            Self::NoEnabledRegistry => Some("`enabled: true` in registry.yaml switches one on".into()),
            Self::UnknownRegistry { .. } => Some("`aiw extension list` shows them".into()),
            Self::UnknownServer { near, .. } if !near.is_empty() => {
                let near: Vec<String> = near.iter().map(|name| quoted_text(name, 200)).collect();
                Some(format!("did you mean {}?", near.join(", ")))
            }
            Self::UnknownServer { failed, .. } if failed.is_empty() => Some("`aiw mcp search` finds names".into()),
            _ => None,
        }
    }
}
