//! Far ends: where snapshots are kept.

use async_trait::async_trait;

/// An object at a far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarObject {
    /// Its name.
    pub name: String,
    /// Its size in bytes, if the far end says it.
    pub size: Option<u64>,
}

/// A place for objects. Each is written once, by one machine, and none is ever replaced.
#[async_trait]
pub trait FarEnd: Send + Sync {
    /// Writes an object under a name that never was there. Once this returns, a reader gets these bytes.
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<(), FarError>;

    /// Returns all objects: an incomplete list is an error.
    async fn list(&self) -> Result<Vec<FarObject>, FarError>;

    /// Returns an object of at most so many bytes.
    async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, FarError>;

    /// Deletes an object. One that is not there is deleted.
    async fn delete(&self, name: &str) -> Result<(), FarError>;
}

/// A far end that did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum FarError {
    /// The network, or what a server answered.
    #[error(transparent)]
    Net(#[from] aiw_net::NetError),
    /// A file, or the vault.
    #[error(transparent)]
    Home(#[from] aiw_home::HomeError),
}
