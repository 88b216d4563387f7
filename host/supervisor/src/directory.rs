//! The files in a process's directory, apart from its record.
//!
//! ```text
//! server.json the record, under the name that its room gives it
//! prompt      the standard input
//! log, log.1  what it wrote
//! alive       locked by the shim while it lives; the system unlocks it when the shim dies
//! reserve     space for the last record, in case the disk is full by then
//! input       a FIFO: what is written to it is the input of a process that takes some while it runs
//! stop        says which instance was asked to end; a shim that cannot be signaled sees it
//! remarks     what other processes of aiw have to say in its log, a line each
//! read        present once a report has shown how the process ended
//! ```

use std::fs::{self, File, FileTimes};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aiw_core::one_line;
use aiw_home::{OpenDirectory, open_append, open_owned, open_regular, read_capped, remove_file};
use rustix::fs::{FlockOperation, flock};

use crate::error::SupervisorError;
use crate::files::{create_private, reserve, write_atomically, write_into};

/// How often a shim checks whether its directory asks it to end, and whether the root has another segment.
pub(crate) const DIRECTORY_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The complete standard input.
pub(crate) const PROMPT: &str = "prompt";
/// The FIFO that shims had before they had a socket.
pub(crate) const INPUT: &str = "input";
/// The file of other processes' remarks, which go into the log.
const REMARKS_FILE: &str = "remarks";
/// The largest such file that is read.
const REMARK_BYTES: u64 = 64 << 10;
/// Asks for the end of the process.
const STOP_FILE: &str = "stop";
/// Marks that a report has shown the end.
const SEEN_MARKER: &str = "read";
/// Enough for a record whose texts have a usual length.
const RESERVED_BYTES: usize = 64 << 10;

/// Disk space reserved for the last record.
pub(crate) struct ReservedSpace {
    path: PathBuf,
}

impl ReservedSpace {
    /// Returns the reserve of a directory.
    pub fn new(directory: &Path) -> Self {
        Self { path: directory.join("reserve") }
    }

    /// Reserves the space. If that fails, the record has to do without it.
    pub fn allocate(&self) {
        let _ = reserve(&self.path, RESERVED_BYTES);
    }

    /// Replaces the content of a file, using up the reserved space.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        write_into(&self.path, path, bytes)
    }

    pub fn remove(self) {
        let _ = remove_file(&self.path);
    }
}

/// Marks an end as shown by a report, if the disk allows it.
pub(crate) fn mark_seen(directory: &Path) {
    let _ = create_private(&directory.join(SEEN_MARKER));
    touch_all(directory);
}

/// Changes the time of the directory of all processes, above the one of a process. A kept listing and who listens
/// notice by that what happens to a process that has ended.
pub(crate) fn touch_all(directory: &Path) {
    if let Some(Ok(all)) = directory.parent().map(File::open) {
        let now = SystemTime::now();
        // One of the two times alone would be no change of attributes for who listens.
        let _ = all.set_times(FileTimes::new().set_accessed(now).set_modified(now));
    }
}

/// Returns whether a report has shown the end.
pub(crate) fn is_seen(directory: &Path) -> bool {
    directory.join(SEEN_MARKER).exists()
}

/// Removes the stop request and the mark of a report from an earlier incarnation.
pub(crate) fn clear_markers(directory: &Path) {
    for name in [STOP_FILE, SEEN_MARKER, REMARKS_FILE] {
        let _ = remove_file(&directory.join(name));
    }
}

/// Leaves a sentence for the log, which the shim alone writes. It is there within some seconds, or at the end.
pub(crate) fn add_remark(directory: &Path, sentence: &str) -> io::Result<()> {
    let mut file = open_append(&directory.join(REMARKS_FILE))?;
    if file.metadata()?.len() > REMARK_BYTES {
        return Ok(());
    }
    file.write_all(format!("{}\n", one_line(sentence, 400)).as_bytes())
}

/// Returns the remarks behind a position, which is moved behind them.
pub(crate) fn remarks(directory: &Path, from: &mut usize) -> Vec<String> {
    let bytes = read_capped(&directory.join(REMARKS_FILE), 2 * REMARK_BYTES).ok().flatten().unwrap_or_default();
    let new = bytes.get(*from..).unwrap_or_default();
    let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    *from += whole;
    String::from_utf8_lossy(&new[..whole]).lines().map(|line| one_line(line, 400)).collect()
}

/// Asks for the end of a process through its directory. The next one with the same id is not meant.
pub(crate) fn request_stop(directory: &Path, instance: u64) -> Result<(), SupervisorError> {
    write_atomically(&directory.join(STOP_FILE), &instance.to_le_bytes())
}

/// Returns whether the end of a process was requested through its directory.
pub(crate) fn is_stop_requested(directory: &Path, instance: u64) -> bool {
    let asked = read_capped(&directory.join(STOP_FILE), 8).ok().flatten();
    asked.is_some_and(|asked| asked == instance.to_le_bytes())
}

/// Returns whether a shim supervises the process of a directory, even if its record is damaged. A shim locks only a
/// plain file.
pub(crate) fn is_supervised(directory: &Path) -> Result<bool, SupervisorError> {
    match fs::symlink_metadata(directory.join(LIVENESS_LOCK_FILE)) {
        Ok(meta) if meta.is_file() => Ok(LivenessLock::try_acquire(directory)?.is_none()),
        Ok(_) => Ok(false),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(SupervisorError::io("look at", &directory.join(LIVENESS_LOCK_FILE), e)),
    }
}

const LIVENESS_LOCK_FILE: &str = "alive";

/// The lock that a shim holds for its whole life. It looks the same from all namespaces.
#[derive(Debug)]
pub(crate) struct LivenessLock {
    _file: File,
}

impl LivenessLock {
    /// Takes the lock. Returns `None` if the shim is alive, or if another process is cleaning up after it.
    pub fn try_acquire(directory: &Path) -> Result<Option<Self>, SupervisorError> {
        Self::lock(directory, FlockOperation::NonBlockingLockExclusive)
    }

    /// Returns whether nobody holds the lock. Processes that only ask do not block each other.
    /// `all` is the directory of all processes.
    ///
    /// `/proc/locks` tells all locks at once. But who reads it waits 20 ms for the kernel, and so does everybody who
    /// locks a file meanwhile.
    pub fn is_free(all: &OpenDirectory, directory: &Path) -> Result<bool, SupervisorError> {
        let how = FlockOperation::NonBlockingLockShared;
        let name = Path::new(directory.file_name().unwrap_or_default()).join(LIVENESS_LOCK_FILE);
        // A read-only descriptor is enough to ask.
        let lock = match all.open_regular(&name) {
            Ok(file) => Self::locked(directory, file, how),
            Err(_) => Self::lock(directory, how),
        };
        lock.map(|lock| lock.is_some())
    }

    fn lock(directory: &Path, how: FlockOperation) -> Result<Option<Self>, SupervisorError> {
        let path = directory.join(LIVENESS_LOCK_FILE);
        let file = match open_owned(&path) {
            Ok(file) => file,
            // It was removed in the meantime.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => open_regular(&path).map_err(|_| SupervisorError::io("open", &path, e))?,
        };
        Self::locked(directory, file, how)
    }

    fn locked(directory: &Path, file: File, how: FlockOperation) -> Result<Option<Self>, SupervisorError> {
        let path = directory.join(LIVENESS_LOCK_FILE);
        match flock(&file, how) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(SupervisorError::io("lock", &path, e.into())),
        }
    }
}
