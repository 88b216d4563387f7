//! File locks: held as long as they live, and released by the system if their process dies.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::{HomeError, files, open_append};

/// Document changes take milliseconds; a process that holds the lock longer is stopped or stuck.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// After this time, it is said that a lock is waited for.
const WAIT_NOTICE_DELAY: Duration = Duration::from_secs(2);

/// Says what is waited for: a sentence.
static LOCK_WAIT_HANDLER: OnceLock<fn(&str)> = OnceLock::new();

/// Has it said that a lock is waited for, as soon as that takes two seconds. Only the first call in a process counts.
pub fn set_lock_wait_handler(say: fn(&str)) {
    let _ = LOCK_WAIT_HANDLER.set(say);
}

/// The right to change documents of the home, held while it lives. There is one lock for all documents, because an
/// install touches three, and a single lock can't deadlock.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The right to do something that only one process at a time may do. It doesn't cover documents.
#[derive(Debug)]
pub struct ExclusiveLock {
    _lock: Lock,
}

impl ExclusiveLock {
    /// Waits for the turn that the lock file at `path` stands for.
    pub fn acquire(path: &Path) -> Result<Self, HomeError> {
        Ok(Self { _lock: Lock::acquire(path)? })
    }

    /// Takes the turn as above, but waits at most so long. `None` if another process still has it.
    pub fn try_acquire_for(path: &Path, patience: Duration) -> Result<Option<Self>, HomeError> {
        Ok(Lock::within(path, patience)?.map(|lock| Self { _lock: lock }))
    }
}

impl Lock {
    pub(crate) fn acquire(path: &Path) -> Result<Self, HomeError> {
        let file = files::open_owned(path).map_err(|e| HomeError::io("open", path, e))?;
        let failed = |e| HomeError::io("lock", path, e);
        let mut wait = LockWait::start(file);
        let mut locked = wait.wait_timeout(WAIT_NOTICE_DELAY).map_err(failed)?;
        if locked.is_none() {
            if let Some(say) = LOCK_WAIT_HANDLER.get() {
                let holder =
                    lock_holder(path).map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                say(&format!("waiting for {holder}, which holds `{}`", path.display()));
            }
            locked = wait.wait_timeout(LOCK_TIMEOUT - WAIT_NOTICE_DELAY).map_err(failed)?;
        }
        let busy =
            || HomeError::Busy { path: path.to_owned(), seconds: LOCK_TIMEOUT.as_secs(), pid: lock_holder(path) };
        locked.map(|file| Self { _file: file }).ok_or_else(busy)
    }

    fn within(path: &Path, patience: Duration) -> Result<Option<Self>, HomeError> {
        let file = files::open_owned(path).map_err(|e| HomeError::io("open", path, e))?;
        let locked = try_lock_for(file, patience).map_err(|e| HomeError::io("lock", path, e))?;
        Ok(locked.map(|file| Self { _file: file }))
    }
}

/// Takes the lock of a file, which is made if it isn't there. `None` if another process has it.
///
/// # Errors
///
/// The system's error.
pub fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = open_append(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Returns whether a process has the lock of a file that [`try_lock`] takes. It takes nothing itself.
pub fn is_held(path: &Path) -> bool {
    let file = files::open_regular(path);
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Returns the process that holds the lock of a file, where the system says it (`/proc/locks`, see proc_locks(5)).
pub fn lock_holder(path: &Path) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        let inode = format!(":{}", std::fs::metadata(path).ok()?.ino());
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let holder = |line: &str| {
            // `1: FLOCK  ADVISORY  WRITE 4711 08:01:12345 0 EOF`; those that wait have `->` after the number.
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_it = words.get(1) == Some(&"FLOCK") && words.get(5)?.ends_with(&inode);
            if is_it { words.get(4)?.parse().ok() } else { None }
        };
        locks.lines().find_map(holder)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

/// Locks a file exclusively, as soon as its holder releases it. `None` if that takes longer than `patience`; the file
/// is then closed.
pub fn try_lock_for(file: File, patience: Duration) -> io::Result<Option<File>> {
    LockWait::start(file).wait_timeout(patience)
}

/// A wait for an exclusive lock on a file. Dropping it gives the wait up.
#[derive(Debug)]
pub struct LockWait {
    file: Option<File>,
    /// Tells when the waiting thread has the lock. Absent until there was something to wait for.
    acquired: Option<Receiver<io::Result<()>>>,
}

impl LockWait {
    /// Starts to wait for the lock of `file`. Its holders are other open files, usually of other processes.
    pub fn start(file: File) -> Self {
        Self { file: Some(file), acquired: None }
    }

    /// Waits up to `patience`, and returns the locked file. `None` if somebody else still holds the lock; you can go
    /// on waiting then. After the file or an error was returned, there is nothing left to wait for.
    pub fn wait_timeout(&mut self, patience: Duration) -> io::Result<Option<File>> {
        let Some(file) = &self.file else { return Ok(None) };
        let told = match &self.acquired {
            Some(told) => told,
            None => {
                loop {
                    match file.try_lock() {
                        Ok(()) => return Ok(self.file.take()),
                        Err(TryLockError::WouldBlock) if patience.is_zero() => return Ok(None),
                        Err(TryLockError::WouldBlock) => break,
                        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                        Err(TryLockError::Error(e)) => return Err(e),
                    }
                }
                self.acquired.insert(wait_for(file.try_clone()?)?)
            }
        };
        match told.recv_timeout(patience) {
            Ok(locked) => locked.map(|()| self.file.take()),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the thread that waited for the lock is gone")),
        }
    }
}

/// No system offers a lock with a timeout. A sleeping thread waits for it, at no cost.
fn wait_for(file: File) -> io::Result<Receiver<io::Result<()>>> {
    let (tell, told) = mpsc::sync_channel(1);
    let wait = move || {
        let locked = loop {
            match file.lock() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                locked => break locked,
            }
        };
        // If no one is listening anymore, this is the last handle, and dropping it releases the lock.
        let _ = tell.send(locked);
    };
    thread::Builder::new().name("aiw-lock".into()).stack_size(64 << 10).spawn(wait)?;
    Ok(told)
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
        let held = try_lock_for(open(&path), Duration::ZERO).unwrap().unwrap();
        assert!(try_lock_for(open(&path), Duration::ZERO).unwrap().is_none());
        assert!(try_lock_for(open(&path), Duration::from_millis(20)).unwrap().is_none());
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| try_lock_for(open(&path), Duration::from_secs(60)).unwrap().is_some()))
                .collect();
            drop(held);
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
        });
        // A wait can go on after it ran out of patience.
        let held = try_lock_for(open(&path), Duration::from_secs(60)).unwrap().unwrap();
        let mut wait = LockWait::start(open(&path));
        assert!(wait.wait_timeout(Duration::from_millis(1)).unwrap().is_none());
        assert!(wait.wait_timeout(Duration::from_millis(1)).unwrap().is_none());
        drop(held);
        drop(wait.wait_timeout(Duration::from_secs(60)).unwrap().unwrap());
        // A waiter that gave up holds nothing.
        assert!(try_lock_for(open(&path), Duration::from_secs(60)).unwrap().is_some());
    }
}
