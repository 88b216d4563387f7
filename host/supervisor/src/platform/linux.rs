//! Linux: futexes, pidfds, memory files, inotify.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{FallocateFlags, MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, pidfd_open, pidfd_send_signal, setrlimit};
use rustix::thread::futex;

use super::procfs;
use super::seen::is_hidden;
use super::unix::{OpenedProcess, timespec};

/// Returns what distinguishes this boot of the system from others; process ids mean nothing across boots.
pub(crate) fn boot_id() -> Option<&'static str> {
    static BOOT_ID: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    };
    BOOT_ID.get_or_init(read).as_deref()
}

/// Marks this process, and all that it starts from now on, with a number that a cleared environment and a new session
/// keep: the soft limit on file locks, which no kernel since 2.4.25 looks at. A failure leaves the marks in the
/// environment.
pub(crate) fn mark(number: u64) {
    set_mark(Some(number));
}

/// Removes the mark from this process and from all that it starts from now on.
pub(crate) fn unmark() {
    set_mark(getrlimit(Resource::Locks).maximum);
}

fn set_mark(current: Option<u64>) {
    let _ = setrlimit(Resource::Locks, Rlimit { current, maximum: getrlimit(Resource::Locks).maximum });
}

/// Whether the kernel took this process's wish to adopt orphans.
static IS_SUBREAPER: AtomicBool = AtomicBool::new(true);

/// Returns whether orphans among the descendants of this process become its children.
pub(crate) fn is_subreaper() -> bool {
    IS_SUBREAPER.load(Ordering::Relaxed)
}

/// Returns how long the system has been up.
pub(crate) fn uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}

/// Returns the namespace that our process ids belong to.
pub(crate) fn pid_namespace() -> u64 {
    static NAMESPACE: OnceLock<u64> = OnceLock::new();
    *NAMESPACE.get_or_init(|| fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino()))
}

/// Wakes all processes that sleep on a word.
pub(crate) fn wake(word: &AtomicU32) {
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}

/// Sleeps while a word holds a value, until a wake, a signal or the time limit.
pub(crate) fn sleep_on(word: &AtomicU32, value: u32, limit: Duration) {
    let _ = futex::wait(word, futex::Flags::empty(), value, Some(&timespec(limit)));
}

/// Returns the user's directory for files that live as long as a login.
pub(crate) fn runtime_base(uid: u32) -> Option<PathBuf> {
    let base = PathBuf::from(format!("/run/user/{uid}"));
    let ours = fs::symlink_metadata(&base).is_ok_and(|meta| meta.is_dir() && meta.uid() == uid);
    ours.then_some(base)
}

/// Returns the file of a segment.
pub(crate) fn segment_file(id: &str) -> Option<PathBuf> {
    Some(Path::new("/dev/shm").join(id.trim_start_matches('/')))
}

/// Makes the system allocate all pages of a segment now.
pub(crate) fn allocate_segment(id: &str, bytes: u64) -> io::Result<()> {
    let Some(path) = segment_file(id) else { return Ok(()) };
    let file = fs::OpenOptions::new().write(true).open(path)?;
    Ok(rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes)?)
}

/// Creates an empty file without a name.
pub(crate) fn memory_file() -> io::Result<fs::File> {
    let file = memfd_create("aiw", MemfdFlags::CLOEXEC)?;
    // The system creates it with permissions for everybody, although nobody else can reach it; some programs check the mode.
    rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o600))?;
    Ok(file.into())
}

/// A handle to a process that stays valid even if the process id is reused.
#[derive(Debug)]
pub(crate) struct Process {
    handle: OwnedFd,
}

