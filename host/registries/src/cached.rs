//! What local copies say of servers that were installed. No registry is asked, and no copy is brought up to date.

use aiw_components::Library;
use aiw_core::{ExtensionId, one_line};
use aiw_home::{Home, InstalledServer, parse_rfc3339};
use schemars::JsonSchema;
use serde::Serialize;

use crate::copy::{CacheState, RegistryCache};
use crate::{RegistryError, UpdateStatus, registry, update_statuses};

/// A problem of a registry's local copy.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CacheProblem {
    /// The registry
    pub source: String,
    /// The problem, as a sentence
    pub problem: String,
}

/// The content of local copies.
#[derive(Debug, Default)]
pub struct CachedServers {
    /// The servers of which there is news, by their names in `mcp.json`.
    pub servers: Vec<(String, InstalledServer, Vec<UpdateStatus>)>,
    /// The copies that can't be relied on.
    pub problems: Vec<CacheProblem>,
}

impl CacheState {
    /// Whether the copy is whole, and was made after a time in milliseconds since 1970: an older one knows less of a
    /// server than the registry's own answer when it was installed.
    fn is_after(&self, time: u64) -> bool {
        self.finished_at_ms
            .is_some_and(|finished| self.started_at_ms.map_or(finished, |begun| begun.min(finished)) > time)
    }
}

/// A registry, and what is known of its copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryInfo {
    /// The component that reads it.
    pub id: String,
    /// Whether it is asked.
    pub enabled: bool,
    /// When its copy was made or brought up to date, in milliseconds since 1970.
    pub fetched_at_ms: Option<u64>,
    /// The number of servers in its copy. `None` without a copy.
    pub servers: Option<u64>,
    /// Why its copy is not up to date.
    pub problem: Option<String>,
}

/// Returns the registries whose components are on. None is asked.
pub fn list_registries(home: &Home, library: &Library) -> Result<Vec<RegistryInfo>, RegistryError> {
    let known = |(id, on): (ExtensionId, bool)| {
        let read = |copy: RegistryCache| Ok((copy.state()?, copy.count()?));
        let state = RegistryCache::open_checked(home, &id).and_then(|copy| copy.map(read).transpose());
        let (fetched, servers, problem) = match state {
            Ok(Some((state, servers))) => (state.finished_at_ms, Some(servers), state.problem),
            Ok(None) => (None, None, None),
            Err(e) => (None, None, Some(e.to_string())),
        };
        RegistryInfo {
            id: id.to_string(),
            enabled: on,
            fetched_at_ms: fetched,
            servers,
            problem: problem.map(|problem| one_line(&problem, 300)),
        }
    };
    Ok(registry::registry_sources(library, &home.registry_settings()?)?.into_iter().map(known).collect())
}

/// Returns what local copies say of the servers that were installed, and which copies are damaged or can't be brought
/// up to date. A damaged one is removed: everything in it can be fetched again.
pub fn cached_servers(home: &Home, library: &Library) -> Result<CachedServers, RegistryError> {
    let installed = home.registry_lock()?.all();
    let mut kept = CachedServers::default();
    for (id, is_on) in registry::registry_sources(library, &home.registry_settings()?)? {
        if is_on && let Err(e) = look(home, &id, &installed, &mut kept) {
            let problem = match e.is_corrupt() {
                true => {
                    format!("the copy of {id} was damaged and is removed; the next `aiw mcp search` makes a new one")
                }
                false => format!("the copy of {id} can't be read: {}", one_line(&e.to_string(), 300)),
            };
            kept.problems.push(CacheProblem { source: id.to_string(), problem });
        }
    }
    Ok(kept)
}

fn look<'a>(
    home: &Home,
    id: &ExtensionId,
    installed: impl IntoIterator<Item = (&'a String, &'a InstalledServer)>,
    kept: &mut CachedServers,
) -> Result<(), RegistryError> {
    let Some(copy) = RegistryCache::open_checked(home, id)? else { return Ok(()) };
    let state = copy.state()?;
    for (key, record) in installed.into_iter().filter(|(_, record)| record.source == id.as_str()) {
        let time = parse_rfc3339(&record.installed_at).and_then(|time| u64::try_from(time).ok());
        // The time is in whole seconds.
        if time.is_some_and(|time| state.is_after(time + 999)) {
            let news = update_statuses(record, copy.server(&record.name)?.as_ref());
            kept.servers.extend((!news.is_empty()).then(|| (key.clone(), record.clone(), news)));
        }
    }
    if let Some(problem) = &state.problem {
        let problem = format!(
            "the copy of {id} could not be brought up to date: {}; the next `aiw mcp search` tries again",
            one_line(problem, 300)
        );
        kept.problems.push(CacheProblem { source: id.to_string(), problem });
    }
    Ok(())
}
