//! Installing MCP servers from registries: fetching a bundle, trying a server before it is written, and writing all of
//! it at once.

use futures::future::BoxFuture;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aiw_core::{Secret, one_line, quoted, skeleton};
use aiw_home::{BundleGuard, Home, HomeError, InstalledServer, TrialDir, find_program};
use aiw_net::{HttpClient, HttpRequest, Policy};
use aiw_registries::{
    Bundle, BundleError, EntryPlan, InstallMethod, MAX_BUNDLE_BYTES, MergedServer, TargetMachine, default_key,
};
use aiw_routing::{Pool, PoolError, Profile, Records, ServerContext, ServerRecord, SharedServers, injection_findings};
use aiw_servers::{AddError, McpFile, check_name_available, referenced_names, unique_key};
use serde_json::Value;
use tokio::sync::mpsc;
use url::Url;

use crate::servers::{Result, ServerError};
use crate::{AppError, own_executable};

mod install;
mod update;

pub use install::{InstallRequest, ServerInstallation, ServerInstalled, install};
pub use update::{ServerUpdate, ServersOutdated, ServersUpdate, UpdateRequest, outdated, update};

/// The longest pause of a server that sends a bundle.
const DOWNLOAD_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A bundle that was fetched and checked, and is not unpacked yet.
struct Fetched {
    home: Home,
    bundle: Bundle<File>,
    directory: PathBuf,
    /// Keeps others from removing it.
    using: Option<BundleGuard>,
    /// How the server runs, once it is unpacked.
    pub method: InstallMethod,
}

impl Drop for Fetched {
    /// Removes what was unpacked, unless a server runs from it now.
    fn drop(&mut self) {
        drop(self.using.take());
        if self.directory.parent().is_some_and(Path::is_dir)
            && let Ok(lock) = self.home.lock()
        {
            self.home.sweep_bundles(&lock);
        }
    }
}

/// Which entry of `mcp.json` an installation may replace.
#[derive(Debug, Clone, PartialEq)]
enum Replaces {
    /// None.
    None,
    /// The one that the same server was installed with, as it stands there.
    IfSame(Value),
    /// Any.
    Any,
}

impl Replaces {
    /// Whether it may replace an entry. The user may change it while they are asked.
    fn covers(&self, entry: &Value) -> bool {
        match self {
            Self::None => false,
            Self::IfSame(known) => entry == known,
            Self::Any => true,
        }
    }
}

/// Returns the name in `mcp.json` that a server gets, and which entry of that name it replaces.
fn key_for(
    home: &Home,
    found: &MergedServer,
    wanted: Option<&str>,
    force: bool,
) -> Result<(String, Replaces), AddError> {
    let (file, installed) = (McpFile::load(home)?, home.registry_lock()?);
    // Another registry's server of that name is another server.
    let is_same = |key: &str| {
        let known = installed.get(key)?;
        (known.name == found.server.name && known.source == found.source.as_str()).then_some(known)
    };
    let key = wanted.map_or_else(
        || {
            let usual = default_key(&found.server);
            // A name that looks like another one is as good as taken.
            let is_taken = |key: &str| file.servers().any(|(other, _)| skeleton(other) == skeleton(key));
            if is_same(&usual).is_some() { usual } else { unique_key(&usual, is_taken) }
        },
        str::to_owned,
    );
    let same = is_same(&key).map(|known| known.written).filter(|written| file.get(&key) == Some(written));
    let replaces = if force { Replaces::Any } else { same.map_or(Replaces::None, Replaces::IfSame) };
    match check_name_available(home, &file, &key, None) {
        Err(AddError::AlreadyExists { .. }) if file.get(&key).is_some_and(|entry| replaces.covers(entry)) => {}
        result => result?,
    }
    Ok((key, replaces))
}

/// Returns the lines that name the server to be replaced, and installed servers that look like this one.
fn beside(home: &Home, found: &MergedServer, key: &str, replaces: &Replaces) -> Result<Vec<String>, HomeError> {
    let (file, installed) = (McpFile::load(home)?, home.registry_lock()?.all());
    let of = |known: &InstalledServer| {
        format!("{} {} from {}", quoted(&known.name), one_line(&known.version, 40), one_line(&known.source, 80))
    };
    let mut lines = Vec::new();
    if let Some(entry) = file.get(key).filter(|entry| replaces.covers(entry)) {
        let known = installed.get(key).filter(|known| known.written == *entry);
        let what = known.map_or_else(
            || match (entry["command"].as_str(), entry["url"].as_str().and_then(|url| Url::parse(url).ok())) {
                (Some(command), _) => format!("an entry that runs {}", quoted(command)),
                // The rest of an address may hold a key.
                (None, Some(url)) => format!("an entry that reaches {}", quoted(url.host_str().unwrap_or_default())),
                (None, None) => "another entry".to_owned(),
            },
            of,
        );
        lines.push(format!("  replaces {}: {what}", quoted(key)));
    }
    for (other, known) in installed.iter().filter(|(other, _)| *other != key) {
        let is_same = known.name == found.server.name && known.source == found.source.as_str();
        if !is_same && skeleton(&known.name) == skeleton(&found.server.name) {
            lines.push(format!("  note: it is not {}, which is installed as {}", of(known), quoted(other)));
        }
    }
    Ok(lines)
}

