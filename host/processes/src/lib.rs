//! Processes of a project: what they are, under which policy they run, and what state they are in.
//!
//! They are defined in `.ichimi/processes.kdl`, or by an MCP client in the home. Each runs below a shim of the room
//! `supervisor`, which carries the policy; nothing here has to stay alive.
//!
//! ```no_run
//! # fn main() -> Result<(), aiw_processes::ProcessError> {
//! use aiw_processes::{Manager, Project};
//! let home = aiw_home::Home::find()?;
//! let manager = Manager::open(&home, Project::find("/srv/shop".as_ref())?)?;
//! manager.start("aiw".as_ref(), "db")?;
//! for status in manager.list()? {
//!     eprintln!("{} {}", status.id, status.state);
//! }
//! # Ok(()) }
//! ```

mod check;
mod definition;
mod environment;
mod error;
mod exchange;
mod file;
mod kept;
mod manager;
mod parsed;
mod probe;
mod project;
mod shown;
mod start;
mod state;
mod stop;
mod summary;
mod wait;

pub use aiw_supervisor::{
    Cause, Enforced, Follow, FollowFrom, Log, LogEntry, LogPolicy, Page, PageLimits, ProcessKind, Resource, Stream,
    Terminal, Until, Usage,
};
pub use check::Problem;
pub use definition::{
    CheckOf, Definition, EnvValue, Limits, NeedOf, ProbeOf, RestartPolicy, RestartWhen, Run, Source, StopPolicy, is_id,
    signal_number,
};
pub use error::{FileProblem, ProcessError};
pub use file::{Definitions, add as add_to_file, check, parse, parse_old, remove as remove_from_file};
pub use manager::{BeforeEdit, Loaded, Manager};
pub use project::{FILE, Project};
pub use start::{StartResult, Started};
pub use state::{State, Status};
pub use stop::StoppedOne;
pub use summary::{ProcessSummary, RestartCause, UsageSummary};
pub use wait::{WaitFor, Waited};
