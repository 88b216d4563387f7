//! What hooks ask the indexer to read: one small file each, so that nothing is lost when either is killed.
//!
//! Where a disk is full, there is still room for a file that is empty: then its name says which session it is. Where
//! not even that can be written, the request goes elsewhere.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aiw_core::ProviderName;
use aiw_home::{Home, HomeError, Mode, create_new, read_capped, read_dir, remove_file, replace};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::elsewhere;
use crate::Cli;
use crate::store::PRIVATE_SESSIONS_DIR;

/// The longest request.
const MAX_REQUEST: u64 = 64 << 10;

/// A transcript to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestRequest {
    /// The CLI that wrote the transcript.
    pub cli: Cli,
    /// The CLI's own directory.
    pub root: PathBuf,
    /// The transcript, below that directory; none if it is not there.
    pub path: Option<String>,
    /// The requested path that is not read, as it was given, and why.
    pub refused: Option<(PathBuf, String)>,
    /// The provider under which aiw ran the CLI.
    #[serde(default)]
    pub provider: Option<ProviderName>,
}

/// The end of a request's name.
const REQUEST_SUFFIX: &str = ".json";
/// The end of the name of an empty file, before which stands the name of a transcript.
const NAME_SUFFIX: &str = ".name";
/// How long it is waited for the transcript of a name.
const MISSING_TRANSCRIPT_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The requests of a home.
#[derive(Debug, Clone)]
pub struct IngestQueue {
    home: Home,
    directory: PathBuf,
    elsewhere: Option<PathBuf>,
}

impl IngestQueue {
    /// The queue of a home.
    pub fn new(home: &Home) -> Self {
        Self {
            home: home.clone(),
            directory: home.history().join("queue"),
            elsewhere: elsewhere::fallback_dir(home, "queue"),
        }
    }

    /// Makes the directories that hooks write to, for which a full disk has no room.
    pub fn prepare(&self) -> Result<(), HomeError> {
        self.home.make_dir(&self.directory)?;
        self.home.make_dir(&self.home.history().join(PRIVATE_SESSIONS_DIR))
    }

    /// Adds a request. When it returns, the request is on a disk.
    pub fn add(&self, request: &IngestRequest) -> Result<(), HomeError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{:015}-{}-{number}", aiw_home::now_millis(), std::process::id());
        let path = self.directory.join(format!("{name}{REQUEST_SUFFIX}"));
        let text = serde_json::to_vec(request)
            .map_err(|e| HomeError::Invalid { path: path.clone(), problem: format!("can't hold the request: {e}") })?;
        let written = self.prepare().and_then(|()| replace(&path, &text, Mode::Private));
        let Err(problem) = written else { return Ok(()) };
        let transcript = request.path.as_deref().and_then(|path| Path::new(path).file_stem()?.to_str());
        let is_named = transcript.is_some_and(|transcript| {
            let path = self.directory.join(format!("{name}.{transcript}{NAME_SUFFIX}"));
            let made = create_new(&path);
            made.and_then(|_| File::open(&self.directory)?.sync_all()).is_ok()
        });
        let is_elsewhere = || {
            let Some(directory) = &self.elsewhere else { return false };
            elsewhere::create_fallback_dir(directory).is_ok()
                && replace(&directory.join(format!("{name}{REQUEST_SUFFIX}")), &text, Mode::Private).is_ok()
        };
        if is_named || is_elsewhere() { Ok(()) } else { Err(problem) }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.files().is_empty()
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.files().len()
    }

    /// How many sessions wait to be read. `claude` is where Claude Code keeps its sessions.
    pub(crate) fn session_count(&self, claude: &Path) -> usize {
        let paths = self.pending(claude).into_iter().filter_map(|(_, request)| Some((request.root, request.path?)));
        paths.collect::<BTreeSet<_>>().len()
    }

    /// The requests, the oldest first, each with its file. Files that are not requests are removed, and one of a newer aiw is
    /// left to it. `claude` is
    /// where Claude Code keeps its sessions.
    pub(crate) fn pending(&self, claude: &Path) -> Vec<(PathBuf, IngestRequest)> {
        let mut waiting = Vec::new();
        for path in self.files() {
            if let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(NAME_SUFFIX)) {
                let transcript = name.split_once('.').map_or(name, |(_, transcript)| transcript);
                let requests = transcripts(claude, transcript).into_iter().map(|transcript| {
                    let root = claude.to_owned();
                    (
                        path.clone(),
                        IngestRequest { cli: Cli::Claude, root, path: Some(transcript), refused: None, provider: None },
                    )
                });
                waiting.extend(requests);
                continue;
            }
            let remove = || drop(remove_file(&path));
            let bytes = match read_capped(&path, MAX_REQUEST) {
                Ok(Some(bytes)) => bytes,
                // Files are replaced as a whole: it was not written by us.
                Err(HomeError::Invalid { .. }) => {
                    remove();
                    continue;
                }
                Ok(None) | Err(_) => continue,
            };
            match serde_json::from_slice(&bytes) {
                Ok(request) => waiting.push((path, request)),
                Err(_) if serde_json::from_slice::<Map<String, Value>>(&bytes).is_err() => remove(),
                Err(_) => {}
            }
        }
        waiting
    }

    /// Removes a request that was carried out.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), HomeError> {
        match remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(HomeError::io("remove", path, e)),
            _ => Ok(()),
        }
    }

    fn entries(&self) -> impl Iterator<Item = DirEntry> {
        let directories = std::iter::once(&self.directory).chain(&self.elsewhere);
        directories.flat_map(|directory| read_dir(directory).into_iter().flatten().flatten())
    }

    /// The files of all requests, the oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let is_request = |entry: &DirEntry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            !name.starts_with('.') && (name.ends_with(REQUEST_SUFFIX) || name.ends_with(NAME_SUFFIX))
        };
        let mut files: Vec<PathBuf> = self.entries().filter(is_request).map(|entry| entry.path()).collect();
        files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        files
    }

    /// Removes what killed hooks left half-written, if it is older than a day, and names of transcripts that never came.
    pub(crate) fn sweep(&self) {
        for entry in self.entries() {
            let name = entry.file_name();
            let patience = match name.to_string_lossy() {
                name if name.starts_with(".aiw-") => Duration::from_secs(24 * 60 * 60),
                name if name.ends_with(NAME_SUFFIX) => MISSING_TRANSCRIPT_TTL,
                _ => continue,
            };
            let modified = entry.metadata().and_then(|meta| meta.modified());
            if modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > patience)) {
                let _ = remove_file(&entry.path());
            }
        }
    }
}

