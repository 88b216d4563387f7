//! Sleeping until something changes: files in directories, and the ends of supervisors. Nothing is asked again and
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(unix)]
pub use here::Watch;
#[cfg(not(unix))]
pub use nowhere::Watch;

/// The directories and supervisors that a [`Watch`] listens to.
#[derive(Debug, Default)]
pub struct Sources {
    /// Directories, each with whether writes to its files count. That files come, go and are replaced counts always.
    pub directories: BTreeMap<PathBuf, bool>,
    /// The supervisors of processes, whose ends are changes in these directories.
    #[cfg(unix)]
    pub(crate) shims: Vec<(PathBuf, std::sync::Arc<crate::signal::Target>)>,
    /// Directories of processes that run and can't be listened to, such as those of another container.
    pub unwatchable_directories: BTreeSet<PathBuf>,
}

impl Sources {
    /// How often what can't be listened to is looked at.
    pub const FALLBACK_POLL_INTERVAL: Duration = Duration::from_secs(1);
    /// How often what runs is looked at in any case: what no file and no supervisor says, such as a home that was
    /// moved.
    pub const FULL_RESCAN_INTERVAL: Duration = Duration::from_secs(5);

    /// Whether there is any: a directory, or a process that runs.
    pub fn has_any(&self) -> bool {
        !self.directories.is_empty() || !self.unwatchable_directories.is_empty()
    }

    /// Adds other ones.
    pub fn extend(&mut self, other: Self) {
        for (directory, writes) in other.directories {
            *self.directories.entry(directory).or_default() |= writes;
        }
        #[cfg(unix)]
        self.shims.extend(other.shims);
        self.unwatchable_directories.extend(other.unwatchable_directories);
    }
}

/// A change: a directory, and the name of the file in it. The name is empty if it is the directory itself, the
/// supervisor of its process, or not known.
pub type ProcessChange = (PathBuf, OsString);

#[cfg(unix)]
mod here {
    use std::collections::{BTreeMap, BTreeSet};
    use std::ffi::OsString;
    use std::io::{PipeReader, PipeWriter, Read, Write};
    use std::os::fd::AsFd;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::Duration;

    use parking_lot::{Mutex, MutexGuard};
    use rustix::event::{PollFd, PollFlags, poll};

    use super::{ProcessChange, Sources};
    use crate::error::SupervisorError;
    use crate::platform::{DirectoryWatcher, timespec};
    use crate::signal::Target;

    /// Sleeps until something changes. Threads may share one: one sleeps, and others wake it or change what it listens
    /// to.
    #[derive(Debug)]
    pub struct Watch {
        notices: Option<DirectoryWatcher>,
        woken: PipeReader,
        wake: PipeWriter,
        listening: Mutex<WatchState>,
    }

    #[derive(Debug, Default)]
    struct WatchState {
        /// The number of each directory, and whether writes count.
        directories: BTreeMap<PathBuf, (i32, bool)>,
        shims: Vec<(PathBuf, Arc<Target>)>,
    }

    impl Watch {
        /// Returns one that listens to nothing yet.
        ///
        /// # Errors
        ///
        /// This process may open no more files.
        pub fn new() -> Result<Self, SupervisorError> {
            let fail = |e: std::io::Error| SupervisorError::io("open", Path::new("a pipe"), e);
            let (woken, wake) = std::io::pipe().map_err(fail)?;
            rustix::io::ioctl_fionbio(&woken, true).map_err(|e| fail(e.into()))?;
            rustix::io::ioctl_fionbio(&wake, true).map_err(|e| fail(e.into()))?;
            Ok(Self { notices: DirectoryWatcher::open(), woken, wake, listening: Mutex::default() })
        }

        fn listening(&self) -> MutexGuard<'_, WatchState> {
            self.listening.lock()
        }

        /// Listens to these, and to nothing else, from now on. Returns the directories that can't be listened to: they
        /// are to be looked at from time to time. One that sleeps meanwhile is to be woken, or its sleep still minds
        /// only the supervisors from before.
        pub fn listen(&self, sources: Sources) -> BTreeSet<PathBuf> {
            let Sources { directories, shims, mut unwatchable_directories } = sources;
            let mut listening = self.listening();
            let mut before = std::mem::take(&mut listening.directories);
            for (directory, writes) in directories {
                let known = before.remove(&directory).filter(|(_, known)| *known == writes);
                let add = || Some((self.notices.as_ref()?.add(&directory, writes)?, writes));
                match known.or_else(add) {
                    Some(known) => drop(listening.directories.insert(directory, known)),
                    None => drop(unwatchable_directories.insert(directory)),
                }
            }
            for (number, _) in before.into_values() {
                // Another path may lead to the same directory.
                if !listening.directories.values().any(|(other, _)| *other == number) {
                    self.notices.iter().for_each(|notices| notices.remove(number));
                }
            }
            listening.shims = shims;
            unwatchable_directories
        }

