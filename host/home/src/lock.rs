//! Locks on files: held as long as they live, and taken back by the system from whoever dies.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

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
        match lock_within(file, PATIENCE) {
            Ok(Some(file)) => Ok(Self { _file: file }),
            Ok(None) => Err(HomeError::Busy { path: path.to_owned(), seconds: PATIENCE.as_secs() }),
            Err(e) => Err(HomeError::io("lock", path, e)),
        }
    }
}

/// Locks a file for this one alone, as soon as whoever has it locked lets go. `None` if that takes longer
/// than `patience`; the file is closed then.
pub fn lock_within(file: File, patience: Duration) -> io::Result<Option<File>> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if patience.is_zero() => return Ok(None),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
    // No system has a lock with a limit in time. A thread sleeps for it, and costs nothing meanwhile.
    let waiting = file.try_clone()?;
    let (tell, told) = mpsc::sync_channel(1);
    let wait = move || {
        let locked = loop {
            match waiting.lock() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                locked => break locked,
            }
        };
        // Where nobody listens any more, the lock goes with the last that has the file open: this one.
        let _ = tell.send(locked);
    };
    thread::Builder::new().name("aiw-lock".into()).stack_size(64 << 10).spawn(wait)?;
    match told.recv_timeout(patience) {
        Ok(locked) => locked.map(|()| Some(file)),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> File {
        File::options().write(true).create(true).truncate(false).open(path).unwrap()
    }

    #[test]
    fn whoever_waits_gets_the_lock_when_it_is_let_go_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = lock_within(open(&path), Duration::ZERO).unwrap().unwrap();
        assert!(lock_within(open(&path), Duration::ZERO).unwrap().is_none());
        assert!(lock_within(open(&path), Duration::from_millis(20)).unwrap().is_none());
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| lock_within(open(&path), Duration::from_secs(60)).unwrap().is_some()))
                .collect();
            drop(held);
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
        });
        // Whoever gave up holds nothing.
        assert!(lock_within(open(&path), Duration::from_secs(60)).unwrap().is_some());
    }
}
