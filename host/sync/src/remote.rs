//! Remotes: where snapshots are kept.

mod address;
mod end;
mod error;
mod folder;
mod git;
pub mod google;
mod limits;
mod login;
mod pages;
mod request;
mod s3;
#[cfg(test)]
mod tests;
mod waits;
mod webdav;
mod xml;

pub use address::RemoteUrl;
pub(crate) use address::is_unencrypted;
pub(crate) use end::{ObjectListing, check_name, check_object, fetch, is_object_name, matches_digest, verify_stored};
pub use end::{Remote, RemoteContext, RemoteObject};
pub use error::RemoteError;
pub use limits::{MAX_NAMES, MAX_OBJECT_BYTES, MAX_OBJECTS};
pub(crate) use login::bind_to_origin;
pub(crate) use s3::CREDENTIALS_SECRET as S3_SECRET;
pub(crate) use waits::{PendingRequests, WAIT_INTERVAL};
pub(crate) use webdav::CREDENTIALS_SECRET as WEBDAV_SECRET;

/// Opens the remote of an address. Nothing is sent yet.
///
/// # Errors
///
/// Something that it needs to be reached is missing, such as a login.
pub async fn open(address: &RemoteUrl, context: &RemoteContext) -> Result<Box<dyn Remote>, RemoteError> {
    Ok(match address {
        RemoteUrl::GoogleDrive => google::open(context).await?,
        RemoteUrl::Folder(path) => Box::new(folder::Folder::new(path)),
        RemoteUrl::Git(url) => Box::new(git::Git::new(url, context)?),
        RemoteUrl::WebDav(url) => Box::new(webdav::WebDav::open(url, context).await?),
        RemoteUrl::S3(address) => Box::new(s3::S3::open(address, context).await?),
    })
}
