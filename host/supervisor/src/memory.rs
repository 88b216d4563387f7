//! Files in memory: with a name, for programs that look up the real path of the files they are given, and without.

#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;

#[cfg(unix)]
use crate::files::{create_private, random};
#[cfg(unix)]
use crate::program::NamedFile;

/// The prefix of the file names of [`memory_path`].
#[cfg(unix)]
const MEMORY_PREFIX: &str = "aiw-file-";

/// The directory of named files in memory.
#[cfg(unix)]
const MEMORY: &str = "/dev/shm";

/// Returns an unused path in a file system in memory, or `None` if there is no such file system. The path names this
/// process: once this process has died and no process holds the file, it is swept.
#[cfg(unix)]
pub fn memory_path() -> Option<PathBuf> {
    let pid = std::process::id();
    let start = crate::platform::start_of(pid).unwrap_or(0);
    let (one, two) = (random(), random());
    let directory = Path::new(MEMORY);
    directory.is_dir().then(|| directory.join(format!("{MEMORY_PREFIX}{pid}-{start}-{one:016x}{two:016x}.json")))
}

/// Returns `None`: no other system has supervised processes.
#[cfg(not(unix))]
pub fn memory_path() -> Option<PathBuf> {
    None
}

/// Creates an empty, unnamed file in memory that only its owner can use.
#[cfg(unix)]
pub fn memory_file() -> std::io::Result<std::fs::File> {
    crate::platform::memory_file()
}

/// Removes the files of [`memory_path`] whose makers are dead, except those to keep and those that a shim holds: a
/// shim of another home may hold one.
#[cfg(unix)]
pub(crate) fn sweep_memory(keep: impl FnOnce() -> Vec<PathBuf>) {
    // There is rarely such a file, and reading the records takes time.
    let keep = std::cell::LazyCell::new(keep);
    for entry in std::fs::read_dir(MEMORY).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some((pid, start)) = owner(&path) else { continue };
        if !crate::platform::is_alive(pid, start) && !keep.contains(&path) {
            remove_left(&path);
        }
    }
}

/// Removes a file of [`memory_path`] that no shim holds, and nothing else.
#[cfg(unix)]
fn remove_left(path: &Path) {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    if !is_memory_path(path) {
        return;
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let Ok(file) = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) else { return };
    let ours = file.metadata().is_ok_and(|m| m.is_file() && m.uid() == rustix::process::geteuid().as_raw());
    if ours && hold(&file) {
        let _ = std::fs::remove_file(path);
    }
}

/// Removes named files. A forged record cannot make this remove any other file, or a file that a shim holds.
#[cfg(unix)]
pub(crate) fn remove_all(files: &mut Vec<PathBuf>) {
    files.drain(..).for_each(|path| remove_left(&path));
}

/// Locks a named file, as its shim does while the program runs. Returns whether nobody else holds the lock.
#[cfg(unix)]
fn hold(file: &std::fs::File) -> bool {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Returns the process that a file in memory is named after.
#[cfg(unix)]
fn owner(path: &Path) -> Option<(u32, u64)> {
    let mut parts = path.file_name()?.to_str()?.strip_prefix(MEMORY_PREFIX)?.split('-');
    let owner = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (parts.next().is_some() && parts.next().is_none()).then_some(owner)
}

/// Returns whether a path is one of [`memory_path`]. No other file is created or removed.
#[cfg(unix)]
pub(crate) fn is_memory_path(path: &Path) -> bool {
    path.parent() == Some(Path::new(MEMORY)) && owner(path).is_some()
}

/// Named files that were created, and locked so that nobody sweeps them. They are removed on drop.
#[cfg(unix)]
pub(crate) struct Named {
    files: Vec<(PathBuf, std::fs::File)>,
}

#[cfg(unix)]
impl Named {
    /// Creates all of the files, or none.
    pub fn make(files: &[NamedFile]) -> std::io::Result<Self> {
        use std::io::Write;
        let mut named = Self { files: Vec::new() };
        for file in files {
            let mut made = create_private(&file.path)?;
            hold(&made);
            let written = made.write_all(&file.bytes);
            named.files.push((file.path.clone(), made));
            written?;
        }
        Ok(named)
    }
}

#[cfg(unix)]
impl Drop for Named {
    fn drop(&mut self) {
        for (path, _) in self.files.drain(..) {
            let _ = std::fs::remove_file(path);
        }
    }
}
