//! Processes as the system shows them. What is read is the system's own (`source`); what follows from it
//! is the same on Linux and macOS.

use std::collections::HashMap;

#[cfg(target_os = "linux")]
use rustix::process::{Pid, test_kill_process};

#[cfg(target_os = "macos")]
use super::libproc as source;
#[cfg(target_os = "linux")]
use super::procfs as source;
use super::stat::Stat;
use super::unix::ProcessCondition;
use crate::record;
use crate::side_by_side::map_chunks_parallel;

/// Returns when a process started, or `None` if it is gone. A zombie counts as gone.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    source::stat(pid).filter(|stat| stat.is_alive(0)).map(|stat| stat.start)
}

/// Returns the condition of the process with this id and start. A start of 0 is not compared.
pub(crate) fn condition(pid: u32, start: u64) -> ProcessCondition {
    match source::stat(pid) {
        None if is_hidden(pid) => ProcessCondition::Running,
        Some(stat) if stat.is_alive(start) && stat.is_stopped => ProcessCondition::Stopped,
        Some(stat) if stat.is_alive(start) => ProcessCondition::Running,
        _ => ProcessCondition::Gone,
    }
}

/// Returns whether the process with this id and start exists. A start of 0 is not compared.
pub(crate) fn is_alive(pid: u32, start: u64) -> bool {
    condition(pid, start) != ProcessCondition::Gone
}

/// Returns whether a process of ours exists that the system does not show: if `/proc` is mounted so that it hides the
/// processes of other users, it also hides processes that hide their memory.
#[cfg(target_os = "linux")]
pub(super) fn is_hidden(pid: u32) -> bool {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
    id.is_some_and(|id| test_kill_process(id).is_ok())
}

/// Returns `false`: a process that the system shows to nobody is gone.
#[cfg(not(target_os = "linux"))]
fn is_hidden(_pid: u32) -> bool {
    false
}

/// Returns whether a process was started with these values of variables, or `None` if that cannot be read.
pub(crate) fn has_variables(pid: u32, wanted: &[(&str, String)]) -> Option<bool> {
    let variables = source::variables(pid).filter(|variables| !variables.is_empty())?;
    Some(has_all(&variables, wanted))
}

/// Returns whether an environment contains all of these variables with these values.
fn has_all(variables: &[u8], wanted: &[(&str, String)]) -> bool {
    let value = |name: &str| {
        variables.split(|b| *b == 0).find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    };
    wanted.iter().all(|(name, wanted)| value(name) == Some(wanted.as_bytes()))
}

/// Returns whether a process was started with exactly these arguments, or `None` if that cannot be read.
pub(crate) fn has_arguments(pid: u32, arguments: &[String]) -> Option<bool> {
    let line = source::command_line(pid).filter(|line| !line.is_empty())?;
    let words = line.split(|byte| *byte == 0).skip(1);
    let wanted = arguments.iter().map(String::as_bytes);
    // The last word is NUL-terminated as well, which gives an empty word at the end.
    Some(words.eq(wanted.chain([&b""[..]])))
}

/// The processes of this machine by their parents, at one moment.
pub(crate) struct ProcessTree(HashMap<u32, Vec<(u32, Stat)>>);

impl ProcessTree {
    /// Looks at all processes.
    pub fn snapshot() -> Self {
        Self::with_known_shims(&HashMap::new())
    }

    /// Looks at all processes but these shims and their children, whose records were just read. A child that has ended
    /// since has nothing that could be found, and a new one is found.
    pub fn with_known_shims(shims: &HashMap<u32, Option<record::Pid>>) -> Self {
        let known: HashMap<u32, u32> = shims.iter().filter_map(|(shim, child)| Some(((*child)?.pid, *shim))).collect();
        let is_known = |pid: &u32| shims.contains_key(pid) || known.contains_key(pid);
        let pids: Vec<u32> = source::pids().filter(|pid| !is_known(pid)).collect();
        let look = |pid: &u32| source::stat(*pid).filter(|stat| stat.is_alive(0)).map(|stat| (*pid, stat));
        let mut children: HashMap<u32, Vec<(u32, Stat)>> = HashMap::new();
        // No child of a shim is one, so none is looked at as if it could be.
        let child = |(shim, child): (&u32, &Option<record::Pid>)| {
            let record::Pid { pid, start } = (*child)?;
            Some((pid, Stat { is_ended: false, is_stopped: false, parent: *shim, session: *shim, start }))
        };
        let seen = map_chunks_parallel(&pids, |pids| pids.iter().filter_map(look).collect());
        for (pid, stat) in shims.iter().filter_map(child).chain(seen) {
            children.entry(stat.parent).or_default().push((pid, stat));
        }
        Self(children)
    }

