//! Installing MCP servers from registries: fetching a bundle, trying a server before it is written, and writing all of it
//! at once.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aiw_core::{ErrorKind, Secret};
use aiw_home::{Home, HomeError, InstalledServer};
use aiw_net::{Client, NetError, Policy, Request};
use aiw_registries::{Bundle, BundleError, Entry, MAX_BUNDLE, Machine, Way};
use aiw_routing::{Ground, Pool, PoolError, Profile, Record, Records, SharedServers};
use aiw_servers::{AddError, McpFile, reads};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{AppError, own_executable};

/// The longest pause of a server that sends a bundle.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a bundle can't be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The bundle itself.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The server gave another answer than the bundle.
    #[error("the bundle can't be fetched: its server answered {status}")]
    Answered {
        /// The status.
        status: u16,
    },
}

impl FetchError {
    /// Returns the kind of the error, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Home(e) => e.kind(),
            Self::Net(e) => e.kind(),
            Self::Bundle(e) => e.kind(),
            Self::Answered { .. } => ErrorKind::Unavailable,
        }
    }
}

/// A bundle that was fetched and checked, and is not unpacked yet.
pub struct Fetched {
    bundle: Bundle<File>,
    directory: PathBuf,
    /// How the server runs, once it is unpacked.
    pub way: Way,
}

impl Fetched {
    /// Unpacks the bundle to its place in the home.
    pub fn unpack(&mut self) -> Result<(), FetchError> {
        Ok(self.bundle.unpack(&self.directory)?)
    }
}

/// Fetches the bundle of a way, if it has one, and checks its digest. `typed` is an address that the user typed, which may
/// be on this machine.
pub async fn fetch(home: &Home, net: &Client, way: &Way, typed: Option<&str>) -> Result<Option<Fetched>, FetchError> {
    let Some((url, sha256)) = way.bundle() else { return Ok(None) };
    let mut policy = Policy::public();
    if let Some(typed) = typed {
        policy.grant_url(typed);
    }
    let mut stream = net.open(&policy, &Request::new(url), PATIENCE).await?;
    if stream.status != 200 {
        return Err(FetchError::Answered { status: stream.status });
    }
    let directory = home.cache("trials");
    home.make_dir(&directory)?;
    let failed = |e| HomeError::io("write a file in", &directory, e);
    let mut file = tempfile::tempfile_in(&directory).map_err(failed)?;
    let mut length = 0;
    while let Some(chunk) = stream.chunk().await? {
        length += chunk.len() as u64;
        if length > MAX_BUNDLE {
            return Err(BundleError::TooLarge { most: MAX_BUNDLE, what: "bytes" }.into());
        }
        file.write_all(&chunk).map_err(failed)?;
    }
    file.rewind().map_err(failed)?;
    let bundle = Bundle::read(file, sha256)?;
    let directory = home.bundle(bundle.sha256());
    let way = bundle.way(way, &directory, &Machine::this());
    Ok(Some(Fetched { bundle, directory, way }))
}

/// What a server that was started once has shown.
pub struct Tried {
    /// What it said of itself, and its tools.
    pub record: Option<Record>,
    /// Why it does not work, or not yet.
    pub problem: Option<PoolError>,
}

/// Starts a server that is not written yet, once, and asks for its tools. It sees a home of its own, with its secrets and
/// no others, which is gone afterwards.
pub async fn try_out(home: &Home, net: &Client, key: &str, entry: &Entry) -> Result<Tried, AppError> {
    let directory = home.temporary_dir(&home.cache("trials"))?;
    let apart = Home::at(directory.path());
    let lock = apart.lock()?;
    let vault = home.vault();
    let mut secrets: Vec<_> = entry.secrets.iter().map(|(name, secret)| (name.clone(), secret.clone())).collect();
    for name in reads(&entry.declaration).secrets {
        if !secrets.iter().any(|(known, _)| *known == name) {
            let secret: Secret = vault.get(&name)?;
            secrets.push((name, secret));
        }
    }
    secrets.iter().try_for_each(|(name, secret)| apart.vault().set(&lock, name, secret))?;
    let mut file = McpFile::load(&apart)?;
    file.put(key, Some(&Value::Object(entry.declaration.clone())))?;
    file.document().save(&lock)?;
    drop(lock);
    let executable: PathBuf = own_executable()?;
    let ground = Ground { home: apart.clone(), net: net.clone(), executable, cwd: apart.root().to_owned() };
    let (changes, _) = mpsc::unbounded_channel();
    let pool = Pool::new(ground, Arc::new(Profile::everything), SharedServers::default(), changes);
    let problem = pool.look(key).await.err();
    pool.end().await;
    Ok(Tried { record: Records::new(apart).load(key), problem })
}

/// Writes a server that was installed: its entry, its secrets, where it came from, and the tools that it was seen with.
/// Returns the entry that it replaces.
pub fn write(
    home: &Home,
    key: &str,
    entry: &Entry,
    installed: &InstalledServer,
    seen: Option<Record>,
    force: bool,
) -> Result<Option<Value>, AddError> {
    let lock = home.lock()?;
    let mut record = home.registry_lock()?;
    record.put(key, Some(installed))?;
    let declaration = Value::Object(entry.declaration.clone());
    let also = [record.document()];
    let replaced = aiw_servers::add(home, &lock, key, &declaration, &entry.secrets, force, &also)?;
    drop(lock);
    if let Some(seen) = seen {
        Records::new(home.clone()).update(key, |record| *record = seen)?;
    }
    Ok(replaced)
}
