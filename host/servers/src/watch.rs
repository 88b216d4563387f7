//! A notice when a file that declares servers changes.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

/// How long a file must stay unchanged before a change counts: editors write in several steps.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// How long a change waits at most for that.
const MAX_DEBOUNCE: Duration = Duration::from_secs(2);

/// The files cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch `{path}` for changes: {source}")]
pub struct WatchError {
    path: PathBuf,
    source: notify::Error,
}

/// Watches files, which may not exist yet. Dropping it stops watching.
pub struct FileWatch {
    _watcher: RecommendedWatcher,
    changes: watch::Receiver<u64>,
}

impl FileWatch {
    /// Watches these files. Files get replaced, so this watches names, not files. Where a directory is not there yet, its
    /// coming is a change, after which the files are to be watched anew.
    pub fn new(files: &[PathBuf]) -> Result<Self, WatchError> {
        loop {
            let named: HashSet<(PathBuf, OsString)> = files.iter().filter_map(|file| nearest(file)).collect();
            let watch = Self::of(named.clone());
            // What came before it was watched would not be noticed.
            if watch.is_err() || files.iter().filter_map(|file| nearest(file)).all(|parts| named.contains(&parts)) {
                return watch;
            }
        }
    }

    fn of(named: HashSet<(PathBuf, OsString)>) -> Result<Self, WatchError> {
        let (sender, changes) = watch::channel(0u64);
        let directories: HashSet<PathBuf> = named.iter().map(|(directory, _)| directory.clone()).collect();
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| WatchError { path, source }
        };
        let handler = move |event: notify::Result<Event>| {
            // An error, such as a queue that ran over, may have hidden a change.
            let concerns = event.map_or(true, |event| {
                let read = matches!(event.kind, EventKind::Access(_));
                event.need_rescan()
                    || (!read && event.paths.iter().filter_map(|path| parts(path)).any(|p| named.contains(&p)))
            });
            if concerns {
                sender.send_modify(|count| *count = count.wrapping_add(1));
            }
        };
        let mut watcher = notify::recommended_watcher(handler).map_err(failed(Path::new("mcp.json")))?;
        // One that can't be watched, such as a project's that the user can't list, takes no notice from the others.
        let (mut watched, mut problem) = (directories.is_empty(), None);
        for directory in &directories {
            match watcher.watch(directory, RecursiveMode::NonRecursive).map_err(failed(directory)) {
                Ok(()) => watched = true,
                Err(e) => problem = Some(e),
            }
        }
        match problem {
            Some(problem) if !watched => Err(problem),
            _ => Ok(Self { _watcher: watcher, changes }),
        }
    }

    /// Waits for a change since the last reported one, and then for a quiet moment.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // Unreachable, because the watcher lives as long as this; if it were reached, no change would come.
            return std::future::pending().await;
        }
        // A file that somebody writes without end must not hide the changes of the others.
        let quiet = async { while let Ok(Ok(())) = tokio::time::timeout(DEBOUNCE, self.changes.changed()).await {} };
        let _ = tokio::time::timeout(MAX_DEBOUNCE, quiet).await;
    }
}

/// A file's real directory and its name.
fn parts(file: &Path) -> Option<(PathBuf, OsString)> {
    let directory = file.parent()?.canonicalize().ok()?;
    Some((directory, file.file_name()?.to_owned()))
}

/// The parts of a file, or of the directory above it that is missing.
fn nearest(file: &Path) -> Option<(PathBuf, OsString)> {
    file.ancestors().find_map(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn a_file_that_is_made_replaced_or_removed_is_told_and_its_neighbours_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mcp.json");
        let mut watch = FileWatch::new(std::slice::from_ref(&file)).unwrap();
        let steps: [&dyn Fn(); 4] = [
            &|| fs::write(&file, "{}").unwrap(),
            &|| {
                fs::write(dir.path().join("new"), "{ }").unwrap();
                fs::rename(dir.path().join("new"), &file).unwrap();
            },
            &|| fs::write(&file, "{  }").unwrap(),
            &|| fs::remove_file(&file).unwrap(),
        ];
        for step in steps {
            step();
            tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.unwrap();
        }
        // Its directory comes later.
        let deep = dir.path().join("new/er/mcp.json");
        for made in ["new", "new/er"] {
            let mut watch = FileWatch::new(std::slice::from_ref(&deep)).unwrap();
            fs::create_dir(dir.path().join(made)).unwrap();
            tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.unwrap();
        }
        fs::write(dir.path().join("other.json"), "{}").unwrap();
        let quiet = tokio::time::timeout(Duration::from_millis(300), watch.changed()).await;
        assert!(quiet.is_err());
    }

    #[tokio::test]
    async fn a_file_that_is_written_without_end_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (own, theirs) = (dir.path().join("mcp.json"), dir.path().join("theirs/.mcp.json"));
        fs::create_dir(dir.path().join("theirs")).unwrap();
        // A directory that can't be watched takes no notice from the others.
        let mut watch = FileWatch::new(&[own, theirs.clone(), dir.path().join("gone/x")]).unwrap();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let writer = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(10)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                fs::write(&theirs, "{}").unwrap();
            }
        });
        tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.unwrap();
        drop(stop);
        writer.join().unwrap();
    }
}
