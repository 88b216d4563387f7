//! Tasks, as a test sees them.

use std::path::PathBuf;
use std::time::SystemTime;

use aiw_core::InvalidName;
use aiw_wasm::host;

pub use aiw_core::{CliKind as Cli, ProcessOutcome as TaskOutcome, ProcessState as TaskState};

/// A task that a component sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Twelve digits and lowercase letters.
    pub id: String,
    /// The CLI that runs.
    pub cli: Cli,
    /// The provider; `None` for the CLI's own configuration.
    pub provider: Option<String>,
    /// The role.
    pub role: Option<String>,
    /// The tag that the provider's plan stored with the task.
    pub tag: Option<String>,
    /// The state.
    pub state: TaskState,
    /// How the task ended; `None` until then.
    pub outcome: Option<TaskOutcome>,
    /// The CLI's own exit code, if it had one.
    pub exit_code: Option<i32>,
    /// When the task was started.
    pub started: SystemTime,
    /// When the task ended.
    pub ended: Option<SystemTime>,
}

impl Task {
    pub(crate) fn into_host(self) -> Result<host::ComponentTask, InvalidName> {
        Ok(host::ComponentTask {
            id: self.id.parse()?,
            cli: self.cli,
            provider: self.provider.map(|name| name.parse()).transpose()?,
            role: self.role,
            tag: self.tag,
            state: self.state,
            outcome: self.outcome,
            exit_code: self.exit_code,
            started_at: self.started,
            ended_at: self.ended,
        })
    }
}

/// A task that a component asked to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRequest {
    /// The CLI to run.
    pub cli: Cli,
    /// The prompt for the CLI.
    pub prompt: String,
    /// The provider; the default one if `None`.
    pub provider: Option<String>,
    /// The role to apply.
    pub role: Option<String>,
    /// An absolute path; aiw's own directory if `None`.
    pub cwd: Option<PathBuf>,
    /// The model; the provider's if `None`.
    pub model: Option<String>,
}

impl TaskRequest {
    pub(crate) fn new(request: &host::TaskRequest) -> Self {
        Self {
            cli: request.cli,
            prompt: request.prompt.clone(),
            provider: request.provider.as_ref().map(ToString::to_string),
            role: request.role.as_ref().map(ToString::to_string),
            cwd: request.cwd.clone(),
            model: request.model.clone(),
        }
    }
}
