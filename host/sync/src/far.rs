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

/// Stub.
#[derive(Debug)]
pub struct FarAddress(std::path::PathBuf);
impl FarAddress {
    pub(crate) fn absolute(self, _: &aiw_home::Home) -> Result<Self, FarError> {
        Ok(self)
    }
}
impl std::fmt::Display for FarAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}
impl std::str::FromStr for FarAddress {
    type Err = FarError;
    fn from_str(s: &str) -> Result<Self, FarError> {
        Ok(Self(s.into()))
    }
}
pub(crate) struct FarContext;
impl FarContext {
    pub(crate) fn new(_: &aiw_home::Home, _: &aiw_net::HttpClient) -> Result<Self, FarError> {
        Ok(Self)
    }
}
impl aiw_core::Fault for FarError {
    fn below(&self) -> Option<&dyn aiw_core::Fault> {
        aiw_core::passed_on!(self, Net, Home)
    }
}
struct Folder(std::path::PathBuf);
#[async_trait]
impl FarEnd for Folder {
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<(), FarError> {
        let _ = std::fs::create_dir_all(&self.0);
        Ok(aiw_home::replace(&self.0.join(name), bytes, aiw_home::Mode::Private)?)
    }
    async fn list(&self) -> Result<Vec<FarObject>, FarError> {
        Ok(std::fs::read_dir(&self.0)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| FarObject { name: e.file_name().to_string_lossy().into_owned(), size: None })
            .collect())
    }
    async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, FarError> {
        Ok(aiw_home::read_capped(&self.0.join(name), limit)?.unwrap_or_default())
    }
    async fn delete(&self, name: &str) -> Result<(), FarError> {
        let _ = std::fs::remove_file(self.0.join(name));
        Ok(())
    }
}
pub(crate) async fn open(address: &FarAddress, _: &FarContext) -> Result<Box<dyn FarEnd>, FarError> {
    Ok(Box::new(Folder(address.0.clone())))
}
