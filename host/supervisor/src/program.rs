//! The program that runs, and what it is given.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
#[cfg(unix)]
use std::{path::Path, process::Command};

use serde::{Deserialize, Serialize};

/// Returns a command that runs an executable. A process that starts itself again through `/proc`, because a file that
/// an update replaced has no other path, passes on aiw's name: a shim is known by it, and so is aiw in a list of
/// processes.
#[cfg(unix)]
pub(crate) fn command(executable: &Path) -> Command {
    use std::os::unix::process::CommandExt;

    let mut command = Command::new(executable);
    if executable == Path::new("/proc/self/exe") {
        command.arg0("aiw");
    }
    command
}

/// A program to run. It holds secrets, so its `Debug` output shows only counts.
#[derive(Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// The arguments, without the name of the program.
    pub arguments: Vec<OsString>,
    /// The complete environment of the program.
    pub environment: Vec<(OsString, OsString)>,
    /// The bytes that the program reads from its standard input.
    pub stdin: Vec<u8>,
    /// Files that exist only in memory.
    pub files: Vec<PassedFile>,
    /// Files in memory that have a name while the program runs.
    pub named_files: Vec<NamedFile>,
    /// The resources that it may use.
    pub limits: ResourceLimits,
    /// The byte strings to mask in everything it writes.
    pub secrets: Vec<Vec<u8>>,
}

impl Program {
    /// Returns an executable without arguments, environment or input.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Vec::new(),
            files: Vec::new(),
            named_files: Vec::new(),
            limits: ResourceLimits::default(),
            secrets: Vec::new(),
        }
    }
}

/// The variables that say who the user is, where programs and their caches are, and how to reach the network.
const DEFAULT_VARIABLES: &str = "\
    PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TERM COLORTERM TMPDIR TMP TEMP HTTP_PROXY HTTPS_PROXY NO_PROXY \
    http_proxy https_proxy no_proxy SSL_CERT_FILE SSL_CERT_DIR SSH_AUTH_SOCK CARGO_HOME RUSTUP_HOME GOPATH \
    GOROOT JAVA_HOME NVM_DIR PNPM_HOME VOLTA_HOME BUN_INSTALL DENO_DIR PYENV_ROOT VIRTUAL_ENV UV_CACHE_DIR \
    DOCKER_HOST DBUS_SESSION_BUS_ADDRESS NODE_EXTRA_CA_CERTS MISE_DATA_DIR";

/// Whether this is the name of a variable that every process may have: of who the user is, where programs and their caches
/// are, and how to reach the network. Keys of APIs are not among them.
pub fn is_usual_variable(name: &str) -> bool {
    DEFAULT_VARIABLES.split(' ').any(|usual| usual == name) || name.starts_with("LC_") || name.starts_with("XDG_")
}

#[cfg(unix)]
impl Program {
    /// Overwrites everything that may be secret before its memory is freed.
    pub(crate) fn wipe(&mut self) {
        use std::os::unix::ffi::OsStringExt;

        use zeroize::Zeroize;

        let arguments = self.arguments.drain(..);
        let environment = self.environment.drain(..).map(|(_, value)| value);
        let files = self.files.drain(..).map(|file| file.bytes);
        let named_files = self.named_files.drain(..).map(|file| file.bytes);
        let stdin = std::iter::once(std::mem::take(&mut self.stdin));
        let texts = arguments.chain(environment).map(OsString::into_vec).chain(self.secrets.drain(..));
        for mut bytes in texts.chain(files).chain(named_files).chain(stdin) {
            bytes.zeroize();
        }
    }
}

/// A file in memory that the program finds at `/proc/self/fd/N`.
#[derive(Clone)]
pub struct PassedFile {
    /// The number N, from 3 to 255.
    pub fd: i32,
    /// The content.
    pub bytes: Vec<u8>,
}

/// A file with a path of [`memory_path`], for a program that looks up the real path of the files it is given, and for
/// systems without files in memory. The shim creates the file, and removes it when the program has ended.
#[derive(Clone)]
pub struct NamedFile {
    /// The path where the program finds the file.
    pub path: PathBuf,
    /// The content.
    pub bytes: Vec<u8>,
}

/// How much of the machine a process and its descendants may use. cgroup v2 enforces the limits where a cgroup is
/// delegated to us. Elsewhere the shim watches memory and processes; a limit of the processor then has no effect. A
/// record says which it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// The memory in bytes.
    pub memory: Option<u64>,
    /// Hundredths of a processor: 150 is one and a half processors.
    pub cpu_percent: Option<u32>,
    /// The number of processes.
    pub pids: Option<u32>,
    /// The number of files that each of them may have open.
    pub files: Option<u64>,
    /// Whether the shim watches the limits that the kernel does not enforce.
    pub watch: bool,
}

/// A resource that can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Memory.
    Memory,
    /// Processor time.
    Cpu,
    /// Processes.
    Pids,
    /// Open files.
    Files,
}

/// The enforcer of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitEnforcer {
    /// The kernel.
    Kernel,
    /// The shim looks, and ends the process when it uses more.
    Watched,
    /// Nobody.
    None,
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
