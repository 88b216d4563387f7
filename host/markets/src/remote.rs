//! Inspecting remote entries without cloning: single files at the pinned commit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aiw_core::{RelPath, Sha};
use aiw_home::{MarketSettings, Settings};
use aiw_net::{HttpRequest, NetError, Policy};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::context::{Markets, raw_base, repository_url};
use crate::document::PluginEntry;
use crate::error::MarketError;
use crate::inspect::{Files, Inspection, MANIFEST_BYTES, MCP_JSON, PLUGIN_JSON, inspect};
use crate::listing::MarketListing;
use crate::source::PluginSource;

/// Parallel requests: as many as a browser sends to one host.
const MAX_PARALLEL_REQUESTS: usize = 12;

/// Failures in a row after which the network, not the entry, is at fault.
const MAX_CONSECUTIVE_FAILURES: u32 = 3;

/// How long a look waits for the next answer where nobody sees its progress: it must not hold up a command that has
/// everything else. The next look goes on from there.
const BACKGROUND_FETCH_TIMEOUT: Duration = Duration::from_secs(1);

/// A commit never changes, so it is kept until space is needed.
const IMMUTABLE_TTL: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);

/// Space for the manifests of about ten thousand plugins.
const CACHE_QUOTA_BYTES: u64 = 64 << 20;

/// More files than any plugin names for its servers; a longer list is read at install time.
const MAX_REFERENCED_FILES: usize = 32;

/// Files at a commit, in stored form.
#[derive(Serialize, Deserialize)]
struct KeptFiles {
    plugin_json: Option<String>,
    mcp_json: Option<String>,
    /// Files that a manifest named, including missing ones.
    named: BTreeMap<String, Option<String>>,
}

impl KeptFiles {
    fn files(&self) -> Files {
        let bytes = |text: &String| text.clone().into_bytes();
        let named =
            self.named.iter().filter_map(|(path, text)| Some((RelPath::parse(path).ok()?, bytes(text.as_ref()?))));
        Files {
            plugin_json: self.plugin_json.as_ref().map(bytes),
            mcp_json: self.mcp_json.as_ref().map(bytes),
            referenced_files: named.collect(),
            contents: None,
        }
    }

    /// No files at all says nothing about a plugin: private repositories and missing commits answer that way.
    fn is_empty(&self) -> bool {
        self.plugin_json.is_none() && self.mcp_json.is_none() && self.named.values().all(Option::is_none)
    }

    /// Files that the entry or plugin.json names but no one has requested: entries change while commits don't.
    fn unasked(&self, entry: &PluginEntry) -> Vec<RelPath> {
        let missing = self.files().missing(entry).into_iter();
        missing.filter(|path| !self.named.contains_key(path.as_str())).collect()
    }
}

/// Lossy: what isn't UTF-8 isn't JSON, and stays invalid.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// One entry to inspect.
struct WantedEntry {
    /// Its place in the listing.
    index: usize,
    entry: PluginEntry,
    /// The commit shown now.
    seen: Option<Sha>,
    /// The address of its repository's files.
    raw: String,
}

/// When the last answer came.
struct LastHeard {
    start: Instant,
    millis: AtomicU64,
}

impl LastHeard {
    fn new() -> Self {
        Self { start: Instant::now(), millis: AtomicU64::new(0) }
    }

    /// Any answer shows that the host is there, even one that says no.
    fn now(&self) {
        let millis = self.start.elapsed().as_millis();
        self.millis.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits for work as long as answers keep coming; `None` if they stop.
    async fn while_answers_come<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let due =
                self.start + Duration::from_millis(self.millis.load(Ordering::Relaxed)) + BACKGROUND_FETCH_TIMEOUT;
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            if let Ok(done) = tokio::time::timeout(left, &mut work).await {
                return Some(done);
            }
        }
    }
}

/// Why a round over the entries ended early.
enum Halt {
    Throttled(Option<u32>),
    Unreachable(String),
}

impl Markets {
    fn kept(&self) -> aiw_home::Cache {
        self.home.byte_cache("inspected", CACHE_QUOTA_BYTES)
    }

    /// Returns the remembered inspection of an entry that is pinned to a commit, without a request.
    pub(crate) fn cached_inspection(&self, entry: &PluginEntry) -> Option<Inspection> {
        let PluginSource::Git { repository, path, sha: Some(sha), .. } = &entry.content.as_ref().ok()?.source else {
            return None;
        };
        let kept = self.recall(&key(repository, sha, path))?;
        kept.unasked(entry).is_empty().then(|| inspect(entry, &kept.files(), Some(sha.clone())))
    }

