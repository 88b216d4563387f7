//! All registries together.

use futures::future::{BoxFuture, LocalBoxFuture};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aiw_components::Library;
use aiw_core::ExtensionId;
use aiw_core::registry::ServerVersion;
use aiw_home::{Cache, ExclusiveLock, Home, RegistrySettings, now_millis, registry_id};
use futures::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

use crate::RegistryError;
use crate::copy::{CacheState, RegistryCache};
use crate::merge::{MergedServer, RegistryResults, merge};
use crate::registry::{self, REGISTRY_TIMEOUT, Registry, has_name, is_available};
use crate::sync::sync;
use crate::{terms, vendor};

/// How long an answer of a registry counts that has no feed of changes.
const SEARCH_CACHE_TTL: Duration = Duration::from_secs(60 * 60);

/// The bytes of such answers.
const CACHE_QUOTA_BYTES: u64 = 16 << 20;

/// How long a server of a registry without a feed is kept after a search last saw it, and how many are.
const MAX_SEEN_AGE_DAYS: i64 = 30;
const MAX_SEEN_SERVERS: u64 = 20_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The servers that each registry is asked for, and that are ranked.
const MAX_RESULTS_PER_REGISTRY: u32 = 100;
const MAX_CACHED_RESULTS: usize = 200;

/// How many servers are named that could be meant, and how long they are looked for.
const MAX_SUGGESTIONS: usize = 3;
const EXTRA_SEARCH_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a search waits for the others once one registry or copy has found something.
const STRAGGLER_TIMEOUT: Duration = Duration::from_secs(1);

/// The registries of MCP servers that the user has.
pub struct Registries {
    home: Home,
    library: Arc<Library>,
}

/// How a registry answered a search.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RegistrySearchStatus {
    /// The registry
    pub source: String,
    /// How many servers it found
    pub found: usize,
    /// How old its answer is, in seconds; 0 if it was asked now
    pub cache_age_seconds: u64,
    /// The number of servers in the local copy, if that answered
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_servers: Option<u64>,
    /// Why it could not be asked, or why its copy can't be brought up to date
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedSearch {
    /// The servers, the best first.
    pub servers: Vec<MergedServer>,
    /// How each registry answered, the first in order of priority first.
    pub sources: Vec<RegistrySearchStatus>,
    /// Whether a local copy should be brought up to date.
    pub needs_sync: bool,
}

/// One registry's answer to a search.
struct RegistrySearchResult {
    id: ExtensionId,
    priority: u32,
    servers: Vec<ServerVersion>,
    answered: RegistrySearchStatus,
    wants_sync: bool,
}

impl MergedSearch {
    /// Whether no registry and no whole copy has answered.
    pub fn is_unanswered(&self) -> bool {
        self.servers.is_empty()
            && self.sources.iter().all(|source| source.problem.is_some() && source.cached_servers.is_none())
    }
}

impl Registries {
    /// The registries of a home, read by components.
    pub fn new(home: Home, library: Arc<Library>) -> Self {
        Self { home, library }
    }

    fn chosen(&self, source: Option<&str>) -> Result<(RegistrySettings, Vec<ExtensionId>), RegistryError> {
        let settings = self.home.registry_settings()?;
        let all = registry::registry_sources(&self.library, &settings)?;
        let source = source.map(registry_id);
        let ids: Vec<ExtensionId> = match source {
            Some(source) => all.into_iter().map(|(id, _)| id).filter(|id| id.as_str() == source).collect(),
            None => all.into_iter().filter(|(_, is_on)| *is_on).map(|(id, _)| id).collect(),
        };
        match (ids.is_empty(), source) {
            (false, _) => Ok((settings, ids)),
            (true, Some(id)) => Err(RegistryError::UnknownRegistry { id: id.to_owned() }),
            (true, None) => Err(RegistryError::NoEnabledRegistry),
        }
    }

    /// Opens a registry, within the time that one may take.
    async fn open(&self, settings: &RegistrySettings, id: &ExtensionId) -> Result<Registry, RegistryError> {
        let late = RegistryError::Timeout { id: id.clone(), seconds: REGISTRY_TIMEOUT.as_secs() };
        let open = Registry::open(&self.home, &self.library, settings, id);
        tokio::time::timeout(REGISTRY_TIMEOUT, open).await.unwrap_or(Err(late))
    }

