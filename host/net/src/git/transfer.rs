//! What is told of a transfer, what stops it, and whose no ends it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::NetError;

/// How far a transfer is. Objects are known only once the far end has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Objects that have arrived.
    pub received_objects: u64,
    /// Objects that will.
    pub total_objects: u64,
    /// Bytes that have arrived.
    pub received_bytes: u64,
}

/// What is told of a transfer while it runs, on the thread that transfers.
pub(super) type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// Whose no it is: after the far end's another way may still lead there.
pub(super) enum Refused {
    ByFarEnd(NetError),
    ByUs(NetError),
}

impl Refused {
    pub(super) fn into_error(self) -> NetError {
        match self {
            Self::ByFarEnd(error) | Self::ByUs(error) => error,
        }
    }
}

impl From<NetError> for Refused {
    fn from(error: NetError) -> Self {
        Self::ByUs(error)
    }
}

/// Whether anyone still waits for the result.
#[derive(Clone)]
pub(super) struct Cancel(pub(super) watch::Receiver<()>);

impl Cancel {
    pub(super) fn check(&self) -> Result<(), NetError> {
        self.0.has_changed().map(drop).map_err(|_| NetError::Cancelled)
    }

    pub(super) async fn cancelled(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}
