//! Supervised processes: each runs below a small process of its own, is visible to all processes of its root, and is never
//! lost track of.
//!
//! Above each process runs a shim. The shim holds the pipes of the process, writes its log, ends the processes that
//! it leaves behind, and records how it ended; the process that started it may die. A segment of shared memory, one
//! for each root, holds what is running now; the directory of a process is the authority on that process. A
//! process may also be [`AttachedChild`]: then it talks only to its owner and ends with it.
//!
//! Not for the meaning of a process. Its labels and the meaning of its output are the business of the room that has
//! it supervised, such as `aiw-tasks`.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aiw_supervisor::{Namespace, NewProcess, ProcessScope, Processes, Program, QueueLimit, Root};
//! const SERVERS: Namespace = Namespace::new("servers", "server.json", "server", ["AIW_SERVER_ID", "AIW_SERVER_INSTANCE"]);
//! let home = aiw_home::Home::find(aiw_home::ExecutionContext::from_process())?;
//! let servers = Processes::open(&home, SERVERS, ProcessScope::Root(Root::for_pid(4711)))?;
//! let program = Program { arguments: vec!["-m".into(), "http.server".into()], ..Program::new("/usr/bin/python3") };
//! let server = servers.start("aiw".as_ref(), NewProcess::new("/srv"), program, QueueLimit::default())?;
//! eprintln!("{} {}", server.record.id, server.record.state);
//! # Ok(()) }
//! ```

mod announced;
#[cfg(unix)]
mod attached;
#[cfg(unix)]
mod control;
mod daemon;
mod daemon_record;
#[cfg(unix)]
mod directory;
mod error;
#[cfg(unix)]
mod files;
mod interpreter;
mod log;
mod memory;
mod names;
mod new;
mod platform;
mod processes;
mod program;
mod record;
#[cfg(unix)]
mod records;
#[cfg(unix)]
mod request;
mod root;
#[cfg(unix)]
mod runtime;
#[cfg(unix)]
mod segment;
mod shim;
#[cfg(unix)]
mod side_by_side;
#[cfg(unix)]
mod signal;
#[cfg(all(unix, feature = "testing"))]
pub mod testing;
#[cfg(unix)]
mod unattended;
#[cfg(unix)]
mod unenforced;
mod watch;

pub use aiw_core::{ProcessOutcome as Outcome, ProcessState as State};
pub use announced::EventContext;
#[cfg(unix)]
pub use attached::{AttachedChild, Exit};
pub use daemon::{Daemon, DaemonLock, HomeDaemon};
pub use daemon_record::DaemonRecord;
pub use error::{RecordError, ShimError, ShmError, SignalError, SupervisorError};
pub use interpreter::{Findings, OutputInterpreter, ProcessKind};
pub use log::{FollowFrom, Log, LogEntry, LogFollower, LogPage, PageLimits, PositionedEntry, Stream};
#[cfg(unix)]
pub use memory::memory_file;
pub use memory::memory_path;
pub use names::{Namespace, ResourceKind};
pub use new::{
    Check, DependencyCondition, LogPolicy, NewProcess, Probe, ProbeAddress, ProcessDependency, QueueLimit, Restart,
    RestartCondition, Terminal,
};
#[cfg(unix)]
pub use platform::ObservedProcess;
pub use processes::{
    Attachment, ProcessUsage, Processes, RetentionPolicy, StopOutcome, SupervisedProcess, WaitMode, WaitOutcome,
};
pub use program::{LimitEnforcer, NamedFile, PassedFile, Program, Resource, ResourceLimits, is_usual_variable};
pub use record::boot_id;
pub use record::{Labels, MAX_CAUSES, ProcessRecord, RestartRecord};
pub use root::{ProcessScope, Root, digest};
#[cfg(unix)]
pub use runtime::runtime_dir;
#[cfg(unix)]
pub use shim::detach;
pub use shim::shim_main;
#[cfg(unix)]
pub use unattended::start_unattended;
#[cfg(unix)]
pub use unenforced::unenforced_limits_warning;
pub use watch::{ProcessChange, Sources, Watch};

/// The maximum number of processes above another one.
pub const MAX_ANCESTORS: usize = 4;
