//! Why an AI CLI cannot be started.

use std::path::PathBuf;

use aiw_core::{CliKind, ErrorKind, one_line};
use aiw_home::HomeError;
use aiw_providers::ProviderError;
use aiw_tasks::TaskError;

use crate::RoleError;

/// Why a CLI is not started. Nothing has been started when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A role.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// The CLI is not on this machine.
    #[error("`{0}` is not installed")]
    NotInstalled(CliKind),
    /// No provider has that name.
    #[error("there is no provider `{}`{}", one_line(.name, 80), from(.source_name))]
    UnknownProvider {
        /// The name.
        name: String,
        /// What named it, where it was not the command line.
        source_name: Option<String>,
        /// The CLI that was to be started.
        cli: CliKind,
        /// Names of providers that fit it.
        fits: Vec<String>,
    },
    /// The provider does not speak the CLI's API, or was not meant for it.
    #[error("provider `{provider}`{} does not work with `{cli}`: {reason}", from(.source_name))]
    DoesNotFit {
        /// The provider.
        provider: String,
        /// What named it, where it was not the command line.
        source_name: Option<String>,
        /// The CLI.
        cli: CliKind,
        /// The end of a sentence.
        reason: String,
        /// Names of providers that do.
        fits: Vec<String>,
    },
    /// The task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Something that was asked for can't be passed on.
    #[error("{message}")]
    Invalid {
        /// A sentence.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The CLI could not be started in this terminal.
    #[error("cannot start `{}`: {reason}", .path.display())]
    Start {
        /// The executable.
        path: PathBuf,
        /// Why.
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

    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Home(e) => e.kind(),
            Self::Provider(e) => e.kind(),
            Self::Role(e) => e.kind(),
            Self::Task(e) => e.kind(),
            Self::Start { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::User,
        }
    }

    /// What to do next, where there is one thing to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Home(e) => e.hint(),
            Self::Provider(e) => e.hint(),
            Self::Role(e) => e.hint(),
            Self::Task(e) => e.hint(),
            Self::NotInstalled(cli) => Some(format!("`{}` installs it", crate::install_command(*cli))),
            Self::UnknownProvider { cli, fits, .. } | Self::DoesNotFit { cli, fits, .. } => {
                Some(match fits.as_slice() {
                    [] => format!(
                        "no provider works with `{cli}` yet: `aiw provider add NAME --preset PRESET`, and `aiw provider presets` shows them"
                    ),
                    fits => format!("these work with `{cli}`: {}", fits.join(", ")),
                })
            }
            Self::Invalid { hint, .. } => hint.clone(),
            Self::Start { .. } => Some("`aiw cli list` shows what is installed".into()),
        }
    }
}
