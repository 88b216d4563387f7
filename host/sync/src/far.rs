//! Far ends: where snapshots are kept.

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

pub use address::FarAddress;
pub(crate) use address::is_readable;
pub use end::{FarContext, FarEnd, FarObject};
pub(crate) use end::{FoundObjects, check_kept, check_name, check_object, fetch, fits_name, is_object_name};
pub use error::FarError;
pub use limits::{MAX_NAMES, MAX_OBJECT, MAX_OBJECTS};
pub(crate) use login::bound;
pub(crate) use s3::SECRET as S3_SECRET;
pub(crate) use waits::{FarWaits, WAIT_INTERVAL};
pub(crate) use webdav::SECRET as WEBDAV_SECRET;

/// Opens the far end of an address. Nothing is sent yet.
///
/// # Errors
///
/// Something that it needs to be reached is missing, such as a login.
pub async fn open(address: &FarAddress, context: &FarContext) -> Result<Box<dyn FarEnd>, FarError> {
    Ok(match address {
        FarAddress::GoogleDrive => google::open(context).await?,
        FarAddress::Folder(path) => Box::new(folder::Folder::new(path)),
        FarAddress::Git(url) => Box::new(git::Git::new(url, context)?),
        FarAddress::WebDav(url) => Box::new(webdav::WebDav::open(url, context).await?),
        FarAddress::S3(address) => Box::new(s3::S3::open(address, context).await?),
    })
}
