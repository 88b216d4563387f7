use std::path::PathBuf;

use aiw_core::{CliKind, ErrorKind, one_line};
use aiw_home::{HomeError, VaultError};
use aiw_tasks::TaskError;

use crate::RoleError;

/// Why a CLI is not started. Nothing has been started when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A secret.
    #[error("provider `{provider}` can't be used: {error}")]
    Vault {
        /// The provider.
        provider: String,
        /// Why.
        error: VaultError,
    },
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
    #[error("provider `{provider}`{} does not fit `{cli}`: {reason}", from(.source_name))]
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
    /// A secret that the provider refers to is not there.
    #[error("provider `{provider}` has no secret `{secret}`: {problem}")]
    NoSecret {
        /// The provider.
        provider: String,
        /// The component's name for it: `token`.
        secret: String,
        /// The end of a sentence.
        problem: String,
        /// What to do next.
        hint: String,
    },
    /// The component of the provider.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
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

/// What a provider's component answers instead of a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AdapterError {
    /// For the exit code.
    pub kind: ErrorKind,
    /// A sentence.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl LaunchError {
    pub(crate) fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: Some(hint.into()) }
    }

    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Home(e) => e.kind(),
            Self::Vault { error, .. } => error.kind(),
            Self::Role(e) => e.kind(),
            Self::Adapter(e) => e.kind,
            Self::Task(e) => e.kind(),
            Self::Start { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::User,
        }
    }

    /// What to do next, where there is one thing to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Home(e) => e.hint(),
            Self::Vault { error, .. } => error.hint(),
            Self::Role(e) => e.hint(),
            Self::Adapter(e) => e.hint.clone(),
            Self::Task(e) => e.hint(),
            Self::NotInstalled(cli) => Some(format!("`{}` installs it", crate::install_command(*cli))),
            Self::UnknownProvider { cli, fits, .. } | Self::DoesNotFit { cli, fits, .. } => {
                Some(match fits.as_slice() {
                    [] => format!(
                        "no provider fits `{cli}` yet: `aiw provider add NAME --preset PRESET`, and `aiw provider presets` shows them"
                    ),
                    fits => format!("these fit `{cli}`: {}", fits.join(", ")),
                })
            }
            Self::NoSecret { hint, .. } => Some(hint.clone()),
            Self::Invalid { hint, .. } => hint.clone(),
            Self::Start { .. } => Some("`aiw cli list` shows what is installed".into()),
        }
    }
}
