//! Files that hold secrets for a program: with a name, for programs that look up the real path of the files they are
//! given, and without. They are in memory; on a system without a file system in memory, those with a name are in the
//! runtime directory.

#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;

use crate::error::SupervisorError;
#[cfg(unix)]
use crate::files::{create_private, random};
#[cfg(unix)]
use crate::program::NamedFile;
#[cfg(unix)]
use crate::runtime::RuntimeDir;

/// The prefix of the file names of [`memory_path`].
#[cfg(unix)]
const MEMORY_PREFIX: &str = "aiw-file-";

/// The directory of named files in memory.
#[cfg(unix)]
const SHM_DIR: &str = "/dev/shm";

/// Returns an unused path for a file that only this user can reach: in a file system in memory or, where the system has
/// none, in the runtime directory. The path names this process: once this process has died and no process holds the
/// file, it is swept.
#[cfg(unix)]
pub fn memory_path() -> Result<PathBuf, SupervisorError> {
    let directory = directory(Path::new(SHM_DIR), || RuntimeDir::find("aiw".into()))?;
    let pid = std::process::id();
    let start = crate::platform::start_time(pid).unwrap_or(0);
    let (one, two) = (random(), random());
    Ok(directory.join(format!("{MEMORY_PREFIX}{pid}-{start}-{one:016x}{two:016x}.json")))
}

/// Returns an error: there are no supervised processes here.
#[cfg(not(unix))]
pub fn memory_path() -> Result<PathBuf, SupervisorError> {
    Err(SupervisorError::Unsupported { noun: "file".into() })
}

/// Returns the directory of named files.
#[cfg(unix)]
fn directory(
    memory: &Path,
    runtime: impl FnOnce() -> Result<RuntimeDir, SupervisorError>,
) -> Result<PathBuf, SupervisorError> {
    if memory.is_dir() {
        return Ok(memory.to_owned());
    }
    let runtime = runtime()?;
    runtime.create()?;
    Ok(runtime.path().to_owned())
}

/// Creates an empty, unnamed file in memory that only its owner can use.
#[cfg(unix)]
pub fn memory_file() -> std::io::Result<std::fs::File> {
    crate::platform::memory_file()
}

/// Removes the files of [`memory_path`] whose makers are dead, except those to keep and those that a shim holds: a
/// shim of another home may hold one.
#[cfg(unix)]
pub(crate) fn sweep_memory(runtime: &Path, keep: impl FnOnce() -> Vec<PathBuf>) {
    // There is rarely such a file, and reading the records takes time.
    let keep = std::cell::LazyCell::new(keep);
    let entries = [Path::new(SHM_DIR), runtime].map(|directory| std::fs::read_dir(directory).into_iter().flatten());
    for entry in entries.into_iter().flatten().flatten() {
        let path = entry.path();
        let Some((pid, start)) = owner(&path) else { continue };
        if !crate::platform::is_alive(pid, start) && !keep.contains(&path) {
            remove_left(&path, runtime);
        }
    }
}

/// Removes a file of [`memory_path`] that no shim holds, and nothing else.
#[cfg(unix)]
fn remove_left(path: &Path, runtime: &Path) {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    if !is_memory_path(path, runtime) {
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
pub(crate) fn remove_all(files: &mut Vec<PathBuf>, runtime: &Path) {
    files.drain(..).for_each(|path| remove_left(&path, runtime));
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
pub(crate) fn is_memory_path(path: &Path, runtime: &Path) -> bool {
    [Path::new(SHM_DIR), runtime].map(Some).contains(&path.parent()) && owner(path).is_some()
}

/// Named files that were created, and locked so that nobody sweeps them. They are removed on drop.
#[cfg(unix)]
pub(crate) struct CreatedFiles {
    files: Vec<(PathBuf, std::fs::File)>,
}

#[cfg(unix)]
impl CreatedFiles {
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
impl Drop for CreatedFiles {
    fn drop(&mut self) {
        for (path, _) in self.files.drain(..) {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn without_memory_a_named_file_is_private_in_the_runtime_directory_and_goes() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().join("run");
        let found =
            |memory: &Path| directory(memory, || Ok(RuntimeDir::from_path(runtime.clone(), "test".into()))).unwrap();
        assert_eq!(found(dir.path()), dir.path());
        assert!(!runtime.exists());
        assert_eq!(found(&dir.path().join("shm")), runtime);
        // Of a maker that is dead, of one that lives, and files of others.
        let at = |name: &str| runtime.join(name);
        let own = (std::process::id(), crate::platform::start_time(std::process::id()).unwrap());
        let [held, left, ours] = [(u32::MAX, 1, "a"), (u32::MAX, 1, "b"), (own.0, own.1, "c")]
            .map(|(pid, start, word)| at(&format!("{MEMORY_PREFIX}{pid}-{start}-{word}.json")));
        let others = [at("aiw-file-x.json"), at("4711"), dir.path().join("aiw-file-1-1-x.json")];
        let named = CreatedFiles::make(&[NamedFile { path: held.clone(), bytes: b"one".to_vec() }]).unwrap();
        assert_eq!(std::fs::metadata(&held).unwrap().permissions().mode() & 0o777, 0o600);
        for path in [&left, &ours].into_iter().chain(&others) {
            std::fs::write(path, "x").unwrap();
        }
        sweep_memory(&runtime, Vec::new);
        assert!(held.exists() && !left.exists() && ours.exists());
        remove_all(&mut others.to_vec(), &runtime);
        remove_all(&mut vec![ours.clone(), held.clone()], dir.path());
        assert!(others.iter().chain([&ours, &held]).all(|path| path.exists()));
        remove_all(&mut vec![ours.clone(), held.clone()], &runtime);
        assert!(!ours.exists() && held.exists());
        drop(named);
        assert!(!held.exists());
        std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o755)).unwrap();
        let open = directory(&dir.path().join("shm"), || Ok(RuntimeDir::from_path(runtime.clone(), "test".into())));
        assert!(open.unwrap_err().to_string().ends_with("is open to others; its mode must be 0700"));
    }
}
