//! The only place that signals processes. A record is a file, and may be forged: anybody who can write it
//! can name any process in it. So a process gets a signal only if its id and its start are right and if it
//! shows, by what the system tells about it, the task and the instance. What cannot be read does not count.

use std::time::Duration;

use rustix::process::{Pid, kill_process_group};

use crate::platform::{self, Process, Signal};
use crate::record::Record;
use crate::{INSTANCE_VARIABLE, TASK_VARIABLE};

/// How a process shows that it belongs to a task.
#[derive(Clone, Copy)]
pub(crate) enum Proof<'a> {
    /// By its command line: the supervisor of this record's task.
    Supervisor(&'a Record),
    /// By its environment: started by this record's task.
    Marked(&'a Record),
    /// By its parents: a descendant of this process.
    Descendant,
}

/// Why a process gets no signal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it belongs to another container, or to an earlier start of the system")]
    Elsewhere,
    #[error("the record does not say when process {pid} started")]
    NoStart { pid: u32 },
    #[error("process {pid} cannot be inspected")]
    Hidden { pid: u32 },
    #[error("process {pid} does not belong to it, whatever the record says")]
    Stranger { pid: u32 },
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// A process that may be signalled.
#[derive(Debug)]
pub(crate) struct Target {
    process: Process,
}

impl Target {
    /// The process with this id and start, if it shows what it has to; `None` if it is gone.
    pub fn of(pid: u32, start: u64, proof: Proof<'_>) -> Result<Option<Self>, Refusal> {
        if let Proof::Supervisor(record) | Proof::Marked(record) = proof
            && !is_here(record)
        {
            return Err(Refusal::Elsewhere);
        }
        if start == 0 && platform::KNOWS_STARTS {
            return Err(Refusal::NoStart { pid });
        }
        // The handle comes first, so that what is read below is true of the process behind it.
        let Some(process) = Process::open(pid, start)? else { return Ok(None) };
        match platform::start_of(pid) {
            Some(found) if found == start => {}
            Some(_) => return Ok(None),
            None => return Err(Refusal::Hidden { pid }),
        }
        let shown = match proof {
            Proof::Supervisor(record) => platform::was_started_as(pid, &supervisor(record)),
            Proof::Marked(record) => platform::has_variables(pid, &marks(record)),
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

/// The variables of all that a task starts.
pub(crate) fn marks(record: &Record) -> [(&'static str, String); 2] {
    [(TASK_VARIABLE, record.id.to_string()), (INSTANCE_VARIABLE, instance(record.instance))]
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
