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
        let texts = arguments.chain(environment).map(OsString::into_vec);
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

/// A path that nothing has, in a directory that is memory where there is one, else among the
/// temporary files.
#[cfg(unix)]
pub fn memory_path() -> PathBuf {
    let (one, two) = (crate::files::random(), crate::files::random());
    let name = format!("{MEMORY_PREFIX}{one:016x}{two:016x}.json");
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { shm.join(name) } else { std::env::temp_dir().join(name) }
}

/// Whether a path is of [`memory_path`]: no other is made or removed.
#[cfg(unix)]
pub(crate) fn is_memory_path(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    path.is_absolute() && name.is_some_and(|name| name.starts_with(MEMORY_PREFIX))
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
            .finish()
    }
}

impl fmt::Debug for PassedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedFile").field("fd", &self.fd).field("bytes", &self.bytes.len()).finish()
    }
}
