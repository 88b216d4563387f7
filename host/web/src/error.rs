//! The errors of the dashboard.

use std::io;

use aiw_app::AppError;
use aiw_core::{Diagnostic, ErrorKind, forward_diagnostic};
use aiw_home::HomeError;
use aiw_listen::ListenError;
use aiw_supervisor::SupervisorError;

/// The dashboard can't be served, opened or stopped.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The application can't be opened.
    #[error(transparent)]
    App(#[from] AppError),
    /// The home can't be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The address can't be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The process in the background can't be started or stopped.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// The system has no randomness, or no socket.
    #[error("{what}: {source}")]
    System {
        /// The thing that was tried.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The dashboard was started in the background, and does not answer.
    #[error("the dashboard was started, and does not answer")]
    StartTimeout,
    /// A dashboard runs already, on another port than the wanted one.
    #[error("the dashboard of this home runs already, at {url}")]
    AlreadyRunning {
        /// Its address.
        url: String,
    },
}

impl Diagnostic for WebError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        forward_diagnostic!(self, App, Home, Listen, Supervisor)
    }

    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::AlreadyRunning { .. }) { ErrorKind::User } else { ErrorKind::Unavailable }
    }

    fn own_hint(&self) -> Option<String> {
        Some(match self {
            Self::AlreadyRunning { .. } => "`aiw web` opens it; `aiw web stop` ends it".into(),
            Self::StartTimeout => "`aiw web` serves it in the foreground, and says what is wrong".into(),
            _ => return None,
        })
    }
}