    /// Returns the descendants of a process, but not what is below another shim.
    pub fn descendants(&self, of: u32) -> Vec<u32> {
        // A shim leads a session, and most processes don't. One of 0 can't be seen from here.
        let may_be_shim = |pid, stat: Stat| stat.session == pid || stat.session == 0;
        let below = self.below(of, &|pid, stat| may_be_shim(pid, stat) && is_shim(pid));
        below.into_iter().map(|(pid, _)| pid).collect()
    }

    fn below(&self, of: u32, skip: &dyn Fn(u32, Stat) -> bool) -> Vec<(u32, u64)> {
        let mut found = Vec::new();
        let mut next = vec![of];
        while let Some(parent) = next.pop() {
            for (pid, stat) in self.0.get(&parent).into_iter().flatten().copied() {
                if !skip(pid, stat) {
                    found.push((pid, stat.start));
                    next.push(pid);
                }
            }
        }
        found
    }
}

/// Returns the descendants of a process, each with its start, except those that `skip` selects and their descendants.
pub(crate) fn descendants(of: u32, skip: &dyn Fn(u32, u64) -> bool) -> Vec<(u32, u64)> {
    ProcessTree::snapshot().below(of, &|pid, stat| skip(pid, stat.start))
}

/// Returns how much memory a process has in use, in bytes.
pub(crate) fn memory_in_use(pid: u32) -> Option<u64> {
    source::memory_in_use(pid)
}

/// Returns the memory that a process has in use, in bytes, and its processor time so far, in milliseconds.
pub(crate) fn sample(pid: u32) -> Option<(u64, u64)> {
    let time = source::cpu_millis(pid)?;
    Some((memory_in_use(pid)?, time))
}

/// Returns the processes of this user that were started with these values of variables or have the mark of this number,
/// and whether there may be more: a process in the middle of an exec shows no variables. Only processes that started no
/// earlier than `since` are examined.
pub(crate) fn find_marked(wanted: &[(&str, String)], number: u64, since: u64) -> (Vec<(u32, u64)>, bool) {
    let ours = std::process::id();
    let mut unsure = false;
    let mut found = Vec::new();
    for pid in source::pids().filter(|pid| *pid != ours) {
        let Some(stat) = source::stat(pid).filter(|stat| source::may_have_started_since(*stat, since)) else {
            continue;
        };
        // A shim below has this mark only until it sets its own.
        if source::has_mark(pid, number) == Some(true) && !is_shim(pid) {
            found.push((pid, stat.start));
            continue;
        }
        match source::variables(pid) {
            // macOS keeps back those of its own programs, so nothing follows from it there.
            Some(variables) if variables.is_empty() => unsure |= cfg!(target_os = "linux") && start_time(pid).is_some(),
            Some(variables) if has_all(&variables, wanted) => found.push((pid, stat.start)),
            _ => {}
        }
    }
    (found, unsure)
}

/// The process that listens on a port of this machine.
pub(crate) enum PortOwner {
    /// A descendant of this process.
    Ours,
    /// Another process.
    OtherProcess {
        /// Its id.
        pid: u32,
        /// The name of its program.
        name: String,
    },
    /// It cannot be seen.
    Unknown,
}

/// Returns who listens on a TCP port of this machine.
pub(crate) fn port_owner(port: u16) -> PortOwner {
    let Some(listeners) = source::TcpListeners::find(port) else { return PortOwner::Unknown };
    let has = |pid: u32| listeners.ports(pid).any(|listened| listened == port);
    let ours = descendants(std::process::id(), &|_, _| false);
    if ours.iter().any(|(pid, _)| has(*pid)) {
        return PortOwner::Ours;
    }
    match source::pids().find(|pid| has(*pid)) {
        Some(pid) => PortOwner::OtherProcess { pid, name: aiw_core::one_line(source::name(pid).trim(), 40) },
        None => PortOwner::Unknown,
    }
}

