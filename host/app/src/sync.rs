//! Configuration that travels, for views: that of the client's machine.

use aiw_home::Home;
use aiw_sync::{SyncError, Synchronizer};

use crate::{App, AppError};

/// Returns what synchronizes the client's configuration.
///
/// # Errors
///
/// The settings can't be read, or the client has no home.
pub fn open(app: &App, home: &Home) -> Result<Synchronizer, AppError> {
    Ok(Synchronizer::new(home, app.client()?)?)
}

impl From<SyncError> for AppError {
    fn from(error: SyncError) -> Self {
        Self::Sync(Box::new(error))
    }
}
