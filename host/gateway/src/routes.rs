//! Which tokens are good, and where they lead.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aiw_core::{Diagnostic, ErrorKind, ProcessId};
use aiw_home::{
    Home, HomeError, Mode, VaultError, open_append, open_regular, read_capped, read_dir, remove_file, replace,
};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::route::GatewayRoute;

/// Tokens, and where they lead.
pub trait Routes: Send + Sync {
    /// Returns where a token leads, if it is good.
    fn find(&self, token: &str) -> Option<Arc<GatewayRoute>>;

    /// Returns the task that shows a token, if it is one.
    fn task(&self, _token: &str) -> Option<ProcessId> {
        None
    }
}

/// One route, for as long as the gateway lives.
impl Routes for Arc<GatewayRoute> {
    fn find(&self, token: &str) -> Option<Arc<GatewayRoute>> {
        constant_time_eq(token, &self.token).then(|| self.clone())
    }
}

/// Compares in a time that tells nothing about where they differ.
pub(crate) fn constant_time_eq(given: &str, expected: &str) -> bool {
    bool::from(given.as_bytes().ct_eq(expected.as_bytes()))
}

/// How long a run may take from its preparation to its start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// An error with the routes of runs.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// A file.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The vault, to whose key routes are encrypted.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A lock.
    #[error("cannot write `{}`: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A directory.
    #[error("cannot read `{}`: {source}", .path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The system has no randomness.
    #[error("cannot make a token: {0}")]
    Random(#[from] getrandom::Error),
    /// Something that aiw wrote itself can't be written as JSON.
    #[error("cannot write a route: {0}")]
    Json(#[from] serde_json::Error),
}

impl Diagnostic for RouteError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Vault)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Read { .. } => ErrorKind::Unavailable,
            Self::Random(_) | Self::Json(_) => ErrorKind::Internal,
            _ => ErrorKind::User,
        }
    }
}

/// Says whether a task still runs, or waits for its turn.
pub type IsRunningFn = Box<dyn Fn(ProcessId) -> bool + Send + Sync>;

/// The routes of runs, each a file that is encrypted to the vault's key. A gateway that was killed finds them again.
///
/// Beside each stands a file that says whose it is: the id of a task, or nothing while the process in the foreground holds its lock.
pub struct RouteStore {
    home: Home,
    directory: PathBuf,
    known: Mutex<HashMap<String, Arc<GatewayRoute>>>,
}

/// The right of a run in the foreground to its route, until it is dropped.
#[derive(Debug)]
pub struct RouteGuard {
    route: PathBuf,
    owner: PathBuf,
    _lock: File,
}

impl Drop for RouteGuard {
    fn drop(&mut self) {
        let _ = remove_file(&self.route);
        let _ = remove_file(&self.owner);
    }
}

impl RouteStore {
    /// Returns the routes of a home.
    pub fn new(home: &Home) -> Self {
        Self { home: home.clone(), directory: home.gateway_dir().join("runs"), known: Mutex::default() }
    }

    /// Stores the route of a run that is about to start.
    ///
    /// # Errors
    ///
    /// Fails if it can't be written or encrypted.
    pub fn add(&self, route: &GatewayRoute) -> Result<(), RouteError> {
        self.home.make_dir(&self.directory)?;
        let sealed = {
            let lock = self.home.lock()?;
            self.home.vault().seal(&lock, &serde_json::to_vec(route)?)?
        };
        Ok(replace(&self.route_file(&route.token), &sealed, Mode::Private)?)
    }

    /// Notes that a route is a task's.
    ///
    /// # Errors
    ///
    /// Fails if that can't be written.
    pub fn assign_to_task(&self, token: &str, task: ProcessId) -> Result<(), RouteError> {
        Ok(replace(&self.owner_file(token), task.to_string().as_bytes(), Mode::Private)?)
    }

    /// Notes that a route is this process's, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// Fails if that can't be written.
    pub fn acquire(&self, token: &str) -> Result<RouteGuard, RouteError> {
        let owner = self.owner_file(token);
        let io = |source| RouteError::Io { path: owner.clone(), source };
        let lock = open_append(&owner).map_err(io)?;
        lock.lock().map_err(io)?;
        Ok(RouteGuard { route: self.route_file(token), owner: owner.clone(), _lock: lock })
    }

    /// Removes the routes of runs that have ended. Returns how many are left.
    pub fn sweep(&self, is_running: &IsRunningFn) -> usize {
        let Ok(entries) = read_dir(&self.directory) else { return 0 };
        let is_kept = |name: &String| self.directory.join(name).with_extension("route").is_file();
        self.known.lock().retain(|name, _| is_kept(name));
        let mut left = 0;
        for path in entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "route"))
        {
            if is_alive(&path, is_running) {
                left += 1;
                continue;
            }
            if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
                self.known.lock().remove(name);
            }
            let _ = remove_file(&path);
            let _ = remove_file(&path.with_extension("owner"));
        }
        left
    }

    fn route_file(&self, token: &str) -> PathBuf {
        self.directory.join(name(token)).with_extension("route")
    }

    fn owner_file(&self, token: &str) -> PathBuf {
        self.directory.join(name(token)).with_extension("owner")
    }
}

/// A file's name tells nothing of the token.
fn name(token: &str) -> String {
    aiw_core::hex(&Sha256::digest(token)[..16])
}

fn is_alive(route: &Path, is_running: &IsRunningFn) -> bool {
    let is_new = fs::metadata(route)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age < START_TIMEOUT));
    let owner = route.with_extension("owner");
    let Ok(file) = open_regular(&owner) else { return is_new };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => true,
        // It can't be known.
        Err(TryLockError::Error(_)) => true,
        Ok(()) => match read_capped(&owner, 1 << 10) {
            Ok(Some(text)) if !text.is_empty() => {
                std::str::from_utf8(&text).is_ok_and(|text| text.parse().is_ok_and(is_running))
            }
            _ => is_new,
        },
    }
}

impl Routes for RouteStore {
    fn find(&self, token: &str) -> Option<Arc<GatewayRoute>> {
        let name = name(token);
        let known = self.known.lock().get(&name).cloned();
        if let Some(route) = known.filter(|route| constant_time_eq(token, &route.token)) {
            return Some(route);
        }
        let bytes = read_capped(&self.route_file(token), 1 << 20).ok()??;
        let plain = self.home.vault().open(&bytes).ok()?;
        let route: Arc<GatewayRoute> = Arc::new(serde_json::from_slice(&plain).ok()?);
        if !constant_time_eq(token, &route.token) {
            return None;
        }
        self.known.lock().insert(name, route.clone());
        Some(route)
    }

    fn task(&self, token: &str) -> Option<ProcessId> {
        let bytes = read_capped(&self.owner_file(token), 1 << 10).ok()??;
        std::str::from_utf8(&bytes).ok()?.parse().ok()
    }
}
