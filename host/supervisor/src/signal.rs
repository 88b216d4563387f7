//! The only place that signals processes. A record is a file, and may be forged: anybody who can write it can name
//! any process in it. So a process gets a signal only if its id and its start match, and if the system's information
//! about it shows the id and the instance. Information that cannot be read does not count.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process_group};

use crate::error::SignalError;
use crate::names::Namespace;
use crate::platform::{self, ObservedProcess, OpenedProcess, Process, Signal};
use crate::record::ProcessRecord;

/// How a process shows that it belongs to a record.
#[derive(Clone, Copy)]
pub(crate) enum ProcessProof<'a> {
    /// By its command line: it is the supervisor of this record.
    Supervisor(&'a ProcessRecord),
    /// By its environment or its number: this record's process started it.
    Marked(&'a ProcessRecord, &'a Namespace),
    /// By its environment or its number: it has these marks.
    Markers(&'a ProcessMarkers<'a>),
    /// By its parents: it is a descendant of this process.
    Descendant,
}

/// The marks of everything that a process starts.
pub(crate) struct ProcessMarkers<'a> {
    /// Variables of the environment.
    pub variables: Vec<(&'a str, String)>,
    /// The mark that survives a cleared environment, where the system has a place for one: see [`platform::mark`].
    pub number: u64,
}

impl ProcessMarkers<'_> {
    fn are_shown_by(&self, pid: u32) -> Option<bool> {
        match platform::has_mark(pid, self.number) {
            Some(true) => Some(true),
            _ => platform::has_variables(pid, &self.variables),
        }
    }
}

/// A process that may be signaled.
#[derive(Debug)]
pub(crate) struct Target {
    process: Process,
}

impl Target {
    /// Returns the process with this id and start if it gives the proof, or `None` if it is gone.
    pub fn find(pid: u32, start: u64, proof: ProcessProof<'_>) -> Result<Option<Self>, SignalError> {
        if let ProcessProof::Supervisor(record) | ProcessProof::Marked(record, _) = proof
            && !has_valid_pids(record)
        {
            return Err(SignalError::OtherPidNamespace);
        }
        if start == 0 {
            return Err(SignalError::UnknownStartTime { pid });
        }
        // The handle is opened first, so that the information read below belongs to the process behind it.
        let process = match Process::open(pid, start)? {
            OpenedProcess::Gone => return Ok(None),
            OpenedProcess::Hidden => return Err(SignalError::NotVisible { pid }),
            OpenedProcess::Found(process) => process,
        };
        let shown = match proof {
            ProcessProof::Supervisor(record) => platform::has_arguments(pid, &supervisor_args(record)),
            ProcessProof::Marked(record, names) => {
                let shown = all_marks(record, names).are_shown_by(pid);
                shown.or_else(|| is_below_supervisor(pid, record).then_some(true))
            }
            ProcessProof::Markers(marks) => marks.are_shown_by(pid),
            ProcessProof::Descendant => Some(true),
        };
        match shown {
            Some(true) => Ok(Some(Self { process })),
            Some(false) => Err(SignalError::PidReused { pid }),
            None => Err(SignalError::NotVisible { pid }),
        }
    }

    /// Sends the process a signal. It is not an error if the process is gone.
    pub fn signal(&self, signal: Signal) -> std::io::Result<()> {
        self.process.signal(signal)
    }

    /// Returns a descriptor that becomes readable when the process ends, where the system has one.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_fd()
    }

    /// Waits for the process to end. Returns whether it did.
    pub fn wait(&self, limit: Duration) -> bool {
        self.process.wait(limit)
    }
}

/// Returns whether the process ids of a record are valid here: same container, same boot of the system.
pub(crate) fn has_valid_pids(record: &ProcessRecord) -> bool {
    record.pid_namespace == platform::pid_namespace() && record.boot.as_deref() == platform::boot_id()
}

/// Returns the arguments of the supervisor of a process.
pub(crate) fn supervisor_args(record: &ProcessRecord) -> [String; 4] {
    ["shim".into(), record.root.to_string(), record.id.to_string(), format_instance(record.instance)]
}

/// Returns whether a process that does not show its environment, such as a program of macOS's own, is a child of the
/// supervisor of a record.
fn is_below_supervisor(pid: u32, record: &ProcessRecord) -> bool {
    let shim = record.shim;
    ObservedProcess::open(pid).is_some_and(|seen| seen.parent() == shim.pid)
        && shim.start != 0
        && platform::is_alive(shim.pid, shim.start)
        && platform::has_arguments(shim.pid, &supervisor_args(record)) == Some(true)
}

