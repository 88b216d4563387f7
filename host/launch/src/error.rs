//! The errors of starting an AI CLI.

use std::path::PathBuf;

use aiw_core::{CliKind, Diagnostic, ErrorKind, closest, one_line};
use aiw_home::HomeError;
use aiw_providers::ProviderError;
use aiw_tasks::TaskError;

use crate::{GatewayProblem, RoleError};

/// An error that prevents a CLI from being started. Nothing has been started when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// An error in a file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// An error of the provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// An error of a role.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// The CLI is not installed on this machine.
    #[error("`{cli}` is not installed")]
    NotInstalled {
        /// The CLI.
        cli: CliKind,
        /// The command that installs it.
        install: String,
    },
    /// No provider has this name.
    #[error("there is no provider `{}`{}", one_line(.name, 80), from(.source_name))]
    UnknownProvider {
        /// The name.
        name: String,
        /// The source of the provider's name, if it was not the command line.
        source_name: Option<String>,
        /// The CLI that was to be started.
        cli: CliKind,
        /// The names of providers that work with the CLI.
        fits: Vec<String>,
    },
    /// The provider does not speak the CLI's API, or was not meant for the CLI.
    #[error("provider `{provider}`{} does not work with `{cli}`: {reason}", from(.source_name))]
    IncompatibleProvider {
        /// The provider.
        provider: String,
        /// The source of the provider's name, if it was not the command line.
        source_name: Option<String>,
        /// The CLI.
        cli: CliKind,
        /// The reason, as the end of a sentence.
        reason: String,
        /// The names of providers that work with the CLI.
        fits: Vec<String>,
    },
    /// A budget is used up.
    #[error("{sentence}")]
    BudgetExceeded {
        /// Which, and how far.
        sentence: String,
    },
    /// An error of the gateway.
    #[error(transparent)]
    Gateway(#[from] GatewayProblem),
    /// An error of the task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A part of the request can't be passed on.
    #[error("{message}")]
    Invalid {
        /// The problem, as a sentence.
        message: String,
        /// The next step.
        hint: Option<String>,
    },
    /// The CLI could not be started in this terminal.
    #[error("cannot start `{}`: {reason}", .path.display())]
    StartFailed {
        /// The executable.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

fn from(source: &Option<String>) -> String {
    source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default()
}

impl LaunchError {
    pub(crate) fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: Some(hint.into()) }
    }
}

impl Diagnostic for LaunchError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Provider, Role, Task)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Gateway(e) => e.kind,
            Self::StartFailed { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::Gateway(e) => e.hint.clone(),
            Self::BudgetExceeded { .. } => Some("`aiw usage` shows what for, and `aiw budget set` changes it".into()),
            Self::NotInstalled { install, .. } => Some(format!("`{install}` installs it")),
            Self::UnknownProvider { cli, fits, .. } | Self::IncompatibleProvider { cli, fits, .. } => {
                let typed = match self {
                    Self::UnknownProvider { name, .. } => name.as_str(),
                    _ => "",
                };
                if let Some(meant) = closest(typed, fits.iter().map(String::as_str)) {
                    return Some(format!("did you mean `{meant}`?"));
                }
                Some(match fits.as_slice() {
                    [] => format!(
                        "no provider works with `{cli}` yet: `aiw provider add NAME --preset PRESET`, and `aiw provider presets` shows them"
                    ),
                    fits => format!("these work with `{cli}`: {}", fits.join(", ")),
                })
            }
            Self::Invalid { hint, .. } => hint.clone(),
            Self::StartFailed { .. } => Some("`aiw cli list` shows what is installed".into()),
            _ => None,
        }
    }
}