impl Process {
    /// Opens the process with this id and start. A start of 0 is not compared.
    pub fn open(pid: u32, start: u64) -> io::Result<OpenedProcess<Self>> {
        let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(OpenedProcess::Gone) };
        let handle = match pidfd_open(id, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(OpenedProcess::Gone),
            Err(e) => return Err(e.into()),
        };
        // This is read after opening: if the start matches now, the handle belongs to that process.
        Ok(match procfs::stat(pid) {
            None if is_hidden(pid) => OpenedProcess::Hidden,
            Some(stat) if stat.is_alive(start) => OpenedProcess::Found(Self { handle }),
            _ => OpenedProcess::Gone,
        })
    }

    /// Sends the process a signal. It is not an error if the process is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.handle, signal) {
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits for the process to end. Returns whether it did.
    pub fn wait(&self, limit: Duration) -> bool {
        let mut fds = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut fds, Some(&timespec(limit))).is_ok_and(|n| n > 0)
    }

    /// Returns a descriptor that becomes readable when the process ends.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.handle.as_fd())
    }
}

/// Disables core dumps of this process, and makes its memory and environment readable only by root. Programs that it
/// executes are not affected.
pub(crate) fn hide_memory() {
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Makes this process the parent of all orphans among its descendants. What emulates another processor (qemu) can't ask the
/// kernel for that; orphans are then found by their marks.
pub(crate) fn become_subreaper() -> io::Result<()> {
    match rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        Err(rustix::io::Errno::INVAL) => {
            IS_SUBREAPER.store(false, Ordering::Relaxed);
            Ok(())
        }
        done => Ok(done?),
    }
}

/// Called in a new child: makes it die together with this parent.
pub(super) fn die_with_parent(parent: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before that.
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
}

/// Notices of what changes in directories.
#[derive(Debug)]
pub(crate) struct DirectoryWatcher {
    queue: OwnedFd,
}

impl DirectoryWatcher {
    /// Returns `None` if the user's queues are used up.
    pub fn open() -> Option<Self> {
        Some(Self { queue: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()? })
    }

    /// Asks for the notices of a directory: its files come, go and are replaced, and `writes` to them if that is wanted.
    /// Returns its number, or `None` where no notices come: the user's watches are used up, it is not there, or it is on a
    /// file system that others write to as well.
    pub fn add(&self, directory: &Path, writes: bool) -> Option<i32> {
        /// NFS, 9P, FUSE, CIFS and SMB2.
        const NETWORK_FS_MAGICS: [u32; 10] = [
            0x6969,
            0x0102_1997,
            0x6573_5546,
            0xFF53_4D42,
            0xFE53_4D42,
            // Ceph, Lustre, GPFS, AFS, the shared folders of VirtualBox.
            0x00C3_6400,
            0x0BD0_0BD0,
            0x4750_4653,
            0x5346_414F,
            0x786F_4256,
        ];
        let system = rustix::fs::statfs(directory).ok()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "these numbers have 32 bits")]
        if NETWORK_FS_MAGICS.contains(&(system.f_type as u32)) {
            return None;
        }
        let moves = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::ATTRIB;
        let own = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        let writes = if writes { WatchFlags::MODIFY } else { WatchFlags::empty() };
        inotify::add_watch(&self.queue, directory, moves | own | writes).ok()
    }

    /// Ends the notices of a directory.
    pub fn remove(&self, number: i32) {
        // It may be gone.
        let _ = inotify::remove_watch(&self.queue, number);
    }

    /// Hands over what has come: the number of the directory or `None` for any of them, the name of the file, which is
    /// empty for the directory itself, and whether the directory is gone.
    pub fn drain_events(&self, each: &mut dyn FnMut(Option<i32>, &OsStr, bool)) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.queue, &mut buffer);
        while let Ok(event) = reader.next() {
            let (what, name) = (event.events(), event.file_name().map_or(&[][..], |name| name.to_bytes()));
            let is_gone = what.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT);
            let is_lost = what.contains(ReadFlags::QUEUE_OVERFLOW);
            // The notice that there will be none says nothing new.
            if !what.contains(ReadFlags::IGNORED) {
                each((!is_lost).then_some(event.wd()), OsStr::from_bytes(name), is_gone);
            }
        }
    }

    /// Returns a descriptor that is readable when there are notices.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}
