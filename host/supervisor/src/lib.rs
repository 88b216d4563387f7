//! Supervised processes: each beneath a small process of its own, seen by all of the session, and lost by nobody.
//!
//! What runs has a shim above it. The shim holds its pipes, writes its log, ends what it leaves behind and
//! records how it ended; whoever started it may die. What runs just now stands in a segment of shared
//! memory, one for each session; the truth about a process is its directory. A process may also be
//! [`Attached`]: then it talks to its owner alone, and goes with it.
//!
//! Not for what a process is. Its labels, and what its output means, are the business of the room that has it
//! supervised: `aiw-tasks` for AI CLIs.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aiw_supervisor::{Names, NewProcess, Processes, Program, Queue, Root, Scope};
//! const SERVERS: Names = Names::new("servers", "server.json", "server", ["AIW_SERVER_ID", "AIW_SERVER_INSTANCE"]);
//! let home = aiw_home::Home::find()?;
//! let servers = Processes::open(&home, SERVERS, Scope::Session(Root::of(4711)))?;
//! let program = Program { arguments: vec!["-m".into(), "http.server".into()], ..Program::of("/usr/bin/python3") };
//! let server = servers.start("aiw".as_ref(), NewProcess::within("/srv"), program, Queue::default())?;
//! eprintln!("{} {}", server.record.id, server.record.state);
//! # Ok(()) }
//! ```

#[cfg(unix)]
mod attached;
#[cfg(unix)]
mod directory;
mod error;
#[cfg(unix)]
mod files;
mod interpreter;
mod log;
#[cfg(unix)]
mod mask;
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
mod signal;
#[cfg(all(unix, feature = "testing"))]
pub mod testing;

pub use aiw_core::{TaskOutcome as Outcome, TaskState as State};
#[cfg(unix)]
pub use attached::{Attached, Exit};
pub use error::{MemoryProblem, RecordProblem, Refusal, ShimProblem, SupervisorError};
pub use interpreter::{Findings, Interpreter};
pub use log::{Entry, Follow, From, Log, Stream};
#[cfg(unix)]
pub use memory::memory_file;
pub use memory::memory_path;
pub use names::Names;
pub use new::{LogPolicy, NewProcess, Queue, Restart, RestartWhen, Terminal};
pub use processes::{Keep, Processes, Stopped, Supervised, WaitMode, Waited};
pub use program::{Limits, NamedFile, PassedFile, Program};
pub use record::{Labels, Record};
pub use root::{Root, Scope};
pub use shim::shim_main;

/// How many may stand above one.
pub const MAX_ABOVE: usize = 4;
