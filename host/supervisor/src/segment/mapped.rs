//! A mapped segment: its name, and whether the root still uses it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::layout::{PID_NAMESPACE_INDEX, READY_INDEX, ROOT_PID_INDEX, ROOT_START_INDEX, SEGMENT_BYTES, magic};
use super::memory::Memory;
use crate::error::{ShmError, SupervisorError};
use crate::platform;
use crate::root::{RawRoot, Root, digest};

/// A mapped segment.
pub(crate) struct Segment {
    pub(super) memory: Memory,
    /// The name of the segment in the system.
    pub(super) id: String,
    /// The link file that names the segment.
    pub(super) link: PathBuf,
    pub(super) root: Root,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("id", &self.id).field("root", &self.root).finish()
    }
}

impl Segment {
    /// Returns whether the root still uses this segment. If not, a long-lived process attaches again.
    pub fn is_current(&self) -> bool {
        matches!(read_link(&self.link), Ok(Some(id)) if id == self.id)
            && platform::segment_file(&self.id).is_none_or(|path| fs::symlink_metadata(path).is_ok())
    }

    /// Returns the name of the segment in the system.
    #[cfg(any(test, feature = "testing"))]
    pub fn name(&self) -> &str {
        &self.id
    }

    /// Removes the link, for tests: the next process creates another segment.
    #[cfg(feature = "testing")]
    pub fn remove_link(&self) {
        let _ = aiw_home::remove_file(&self.link);
    }

    /// Returns whether the process ids of the segment are valid here.
    pub(super) fn has_valid_pids(&self) -> bool {
        self.memory.words()[PID_NAMESPACE_INDEX].load(Ordering::Relaxed) == platform::pid_namespace()
    }

    /// Maps the segment that a link names, whatever its root is.
    pub(super) fn map(id: &str, link: &Path) -> Result<Self, SupervisorError> {
        let refuse = |source: ShmError| SupervisorError::SharedMemory { name: id.to_owned(), source };
        let unfit = |what: &'static str| refuse(ShmError::IncompatibleSegment(what));
        if let Some(path) = platform::segment_file(id) {
            let meta = fs::symlink_metadata(&path).map_err(|e| refuse(e.into()))?;
            if !meta.is_file() || meta.uid() != geteuid().as_raw() || meta.mode() & 0o777 != 0o600 {
                return Err(unfit("it is not a private file of this user"));
            }
            if meta.len() != SEGMENT_BYTES as u64 {
                return Err(unfit("it is truncated"));
            }
        }
        let memory = Memory::open(id).map_err(|e| refuse(e.into()))?.ok_or_else(|| unfit("it is truncated"))?;
        let words = memory.words();
        if words[READY_INDEX].load(Ordering::Acquire) != magic() {
            return Err(unfit("it is not of this version of aiw, or was never finished"));
        }
        let word = |index: usize| words[index].load(Ordering::Relaxed);
        let root =
            RawRoot { pid: u32::try_from(word(ROOT_PID_INDEX)).unwrap_or(0), start: word(ROOT_START_INDEX) }.into();
        Ok(Self { memory, id: id.to_owned(), link: link.to_owned(), root })
    }
}

/// Returns how the ids of a root's segments begin: with the user, the root and, where segments are swept by
/// this prefix, the runtime directory. Two runtime directories are separate worlds.
pub(super) fn name_prefix(link: &Path) -> String {
    let uid = geteuid().as_raw();
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    if !cfg!(target_os = "linux") {
        return format!("/aiw-{uid}-{name}-");
    }
    let directory = digest(link.parent().unwrap_or(link).as_os_str().as_encoded_bytes());
    format!("/aiw-{uid}-{name}_{}-", &aiw_core::ProcessId::from_number(directory).as_str()[4..])
}

/// Reads the id of the segment that a link file names.
pub(super) fn read_link(link: &Path) -> Result<Option<String>, SupervisorError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let refuse =
        |problem: &str| SupervisorError::InvalidRuntimeDir { path: link.to_owned(), problem: problem.to_owned() };
    let file = match open(link, flags, Mode::empty()) {
        Ok(file) => fs::File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(refuse("is a symbolic link, and must be a file")),
        Err(e) => return Err(SupervisorError::io("open", link, e.into())),
    };
    let meta = file.metadata().map_err(|e| SupervisorError::io("look at", link, e))?;
    if !meta.is_file() || meta.uid() != geteuid().as_raw() {
        return Err(refuse("is not a file of this user"));
    }
    let mut id = String::new();
    if file.take(256).read_to_string(&mut id).is_err() {
        return Err(refuse("does not name a segment"));
    }
    match id.strip_prefix(&name_prefix(link)) {
        Some(rest) if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()) && id.len() < 200 => {
            Ok(Some(id))
        }
        _ => Err(refuse("does not name a segment of this session")),
    }
}
