//! Tasks: AI CLIs that run supervised, that anyone of the session can see, and that nothing loses.
//!
//! `aiw-supervisor` runs a process beneath a shim, keeps its log and its record, and knows nothing of what it
//! is. This room says what a task is: which CLI under which provider does what, how its stream is
//! understood, how deep tasks may start tasks. The truth about a task is its directory, `~/.aiw/tasks/<id>/`.
//!
//! Not for what a CLI is, where it is found or which provider it gets: `aiw-launch` knows that.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aiw_tasks::{Root, Scope, Tasks};
//! let home = aiw_home::Home::find()?;
//! let tasks = Tasks::open(&home, Scope::Session(Root { pid: 4711, start: 0 }))?;
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

use std::process::ExitCode;

use aiw_core::CliKind;
#[cfg(unix)]
pub use aiw_supervisor::memory_file;
pub use aiw_supervisor::{
    Entry, Follow, From, Keep, Limits, Log, LogPolicy, NamedFile, NewProcess, Outcome, PassedFile, Program, Queue,
    Root, Scope, State, Stream, WaitMode, memory_path,
};
pub use error::TaskError;
pub use interpreter::{Facts, Interpreter};
pub use names::{INSTANCE_VARIABLE, TASK_VARIABLE};
pub use task::{About, Stopped, Task, Usage, Waited};
pub use tasks::{MAX_DEPTH, Tasks};

/// The whole life of `aiw shim …`, with interpreters for the streams of CLIs. It must be the first thing that `main`
/// does: whatever stands before it is paid by every task.
pub fn shim_main(arguments: std::env::ArgsOs, interpreter: fn(CliKind) -> Box<dyn Interpreter>) -> ExitCode {
    // The shim asks a function, which can hold nothing: this is the one that its binary has.
    interpreter::use_for_all(interpreter);
    aiw_supervisor::shim_main(arguments, interpreter::of)
}
