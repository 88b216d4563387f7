use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

use crate::HomeError;

/// Changes of documents take milliseconds; whoever holds the lock longer is stopped or stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// The right to change documents of the home, held while it lives. One lock for all of them:
/// an install touches three, and one order can't deadlock.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn acquire(path: &Path) -> Result<Self, HomeError> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = open(path, flags, Mode::from_raw_mode(0o600)).map_err(|e| HomeError::io("open", path, e.into()))?;
        let start = Instant::now();
        loop {
            match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: File::from(fd) }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(HomeError::Busy { path: path.to_owned(), seconds: PATIENCE.as_secs() });
                }
                Err(e) => return Err(HomeError::io("lock", path, e.into())),
            }
        }
    }
}
