//! Processes of a project: what they are, under which policy they run, and what state they are in.
//!
//! They are defined in `.ichimi/processes.kdl`, or by an MCP client in the home. Each runs below a shim of the room
//! `supervisor`, which carries the policy; nothing here has to stay alive.
//!
//! ```no_run
//! # fn main() -> Result<(), aiw_processes::ProcessError> {
//! use aiw_processes::{Manager, ProcessProject};
//! let home = aiw_home::Home::find(aiw_home::ExecutionContext::from_process())?;
//! let manager = Manager::open(&home, ProcessProject::discover("/srv/shop".as_ref())?)?;
//! manager.up(&manager.load()?, &["db".to_owned()])?;
//! for status in manager.list()? {
//!     eprintln!("{} {}", status.id, status.state);
//! }
//! # Ok(()) }
//! ```

mod attach;
mod autostart;
mod check;
mod consent;
mod define;
mod definition;
mod edit;
mod environment;
mod error;
mod exchange;
mod file;
mod follow;
mod graph;
mod habits;
mod home_definitions;
mod import;
mod jobs;
mod login_item;
mod manager;
mod output;
mod parsed;
mod probe;
mod project;
mod reach;
mod redacted;
mod redefine;
mod snapshots;
mod start;
mod state;
mod stop;
mod summary;
mod templates;
mod typed;
mod wait;
mod yaml;

pub use aiw_supervisor::{
    Attachment, DaemonLock, FollowFrom, HomeDaemon, LogEntry, LogFollower, Stream, Terminal, Watch,
};
pub use attach::AttachedProcess;
pub use autostart::Autostart;
pub use define::{AddedProcess, DefineRequest, LimitsRequest, RedefineRequest, RemovedProcesses};
pub use definition::{EventHook, is_id};
pub use edit::EditedFile;
pub use error::{FileProblem, ProcessError};
pub use exchange::{ExportFormat, ExportRequest, ExportedProcesses};
pub use follow::FileChange;
pub use graph::{GraphNode, ProcessGraph};
pub use habits::{ForgottenHabits, HabitEvent, HabitSuggestion, HabitSuggestions};
pub use import::ImportedProcesses;
pub use jobs::{MonitoredProject, monitored_projects, run_jobs};
pub use login_item::LoginItem;
pub use manager::{LoadedDefinitions, Manager};
pub use output::{
    MergedLogPage, OutputRequest, ProcessLine, ProcessLog, ProcessLogPage, ProcessLogs, ProcessOutput,
    substring_pattern,
};
pub use project::ProcessProject;
pub use reach::{MAX_INPUT_BYTES, SignalledProcesses, WrittenInput};
pub use redefine::{EditableProcess, EditedProcess, ProcessEdit};
pub use snapshots::{SnapshotChange, SnapshotDifference, SnapshotList, SnapshotSummary, SnapshotText};
pub use start::{StartResults, StartedProcess, single_result};
pub use state::{ProcessStatus, RunState};
pub use stop::StopResult;
pub use summary::{ProcessSummaries, ProcessSummary, RestartCause, StoppedProcesses, UsageSummary};
pub use templates::{ProcessTemplate, ProcessTemplates, TemplateRequest, TemplateValue};
pub use typed::Author;
pub use wait::{WaitFor, WaitOutcome};