        /// Ends the sleep, or the next one.
        pub fn wake(&self) {
            // A full pipe wakes the sleeper as well.
            let _ = (&self.wake).write(&[0]);
        }

        /// Sleeps until there is a change since the last sleep, [`Self::wake`], a signal, or the time limit. Returns
        /// the changes.
        pub fn wait(&self, limit: Option<Duration>) -> BTreeSet<ProcessChange> {
            let shims = self.listening().shims.clone();
            let mut fds = vec![PollFd::from_borrowed_fd(self.woken.as_fd(), PollFlags::IN)];
            fds.extend(self.notices.iter().map(|notices| PollFd::from_borrowed_fd(notices.as_fd(), PollFlags::IN)));
            let first = fds.len();
            let heard = shims.iter().filter_map(|(_, shim)| shim.as_fd());
            fds.extend(heard.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            if !poll(&mut fds, limit.map(timespec).as_ref()).is_ok_and(|count| count > 0) {
                return BTreeSet::new();
            }
            let ended = shims.iter().filter(|(_, shim)| shim.as_fd().is_some()).zip(&fds[first..]);
            let ended: Vec<_> = ended.filter(|(_, fd)| !fd.revents().is_empty()).map(|(shim, _)| shim).collect();
            let mut changes: BTreeSet<ProcessChange> =
                ended.iter().map(|(directory, _)| (directory.clone(), OsString::new())).collect();
            let mut bytes = [0; 256];
            while (&self.woken).read(&mut bytes).is_ok_and(|n| n > 0) {}
            let mut listening = self.listening();
            // It stays at its end.
            listening.shims.retain(|(_, shim)| !ended.iter().any(|(_, other)| Arc::ptr_eq(shim, other)));
            let directories = &mut listening.directories;
            let mut each = |number: Option<i32>, name: &std::ffi::OsStr, is_gone: bool| {
                let of = |(_, known): &(&PathBuf, &(i32, bool))| number.is_none_or(|number| number == known.0);
                let found = directories.iter().filter(of).map(|(directory, _)| (directory.clone(), name.to_owned()));
                changes.extend(found);
                if is_gone {
                    directories.retain(|_, (known, _)| Some(*known) != number);
                    self.notices.iter().zip(number).for_each(|(notices, number)| notices.remove(number));
                }
            };
            self.notices.iter().for_each(|notices| notices.drain_events(&mut each));
            changes
        }
    }
}

#[cfg(not(unix))]
mod nowhere {
    use std::collections::BTreeSet;
    use std::path::PathBuf;
    use std::time::Duration;

    use parking_lot::{Condvar, Mutex};

    use super::{ProcessChange, Sources};
    use crate::error::SupervisorError;

    /// Sleeps until it is woken: nothing can be listened to on this system.
    #[derive(Debug, Default)]
    pub struct Watch {
        is_woken: Mutex<bool>,
        woken: Condvar,
    }

    impl Watch {
        /// Returns one.
        pub fn new() -> Result<Self, SupervisorError> {
            Ok(Self::default())
        }

        /// Returns all directories: none can be listened to.
        pub fn listen(&self, sources: Sources) -> BTreeSet<PathBuf> {
            sources.directories.into_keys().chain(sources.unwatchable_directories).collect()
        }

        /// Ends the sleep, or the next one.
        pub fn wake(&self) {
            *self.is_woken.lock() = true;
            self.woken.notify_all();
        }

        /// Sleeps until [`Self::wake`] or the time limit. Returns no changes.
        pub fn wait(&self, limit: Option<Duration>) -> BTreeSet<ProcessChange> {
            let mut woken = self.is_woken.lock();
            let limit = limit.unwrap_or(Duration::from_secs(3600));
            self.woken.wait_while_for(&mut woken, |is_woken| !*is_woken, limit);
            *woken = false;
            BTreeSet::new()
        }
    }
}
