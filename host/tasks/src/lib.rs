//! Tasks: AI CLIs that run supervised, are visible to the whole session, and are never lost track of.
//!
//! `aiw-supervisor` runs a process below a shim and keeps its log and its record, without knowing what the process
//! is. This room defines what a task is: which CLI runs under which provider and for which work, how its stream is
//! interpreted, and how deep tasks may start tasks. The directory `~/.aiw/tasks/<id>/` is the authority on a task.
//!
//! Not for what a CLI is, where it is found or which provider it gets: `aiw-launch` knows that.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aiw_tasks::{ProcessScope, Root, Tasks};
//! let home = aiw_home::Home::find(aiw_home::ExecutionContext::from_process())?;
//! let tasks = Tasks::open(&home, ProcessScope::Root(Root::for_pid(4711)))?;
//! for task in tasks.list()? {
//!     eprintln!("{} {} {}", task.id, task.state, task.about.prompt);
//! }
//! # Ok(()) }
//! ```

mod error;
mod find;
mod interpreter;
mod names;
mod task;
mod tasks;
#[cfg(all(unix, feature = "testing"))]
pub mod testing;

pub use aiw_supervisor::{
    FollowFrom, Labels, Log, LogEntry, LogFollower, LogPolicy, NamedFile, NewProcess, Outcome, PassedFile,
    ProcessChange, ProcessKind, ProcessScope, Program, QueueLimit, ResourceLimits, RetentionPolicy, Root, Sources,
    State, Stream, WaitMode, Watch, memory_path, shim_main,
};
#[cfg(unix)]
pub use aiw_supervisor::{ObservedProcess, memory_file, unenforced_limits_warning};
pub use error::TaskError;
pub use interpreter::{EndedTask, Listeners, MeasuredUsage, StreamInterpreter, StreamSummary, interpreter};
pub use names::{INSTANCE_VARIABLE, NOTE_PREFIX, RESOURCE_KIND, TASK_VARIABLE};
pub use task::{Task, TaskDescription, TaskStop, TaskUsage, TaskWait};
pub use tasks::{MAX_DEPTH, Tasks, TasksSnapshot};
