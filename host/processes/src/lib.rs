//! Processes of a project: what they are, under which policy they run, and what state they are in.
//!
//! They are defined in `.ichimi/processes.kdl`, or by an MCP client in the home. Each runs below a shim of the room
//! `supervisor`, which carries the policy; nothing here has to stay alive.
//!
//! ```no_run
//! # fn main() -> Result<(), aiw_processes::ProcessError> {
//! use aiw_processes::{Manager, ProcessProject};
//! let home = aiw_home::Home::find(aiw_home::Surroundings::of_process())?;
//! let manager = Manager::open(&home, ProcessProject::find("/srv/shop".as_ref())?)?;
//! manager.up(&manager.load()?, &["db".to_owned()])?;
//! for status in manager.list()? {
//!     eprintln!("{} {}", status.id, status.state);
//! }
//! # Ok(()) }
//! ```

mod at_boot;
mod attach;
mod check;
mod consent;
mod define;
mod definition;
mod duties;
mod edit;
mod environment;
mod error;
mod exchange;
mod file;
mod follow;
mod graph;
mod habits;
mod kept;
mod manager;
mod others;
mod output;
mod parsed;
mod probe;
mod project;
mod reach;
mod redefine;
mod shown;
mod snapshots;
mod start;
mod state;
mod stop;
mod summary;
mod templates;
mod typed;
mod wait;
mod yaml;

pub use aiw_supervisor::{Attachment, Follow, FollowFrom, LogEntry, OnDuty, Resident, Stream, Terminal, Watch};
pub use at_boot::AtBoot;
pub use attach::AttachedProcess;
pub use define::{AddedProcess, DefineRequest, LimitsRequest, RedefineRequest, RemovedProcesses};
pub use definition::{EventHook, is_id};
pub use duties::{AttendedProject, attend, attended};
pub use edit::EditedFile;
pub use error::{FileProblem, ProcessError};
pub use exchange::{ExportForm, ExportRequest, ExportedProcesses};
pub use follow::ChangedFile;
pub use graph::{GraphNode, ProcessGraph};
pub use habits::{ForgottenHabits, HabitEvent, HabitSuggestion, HabitSuggestions};
pub use manager::{Loaded, Manager};
pub use others::BroughtProcesses;
pub use output::{OutputRequest, ProcessLine, ProcessLog, ProcessLogPage, ProcessLogs, ProcessOutput, anywhere};
pub use project::ProcessProject;
pub use reach::{MAX_INPUT, SignalledProcesses, WrittenInput};
pub use redefine::{EditableProcess, EditedProcess, ProcessEdit};
pub use snapshots::{SnapshotChange, SnapshotDifference, SnapshotList, SnapshotSummary, SnapshotText};
pub use start::{StartResults, Started, result_of};
pub use state::{ProcessStatus, RunState};
pub use stop::StoppedOne;
pub use summary::{ProcessSummaries, ProcessSummary, RestartCause, StoppedProcesses, UsageSummary};
pub use templates::{ProcessTemplate, ProcessTemplates, TemplateRequest, TemplateValue};
pub use typed::Author;
pub use wait::{WaitFor, WaitedProcess};
