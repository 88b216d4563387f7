//! The lock that guards changes of `~/.aiw`.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{HomeError, files};

/// Changes of documents take milliseconds; whoever holds the lock longer is stopped or stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// The right to change documents of the home, held while it lives. One lock for all of them:
/// an install touches three, and one order can't deadlock.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The right to be the one that starts something just now, for what depends on what was started
/// before. Says nothing about documents.
#[derive(Debug)]
pub struct Turn {
    _lock: Lock,
}

impl Turn {
    pub(crate) fn acquire(path: &Path) -> Result<Self, HomeError> {
        Ok(Self { _lock: Lock::acquire(path)? })
    }
}

impl Lock {
    pub(crate) fn acquire(path: &Path) -> Result<Self, HomeError> {
        let file = files::open_lock(path).map_err(|e| HomeError::io("open", path, e))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(HomeError::Busy { path: path.to_owned(), seconds: PATIENCE.as_secs() });
                }
                Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(e)) => return Err(HomeError::io("lock", path, e)),
            }
        }
    }
}
