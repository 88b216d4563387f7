//! Errors of the gateway.

use std::io;

use aiw_core::{Diagnostic, ErrorKind, GatewayName, did_you_mean, one_line};
use aiw_listen::ListenError;
use aiw_net::NetError;
use aiw_supervisor::SupervisorError;

use crate::routes::RouteError;

/// An error with the gateway of runs.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Its files.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Its supervisor.
    #[error("aiw's gateway can't be started: {0}")]
    Supervisor(#[from] SupervisorError),
    /// It does not answer.
    #[error("aiw's gateway was started but does not answer")]
    StartTimeout,
    /// It has no way out.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The address of one for other programs can't be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is none of a name.
    #[error("there is no gateway `{name}`")]
    NotFound {
        /// The name.
        name: GatewayName,
        /// The known names.
        known: Vec<GatewayName>,
    },
    /// The key can't be removed while a gateway with a name serves: it would go on with the key that it has.
    #[error("the gateway `{gateway}` serves `{}`", one_line(.provider, 80))]
    ProviderInUse {
        /// The gateway.
        gateway: GatewayName,
        /// The provider or the pool.
        provider: String,
    },
    /// Another process serves a name.
    #[error("another process serves the gateway `{name}` already")]
    AlreadyServed {
        /// The name.
        name: GatewayName,
    },
    /// Its socket.
    #[error("aiw's gateway has no socket: {0}")]
    Socket(#[source] io::Error),
}

impl Diagnostic for GatewayError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Route, Supervisor, Listen)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::StartTimeout | Self::Net(_) => ErrorKind::Unavailable,
            Self::NotFound { .. } | Self::ProviderInUse { .. } => ErrorKind::User,
            Self::AlreadyServed { .. } => ErrorKind::Unavailable,
            Self::Socket(_) => ErrorKind::Usage,
            _ => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::StartTimeout => Some("`aiw gateway status` shows its last lines".into()),
            Self::NotFound { name, known } => {
                let meant = did_you_mean(name.as_str(), known.iter().map(GatewayName::as_str), "your gateways");
                Some(meant.unwrap_or_else(|| format!("`aiw gateway serve --name {name} -p PROVIDER` makes it")))
            }
            Self::ProviderInUse { gateway, .. } => {
                Some(format!("`aiw gateway revoke {gateway}` ends it, or serve another provider under its name"))
            }
            Self::AlreadyServed { .. } => Some("`aiw gateway list` shows where".into()),
            _ => None,
        }
    }
}