    /// Searches all registries that are switched on, or one. One that fails or is slow is named, and hides
    /// nothing.
    pub fn search<'a>(
        &'a self,
        query: &'a str,
        limit: usize,
        source: Option<&'a str>,
    ) -> BoxFuture<'a, Result<MergedSearch, RegistryError>> {
        Box::pin(async move {
            let (settings, ids) = self.chosen(source)?;
            let found = watch::Sender::new(false);
            let mut answers = join_all(ids.iter().map(|id| self.ask(&settings, id, query, &found))).await;
            answers.sort_by(|one, two| (one.priority, &one.id).cmp(&(two.priority, &two.id)));
            let wants_sync = answers.iter().any(|answer| answer.wants_sync);
            let sources = answers.iter().map(|answer| answer.answered.clone()).collect();
            let answers = answers.iter_mut().map(|answer| RegistryResults {
                id: &answer.id,
                priority: answer.priority,
                servers: std::mem::take(&mut answer.servers),
            });
            Ok(MergedSearch { servers: merge(query, answers.collect(), limit), sources, needs_sync: wants_sync })
        })
    }

    /// Asks one registry: its copy if that is whole, else itself. `found` says whether any of those that are asked has
    /// found something: it is not held up long by the others.
    async fn ask(
        &self,
        settings: &RegistrySettings,
        id: &ExtensionId,
        query: &str,
        found: &watch::Sender<bool>,
    ) -> RegistrySearchResult {
        let mut answer = RegistrySearchResult {
            id: id.clone(),
            priority: u32::MAX,
            servers: Vec::new(),
            answered: RegistrySearchStatus {
                source: id.to_string(),
                found: 0,
                cache_age_seconds: 0,
                cached_servers: None,
                problem: None,
            },
            wants_sync: false,
        };
        let late = |patience: Duration| RegistryError::Timeout { id: id.clone(), seconds: patience.as_secs() };
        let mut others = found.subscribe();
        let enough = async {
            tokio::time::sleep(STRAGGLER_TIMEOUT).await;
            // Its sender is there.
            let _ = others.wait_for(|found| *found).await;
        };
        let filled = tokio::select! {
            filled = self.fill(settings, id, query, &mut answer, found) => filled,
            () = enough => Err(late(STRAGGLER_TIMEOUT)),
            () = tokio::time::sleep(REGISTRY_TIMEOUT) => Err(late(REGISTRY_TIMEOUT)),
        };
        if let Err(e) = filled {
            answer.answered.problem = Some(e.message_without_registry());
        }
        answer.servers.retain(is_available);
        answer.answered.found = answer.servers.len();
        if !answer.servers.is_empty() {
            found.send_replace(true);
        }
        answer
    }

    async fn fill(
        &self,
        settings: &RegistrySettings,
        id: &ExtensionId,
        query: &str,
        answer: &mut RegistrySearchResult,
        found: &watch::Sender<bool>,
    ) -> Result<(), RegistryError> {
        let registry = Registry::open(&self.home, &self.library, settings, id).await?;
        answer.priority = registry.priority;
        // A copy that can't be read is as good as none.
        let (copy, now) = (RegistryCache::open_existing(&self.home, id).ok().flatten(), now_millis());
        let part = copy.as_ref().and_then(|copy| copy.search(&terms::query_terms(query), MAX_CACHED_RESULTS).ok());
        if !registry.info.changes {
            // What it gave to earlier searches stands for an answer that does not come.
            answer.servers = part.unwrap_or_default();
            (answer.servers, answer.answered.cache_age_seconds) = self.cached(&registry, query).await?;
            return Ok(());
        }
        let state = copy.as_ref().and_then(|copy| copy.state().ok()).unwrap_or_default();
        answer.wants_sync = state.is_due(now);
        if let (Some(finished), Some(copy)) = (state.finished_at_ms, &copy) {
            answer.servers = part.unwrap_or_default();
            answer.answered.cache_age_seconds = now.saturating_sub(finished) / 1000;
            answer.answered.cached_servers = Some(copy.count()?);
            answer.answered.problem = state.problem;
            return Ok(());
        }
        // Until the copy is whole, it only adds to what the registry finds.
        answer.servers = part.unwrap_or_default();
        if answer.servers.iter().any(is_available) {
            found.send_replace(true);
        }
        let live = self.cached(&registry, query).await;
        let (servers, age) = live?;
        answer.answered.cache_age_seconds = age;
        // Without a copy, a registry finds a part of what it has.
        answer.answered.problem = state.problem.filter(|_| servers.is_empty());
        answer.servers.retain(|known| !servers.iter().any(|server| has_name(server, &known.name)));
        answer.servers.extend(servers);
        Ok(())
    }

    /// Asks a registry itself, or takes what it answered within the hour. Returns the age in seconds, too.
    async fn cached(&self, registry: &Registry, query: &str) -> Result<(Vec<ServerVersion>, u64), RegistryError> {
        let (cache, key) = (self.cache(), format!("{} {query}", registry.id));
        let kept = cache.get(&key).and_then(|bytes| postcard::from_bytes::<(u64, Vec<ServerVersion>)>(&bytes).ok());
        if let Some((time, servers)) = kept {
            return Ok((servers, now_millis().saturating_sub(time) / 1000));
        }
        let servers = registry.search(query, MAX_RESULTS_PER_REGISTRY).await?;
        if let Ok(bytes) = postcard::to_allocvec(&(now_millis(), &servers)) {
            cache.put(&key, &bytes, SEARCH_CACHE_TTL);
        }
        if !registry.info.changes {
            // It only helps later searches.
            let _ = self.keep(&registry.id, &servers);
        }
        Ok((servers, 0))
    }

    /// Keeps what a registry without a feed of changes gave to a search, and forgets what no search has seen for
    /// [`MAX_SEEN_AGE_DAYS`] or all of it beyond [`MAX_SEEN_SERVERS`].
    fn keep(&self, id: &ExtensionId, servers: &[ServerVersion]) -> Result<(), RegistryError> {
        let mut copy = RegistryCache::open(&self.home, id)?;
        let today = i64::try_from(now_millis() / DAY_MS).unwrap_or_default();
        let old = if copy.count()? > MAX_SEEN_SERVERS { i64::MAX } else { today - MAX_SEEN_AGE_DAYS };
        let gone = copy.unseen_names(old)?;
        // The pass that saw a server is the day.
        copy.apply_page(servers, &gone, &CacheState { pass_number: today, ..CacheState::default() })
    }

    fn cache(&self) -> Cache {
        self.home.byte_cache("registries/answers", CACHE_QUOTA_BYTES)
    }

    /// Returns a server as [`Self::lookup_server`] does. Where there is none, the error says which ones could be meant.
    pub fn find_server<'a>(
        &'a self,
        name: &'a str,
        version: Option<&'a str>,
        source: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(MergedServer, Option<RegistryError>), RegistryError>> {
        Box::pin(async move {
            match self.lookup_server(name, version, source).await {
                Err(RegistryError::UnknownServer { name, failed, .. }) => {
                    let near = self.near(&name, source).await;
                    Err(RegistryError::UnknownServer { name, failed, near })
                }
                result => result,
            }
        })
    }

    /// The names of servers of which the last part is the same, without what nearly every server is called; the best
    /// first.
    async fn near(&self, name: &str, source: Option<&str>) -> Vec<String> {
        let last = vendor::normalize_name(terms::last_segment(name));
        let search = self.search(
            terms::strip_generic_affixes(terms::last_segment(name)),
            MAX_RESULTS_PER_REGISTRY as usize,
            source,
        );
        let Ok(Ok(found)) = tokio::time::timeout(EXTRA_SEARCH_TIMEOUT, search).await else { return Vec::new() };
        let names = found.servers.into_iter().map(|found| found.server.name);
        names
            .filter(|other| other != name && vendor::normalize_name(terms::last_segment(other)) == last)
            .take(MAX_SUGGESTIONS)
            .collect()
    }

    /// Returns a server by its name, from the first registry that has it, and that registry. It is asked now; if it
    /// can't be, its copy answers, and the second result says why.
    pub fn lookup_server<'a>(
        &'a self,
        name: &'a str,
        version: Option<&'a str>,
        source: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(MergedServer, Option<RegistryError>), RegistryError>> {
        Box::pin(async move {
            let (settings, ids) = self.chosen(source)?;
            let opened = join_all(ids.iter().map(|id| self.open(&settings, id))).await;
            let mut failed = Vec::new();
            let mut registries = Vec::new();
            for opened in opened {
                match opened {
                    Ok(registry) => registries.push(registry),
                    Err(e) => failed.push(e),
                }
            }
            registries.sort_by(|one, two| (one.priority, &one.id).cmp(&(two.priority, &two.id)));
            let answers = join_all(registries.iter().map(|registry| registry.server(name, version))).await;
            let mut copied = None;
            for (registry, answer) in registries.iter().zip(answers) {
                let found = |server| MergedServer { server, source: registry.id.clone(), duplicates: Vec::new() };
                match answer {
                    Ok(Some(server)) => return Ok((found(server), None)),
                    Ok(None) => {}
                    Err(e) => {
                        // Without a feed, a copy has rows of lists, which may lack what an installation needs.
                        let copy =
                            registry.info.changes.then(|| RegistryCache::open_existing(&self.home, &registry.id));
                        let copy = copy.and_then(Result::ok).flatten();
                        let known = copy.and_then(|copy| copy.server(name).ok()).flatten();
                        let known = known.filter(|server| version.is_none_or(|version| version == server.version));
                        match known {
                            Some(server) if copied.is_none() => copied = Some((found(server), Some(e))),
                            _ => failed.push(e),
                        }
                    }
                }
            }
            if let Some(copied) = copied {
                return Ok(copied);
            }
            let name = name.to_owned();
            if let Some(wanted) = version {
                for registry in &registries {
                    if let Ok(Some(newest)) = registry.server(&name, None).await {
                        let (version, newest) = (wanted.to_owned(), newest.version);
                        return Err(RegistryError::UnknownVersion { name, version, newest });
                    }
                }
            }
            Err(RegistryError::UnknownServer { name, failed, near: Vec::new() })
        })
    }

    /// Returns the names of servers in local copies that begin like this, for completion.
    pub fn complete_names(&self, start: &str, limit: usize) -> Vec<String> {
        let Ok((_, ids)) = self.chosen(None) else { return Vec::new() };
        let copies = ids.iter().filter_map(|id| RegistryCache::open_existing(&self.home, id).ok().flatten());
        copies.flat_map(|copy| copy.complete_names(start, limit)).take(limit).collect()
    }

    /// Brings the copies up to date that are due, one process at a time: if another is at it, there is nothing to do. A
    /// copy keeps why it could not be brought up to date.
    pub fn sync(&self) -> LocalBoxFuture<'_, Result<(), RegistryError>> {
        Box::pin(async move {
            let (settings, ids) = self.chosen(None)?;
            self.home.make_dir(&self.home.cache("registries"))?;
            let Some(_turn) = ExclusiveLock::try_acquire_for(&self.lock(), Duration::ZERO)? else { return Ok(()) };
            for id in ids {
                // One that fails does not keep the others from it.
                let _ = self.sync_one(&settings, &id).await;
            }
            Ok(())
        })
    }

    async fn sync_one(&self, settings: &RegistrySettings, id: &ExtensionId) -> Result<(), RegistryError> {
        let registry = self.open(settings, id).await?;
        if !registry.info.changes {
            return Ok(());
        }
        let mut copy = RegistryCache::open(&self.home, id)?;
        match copy.state()?.is_due(now_millis()) {
            true => sync(&registry, &mut copy).await,
            false => Ok(()),
        }
    }

    /// The file that is locked while copies are brought up to date.
    fn lock(&self) -> PathBuf {
        self.home.cache("registries").join(".sync.lock")
    }

    /// Whether another process brings copies up to date now.
    pub fn is_syncing(&self) -> bool {
        self.lock().exists() && matches!(ExclusiveLock::try_acquire_for(&self.lock(), Duration::ZERO), Ok(None))
    }
}