    fn recall(&self, key: &str) -> Option<KeptFiles> {
        serde_json::from_slice(&self.kept().get(key)?).ok().filter(|kept: &KeptFiles| !kept.is_empty())
    }

    /// Inspects the remote entries of a listing that are not inspected yet, and those without a commit, which may
    /// have moved; stores the listing. Returns notes, one sentence each. Stopping it loses nothing that was read.
    // Long: one walk over a tree, whose findings share their limits.
    pub(crate) async fn inspect_remote(
        &self,
        market: &MarketSettings,
        listing: &mut MarketListing,
    ) -> Result<Vec<String>, MarketError> {
        let settings = self.home.settings()?;
        let policy = Self::policy(&settings, market);
        let wanted: Vec<WantedEntry> = listing
            .plugins
            .iter()
            .enumerate()
            .filter_map(|(index, plugin)| match &plugin.entry.content.as_ref().ok()?.source {
                PluginSource::Git { sha: Some(_), .. } if plugin.inspection.is_some() => None,
                PluginSource::Git { repository, .. } => Some(WantedEntry {
                    index,
                    entry: plugin.entry.clone(),
                    seen: plugin.inspection.as_ref().and_then(|inspection| inspection.commit.clone()),
                    raw: raw_base(&settings, repository)?,
                }),
                _ => None,
            })
            .collect();
        let total = wanted.len() as u64;
        let (stopped, failures, done) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU64::new(0));
        let heard = LastHeard::new();
        let jobs = wanted.into_iter().map(|wanted| {
            let (settings, policy, stopped, failures, done) = (&settings, &policy, &stopped, &failures, &done);
            let heard = &heard;
            async move {
                if stopped.load(Ordering::Relaxed) {
                    return (wanted.index, Ok(None));
                }
                let result = self.inspect_raw(settings, policy, &wanted, heard).await;
                let stop = match &result {
                    Ok(_) => {
                        failures.store(0, Ordering::Relaxed);
                        false
                    }
                    Err(Halt::Throttled(_)) => true,
                    Err(Halt::Unreachable(_)) => {
                        failures.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_CONSECUTIVE_FAILURES
                    }
                };
                if stop {
                    stopped.store(true, Ordering::Relaxed);
                }
                self.observer.progress("inspecting plugins", done.fetch_add(1, Ordering::Relaxed) + 1, total);
                (wanted.index, result)
            }
        });
        let mut answers = futures::stream::iter(jobs).buffer_unordered(MAX_PARALLEL_REQUESTS);
        let (mut results, mut note) = (Vec::new(), None);
        loop {
            let next = match self.observer.is_visible() {
                true => Some(answers.next().await),
                false => heard.while_answers_come(answers.next()).await,
            };
            match next {
                Some(Some(result)) => results.push(result),
                Some(None) => break,
                None => {
                    let name = &market.name;
                    note = Some(format!(
                        "some plugins could not be inspected within {} s; `aiw plugin marketplace update {name}` goes \
                         on, and waits longer on a terminal",
                        BACKGROUND_FETCH_TIMEOUT.as_secs()
                    ));
                    break;
                }
            }
        }
        drop(answers);
        let mut news = 0u32;
        for (index, result) in results {
            match result {
                Ok(Some(inspection)) => {
                    news += 1;
                    if let Some(plugin) = listing.plugins.get_mut(index) {
                        plugin.inspection = Some(inspection);
                    }
                }
                Ok(None) => {}
                Err(Halt::Throttled(seconds)) => {
                    let when = seconds.map_or(String::new(), |s| format!("; try again in {s} s"));
                    note =
                        Some(format!("inspecting plugins ended early: the host answers 429 (too many requests){when}"));
                }
                Err(Halt::Unreachable(why)) => {
                    note.get_or_insert_with(|| format!("some plugins could not be inspected: {why}"));
                }
            }
        }
        if news > 0 {
            let (home, market, seen) = (self.home.clone(), market.clone(), listing.clone());
            aiw_home::run_blocking(move || {
                let lock = home.lock()?;
                // Another process may have fetched a newer one in the meantime.
                let current = MarketListing::load(&home, &market)?;
                if current.is_some_and(|current| current.revision == seen.revision) {
                    seen.save(&home, &market.name, &lock)?;
                }
                Ok::<_, MarketError>(())
            })
            .await?;
        }
        Ok(note.into_iter().collect())
    }

    /// `None` if nothing is known, or nothing new.
    async fn inspect_raw(
        &self,
        settings: &Settings,
        policy: &Policy,
        wanted: &WantedEntry,
        heard: &LastHeard,
    ) -> Result<Option<Inspection>, Halt> {
        let WantedEntry { entry, seen, raw, .. } = wanted;
        let Ok(usable) = &entry.content else { return Ok(None) };
        let PluginSource::Git { repository, path, reference, sha } = &usable.source else { return Ok(None) };
        let sha = match sha {
            Some(sha) => sha.clone(),
            // Listing refs asks git's own server, not the rate-limited API.
            None => {
                let refs = self.trees.list_refs(policy, &repository_url(settings, repository)).await;
                heard.now();
                match refs.and_then(|refs| refs.resolve(reference.as_deref())) {
                    Ok(sha) if seen.as_ref() == Some(&sha) => return Ok(None),
                    Ok(sha) => sha,
                    Err(e) => return unreachable_or_none(e),
                }
            }
        };
        let base = if path.is_empty() { format!("{raw}/{sha}") } else { format!("{raw}/{sha}/{path}") };
        let key = key(repository, &sha, path);
        let mut kept = match self.recall(&key) {
            Some(kept) => kept,
            None => {
                let (plugin_json, mcp_json) = futures::future::join(
                    self.raw_file(policy, format!("{base}/{PLUGIN_JSON}"), heard),
                    self.raw_file(policy, format!("{base}/{MCP_JSON}"), heard),
                )
                .await;
                let (Some(plugin_json), Some(mcp_json)) = (plugin_json?, mcp_json?) else { return Ok(None) };
                KeptFiles { plugin_json: plugin_json.map(text), mcp_json: mcp_json.map(text), named: BTreeMap::new() }
            }
        };
        let unasked = kept.unasked(entry);
        if unasked.len() > MAX_REFERENCED_FILES {
            return Ok(None);
        }
        for path in unasked {
            match self.raw_file(policy, format!("{base}/{path}"), heard).await? {
                Some(found) => drop(kept.named.insert(path.as_str().to_owned(), found.map(text))),
                None => return Ok(None),
            }
        }
        if kept.is_empty() {
            return Ok(None);
        }
        if let Ok(bytes) = serde_json::to_vec(&kept) {
            self.kept().put(&key, &bytes, IMMUTABLE_TTL);
        }
        Ok(Some(inspect(entry, &kept.files(), Some(sha))))
    }

    /// One file: `Some(None)` means it is missing for certain, `None` that the answer is inconclusive.
    async fn raw_file(&self, policy: &Policy, url: String, heard: &LastHeard) -> Result<Option<Option<Vec<u8>>>, Halt> {
        let request = HttpRequest { max_body_bytes: MANIFEST_BYTES, ..HttpRequest::new(url) };
        let answer = self.client.fetch(policy, &request).await;
        heard.now();
        match answer {
            Ok(response) => match response.status {
                200 => Ok(Some(Some(response.body))),
                404 => Ok(Some(None)),
                429 => Err(Halt::Throttled(response.header("retry-after").and_then(|s| s.trim().parse().ok()))),
                _ => Ok(None),
            },
            Err(NetError::TooLarge { .. }) => Ok(None),
            Err(e) => unreachable_or_none(e),
        }
    }
}