/// Returns the lines by which a person decides: where the server is from, what it runs, and what is suspicious about
/// it.
fn about(found: &MergedServer, way: &InstallMethod) -> Vec<String> {
    let mut lines = aiw_registries::install_summary(found, way);
    let suspicious = injection_findings(lines[1..].iter().map(String::as_str));
    lines.extend(suspicious.into_iter().map(|sign| format!("  suspicious: it {sign}")));
    lines
}

/// The program that a way runs, if it is not in the search path.
fn missing_program<'a>(home: &Home, way: &'a InstallMethod) -> Option<&'a str> {
    let path = home.context().variable("PATH");
    let is_there = |program: &&str| find_program(program, path, Path::new("")).is_some();
    way.program().filter(|program| !is_there(program))
}

/// Fetches the bundle of a way, if it has one, and checks its digest. Its registry may be at an address on this machine
/// that the user typed; then the bundle may be there too.
fn fetch<'a>(
    home: &'a Home,
    net: &'a HttpClient,
    found: &'a MergedServer,
    way: &'a InstallMethod,
) -> BoxFuture<'a, Result<Option<Fetched>>> {
    Box::pin(async move {
        let Some((url, sha256)) = way.bundle() else { return Ok(None) };
        let mut policy = Policy::public();
        if let Some(typed) = home.settings()?.source(found.source.as_str()).get("base_url") {
            policy.grant_url(&typed);
        }
        let mut stream = net.open(&policy, &HttpRequest::new(url), DOWNLOAD_READ_TIMEOUT).await?;
        if stream.status != 200 {
            return Err(ServerError::UnexpectedStatus { status: stream.status });
        }
        let directory = home.cache("trials");
        home.make_dir(&directory)?;
        let failed = |e| HomeError::io("write a file in", &directory, e);
        let mut file = tempfile::tempfile_in(&directory).map_err(failed)?;
        let mut length = 0;
        while let Some(chunk) = stream.chunk().await? {
            length += chunk.len() as u64;
            if length > MAX_BUNDLE_BYTES {
                return Err(BundleError::TooLarge { most: MAX_BUNDLE_BYTES, what: "bytes" }.into());
            }
            file.write_all(&chunk).map_err(failed)?;
        }
        file.rewind().map_err(failed)?;
        let bundle = Bundle::read(file, sha256)?;
        let using = Some(home.use_bundle(bundle.sha256())?);
        let directory = home.bundle(bundle.sha256());
        let way = bundle.unpacked_method(way, &directory, &TargetMachine::current(home.context()));
        Ok(Some(Fetched { home: home.clone(), bundle, directory, using, method: way }))
    })
}

/// Starts a server that is not written yet, once, and asks for its tools. It sees a home of its own, with its secrets
/// and no others, which is gone afterwards. Returns what it has shown, and why it does not work, or not yet.
async fn try_out(
    home: &Home,
    net: &HttpClient,
    key: &str,
    entry: &EntryPlan,
) -> Result<(Option<ServerRecord>, Option<PoolError>), AppError> {
    let directory = home.trial_dir()?;
    let apart = Home::from_root(directory.path()).with_context(home.context().clone());
    let lock = apart.lock()?;
    let vault = home.vault();
    let mut secrets: Vec<_> = entry.secrets.iter().map(|(name, secret)| (name.clone(), secret.clone())).collect();
    for name in referenced_names(&entry.declaration).secrets {
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
    let ground = ServerContext { home: apart.clone(), net: net.clone(), executable, cwd: apart.root().to_owned() };
    let (changes, _) = mpsc::unbounded_channel();
    let pool = Pool::new(ground, Arc::new(Profile::allow_all), SharedServers::default(), changes);
    let mut trial = SmokeTest { running: Some((pool, directory)) };
    let problem = match &trial.running {
        Some((pool, _)) => pool.refresh(key).await.err(),
        None => None,
    };
    let running = trial.running.take();
    if let Some((pool, _)) = &running {
        pool.shut_down().await;
    }
    Ok((Records::new(apart).load(key), problem))
}

/// A server that is tried, and its home.
struct SmokeTest {
    running: Option<(Pool, TrialDir)>,
}

impl Drop for SmokeTest {
    /// Nobody waits any more: the server is ended before its home goes, in which it writes.
    fn drop(&mut self) {
        let Some((pool, directory)) = self.running.take() else { return };
        pool.cancel_starts();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            pool.shut_down().await;
            drop(directory);
        });
    }
}