/// Returns whether a process is a shim: this program, with `shim` as its first argument.
pub(crate) fn is_shim(pid: u32) -> bool {
    let command = source::command_line(pid).unwrap_or_default();
    // Most are none, and this tells so at once.
    if command.split(|b| *b == 0).nth(1) != Some(b"shim") {
        return false;
    }
    match (source::executable(std::process::id()), source::executable(pid)) {
        // Shims hide their memory, and with it the path of their executable, so the command line has to do.
        (_, Err(_)) => names_a_process(&command),
        (Ok(ours), Ok(theirs)) => ours == theirs,
        _ => false,
    }
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

/// A process, as far as the system shows it to this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedProcess {
    pid: u32,
    stat: Stat,
}

impl ObservedProcess {
    /// Looks at a process. Returns `None` if it is gone, or hidden from this user.
    pub fn open(pid: u32) -> Option<Self> {
        Some(Self { pid, stat: source::stat(pid)? })
    }

    /// Returns when it started, in the system's own unit, or 0 if this user may not know.
    pub fn start(&self) -> u64 {
        self.stat.start
    }

    /// Returns its parent.
    pub fn parent(&self) -> u32 {
        self.stat.parent
    }

    /// Returns the leader of its session, or 0 if that is outside of this container.
    pub fn session(&self) -> u32 {
        self.stat.session
    }

    /// Returns whether it has ended, and waits for its parent to notice.
    pub fn is_ended(&self) -> bool {
        self.stat.is_ended
    }

    /// Returns the first arguments, its own name among them. They tell which program it is; a prompt may follow them.
    pub fn arguments(&self) -> Vec<String> {
        let line = source::command_line(self.pid).unwrap_or_default();
        line[..line.len().min(16 << 10)]
            .split(|byte| *byte == 0)
            .take(16)
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .filter(|argument| !argument.is_empty())
            .collect()
    }

    /// Returns the file name of its executable, if that can be read.
    pub fn executable(&self) -> Option<String> {
        let path = source::executable(self.pid).ok()?;
        Some(path.file_name()?.to_str()?.to_owned())
    }

    /// Returns what the kernel calls it, which may be cut short.
    pub fn name(&self) -> String {
        source::name(self.pid)
    }

    /// Returns the variables that it was started with, each ended by a NUL, or `None` if they cannot be read.
    pub fn variables(&self) -> Option<Vec<u8>> {
        source::variables(self.pid)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

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

    #[test]
    fn a_child_is_seen_with_all_that_it_was_started_with() {
        let mut child = Command::new("sleep").arg("60").env("MARK", "one two").stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        // It shows other arguments until it has become `sleep`.
        while !ObservedProcess::open(pid).unwrap().arguments().iter().eq(&["sleep", "60"]) {
            std::thread::yield_now();
        }
        let (seen, own) = (ObservedProcess::open(pid).unwrap(), ObservedProcess::open(std::process::id()).unwrap());
        assert_eq!((seen.parent(), seen.session(), seen.is_ended()), (std::process::id(), own.session(), false));
        assert!(own.start() > 0 && own.start() <= seen.start(), "{own:?} {seen:?}");
        assert!(seen.executable().is_some() && !seen.name().is_empty());
        let value = |value: &str| [("MARK", value.to_owned())];
        assert_eq!(has_variables(pid, &value("one two")), Some(true));
        assert_eq!(has_variables(pid, &value("one")), Some(false));
        assert_eq!(has_arguments(pid, &["60".to_owned()]), Some(true));
        assert_eq!(has_arguments(pid, &["6".to_owned()]), Some(false));
        assert!(find_marked(&value("one two"), 0, own.start()).0.contains(&(pid, seen.start())));
        assert!(ProcessTree::snapshot().descendants(std::process::id()).contains(&pid));
        // Its memory comes after its arguments.
        let begun = std::time::Instant::now();
        while sample(pid).is_none_or(|(memory, _)| memory <= 16 << 10) {
            assert!(begun.elapsed().as_secs() < 60, "{:?}", sample(pid));
            std::thread::yield_now();
        }
        assert_eq!(condition(pid, seen.start()), ProcessCondition::Running);
        assert!(!is_alive(pid, seen.start() + 1) && !is_shim(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((ObservedProcess::open(pid), condition(pid, seen.start())), (None, ProcessCondition::Gone));
    }

    #[test]
    fn whoever_listens_on_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(source::TcpListeners::snapshot().ports(std::process::id()).any(|listened| listened == port));
        let PortOwner::OtherProcess { pid, .. } = port_owner(port) else {
            panic!("it is this process, and no descendant of it")
        };
        assert_eq!(pid, std::process::id());
        drop(listener);
        assert!(matches!(port_owner(port), PortOwner::Unknown));
    }
}
