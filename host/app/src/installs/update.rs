//! What registries say of servers that were installed from them, and bringing those up to date.

use aiw_core::{Prompter, Reporter, Secret, one_line, quoted};
use aiw_home::{Home, InstalledServer};
use aiw_registries::{
    EntryValues, InstallMethod, MergedServer, RegistryError, UpdateStatus, install_methods, method_id, update_statuses,
};
use aiw_servers::{McpFile, entry_value};
use futures::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::install::ServerInstaller;
use super::{Replaces, ServerInstalled};
use crate::ClientSession;
use crate::failures::{FailedId, Failures, propagate_interrupt};
use crate::servers::{Result, ServerError};

/// How many servers registries are asked for at once.
const MAX_PARALLEL_QUERIES: usize = 8;

/// The news of installed servers.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ServersOutdated {
    /// The servers of which there is news
    pub servers: Vec<ServerUpdate>,
    /// The servers whose registry could not be asked
    pub failed: Vec<FailedId>,
}

/// The news of a server since it was installed.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ServerUpdate {
    /// Its name in mcp.json
    pub key: String,
    /// Its name in the registry
    pub name: String,
    /// The component that reads the registry
    pub source: String,
    /// The version that is installed
    pub version: String,
    /// The news
    pub news: Vec<UpdateStatus>,
}

/// Which servers are updated, and how.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UpdateRequest {
    /// Their names in mcp.json; none for all
    pub names: Vec<String>,
    /// Answers in place of earlier ones, by name; `@NAME` is a secret of the vault
    pub set: Vec<(String, String)>,
    /// Whether they are written without having been started
    pub unchecked: bool,
}

/// The result of an update.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ServersUpdate {
    /// The servers that were updated
    pub updated: Vec<ServerInstalled>,
    /// The servers that are up to date
    pub unchanged: Vec<String>,
    /// The servers that could not be updated
    pub failed: Vec<FailedId>,
}

/// A server, and what its registry says of it now.
struct Compared {
    key: String,
    record: InstalledServer,
    now: Option<MergedServer>,
    news: Vec<UpdateStatus>,
}

/// Asks registries about servers, or about all that came from them.
async fn compared(
    client: &ClientSession,
    names: &[String],
    failures: &mut Failures<FailedId, ServerError>,
    sink: &dyn Reporter,
) -> Result<Vec<Compared>> {
    let (registries, installed) = (client.registries()?, client.home().registry_lock()?.all());
    for name in names.iter().filter(|name| !installed.contains_key(*name)) {
        failures.add(name, Some(&quoted(name)), ServerError::NotInstalled { key: name.clone() }, sink);
    }
    let chosen = installed.into_iter().filter(|(key, _)| names.is_empty() || names.contains(key));
    let answers = chosen.map(async |(key, record)| {
        let now = registries.lookup_server(&record.name, None, Some(&record.source)).await;
        (key, record, now)
    });
    let (mut answers, mut all) = (stream::iter(answers).buffered(MAX_PARALLEL_QUERIES), Vec::new());
    while let Some((key, record, now)) = answers.next().await {
        let now = match now {
            Ok((found, None)) => Some(found),
            Err(RegistryError::UnknownServer { failed, .. }) if failed.is_empty() => None,
            Ok((_, Some(e))) | Err(e) => {
                failures.add(&key, Some(&quoted(&key)), e, sink);
                continue;
            }
        };
        let news = update_statuses(&record, now.as_ref().map(|found| &found.server));
        all.push(Compared { key, record, now, news });
    }
    Ok(all)
}

/// Returns what registries say of servers that came from them, and the first failure.
///
/// # Errors
///
/// Fails if no registry can be asked.
pub async fn outdated(
    client: &ClientSession,
    names: &[String],
    sink: &dyn Reporter,
) -> Result<(ServersOutdated, Option<ServerError>)> {
    let mut failures = Failures::default();
    let mut servers = Vec::new();
    for Compared { key, record, news, .. } in compared(client, names, &mut failures, sink).await? {
        let InstalledServer { source, name, version, .. } = record;
        if news.is_empty() {
            continue;
        }
        for one in &news {
            sink.done(format!("{} {} {}", quoted(&key), one_line(&version, 40), one.describe()));
        }
        servers.push(ServerUpdate { key, name, source, version, news });
    }
    Ok((ServersOutdated { servers, failed: failures.failed }, failures.first_error))
}

/// Brings servers up to date: each is agreed to, tried and written by itself. Returns the first failure, too.
///
/// # Errors
///
/// Fails if no registry can be asked, or the person stops.
pub async fn update(
    client: &ClientSession,
    request: &UpdateRequest,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<(ServersUpdate, Option<ServerError>)> {
    let mut failures = Failures::default();
    let (mut updated, mut unchanged) = (Vec::new(), Vec::new());
    for one in compared(client, &request.names, &mut failures, sink).await? {
        let Compared { key, record, now, news } = one;
        let is_newer = news.iter().any(|news| matches!(news, UpdateStatus::Newer { .. } | UpdateStatus::Changed));
        let Some(found) = now.filter(|_| is_newer) else {
            news.iter().for_each(|news| sink.note(format!("{} {}", quoted(&key), news.describe())));
            if news.is_empty() {
                sink.done(format!("{} is up to date", quoted(&key)));
            }
            unchanged.push(key);
            continue;
        };
        match update_one(client, &key, &record, &found, &news, request, ask, sink).await {
            Ok(server) => updated.push(server),
            Err(e) => failures.add(&key, Some(&quoted(&key)), propagate_interrupt(e)?, sink),
        }
    }
    Ok((ServersUpdate { updated, unchanged, failed: failures.failed }, failures.first_error))
}

#[expect(clippy::too_many_arguments, reason = "it is a part of one function")]
async fn update_one(
    client: &ClientSession,
    key: &str,
    record: &InstalledServer,
    found: &MergedServer,
    news: &[UpdateStatus],
    request: &UpdateRequest,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<ServerInstalled> {
    let home = client.home();
    let (key_of, name) = (|| key.to_owned(), || record.name.clone());
    if !is_as_written(home, key, record) {
        return Err(ServerError::EntryModified { key: key_of(), name: name() });
    }
    let usable =
        install_methods(&found.server, home.context()).into_iter().filter(|way| way.unsupported_reason().is_none());
    let same: Vec<InstallMethod> = usable.filter(|way| method_id(way) == record.method).collect();
    let [way] = &same[..] else {
        let what = if same.is_empty() { "no longer runs" } else { "runs in several ways" };
        return Err(ServerError::MethodChanged { key: key_of(), name: name(), what, way: record.method.clone() });
    };
    let mut answers = EntryValues::from_recorded(&record.answers);
    for (name, value) in &request.set {
        answers.replace(name, Secret::new(entry_value(value, home)?));
    }
    let before = news.iter().map(|news| format!("{} {}", quoted(key), news.describe())).collect();
    let replaces = Replaces::IfSame(record.written.clone());
    let installing =
        ServerInstaller { client, server: found, key, check: !request.unchecked, replaces, update_notes: Some(before) };
    Ok(installing.run(way.clone(), answers, ask, sink).await?.server)
}

/// Whether the entry of a server is the one that was written when it was installed.
fn is_as_written(home: &Home, key: &str, record: &InstalledServer) -> bool {
    McpFile::load(home).is_ok_and(|file| file.get(key) == Some(&record.written))
}
