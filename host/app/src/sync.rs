//! Configuration that travels, for views: that of the client's machine.

use aiw_core::{Prompter, Reporter};
use aiw_home::Home;
use aiw_sync::{StoreSetup, SyncError, Synchronizer};

use crate::{App, AppError};

/// Returns what synchronizes the client's configuration.
///
/// # Errors
///
/// The settings can't be read, or the client has no home.
pub fn open(app: &App, home: &Home) -> Result<Synchronizer, AppError> {
    Ok(Synchronizer::new(home, app.client()?)?)
}

/// Begins a store at a remote, or joins the one that is there.
///
/// # Errors
///
/// As for beginning and joining.
pub async fn begin_or_join(
    own: &Synchronizer,
    remote: &str,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<StoreSetup, SyncError> {
    match own.init(remote, None, ask, sink).await {
        Err(SyncError::StoreAlreadyExists { .. }) => own.join(remote, None, None, ask, sink).await,
        begun => begun,
    }
}

impl From<SyncError> for AppError {
    fn from(error: SyncError) -> Self {
        Self::Sync(Box::new(error))
    }
}
