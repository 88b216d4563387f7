//! Gateways that a user named: each has its own address, and a token that is good until it is revoked.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use aiw_core::{GatewayName, Secret};
use aiw_home::{FileStamp, Home, Mode, is_held, read_capped, read_dir, remove_file, replace, try_lock};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::route::{GatewayRoute, random_token};
use crate::routes::{RouteError, Routes, constant_time_eq};

/// The longest description.
const MAX_DESCRIPTION_BYTES: u64 = 64 << 10;

/// A gateway with a name. It contains a token, so it has no `Debug` of its parts.
#[derive(Clone, Serialize, Deserialize)]
pub struct NamedGateway {
    /// Its name.
    pub name: GatewayName,
    /// The provider or pool that it serves.
    pub provider: String,
    /// The model for programs that ask for none of its own.
    pub model: Option<String>,
    /// Where it listens.
    pub address: SocketAddr,
    /// When its token was made, in milliseconds since 1970.
    pub since: u64,
    token: String,
}

impl std::fmt::Debug for NamedGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedGateway").field("name", &self.name).finish_non_exhaustive()
    }
}

impl NamedGateway {
    /// Makes one with a new token.
    ///
    /// # Errors
    ///
    /// Fails if the system has no randomness.
    pub fn new(
        name: GatewayName,
        provider: String,
        model: Option<String>,
        address: SocketAddr,
    ) -> Result<Self, RouteError> {
        Ok(Self { name, provider, model, address, since: aiw_home::now_millis(), token: random_token()? })
    }

    /// Says where it leads, and where it listens. Its token stays.
    #[must_use]
    pub fn with_target(self, provider: String, model: Option<String>, address: SocketAddr) -> Self {
        Self { provider, model, address, ..self }
    }

    /// Replaces its token.
    ///
    /// # Errors
    ///
    /// Fails if the system has no randomness.
    pub fn with_rotated_token(self) -> Result<Self, RouteError> {
        Ok(Self { token: random_token()?, since: aiw_home::now_millis(), ..self })
    }

    /// Returns the token that programs show.
    pub fn token(&self) -> Secret {
        Secret::new(self.token.clone())
    }
}

/// The gateways of a home that have names, each a file that is encrypted to the vault's key.
#[derive(Debug, Clone)]
pub struct GatewayStore {
    home: Home,
    directory: PathBuf,
}

/// The right to serve a name, until it is dropped.
#[derive(Debug)]
pub struct ServeLock(#[expect(dead_code, reason = "its lock is what counts")] File);

impl GatewayStore {
    /// Returns those of a home.
    pub fn new(home: &Home) -> Self {
        Self { home: home.clone(), directory: home.gateway_dir().join("named") }
    }

    fn path(&self, name: &GatewayName) -> PathBuf {
        self.directory.join(format!("{name}.gateway"))
    }

    fn lock_path(&self, name: &GatewayName) -> PathBuf {
        self.directory.join(format!("{name}.lock"))
    }

    /// Returns all names, in order.
    ///
    /// # Errors
    ///
    /// Fails if the directory can't be read.
    pub fn names(&self) -> Result<Vec<GatewayName>, RouteError> {
        let entries = match read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(RouteError::Read { path: self.directory.clone(), source }),
        };
        let name = |file: std::ffi::OsString| file.to_str()?.strip_suffix(".gateway")?.parse().ok();
        let mut names: Vec<GatewayName> = entries.flatten().filter_map(|entry| name(entry.file_name())).collect();
        names.sort();
        Ok(names)
    }

    /// Returns whether there is a gateway of a name, even if it can't be read.
    pub fn exists(&self, name: &GatewayName) -> bool {
        std::fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// Returns a gateway by its name.
    ///
    /// # Errors
    ///
    /// Fails if it can't be read or decrypted.
    pub fn get(&self, name: &GatewayName) -> Result<Option<NamedGateway>, RouteError> {
        let Some(bytes) = read_capped(&self.path(name), MAX_DESCRIPTION_BYTES)? else { return Ok(None) };
        let plain = self.home.vault().open(&bytes)?;
        Ok(Some(serde_json::from_slice(&plain)?))
    }

    /// Stores a gateway. What serves it takes a new token at once.
    ///
    /// # Errors
    ///
    /// Fails if it can't be encrypted or written.
    pub fn put(&self, named: &NamedGateway) -> Result<(), RouteError> {
        self.home.make_dir(&self.directory)?;
        let sealed = {
            let lock = self.home.lock()?;
            self.home.vault().seal(&lock, &serde_json::to_vec(named)?)?
        };
        Ok(replace(&self.path(&named.name), &sealed, Mode::Private)?)
    }

    /// Forgets a gateway and its token, even if it can't be read. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// Fails if it can't be removed.
    pub fn revoke(&self, name: &GatewayName) -> Result<bool, RouteError> {
        let path = self.path(name);
        let was_there = match remove_file(&path) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(RouteError::Io { path, source }),
        };
        if !self.is_served(name) {
            let _ = remove_file(&self.lock_path(name));
        }
        Ok(was_there)
    }

    /// Returns the right to serve a name; `None` if another process has it.
    ///
    /// # Errors
    ///
    /// Fails if its lock can't be opened.
    pub fn try_acquire_lock(&self, name: &GatewayName) -> Result<Option<ServeLock>, RouteError> {
        self.home.make_dir(&self.directory)?;
        let path = self.lock_path(name);
        let held = try_lock(&path).map_err(|source| RouteError::Io { path, source })?;
        Ok(held.map(ServeLock))
    }

    /// Returns whether a process serves a name.
    pub fn is_served(&self, name: &GatewayName) -> bool {
        is_held(&self.lock_path(name))
    }

    /// Returns where the token of a gateway leads, for as long as it is good.
    pub fn target(&self, name: GatewayName, route: Arc<GatewayRoute>) -> GatewayTarget {
        GatewayTarget { gateways: self.clone(), name, route, seen: Mutex::default() }
    }
}