/// A server that is down may end the round; any other failure concerns only the entry.
fn unreachable_or_none<T>(error: NetError) -> Result<Option<T>, Halt> {
    match error {
        NetError::Unavailable { retry_after: Some(seconds), .. } => Err(Halt::Throttled(Some(seconds))),
        NetError::Unavailable { message, .. } => Err(Halt::Unreachable(message)),
        NetError::Cancelled => Err(Halt::Unreachable("stopped".into())),
        _ => Ok(None),
    }
}

fn key(repository: &str, sha: &Sha, path: &str) -> String {
    format!("{repository}@{sha}:{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_was_asked_for_once() {
        let fields = serde_json::json!({"mcpServers": ["./a.json", "./b.json"]});
        let entry = PluginEntry {
            name: "x".into(),
            content: Err(String::new()),
            fields: fields.as_object().cloned().unwrap_or_default(),
        };
        let mut kept = KeptFiles { plugin_json: Some("{}".into()), mcp_json: None, named: BTreeMap::new() };
        let unasked = |kept: &KeptFiles| kept.unasked(&entry).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(unasked(&kept), ["a.json", "b.json"]);
        kept.named.insert("a.json".into(), None);
        assert_eq!(unasked(&kept), ["b.json"]);
        kept.named.insert("b.json".into(), Some("{}".into()));
        assert!(unasked(&kept).is_empty());
        // Stored by an earlier aiw, which didn't record missing files.
        let earlier: KeptFiles =
            serde_json::from_str(r#"{"plugin_json":"{}","mcp_json":null,"named":{"b.json":"{}"}}"#).unwrap();
        assert_eq!(unasked(&earlier), ["a.json"]);
    }
}