/// The transcripts with a name, below where Claude Code keeps its sessions.
fn transcripts(claude: &Path, name: &str) -> Vec<String> {
    let directories = fs::read_dir(claude.join("projects")).into_iter().flatten().flatten();
    let paths = directories.filter_map(|entry| Some(format!("projects/{}/{name}.jsonl", entry.file_name().to_str()?)));
    paths.filter(|path| fs::symlink_metadata(claude.join(path)).is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_in_order_and_junk_goes() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let queue = IngestQueue::new(&home);
        assert!(queue.is_empty());
        let request = |path: &str| IngestRequest {
            cli: Cli::Claude,
            root: "/x".into(),
            path: Some(path.to_owned()),
            refused: None,
            provider: None,
        };
        for path in ["a", "b", "a"] {
            queue.add(&request(path)).unwrap();
        }
        fs::write(home.history().join("queue/000-junk.json"), "{").unwrap();
        fs::write(home.history().join("queue/.aiw-half"), "{").unwrap();
        let newer = home.history().join("queue/999-newer.json");
        fs::write(&newer, r#"{"cli": "opencode", "session": 7}"#).unwrap();
        // A request of which only the name could be written.
        let claude = dir.path().join("claude");
        fs::create_dir_all(claude.join("projects/p")).unwrap();
        fs::write(claude.join("projects/p/s-1.jsonl"), "").unwrap();
        for name in ["998-1-1.s-1.name", "998-1-2.s-2.name"] {
            fs::write(home.history().join("queue").join(name), "").unwrap();
        }
        let waiting = queue.pending(&claude);
        assert_eq!(
            waiting.iter().map(|(_, r)| r.path.as_deref().unwrap()).collect::<Vec<_>>(),
            ["a", "b", "a", "projects/p/s-1.jsonl"]
        );
        assert_eq!(queue.len(), 6);
        for (path, _) in waiting {
            queue.remove(&path).unwrap();
            queue.remove(&path).unwrap();
        }
        // What is not there may come.
        assert!(queue.pending(&claude).is_empty() && newer.exists());
        assert_eq!(queue.len(), 2);
    }
}