/// Where the token of a named gateway leads. Whether it is still good is looked at with each request.
#[derive(Debug)]
pub struct GatewayTarget {
    gateways: GatewayStore,
    name: GatewayName,
    route: Arc<GatewayRoute>,
    /// The token as it was read last.
    seen: Mutex<Option<(FileStamp, Secret)>>,
}

impl GatewayTarget {
    /// Returns the token that is good now; none once it was revoked.
    fn token(&self) -> Option<Secret> {
        let mut seen = self.seen.lock();
        let Ok(about) = std::fs::symlink_metadata(self.gateways.path(&self.name)) else {
            *seen = None;
            return None;
        };
        let stamp = FileStamp::from_metadata(&about);
        if let Some((_, token)) = seen.as_ref().filter(|(known, _)| *known == stamp) {
            return Some(token.clone());
        }
        let token = self.gateways.get(&self.name).ok().flatten().map(|named| named.token());
        *seen = token.clone().map(|token| (stamp, token));
        token
    }
}

impl Routes for GatewayTarget {
    fn find(&self, token: &str) -> Option<Arc<GatewayRoute>> {
        self.token().filter(|good| constant_time_eq(token, good.expose())).map(|_| self.route.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_it_is_replaced_or_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let (all, name) = (GatewayStore::new(&home), "editor".parse::<GatewayName>().unwrap());
        assert!(all.names().unwrap().is_empty() && all.get(&name).unwrap().is_none() && !all.revoke(&name).unwrap());
        let address = ([127, 0, 0, 1], 7_777).into();
        let made = NamedGateway::new(name.clone(), "p".into(), Some("m".into()), address).unwrap();
        all.put(&made).unwrap();
        let first = made.token();
        let routes = all.target(name.clone(), Arc::new(GatewayRoute::new(Vec::new(), None).unwrap()));
        assert!(routes.find(first.expose()).is_some() && routes.find("aiw-0123").is_none());
        // Another process finds it as it was.
        let again = GatewayStore::new(&home).get(&name).unwrap().unwrap();
        assert_eq!((again.address, again.provider.as_str(), again.token()), (address, "p", first.clone()));
        assert_eq!(all.names().unwrap(), std::slice::from_ref(&name));
        let file = std::fs::read(all.path(&name)).unwrap();
        assert!(!String::from_utf8_lossy(&file).contains(&first.expose()[4..]));
        assert!(!format!("{made:?}{routes:?}").contains(first.expose()));
        let second = made.with_rotated_token().unwrap();
        all.put(&second).unwrap();
        assert!(routes.find(first.expose()).is_none() && routes.find(second.token().expose()).is_some());
        assert!(all.revoke(&name).unwrap() && !all.revoke(&name).unwrap());
        assert!(routes.find(second.token().expose()).is_none() && routes.token().is_none());
    }

    #[test]
    fn a_name_is_served_by_one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let (all, name) = (GatewayStore::new(&Home::from_root(dir.path())), "editor".parse().unwrap());
        assert!(!all.is_served(&name));
        let serving = all.try_acquire_lock(&name).unwrap().unwrap();
        assert!(all.is_served(&name) && all.try_acquire_lock(&name).unwrap().is_none());
        drop(serving);
        assert!(!all.is_served(&name) && all.try_acquire_lock(&name).unwrap().is_some());
    }
}