/// Returns the variables of everything that a process starts, under the names that its room gives them.
pub(crate) fn marker_variables<'a>(record: &ProcessRecord, names: &'a Namespace) -> [(&'a str, String); 2] {
    let [id, instance_name] = &names.variables;
    [(id, record.id.to_string()), (instance_name, format_instance(record.instance))]
}

fn all_marks<'a>(record: &ProcessRecord, names: &'a Namespace) -> ProcessMarkers<'a> {
    ProcessMarkers { variables: marker_variables(record, names).into(), number: record.instance }
}

/// Returns an instance as it is written in command lines and variables.
pub(crate) fn format_instance(number: u64) -> String {
    format!("{number:016x}")
}

/// Signals the process group of our child. The child has not been reaped, so its id cannot have been reused.
pub(crate) fn signal_group_of_child(pid: u32, signal: Signal) {
    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

/// How many checks in a row must find nothing before nothing counts as left.
pub(crate) const MIN_EMPTY_CHECKS: usize = 3;

/// The result of ending descendants.
pub(crate) enum Descendants {
    /// This many have ended.
    Ended(usize),
    /// Of this many, some still exist.
    StillRunning(usize),
}

/// Ends all descendants of this process except those that `leave` selects and their descendants: by SIGTERM at first,
/// by SIGKILL from `kill_at` on. `reap` reaps children that have ended, and returns whether any child is left.
pub(crate) fn end_descendants(
    leave: &dyn Fn(u32, u64) -> bool,
    kill_at: Instant,
    reap: &mut dyn FnMut() -> bool,
) -> Descendants {
    let give_up = kill_at + Duration::from_secs(5);
    let mut told = Vec::new();
    // A process that starts another and exits can hide the new one from a single check.
    let mut quiet = 0;
    loop {
        let left = platform::descendants(std::process::id(), leave);
        let Some(first) = left.first().copied() else {
            quiet += 1;
            if !reap() || quiet == MIN_EMPTY_CHECKS {
                return Descendants::Ended(told.len());
            }
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        quiet = 0;
        let kill = Instant::now() >= kill_at;
        for process in left {
            if !kill && told.contains(&process) {
                continue;
            }
            if !told.contains(&process) {
                told.push(process);
            }
            if let Ok(Some(handle)) = Target::find(process.0, process.1, ProcessProof::Descendant) {
                let _ = handle.signal(if kill { Signal::KILL } else { Signal::TERM });
            }
        }
        if Instant::now() >= give_up {
            return Descendants::StillRunning(told.len());
        }
        if let Ok(Some(handle)) = Target::find(first.0, first.1, ProcessProof::Descendant) {
            handle.wait(Duration::from_millis(50));
        }
        reap();
    }
}

/// Ends all processes that carry the marks of a record whose shim is dead. Returns how many that were.
pub(crate) fn end_orphans(record: &ProcessRecord, names: &Namespace) -> usize {
    // No process survives a reboot of the system.
    if !has_valid_pids(record) {
        return 0;
    }
    end_marked(&all_marks(record, names), record.shim.start, &|pid, start| {
        Target::find(pid, start, ProcessProof::Marked(record, names)).ok().flatten()
    })
}

/// Ends all processes with these marks that started no earlier than `since`, if `target` returns a handle to them.
/// Returns how many that were.
pub(crate) fn end_marked(marks: &ProcessMarkers<'_>, since: u64, target: &dyn Fn(u32, u64) -> Option<Target>) -> usize {
    let mut ended = Vec::new();
    // A process being ended may start others, and may be gone when it is checked, so a single check is not enough to
    // know that nothing is left.
    let mut quiet = 0;
    for _ in 0..100 {
        let (left, unsure) = platform::find_marked(&marks.variables, marks.number, since);
        if left.is_empty() {
            quiet += usize::from(!unsure);
            if quiet == MIN_EMPTY_CHECKS {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        quiet = 0;
        let mut handles = Vec::new();
        for (pid, start) in left {
            if let Some(process) = target(pid, start) {
                let _ = process.signal(Signal::KILL);
                handles.push(process);
                if !ended.contains(&(pid, start)) {
                    ended.push((pid, start));
                }
            }
        }
        for process in handles {
            process.wait(Duration::from_millis(500));
        }
    }
    ended.len()
}
