use std::ffi::OsString;
use std::fmt;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;

/// What runs. It holds secrets, so its `Debug` shows counts only.
#[derive(Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<OsString>,
    /// The whole environment of the CLI.
    pub environment: Vec<(OsString, OsString)>,
    /// What the CLI reads from its standard input.
    pub stdin: Vec<u8>,
    /// Files that exist in memory only.
    pub files: Vec<PassedFile>,
    /// Files in memory that have a name, while the CLI runs.
    pub named_files: Vec<NamedFile>,
    /// What it may use.
    pub limits: Limits,
    /// What is masked in all that it writes.
    pub secrets: Vec<Vec<u8>>,
}

#[cfg(unix)]
impl Program {
    /// Overwrites what may be secret before its memory is given back.
    pub(crate) fn wipe(&mut self) {
        use std::os::unix::ffi::OsStringExt;
        let arguments = self.arguments.drain(..);
        let environment = self.environment.drain(..).map(|(_, value)| value);
        let files = self.files.drain(..).map(|file| file.bytes);
        let named_files = self.named_files.drain(..).map(|file| file.bytes);
        let stdin = std::iter::once(std::mem::take(&mut self.stdin));
        let texts = arguments.chain(environment).map(OsString::into_vec).chain(self.secrets.drain(..));
        for mut bytes in texts.chain(files).chain(named_files).chain(stdin) {
            bytes.fill(0);
            // Else the compiler may leave out what nobody reads.
            std::hint::black_box(&bytes);
        }
    }
}

/// A file in memory, which the CLI finds at `/proc/self/fd/N`.
#[derive(Clone)]
pub struct PassedFile {
    /// N, from 3 to 255.
    pub fd: i32,
    /// The content.
    pub bytes: Vec<u8>,
}

/// A file with a path of [`memory_path`], for a CLI that looks up the real name of what it is
/// given. The shim makes it, and takes it away when the CLI has ended.
#[derive(Clone)]
pub struct NamedFile {
    /// Where the CLI finds it.
    pub path: PathBuf,
    /// The content.
    pub bytes: Vec<u8>,
}

/// What the names of [`memory_path`] begin with.
#[cfg(unix)]
const MEMORY_PREFIX: &str = "aiw-file-";

/// Where files in memory have names.
#[cfg(unix)]
const MEMORY: &str = "/dev/shm";

/// A path that nothing has, in a file system that is memory; `None` where there is no such. It
/// names this process: what its file is called after has died, and no task holds, is swept away.
#[cfg(unix)]
pub fn memory_path() -> Option<PathBuf> {
    let pid = std::process::id();
    let start = crate::platform::start_of(pid).unwrap_or(0);
    let (one, two) = (crate::files::random(), crate::files::random());
    let directory = Path::new(MEMORY);
    directory.is_dir().then(|| directory.join(format!("{MEMORY_PREFIX}{pid}-{start}-{one:016x}{two:016x}.json")))
}

/// No other system has tasks.
#[cfg(not(unix))]
pub fn memory_path() -> Option<PathBuf> {
    None
}

/// An empty file in memory, without a name, for its owner alone.
#[cfg(unix)]
pub fn memory_file() -> std::io::Result<std::fs::File> {
    crate::platform::memory_file()
}

/// Removes files of [`memory_path`] whose makers are dead, but those that are to be kept, or that a
/// shim holds: of another home there may be one.
#[cfg(unix)]
pub(crate) fn sweep_memory(keep: impl FnOnce() -> Vec<PathBuf>) {
    // Hardly ever is there such a file, and the records need time to read.
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
pub(crate) fn remove_left(path: &Path) {
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

/// Locks a named file, as its shim does while the CLI runs; whether nobody else has.
#[cfg(unix)]
pub(crate) fn hold(file: &std::fs::File) -> bool {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// The process that a file in memory is called after.
#[cfg(unix)]
fn owner(path: &Path) -> Option<(u32, u64)> {
    let mut parts = path.file_name()?.to_str()?.strip_prefix(MEMORY_PREFIX)?.split('-');
    let owner = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (parts.next().is_some() && parts.next().is_none()).then_some(owner)
}

/// Whether a path is of [`memory_path`]: no other is made or removed.
#[cfg(unix)]
pub(crate) fn is_memory_path(path: &Path) -> bool {
    path.parent() == Some(Path::new(MEMORY)) && owner(path).is_some()
}

/// What a task may use of the machine. Kept by cgroup v2; where that is not ours to use, the
/// task's note says that there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Hundredths of a processor: 150 is one and a half.
    pub cpu_percent: Option<u32>,
}

/// What happens when enough tasks run already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How many tasks of the session may run at once.
    pub limit: u32,
    /// Whether the task waits for its turn; else it is refused.
    pub may_queue: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { limit: 64, may_queue: true }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("path", &self.path)
            .field("arguments", &self.arguments.len())
            .field("environment", &self.environment.len())
            .field("stdin", &self.stdin.len())
            .field("files", &self.files)
            .field("named_files", &self.named_files.len())
            .field("limits", &self.limits)
            .field("secrets", &self.secrets.len())
            .finish()
    }
}

impl fmt::Debug for PassedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedFile").field("fd", &self.fd).field("bytes", &self.bytes.len()).finish()
    }
}
