//! Progress, cancellation and refusal of transfers.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::NetError;

/// The progress of a transfer. The number of objects is known only after the server has counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransferProgress {
    /// Objects that have arrived.
    pub received_objects: u64,
    /// Objects in total.
    pub total_objects: u64,
    /// Bytes that have arrived.
    pub received_bytes: u64,
}

/// The callback for the progress of a transfer. It is called on the thread that transfers.
pub(super) type OnProgress = Arc<dyn Fn(TransferProgress) + Send + Sync>;

/// Which side refused. After a refusal by the server, another way may still work.
pub(super) enum RejectedBy {
    ByRemote(NetError),
    ByClient(NetError),
}

impl RejectedBy {
    pub(super) fn into_error(self) -> NetError {
        match self {
            Self::ByRemote(error) | Self::ByClient(error) => error,
        }
    }
}

impl From<NetError> for RejectedBy {
    fn from(error: NetError) -> Self {
        Self::ByClient(error)
    }
}

/// Tells whether anyone still waits for the result.
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
