//! The errors of the application, and what to do about them.

use aiw_ci::CiError;
use aiw_components::LibraryError;
use aiw_core::{Diagnostic, ErrorKind, PromptError};
use aiw_gateway::{GatewayError, RouteError};
use aiw_home::{HomeError, VaultError};
use aiw_launch::LaunchError;
use aiw_net::NetError;
use aiw_processes::ProcessError;
use aiw_providers::ProviderError;
use aiw_setup::SetupError;
use aiw_sync::SyncError;
use aiw_tasks::TaskError;
use aiw_vectors::ModelsError;
use aiw_wasm::CallError;

use crate::ExecutableError;

/// A part of the application can't be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The person said no, or nobody can be asked.
    #[error("{}", .0.to_message("nothing was changed"))]
    Prompt(#[from] PromptError),
    /// A component does not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The runs of continuous integration can't be read.
    #[error(transparent)]
    Ci(Box<CiError>),
    /// Configuration was not synchronized.
    #[error(transparent)]
    Sync(Box<SyncError>),
    /// The current directory was removed.
    #[error("the current directory is gone: {source}")]
    Directory {
        /// The system's error.
        source: std::io::Error,
    },
    /// aiw's own executable can't be used.
    #[error(transparent)]
    Executable(#[from] ExecutableError),
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
    /// A sentence model can't be had or used.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// The network can't be used.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A process of a project can't be used.
    #[error(transparent)]
    Process(#[from] ProcessError),
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
    /// The system has no thread.
    #[error("cannot start a thread: {source}")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
    /// The vault can't be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Diagnostic for AppError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(
            self, Prompt, Call, Ci, Sync, Executable, Gateway, Process, Provider, Route, Home, Setup, Launch, Library,
            Net, Vault, Task, Models
        )
    }

    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::Directory { .. } | Self::Thread { .. }) {
            ErrorKind::Unavailable
        } else {
            ErrorKind::User
        }
    }
}
