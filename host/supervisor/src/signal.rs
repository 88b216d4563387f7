//! The only place that signals processes. A record is a file, and may be forged: anybody who can write it
//! can name any process in it. So a process gets a signal only if its id and its start are right and if it
//! shows, by what the system tells about it, the task and the instance. What cannot be read does not count.

use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process_group};

use crate::error::Refusal;
use crate::names::Names;
use crate::platform::{self, Opened, Process, Signal};
use crate::record::Record;

/// How a process shows that it belongs to a task.
#[derive(Clone, Copy)]
pub(crate) enum Proof<'a> {
    /// By its command line: the supervisor of this record's task.
    Supervisor(&'a Record),
    /// By its environment: started by this record's task.
    Marked(&'a Record, &'a Names),
    /// By its environment: these variables.
    Shows(&'a [(&'a str, String)]),
    /// By its parents: a descendant of this process.
    Descendant,
}

/// A process that may be signalled.
#[derive(Debug)]
pub(crate) struct Target {
    process: Process,
}

impl Target {
    /// The process with this id and start, if it shows what it has to; `None` if it is gone.
    pub fn of(pid: u32, start: u64, proof: Proof<'_>) -> Result<Option<Self>, Refusal> {
        if let Proof::Supervisor(record) | Proof::Marked(record, _) = proof
            && !is_here(record)
        {
            return Err(Refusal::Elsewhere);
        }
        if start == 0 && platform::KNOWS_STARTS {
            return Err(Refusal::NoStart { pid });
        }
        // The handle comes first, so that what is read below is true of the process behind it.
        let process = match Process::open(pid, start)? {
            Opened::Gone => return Ok(None),
            Opened::Hidden(_) => return Err(Refusal::Hidden { pid }),
            Opened::Is(process) => process,
        };
        let shown = match proof {
            Proof::Supervisor(record) => platform::was_started_as(pid, &supervisor(record)),
            Proof::Marked(record, names) => platform::has_variables(pid, &marks(record, names)),
            Proof::Shows(marks) => platform::has_variables(pid, marks),
            Proof::Descendant => Some(true),
        };
        match shown {
            Some(true) => Ok(Some(Self { process })),
            Some(false) => Err(Refusal::Stranger { pid }),
            None => Err(Refusal::Hidden { pid }),
        }
    }

    /// Sends it a signal; that it is gone is fine.
    pub fn signal(&self, signal: Signal) -> std::io::Result<()> {
        self.process.signal(signal)
    }

    /// Waits for its end; whether that came.
    pub fn wait(&self, limit: Duration) -> bool {
        self.process.wait(limit)
    }
}

/// Whether the process ids of a record are valid here: same container, same start of the system.
pub(crate) fn is_here(record: &Record) -> bool {
    record.pid_namespace == platform::pid_namespace() && record.boot.as_deref() == platform::boot()
}

/// The arguments of the supervisor of a task.
pub(crate) fn supervisor(record: &Record) -> [String; 4] {
    ["shim".into(), record.root.pid.to_string(), record.id.to_string(), instance(record.instance)]
}

/// The variables of all that a process starts, under the names that its room gives them.
pub(crate) fn marks<'a>(record: &Record, names: &'a Names) -> [(&'a str, String); 2] {
    let [id, instance_name] = &names.variables;
    [(id, record.id.to_string()), (instance_name, instance(record.instance))]
}

/// An instance as it is written in command lines and variables.
pub(crate) fn instance(number: u64) -> String {
    format!("{number:016x}")
}

/// Signals the group of a child of this process. The child was not waited for, so its id is still its own.
pub(crate) fn signal_group_of_child(pid: u32, signal: Signal) {
    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

/// So many looks must find nothing before nothing is left.
pub(crate) const QUIET: usize = 3;

/// What became of descendants that were told to end.
pub(crate) enum Descendants {
    /// So many have ended.
    Ended(usize),
    /// Of so many, some are there still.
    Stay(usize),
}

/// Ends all descendants of this process that are not to be left alone, and theirs: by SIGTERM at first, by SIGKILL
/// from `kill_at` on. `reap` takes notice of those that have ended, and says whether any child is left.
pub(crate) fn end_descendants(
    leave: &dyn Fn(u32, u64) -> bool,
    kill_at: Instant,
    reap: &mut dyn FnMut() -> bool,
) -> Descendants {
    let give_up = kill_at + Duration::from_secs(5);
    let mut told = Vec::new();
    // Who has just started another and ended hides it from one look.
    let mut quiet = 0;
    loop {
        let left = platform::descendants(std::process::id(), leave);
        let Some(first) = left.first().copied() else {
            quiet += 1;
            if !reap() || quiet == QUIET {
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
            if let Ok(Some(handle)) = Target::of(process.0, process.1, Proof::Descendant) {
                let _ = handle.signal(if kill { Signal::KILL } else { Signal::TERM });
            }
        }
        if Instant::now() >= give_up {
            return Descendants::Stay(told.len());
        }
        if let Ok(Some(handle)) = Target::of(first.0, first.1, Proof::Descendant) {
            handle.wait(Duration::from_millis(50));
        }
        reap();
    }
}

/// Ends all that carries the marks of a record whose shim is dead. How many that were.
pub(crate) fn end_orphans(record: &Record, names: &Names) -> usize {
    // Nothing outlives the system that it ran on.
    if !is_here(record) {
        return 0;
    }
    end_marked(&marks(record, names), record.shim.start, &|pid, start| {
        Target::of(pid, start, Proof::Marked(record, names)).ok().flatten()
    })
}

/// Ends all processes with these variables that started no earlier than `since`, as far as they are `targets`.
pub(crate) fn end_marked(marks: &[(&str, String)], since: u64, target: &dyn Fn(u32, u64) -> Option<Target>) -> usize {
    let mut ended = Vec::new();
    // What is being ended may start others, and who has just done so is gone when it is looked at:
    // once is not enough to say that nothing is left.
    let mut quiet = 0;
    for _ in 0..100 {
        let (left, unsure) = platform::marked(marks, since);
        if left.is_empty() {
            quiet += usize::from(!unsure);
            if quiet == QUIET {
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
