//! The lock of a root, which one process at a time holds to make decisions.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::error::SupervisorError;

/// The right to decide about a root: which segment it has, and whose turn it is. The system releases the lock when
/// its holder dies.
pub(super) struct RootLock {
    _file: fs::File,
    path: PathBuf,
}

impl RootLock {
    /// Takes the lock of the root whose segment is named by this link file.
    pub fn acquire(link: &Path, patience: Duration) -> Result<Self, SupervisorError> {
        let path = link.with_added_extension("lock");
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let busy = || SupervisorError::Busy { path: path.clone(), seconds: patience.as_secs() };
        let deadline = Instant::now() + patience;
        loop {
            let file = match open(&path, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => fs::File::from(file),
                Err(Errno::LOOP) => {
                    let problem = "is a symbolic link, and must be a file".into();
                    return Err(SupervisorError::InvalidRuntimeDir { path, problem });
                }
                Err(e) => return Err(SupervisorError::io("open", &path, e.into())),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let file = aiw_home::try_lock_for(file, left)
                .map_err(|e| SupervisorError::io("lock", &path, e))?
                .ok_or_else(busy)?;
            // A process that cleaned up may have removed the lock file with the segment. Then it is opened again.
            let same = file.metadata().ok().zip(fs::symlink_metadata(&path).ok());
            if same.is_some_and(|(ours, theirs)| (ours.ino(), ours.dev()) == (theirs.ino(), theirs.dev())) {
                return Ok(Self { _file: file, path });
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}
