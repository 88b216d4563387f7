//! A remote: the trait, and what each of them uses.

use std::time::Duration;

use aiw_core::{Secret, SecretName};
use aiw_home::{Home, SyncSettings, VaultError, run_blocking};
use aiw_net::HttpClient;
use async_trait::async_trait;

use super::PendingRequests;
use super::error::RemoteError;
use super::limits::{ANSWER_TIMEOUT, MAX_NAMES, MAX_OBJECT_BYTES, MAX_OBJECTS, READ_ATTEMPTS};
use crate::object::ObjectName;

/// An object at a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteObject {
    /// Its name.
    pub name: String,
    /// Its size in bytes, if the remote says it.
    pub size: Option<u64>,
}

/// A place for objects. Each is written once, by one machine, and none is ever replaced by other bytes.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Writes an object under a name that never was there. Once this returns, a reader gets these bytes. If it failed, it
    /// may be tried again. Returns the remote's own id of the object, for remotes that find names by an index.
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<Option<String>, RemoteError>;

    /// Returns all objects: an incomplete list is an error. A remote that was never written to has none. The listing may
    /// lag behind writes and deletions: see [`Self::contains`].
    async fn list(&self) -> Result<Vec<RemoteObject>, RemoteError>;

    /// Returns an object of at most so many bytes. They are those that are there: whoever reads them compares their
    /// digest. If there are several objects of this name, returns the one whose digest fits the name.
    async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, RemoteError>;

    /// Returns `true` if the remote holds an intact object that its listing doesn't show. `id` is what [`Self::put`]
    /// returned for it.
    async fn contains(&self, name: &str, id: Option<&str>) -> Result<bool, RemoteError> {
        let _ = id;
        match fetch(self, name).await {
            Ok(bytes) => Ok(matches_digest(name, &bytes)),
            Err(RemoteError::NotFound { .. } | RemoteError::TooLarge { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns `true` if a write is visible at once and one that failed can't arrive later.
    fn is_consistent(&self) -> bool {
        false
    }

    /// Deletes an object. One that is not there is deleted.
    async fn delete(&self, name: &str) -> Result<(), RemoteError>;
}

/// The home, the network and the settings that remotes use.
#[derive(Clone)]
pub struct RemoteContext {
    /// The home, with its vault.
    pub home: Home,
    /// The way to the network.
    pub net: HttpClient,
    /// The settings of remotes.
    pub settings: SyncSettings,
    /// How long a second takes when nothing is to be done but wait.
    pub(crate) delay_unit: Duration,
    /// How long a remote may bring no answer, in all attempts together.
    pub(crate) answer_timeout: Duration,
    /// What is waited for.
    pub(crate) pending_requests: PendingRequests,
}

impl RemoteContext {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// They can't be read.
    pub fn new(home: Home, net: HttpClient) -> Result<Self, RemoteError> {
        let settings = home.settings()?.sync()?;
        let (second, waits) = (Duration::from_secs(1), PendingRequests::default());
        Ok(Self { home, net, settings, delay_unit: second, answer_timeout: ANSWER_TIMEOUT, pending_requests: waits })
    }

    /// Returns a secret of the vault; `None` if there is none of this name.
    pub(crate) async fn secret(&self, name: &'static str) -> Result<Option<Secret>, RemoteError> {
        let home = self.home.clone();
        run_blocking(move || {
            let name: SecretName = name.parse().map_err(|_| RemoteError::Internal { what: "the name of a secret" })?;
            match home.vault().get(&name) {
                Ok(secret) => Ok(Some(secret)),
                Err(VaultError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

/// Returns whether a name is that of an object. Everything else at a remote is somebody else's: the copies that
/// programs make of files that they can't merge, or a file that a person put there.
pub fn is_object_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-';
    let begins = name.as_bytes().first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    begins && name.len() <= 200 && name.bytes().all(allowed) && name.ends_with(".age")
}

/// Refuses what is not the name of an object.
pub(crate) fn check_name(name: &str) -> Result<(), RemoteError> {
    if is_object_name(name) { Ok(()) } else { Err(RemoteError::InvalidObjectName { name: name.to_owned() }) }
}

/// Refuses an object that can't be put.
pub(crate) fn check_object(name: &str, bytes: &[u8]) -> Result<(), RemoteError> {
    check_name(name)?;
    if bytes.len() as u64 > MAX_OBJECT_BYTES {
        return Err(RemoteError::TooLarge { name: name.to_owned(), limit: MAX_OBJECT_BYTES });
    }
    Ok(())
}

/// Compares what a remote kept with what it was given. What it kept otherwise is of no use to anybody.
pub(crate) async fn verify_stored(far: &dyn Remote, place: &str, name: &str, bytes: &[u8]) -> Result<(), RemoteError> {
    for _ in 0..READ_ATTEMPTS {
        match far.get(name, MAX_OBJECT_BYTES).await {
            Ok(kept) if kept == bytes => return Ok(()),
            Ok(_) | Err(RemoteError::NotFound { .. } | RemoteError::TooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let _ = far.delete(name).await;
    Err(RemoteError::Damaged { name: name.to_owned(), place: place.to_owned() })
}

/// Fetches an object, and once more if the bytes don't fit its digest: they may have been damaged in transit. Bytes that
/// still don't fit are returned.
pub(crate) async fn fetch<R: Remote + ?Sized>(far: &R, name: &str) -> Result<Vec<u8>, RemoteError> {
    let bytes = far.get(name, MAX_OBJECT_BYTES).await?;
    if matches_digest(name, &bytes) { Ok(bytes) } else { far.get(name, MAX_OBJECT_BYTES).await }
}

/// Returns `true` if the bytes have the digest that the name says, or the name says none.
pub(crate) fn matches_digest(name: &str, bytes: &[u8]) -> bool {
    ObjectName::parse(name).is_none_or(|name| name.is_intact(bytes))
}

/// The objects of a list that is being read.
pub(crate) struct ObjectListing {
    place: String,
    objects: Vec<RemoteObject>,
    names: usize,
}

impl ObjectListing {
    pub(crate) fn new(place: &str) -> Self {
        Self { place: place.to_owned(), objects: Vec::new(), names: 0 }
    }

    /// Takes a name, if it is that of an object.
    pub(crate) fn add(&mut self, name: &str, size: Option<u64>) -> Result<(), RemoteError> {
        self.names += 1;
        if is_object_name(name) {
            self.objects.push(RemoteObject { name: name.to_owned(), size });
        }
        if self.objects.len() > MAX_OBJECTS || self.names > MAX_NAMES {
            return Err(RemoteError::TooManyObjects { place: self.place.clone() });
        }
        Ok(())
    }

    /// Returns the objects in the order of their names, each once.
    pub(crate) fn into_objects(mut self) -> Vec<RemoteObject> {
        self.objects.sort_by(|a, b| a.name.cmp(&b.name).then(b.size.cmp(&a.size)));
        self.objects.dedup_by(|a, b| a.name == b.name);
        self.objects
    }
}
