//! Linux: futexes, pidfds, `/proc`, memory files, inotify.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{FallocateFlags, MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, pidfd_open, pidfd_send_signal, setrlimit};
use rustix::thread::futex;

use super::procfs;
use super::unix::{Condition, Opened, doze, timespec};

/// Returns when a process started, in ticks since boot, or `None` if it is gone. A zombie counts as gone.
pub(crate) fn start_of(pid: u32) -> Option<u64> {
    procfs::stat(pid).filter(|stat| stat.is_alive(0)).map(|stat| stat.start)
}

/// Returns what distinguishes this boot of the system from others; process ids mean nothing across boots.
pub(crate) fn boot() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    };
    BOOT.get_or_init(read).as_deref()
}

/// Whether process start times distinguish processes on this system.
pub(crate) const KNOWS_STARTS: bool = true;

/// Returns whether a process was started with these values of variables, or `None` if that cannot be read.
pub(crate) fn has_variables(pid: u32, wanted: &[(&str, String)]) -> Option<bool> {
    let variables = procfs::variables(pid).filter(|variables| !variables.is_empty())?;
    Some(procfs::has_all(&variables, wanted))
}

/// Returns whether a process was started with exactly these arguments, or `None` if that cannot be read.
pub(crate) fn was_started_as(pid: u32, arguments: &[String]) -> Option<bool> {
    let line = procfs::command_line(pid).filter(|line| !line.is_empty())?;
    let words = line.split(|byte| *byte == 0).skip(1);
    let wanted = arguments.iter().map(String::as_bytes);
    // The last word is NUL-terminated as well, which gives an empty word at the end.
    Some(words.eq(wanted.chain([&b""[..]])))
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

/// Returns whether a process has the mark of a number, or `None` if that cannot be read.
pub(crate) fn has_mark(pid: u32, number: u64) -> Option<bool> {
    Some(procfs::lock_limit(pid)? == number.to_string())
}

/// Returns the condition of the process with this id and start. A start of 0 is not compared.
pub(crate) fn condition(pid: u32, start: u64) -> Condition {
    match procfs::stat(pid) {
        None if is_hidden(pid) => Condition::Runs,
        Some(stat) if stat.is_alive(start) => {
            if stat.state == b'T' {
                Condition::Stopped
            } else {
                Condition::Runs
            }
        }
        _ => Condition::Gone,
    }
}

/// Returns whether the process with this id and start exists. A start of 0 is not compared.
pub(crate) fn is_alive(pid: u32, start: u64) -> bool {
    condition(pid, start) != Condition::Gone
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
    pub fn open(pid: u32, start: u64) -> io::Result<Opened<Self>> {
        let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(Opened::Gone) };
        let handle = match pidfd_open(id, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(Opened::Gone),
            Err(e) => return Err(e.into()),
        };
        // This is read after opening: if the start matches now, the handle belongs to that process.
        Ok(match procfs::stat(pid) {
            None if is_hidden(pid) => Opened::Hidden,
            Some(stat) if stat.is_alive(start) => Opened::Is(Self { handle }),
            _ => Opened::Gone,
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

/// Returns whether a process of ours exists that `/proc` does not show: if `/proc` is mounted so that it hides the
/// processes of other users, it also hides processes that hide their memory.
fn is_hidden(pid: u32) -> bool {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
    id.is_some_and(|id| rustix::process::test_kill_process(id).is_ok())
}

/// Makes this process the parent of all orphans among its descendants.
pub(crate) fn become_subreaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Called in a new child: makes it die together with this parent.
pub(super) fn die_with_parent(parent: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before that.
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
}

/// The processes of this machine by their parents, at one moment.
pub(crate) struct Parents(HashMap<u32, Vec<(u32, u64)>>);

impl Parents {
    /// Looks at all processes.
    pub fn now() -> Self {
        let mut children: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
        for pid in procfs::pids() {
            if let Some(stat) = procfs::stat(pid)
                && stat.is_alive(0)
            {
                children.entry(stat.parent).or_default().push((pid, stat.start));
            }
        }
        Self(children)
    }

    /// Returns the descendants of a process, but not what is below another shim.
    pub fn descendants(&self, of: u32) -> Vec<u32> {
        self.below(of, &|pid, _| is_shim(pid)).into_iter().map(|(pid, _)| pid).collect()
    }

    fn below(&self, of: u32, skip: &dyn Fn(u32, u64) -> bool) -> Vec<(u32, u64)> {
        let mut found = Vec::new();
        let mut next = vec![of];
        while let Some(parent) = next.pop() {
            for (pid, start) in self.0.get(&parent).into_iter().flatten().copied() {
                if !skip(pid, start) {
                    found.push((pid, start));
                    next.push(pid);
                }
            }
        }
        found
    }
}

/// Returns the descendants of a process, each with its start, except those that `skip` selects and their descendants.
pub(crate) fn descendants(of: u32, skip: &dyn Fn(u32, u64) -> bool) -> Vec<(u32, u64)> {
    Parents::now().below(of, skip)
}

/// Returns the memory that a process has in use, in bytes, and its processor time so far, in milliseconds.
pub(crate) fn sample(pid: u32) -> Option<(u64, u64)> {
    let ticks = procfs::cpu_ticks(pid)?;
    Some((resident(pid)?, ticks * 1000 / rustix::param::clock_ticks_per_second().max(1)))
}

/// Returns the processes of this user that were started with these values of variables or have the mark of this number,
/// and whether there may be more: a process in the middle of an exec shows no variables. Only processes that started no
/// earlier than `since` are examined.
pub(crate) fn marked(wanted: &[(&str, String)], number: u64, since: u64) -> (Vec<(u32, u64)>, bool) {
    let ours = std::process::id();
    let mut unsure = false;
    let mut found = Vec::new();
    for pid in procfs::pids().filter(|pid| *pid != ours) {
        let Some(stat) = procfs::stat(pid).filter(|stat| stat.start >= since && stat.parent != KTHREADD) else {
            continue;
        };
        // A shim below has this mark only until it sets its own.
        if has_mark(pid, number) == Some(true) && !is_shim(pid) {
            found.push((pid, stat.start));
            continue;
        }
        match procfs::variables(pid) {
            Some(variables) if variables.is_empty() => unsure |= start_of(pid).is_some(),
            Some(variables) if procfs::has_all(&variables, wanted) => found.push((pid, stat.start)),
            _ => {}
        }
    }
    (found, unsure)
}

/// Returns how much memory a process has in use, in bytes.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let pages: u64 = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).unwrap_or(4096))
}

/// Who listens on a port of this machine.
pub(crate) enum Holder {
    /// A descendant of this process.
    Ours,
    /// Another process.
    Stranger {
        /// Its id.
        pid: u32,
        /// The name of its program.
        name: String,
    },
    /// It cannot be seen.
    Unknown,
}

/// Returns who listens on a TCP port of this machine.
pub(crate) fn holder(port: u16) -> Holder {
    let mut listeners = Listeners::now();
    listeners.0.retain(|_, listened| *listened == port);
    let has = |pid: u32| listeners.ports(pid).next().is_some();
    if listeners.0.is_empty() {
        return Holder::Unknown;
    }
    let ours: Vec<u32> = descendants(std::process::id(), &|_, _| false).into_iter().map(|(pid, _)| pid).collect();
    if ours.iter().any(|pid| has(*pid)) {
        return Holder::Ours;
    }
    match procfs::pids().find(|pid| has(*pid)) {
        Some(pid) => {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            Holder::Stranger { pid, name: aiw_core::one_line(name.trim(), 40) }
        }
        None => Holder::Unknown,
    }
}

/// The TCP sockets of this machine that listen: the port of each, by the name that an open file has.
pub(crate) struct Listeners(HashMap<String, u16>);

impl Listeners {
    /// Looks at all of them.
    pub fn now() -> Self {
        let tables =
            ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
        let listeners = tables.iter().flat_map(|text| text.lines().skip(1)).filter_map(procfs::listener);
        Self(listeners.map(|(port, inode)| (format!("socket:[{inode}]"), port)).collect())
    }

    /// Returns the ports that a process listens on.
    pub fn ports(&self, pid: u32) -> impl Iterator<Item = u16> {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| self.0.get(fs::read_link(entry.path()).ok()?.to_str()?).copied())
    }
}

/// The parent of the kernel's own threads.
const KTHREADD: u32 = 2;

/// Returns whether a process is a shim: this program, with `shim` as its first argument.
pub(crate) fn is_shim(pid: u32) -> bool {
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe"));
    let command = procfs::command_line(pid).unwrap_or_default();
    let same = match (program("self"), program(&pid.to_string())) {
        // Shims hide their memory, and with it the path of their executable, so the command line has to do.
        (_, Err(e)) if e.kind() == io::ErrorKind::PermissionDenied => names_a_process(&command),
        // A new version may have replaced the file under a running shim.
        (Ok(ours), Ok(theirs)) => {
            ours.to_string_lossy().trim_end_matches(" (deleted)")
                == theirs.to_string_lossy().trim_end_matches(" (deleted)")
        }
        _ => false,
    };
    same && command.split(|b| *b == 0).nth(1) == Some(b"shim")
}

/// Returns whether all words of a command line are those of a shim: `aiw shim ROOT ID INSTANCE`.
fn names_a_process(command: &[u8]) -> bool {
    let mut words = command.split(|b| *b == 0).skip(2).map(|word| str::from_utf8(word).unwrap_or_default());
    words.next().is_some_and(crate::root::Root::is_name)
        && words.next().is_some_and(|id| id.parse::<aiw_core::ProcessId>().is_ok())
        && words.next().is_some_and(|instance| u64::from_str_radix(instance, 16).is_ok())
        && words.next() == Some("")
        && words.next().is_none()
}

/// Reports when something changes in a directory.
#[derive(Debug)]
pub(crate) struct Watch {
    queue: Option<OwnedFd>,
}

impl Watch {
    pub fn new(directory: &Path) -> Self {
        let open = || -> io::Result<OwnedFd> {
            let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let events = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF;
            inotify::add_watch(&queue, directory, events)?;
            Ok(queue)
        };
        // The user's watches may be used up. Then waiting is only coarse.
        Self { queue: open().ok() }
    }

    /// Waits for a change since the last call, or for a signal.
    pub fn wait(&mut self, limit: Duration) {
        let Some(queue) = &self.queue else { return doze(limit.min(Duration::from_secs(1))) };
        let mut fds = [PollFd::new(queue, PollFlags::IN)];
        if poll(&mut fds, Some(&timespec(limit))).is_ok_and(|n| n > 0) {
            let mut events = [0; 4096];
            while rustix::io::read(queue, &mut events).is_ok_and(|n| n > 0) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_of_a_shim_is_known() {
        let id = aiw_core::ProcessId::from_number(7);
        assert!(names_a_process(format!("/bin/aiw\0shim\x0042\0{id}\0a1\0").as_bytes()));
        for other in ["", "/bin/aiw\0shim", "/bin/aiw\0shim\x0042\0x\0a1\0", &format!("a\0shim\0x\0{id}\0a1\0")] {
            assert!(!names_a_process(other.as_bytes()), "{other:?}");
        }
        assert!(!names_a_process(format!("/bin/aiw\0shim\x0042\0{id}\0a1\0more\0").as_bytes()));
    }
}
