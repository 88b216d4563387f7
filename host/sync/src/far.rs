//! Far ends: where snapshots are kept.

mod address;
mod error;
mod folder;
mod git;
pub mod google;
mod request;
mod s3;
#[cfg(test)]
mod tests;
mod webdav;
mod xml;

use std::time::Duration;

use aiw_core::{Secret, SecretName};
use aiw_home::{Home, SyncSettings, VaultError, blocking};
use aiw_net::HttpClient;
use async_trait::async_trait;

pub use address::FarAddress;
pub use error::FarError;
pub(crate) use s3::SECRET as S3_SECRET;
pub(crate) use webdav::SECRET as WEBDAV_SECRET;

/// The largest object.
pub const MAX_OBJECT: u64 = 32 << 20;

/// The most objects of a far end. A machine keeps some 50.
pub const MAX_OBJECTS: usize = 20_000;

/// The most names that are read to find them. What is not an object is ignored, up to a point.
const MAX_NAMES: usize = 50_000;

/// An object at a far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarObject {
    /// Its name.
    pub name: String,
    /// Its size in bytes, if the far end says it.
    pub size: Option<u64>,
}

/// A place for objects. Each is written once, by one machine, and none is ever replaced by other bytes.
#[async_trait]
pub trait FarEnd: Send + Sync {
    /// Writes an object under a name that never was there. Once this returns, a reader gets these bytes. If it failed, it
    /// may be tried again.
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<(), FarError>;

    /// Returns all objects: an incomplete list is an error. A far end that was never written to has none.
    async fn list(&self) -> Result<Vec<FarObject>, FarError>;

    /// Returns an object of at most so many bytes. They are those that are there: whoever reads them compares their
    /// digest.
    async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, FarError>;

    /// Deletes an object. One that is not there is deleted.
    async fn delete(&self, name: &str) -> Result<(), FarError>;
}

/// The home, the network and the settings that far ends use.
#[derive(Clone)]
pub struct FarContext {
    /// The home, with its vault.
    pub home: Home,
    /// The way to the network.
    pub net: HttpClient,
    /// The settings of far ends.
    pub settings: SyncSettings,
    /// How long a second takes when nothing is to be done but wait.
    second: Duration,
}

impl FarContext {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// They can't be read.
    pub fn new(home: Home, net: HttpClient) -> Result<Self, FarError> {
        let settings = home.settings()?.sync()?;
        Ok(Self { home, net, settings, second: Duration::from_secs(1) })
    }

    /// Returns a secret of the vault; `None` if there is none of this name.
    async fn secret(&self, name: &'static str) -> Result<Option<Secret>, FarError> {
        let home = self.home.clone();
        blocking(move || {
            let name: SecretName = name.parse().map_err(|_| FarError::Internal { what: "the name of a secret" })?;
            match home.vault().get(&name) {
                Ok(secret) => Ok(Some(secret)),
                Err(VaultError::Unknown { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

/// Opens the far end of an address. Nothing is sent yet.
///
/// # Errors
///
/// What it needs to be reached is missing, such as a login.
pub async fn open(address: &FarAddress, context: &FarContext) -> Result<Box<dyn FarEnd>, FarError> {
    Ok(match address {
        FarAddress::GoogleDrive => google::open(context).await?,
        FarAddress::Folder(path) => Box::new(folder::Folder::new(path)),
        FarAddress::Git(url) => Box::new(git::Git::new(url, context)?),
        FarAddress::WebDav(url) => Box::new(webdav::WebDav::open(url, context).await?),
        FarAddress::S3(address) => Box::new(s3::S3::open(address, context).await?),
    })
}

/// Returns whether a name is that of an object. Everything else at a far end is somebody else's: the copies that
/// programs make of files that they can't merge, or a file that a person put there.
pub fn is_object_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-';
    let begins = name.as_bytes().first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    begins && name.len() <= 200 && name.bytes().all(allowed) && name.ends_with(".age")
}

/// Refuses what is not the name of an object.
fn check_name(name: &str) -> Result<(), FarError> {
    if is_object_name(name) { Ok(()) } else { Err(FarError::Name { name: name.to_owned() }) }
}

/// Refuses an object that can't be put.
fn check_object(name: &str, bytes: &[u8]) -> Result<(), FarError> {
    check_name(name)?;
    if bytes.len() as u64 > MAX_OBJECT {
        return Err(FarError::TooLarge { name: name.to_owned(), limit: MAX_OBJECT });
    }
    Ok(())
}

/// The objects of a list that is being read.
struct Found {
    place: String,
    objects: Vec<FarObject>,
    names: usize,
}

impl Found {
    fn new(place: &str) -> Self {
        Self { place: place.to_owned(), objects: Vec::new(), names: 0 }
    }

    /// Takes a name, if it is that of an object.
    fn add(&mut self, name: &str, size: Option<u64>) -> Result<(), FarError> {
        self.names += 1;
        if is_object_name(name) {
            self.objects.push(FarObject { name: name.to_owned(), size });
        }
        if self.objects.len() > MAX_OBJECTS || self.names > MAX_NAMES {
            return Err(FarError::TooMany { place: self.place.clone() });
        }
        Ok(())
    }

    /// Returns the objects in the order of their names, each once.
    fn objects(mut self) -> Vec<FarObject> {
        self.objects.sort_by(|a, b| a.name.cmp(&b.name).then(b.size.cmp(&a.size)));
        self.objects.dedup_by(|a, b| a.name == b.name);
        self.objects
    }
}
