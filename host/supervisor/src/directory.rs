//! What lies in the directory of a process, beside its record.
//!
//! ```text
//! task.json   the record, under the name that its room gives it
//! prompt      the standard input
//! log, log.1  what it wrote
//! alive       locked by the shim while it lives; the system unlocks it when the shim dies
//! reserve     room for the last record, for a disk that is full by then
//! stop        asks a shim that cannot be signalled to end the process
//! read        there once a report has shown how it ended
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

use crate::error::SupervisorError;
use crate::files::{create_private, reserve, write_into};

/// How often a shim looks whether its directory asks for its end, and whether the session has another segment.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The standard input, whole.
pub(crate) const PROMPT: &str = "prompt";
/// Asks for the end.
const STOP: &str = "stop";
/// Says that a report has shown the end.
const READ: &str = "read";
/// Enough for a record with usual texts.
const RESERVED: usize = 64 << 10;

/// Room for the last record.
pub(crate) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// That of a directory.
    pub fn of(directory: &Path) -> Self {
        Self { path: directory.join("reserve") }
    }

    /// Sets it apart. Where there is none, it has to do without.
    pub fn make(&self) {
        let _ = reserve(&self.path, RESERVED);
    }

    /// Puts new content in the place of a file, within the room, which is used up by it.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        write_into(&self.path, path, bytes)
    }

    pub fn remove(self) {
        let _ = fs::remove_file(self.path);
    }
}

/// Marks an end as shown by a report, if the disk lets us. A listing that is kept sees it by the directory above.
pub(crate) fn mark_read(directory: &Path) {
    let _ = create_private(&directory.join(READ));
    if let Some(Ok(all)) = directory.parent().map(File::open) {
        let _ = all.set_modified(SystemTime::now());
    }
}

/// Whether a report has shown the end.
pub(crate) fn is_read(directory: &Path) -> bool {
    directory.join(READ).exists()
}

/// Forgets what was asked for, and shown, of an earlier incarnation.
pub(crate) fn forget(directory: &Path) {
    for name in [STOP, READ] {
        let _ = fs::remove_file(directory.join(name));
    }
}

/// Asks for the end of a task in its directory.
pub(crate) fn ask_to_stop(directory: &Path) -> Result<(), SupervisorError> {
    let path = directory.join(STOP);
    match create_private(&path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(SupervisorError::io("write", &path, e)),
        _ => Ok(()),
    }
}

/// Whether the end of a task was asked for in its directory.
pub(crate) fn is_asked_to_stop(directory: &Path) -> bool {
    directory.join(STOP).exists()
}

/// Whether a shim supervises the task of a directory, whatever is left of its record. A shim locks a plain
/// file.
pub(crate) fn is_supervised(directory: &Path) -> Result<bool, SupervisorError> {
    match fs::symlink_metadata(directory.join(ALIVE)) {
        Ok(meta) if meta.is_file() => Ok(Alive::take(directory)?.is_none()),
        Ok(_) => Ok(false),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(SupervisorError::io("look at", &directory.join(ALIVE), e)),
    }
}

const ALIVE: &str = "alive";

/// The lock that a shim holds as long as it lives, seen alike from all namespaces.
#[derive(Debug)]
pub(crate) struct Alive {
    _file: File,
}

impl Alive {
    /// Takes the lock; `None` if the shim lives, or somebody else cleans up after it.
    pub fn take(directory: &Path) -> Result<Option<Self>, SupervisorError> {
        Self::lock(directory, FlockOperation::NonBlockingLockExclusive)
    }

    /// Whether nobody has the lock. Those who only ask do not disturb each other.
    pub fn is_free(directory: &Path) -> Result<bool, SupervisorError> {
        Self::lock(directory, FlockOperation::NonBlockingLockShared).map(|lock| lock.is_some())
    }

    fn lock(directory: &Path, how: FlockOperation) -> Result<Option<Self>, SupervisorError> {
        let path = directory.join(ALIVE);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match open(&path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => File::from(file),
            // Removed in the meantime.
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            // Where nothing can be written it can still be asked who holds the lock.
            Err(e) => {
                match open(&path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty())
                {
                    Ok(file) => File::from(file),
                    Err(_) => return Err(SupervisorError::io("open", &path, e.into())),
                }
            }
        };
        match flock(&file, how) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(SupervisorError::io("lock", &path, e.into())),
        }
    }
}
