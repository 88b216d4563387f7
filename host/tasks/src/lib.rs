//! Tasks: AI CLIs that run supervised, that anyone of the session can see, and that nothing loses.
//!
//! A task is a CLI beneath a small process of its own, the shim. The shim holds the CLI's pipes,
//! writes its log, ends what it leaves behind and records how it ended; whoever started it may
//! die. What runs just now stands in a segment of shared memory, one for each session; the truth
//! about a task is its directory, `~/.aiw/tasks/<id>/`.
//!
//! Not for what a CLI is, where it is found or which provider it gets: `aiw-launch` knows that.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aiw_tasks::{Root, Scope, Tasks};
//! let home = aiw_home::Home::find()?;
//! let tasks = Tasks::open(&home, Scope::Session(Root { pid: 4711, start: 0 }))?;
//! for task in tasks.list()? {
//!     eprintln!("{} {} {}", task.id, task.state, task.prompt);
//! }
//! # Ok(()) }
//! ```

#[cfg(unix)]
#[doc(hidden)]
pub mod bench;
mod error;
#[cfg(unix)]
mod files;
mod interpreter;
mod log;
mod platform;
mod program;
#[cfg(unix)]
mod record;
#[cfg(unix)]
mod request;
#[cfg(unix)]
mod runtime;
#[cfg(unix)]
mod segment;
mod shim;
#[cfg(unix)]
mod signal;
mod task;
mod tasks;

pub use aiw_core::{TaskOutcome as Outcome, TaskState as State};
pub use error::TaskError;
pub use interpreter::{Facts, Interpreter, Usage};
pub use log::{Entry, Follow, From, Log, Stream};
#[cfg(unix)]
pub use program::memory_file;
pub use program::{Limits, NamedFile, PassedFile, Program, Queue, memory_path};
pub use shim::shim_main;
pub use task::{NewTask, Root, Scope, Task};
pub use tasks::{Keep, Stopped, Tasks, WaitMode, Waited};

/// The variable that holds a task's id in the environment of all that the task runs.
pub const TASK_VARIABLE: &str = "AIW_TASK_ID";

/// The variable that holds the instance of a task, which no forged record with the same id has by chance.
pub const INSTANCE_VARIABLE: &str = "AIW_TASK_INSTANCE";

/// How deep tasks may start tasks.
pub const MAX_DEPTH: u8 = 3;
