//! The errors of the application, and what to do about them.

use aiw_components::LibraryError;
use aiw_core::{AskError, ErrorKind};
use aiw_gateway::{GatewayError, RouteError};
use aiw_home::{HomeError, VaultError};
use aiw_launch::LaunchError;
use aiw_net::NetError;
use aiw_providers::ProviderError;
use aiw_setup::SetupError;
use aiw_tasks::TaskError;
use aiw_wasm::CallError;

use crate::NoExecutable;

/// A part of the application can't be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The person said no, or nobody can be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A component does not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The current directory was removed.
    #[error("the current directory is gone: {source}")]
    Directory {
        /// The system's error.
        source: std::io::Error,
    },
    /// aiw's own executable can't be used.
    #[error(transparent)]
    Executable(#[from] NoExecutable),
    /// The gateway can't be used.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The home can't be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A run can't be prepared or started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The library of components can't be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The network can't be used.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A provider can't be used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A route of the gateway can't be made.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A client can't be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A task can't be used.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Changes can't be listened to.
    #[error("cannot start a thread: {source}")]
    Feed {
        /// Why.
        source: std::io::Error,
    },
    /// The vault can't be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl AppError {
    /// Returns the kind of the error, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Directory { .. } | Self::Feed { .. } => ErrorKind::Unavailable,
            Self::Ask(e) => e.kind(),
            Self::Call(e) => e.kind(),
            Self::Executable(e) => e.kind(),
            Self::Gateway(e) => e.kind(),
            Self::Provider(e) => e.kind(),
            Self::Route(e) => e.kind(),
            Self::Home(e) => e.kind(),
            Self::Setup(e) => e.kind(),
            Self::Launch(e) => e.kind(),
            Self::Library(e) => e.kind(),
            Self::Net(e) => e.kind(),
            Self::Vault(e) => e.kind(),
            Self::Task(e) => e.kind(),
        }
    }

    /// Returns what to do next, if there is one obvious step.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Executable(e) => e.hint(),
            Self::Setup(e) => e.hint(),
            Self::Gateway(e) => e.hint(),
            Self::Provider(e) => e.hint(),
            Self::Route(e) => e.hint(),
            Self::Home(e) => e.hint(),
            Self::Launch(e) => e.hint(),
            Self::Library(e) => e.hint(),
            Self::Task(e) => e.hint(),
            Self::Vault(e) => e.hint(),
            Self::Ask(e) => e.hint(),
            Self::Call(_) | Self::Directory { .. } | Self::Feed { .. } | Self::Net(_) => None,
        }
    }
}
