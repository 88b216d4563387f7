//! What can go wrong with third-party components.

use std::path::PathBuf;

use aiw_core::{Diagnostic, ErrorKind, ExtensionId};
use aiw_extensions::{Capability, ExtensionError};
use aiw_home::HomeError;
use aiw_net::NetError;
use aiw_wasm::LoadError;

/// Why a component can't be listed, loaded, added or changed.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The component could not be fetched.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The component does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The file is not a component for this aiw.
    #[error("`{source_name}` {source}")]
    Extension {
        /// The path or URL that was given.
        source_name: String,
        /// Why.
        source: ExtensionError,
    },
    /// The file of an added component is missing.
    #[error("the file for component `{id}` is missing: `{}`", .path.display())]
    Missing {
        /// The component.
        id: ExtensionId,
        /// Its file.
        path: PathBuf,
    },
    /// The component is disabled.
    #[error("component `{id}` is disabled")]
    Disabled {
        /// Its id.
        id: String,
    },
    /// A server did not return the file.
    #[error("`{url}` answered {status}")]
    HttpStatus {
        /// The URL without its query.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// There is no such file.
    #[error("there is no file `{}`", .path.display())]
    FileNotFound {
        /// The path.
        path: PathBuf,
    },
    /// A directory without a component.
    #[error("there is no component in `{}`", .directory.display())]
    ComponentNotFound {
        /// The directory.
        directory: PathBuf,
    },
    /// A directory with more than one.
    #[error("there are several components in `{}`", .directory.display())]
    SeveralComponents {
        /// The directory.
        directory: PathBuf,
    },
    /// The source of a component now holds a different one.
    #[error("`{source_name}` now holds another component, `{found}`")]
    IdMismatch {
        /// The path or URL.
        source_name: String,
        /// The component that is there.
        found: ExtensionId,
    },
    /// No component has that id.
    #[error("there is no extension `{id}`")]
    NotFound {
        /// The id.
        id: String,
    },
    /// The id belongs to a bundled component.
    #[error("component `{id}` is part of aiw and can't be {action}")]
    Bundled {
        /// The id.
        id: String,
        /// `added`, `removed`, …
        action: &'static str,
    },
    /// The id is taken by a component from elsewhere.
    #[error("component `{id}` is already installed, from `{source_name}`")]
    AlreadyInstalled {
        /// The id.
        id: String,
        /// Where the existing one came from.
        source_name: String,
    },
    /// An update asks for more than the user agreed to.
    #[error("component `{id}` {version} asks for more than you agreed to: {}", list(.more))]
    AdditionalCapabilities {
        /// The id.
        id: String,
        /// The version that asks.
        version: String,
        /// The other capabilities that it asks for.
        more: Vec<Capability>,
    },
    /// An update would go back to a lower version.
    #[error("component `{id}` has version {installed}, and its source has the lower version {offered}")]
    Downgrade {
        /// The id.
        id: String,
        /// The installed version.
        installed: String,
        /// The version that would replace it.
        offered: String,
    },
}

fn list(more: &[Capability]) -> String {
    more.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Diagnostic for LibraryError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Net)
    }

    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::Load(LoadError::DigestMismatch { .. })) { ErrorKind::Config } else { ErrorKind::User }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::Missing { id, .. } => Some(format!("`aiw extension update {id}` reads it again")),
            Self::Disabled { id } => Some(format!("`aiw extension enable {id}`")),
            Self::ComponentNotFound { .. } => {
                Some("build it first: `cargo build --release --target wasm32-wasip2`".into())
            }
            Self::SeveralComponents { .. } => Some("name the file".into()),
            Self::NotFound { .. } => Some("`aiw extension list` shows the extensions".into()),
            Self::AlreadyInstalled { id, .. } => {
                Some(format!("run `aiw extension update {id}` or `aiw extension remove {id}` first"))
            }
            Self::AdditionalCapabilities { id, .. } | Self::Downgrade { id, .. } => {
                Some(format!("`aiw extension update {id} --accept-changes` accepts this"))
            }
            Self::Load(LoadError::DigestMismatch { id, .. }) => {
                Some(format!("run `aiw extension remove {id}`, then add it again from a source that you trust"))
            }
            _ => None,
        }
    }
}
