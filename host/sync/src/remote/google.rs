//! Google Drive: a folder of its own, which only the OAuth client that made it can see (scope `drive.file`).

mod client;
mod device;
mod drive;
mod files;
mod login;
mod place;
mod upload;

use super::{Remote, RemoteContext, RemoteError};

use drive::Drive;
use files::DriveFiles;

pub use device::{DeviceCode, login};
#[cfg(test)]
pub(crate) use login::GoogleLogin;
pub use login::{LoginExpiry, Logout, current, logout};
pub(crate) use place::GoogleEndpoints;

/// Opens the remote.
pub(super) async fn open(context: &RemoteContext) -> Result<Box<dyn Remote>, RemoteError> {
    Ok(Box::new(Drive::new(DriveFiles::open(context).await?)))
}
