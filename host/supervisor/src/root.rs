//! Roots of sets of processes: what the processes belong to.

use std::fmt;
use std::path::Path;

use aiw_core::ProcessId;
use serde::{Deserialize, Serialize};

use crate::platform;

/// The root of a set of processes, which share a table and a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "RawRoot", into = "RawRoot")]
pub enum Root {
    /// A process, such as an AI CLI: the set is its session, and nothing is started in it after its end.
    Process {
        /// The process id.
        pid: u32,
        /// When it started, in the system's ticks since boot, or 0 if that is not known.
        start: u64,
    },
    /// A directory, such as that of a project: the set outlives every process.
    Directory {
        /// The digest of its real path.
        digest: u64,
    },
}

/// A root as records and segments hold it. No process has the id 0, which stands for a directory.
#[derive(Serialize, Deserialize)]
pub(crate) struct RawRoot {
    pub pid: u32,
    pub start: u64,
}

impl From<RawRoot> for Root {
    fn from(RawRoot { pid, start }: RawRoot) -> Self {
        if pid == 0 { Self::Directory { digest: start } } else { Self::Process { pid, start } }
    }
}

impl From<Root> for RawRoot {
    fn from(root: Root) -> Self {
        match root {
            Root::Process { pid, start } => Self { pid, start },
            Root::Directory { digest } => Self { pid: 0, start: digest },
        }
    }
}

impl Root {
    /// Returns the root with this process id, after looking up its start.
    pub fn for_pid(pid: u32) -> Self {
        Self::Process { pid, start: platform::start_time(pid).unwrap_or(0) }
    }

    /// Returns the root for a directory, by whatever path.
    pub fn for_directory(path: &Path) -> std::io::Result<Self> {
        let real = std::fs::canonicalize(path)?;
        Ok(Self::Directory { digest: digest(real.as_os_str().as_encoded_bytes()) })
    }

    /// Returns the process id of a root that is a process.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Process { pid, .. } => Some(*pid),
            Self::Directory { .. } => None,
        }
    }
}

#[cfg(unix)]
impl Root {
    /// Returns what the processes of this root are together.
    pub(crate) fn scope_name(&self) -> &'static str {
        match self {
            Self::Process { .. } => "session",
            Self::Directory { .. } => "directory",
        }
    }

    /// Returns whether both are the same root, as far as is known.
    pub(crate) fn is_same_root(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Process { pid, start }, Self::Process { pid: other, start: since }) => {
                pid == other && (start == since || *start == 0 || *since == 0)
            }
            (one, other) => one == other,
        }
    }

    /// Returns whether processes may still be started under this root. A directory has no end that could be noticed.
    pub(crate) fn is_alive(&self) -> bool {
        match self {
            Self::Process { pid, start } => platform::is_alive(*pid, *start),
            Self::Directory { .. } => true,
        }
    }

    /// Returns whether a text is a root's name.
    pub(crate) fn is_name(name: &str) -> bool {
        let is_directory =
            |digits: &str| digits.len() == DIGEST_LEN && digits.bytes().all(|b| b.is_ascii_alphanumeric());
        name.parse::<u32>().is_ok() || name.strip_prefix('d').is_some_and(is_directory)
    }
}

/// How many digits of a directory's digest are in its name: macOS limits the names of segments to 31
/// characters.
const DIGEST_LEN: usize = 6;

/// The name of a root, for files and command lines: a process id, or `d` with the end of a directory's digest. Two
/// directories may have the same name.
impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, .. } => pid.fmt(f),
            Self::Directory { digest } => {
                write!(f, "d{}", &ProcessId::from_number(*digest).as_str()[12 - DIGEST_LEN..])
            }
        }
    }
}

/// Returns the digest of some bytes: FNV-1a, because it is the same in every build.
pub fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The scope of a set of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessScope {
    /// The processes of one root.
    Root(Root),
    /// All processes of the user.
    All,
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_stored_as_two_numbers() {
        for (root, json) in [
            (Root::Process { pid: 7, start: 9 }, r#"{"pid":7,"start":9}"#),
            (Root::Directory { digest: u64::MAX }, r#"{"pid":0,"start":18446744073709551615}"#),
        ] {
            assert_eq!(serde_json::to_string(&root).unwrap(), json);
            assert_eq!(serde_json::from_str::<Root>(json).unwrap(), root);
            assert!(Root::is_name(&root.to_string()), "{root}");
        }
        assert!(!["", "d", "x", "d12345", "d1234567", "d12345-", "-1"].into_iter().any(Root::is_name));
    }

    #[test]
    fn a_directory_is_one_root_by_whatever_path() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("project");
        std::fs::create_dir(&project).unwrap();
        std::os::unix::fs::symlink(&project, dir.path().join("link")).unwrap();
        let root = Root::for_directory(&project).unwrap();
        assert!(root.is_same_root(&Root::for_directory(&dir.path().join("link")).unwrap()));
        assert!(root.is_same_root(&Root::for_directory(&project.join("../project/.")).unwrap()));
        assert!(!root.is_same_root(&Root::for_directory(dir.path()).unwrap()));
        assert!(!root.is_same_root(&Root::Process { pid: 1, start: 0 }) && root.is_alive() && root.pid().is_none());
        assert!(Root::for_directory(&dir.path().join("absent")).is_err());
    }
}
