//! What hooks ask the indexer to read: one small file each, so that nothing is lost when either is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use aiw_home::{Home, HomeError, Mode, read_capped, replace};
use serde::{Deserialize, Serialize};

use crate::Cli;

/// The longest request.
const MAX_REQUEST: u64 = 64 << 10;

/// A transcript to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Whose transcript it is.
    pub cli: Cli,
    /// The CLI's own directory.
    pub root: PathBuf,
    /// The transcript, below that directory; none if it is not there.
    pub path: Option<String>,
    /// What was asked for and is not read: the path as it was given, and why.
    pub refused: Option<(PathBuf, String)>,
}

/// The requests of a home.
#[derive(Debug, Clone)]
pub struct Queue {
    home: Home,
    directory: PathBuf,
}

impl Queue {
    /// The queue of a home.
    pub fn of(home: &Home) -> Self {
        Self { home: home.clone(), directory: home.history().join("queue") }
    }

    /// Adds a request. When it returns, the request is on the disk.
    pub fn add(&self, request: &Request) -> Result<(), HomeError> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        self.home.make_dir(&self.directory)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{:015}-{}-{number}.json", aiw_home::now_millis(), std::process::id());
        let path = self.directory.join(name);
        let text = serde_json::to_vec(request)
            .map_err(|e| HomeError::Invalid { path: path.clone(), problem: format!("can't hold the request: {e}") })?;
        replace(&path, &text, Mode::Private)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.names().is_empty()
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.names().len()
    }

    /// The requests, the oldest first, each with its file. One that makes no sense has none, and is removed.
    pub(crate) fn waiting(&self) -> Vec<(PathBuf, Request)> {
        let mut waiting = Vec::new();
        for name in self.names() {
            let path = self.directory.join(name);
            let parsed = read_capped(&path, MAX_REQUEST)
                .map(|bytes| bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()));
            match parsed {
                Ok(Some(request)) => waiting.push((path, request)),
                // Files are replaced as a whole: it was not written by us.
                Ok(None) | Err(HomeError::Invalid { .. }) => drop(fs::remove_file(&path)),
                Err(_) => {}
            }
        }
        waiting
    }

    /// Removes a request that was carried out.
    pub(crate) fn done(&self, path: &Path) -> Result<(), HomeError> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(HomeError::io("remove", path, e)),
            _ => Ok(()),
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.') && name.ends_with(".json")).collect();
        names.sort();
        names
    }

    /// Removes what killed hooks left half-written, if it is older than a day.
    pub(crate) fn sweep(&self) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let is_old = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 24 * 60 * 60));
            if is_old && entry.file_name().to_string_lossy().starts_with(".aiw-") {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_in_order_and_junk_goes() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let queue = Queue::of(&home);
        assert!(queue.is_empty());
        let request =
            |path: &str| Request { cli: Cli::Claude, root: "/x".into(), path: Some(path.to_owned()), refused: None };
        for path in ["a", "b", "a"] {
            queue.add(&request(path)).unwrap();
        }
        fs::write(home.history().join("queue/000-junk.json"), "{").unwrap();
        fs::write(home.history().join("queue/.aiw-half"), "{").unwrap();
        let waiting = queue.waiting();
        assert_eq!(waiting.iter().map(|(_, r)| r.path.as_deref().unwrap()).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(queue.len(), 3);
        for (path, _) in waiting {
            queue.done(&path).unwrap();
            queue.done(&path).unwrap();
        }
        assert!(queue.is_empty());
    }
}
