//! The interface `tasks`.

use std::time::{Duration, SystemTime};

use aiw_core::{CliKind, ProcessId as TaskId, ProcessOutcome as TaskOutcome, ProcessState as TaskState, ProviderName};
use async_trait::async_trait;

use super::{CallSetup, HostCall, HostResult, Interface, NoCapability};
use crate::error::{CallRejection, ComponentReason};

/// Time of one wait for a task: as long as an MCP client's tool call may take.
const MAX_WAIT: Duration = Duration::from_secs(45);

/// The tasks in the user's session.
#[async_trait]
pub trait TaskCapability: Send + Sync {
    /// Returns the tasks that have not been removed, the newest first.
    async fn list(&self) -> Result<Vec<ComponentTask>, CallRejection>;

    /// Returns one task.
    async fn get(&self, id: TaskId) -> Result<ComponentTask, CallRejection>;

    /// Returns the task once it has ended, or after `time`.
    async fn wait(&self, id: TaskId, time: Duration) -> Result<ComponentTask, CallRejection>;
}

/// A task as components see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentTask {
    /// The task's id.
    pub id: TaskId,
    /// The CLI that runs.
    pub cli: CliKind,
    /// The provider; `None` for the CLI's own configuration.
    pub provider: Option<ProviderName>,
    /// The role, or several roles as they were given.
    pub role: Option<String>,
    /// The tag that the provider's plan stored with the task.
    pub tag: Option<String>,
    /// The current state.
    pub state: TaskState,
    /// How the task ended; `None` until then.
    pub outcome: Option<TaskOutcome>,
    /// The CLI's own exit code, if it had one.
    pub exit_code: Option<i32>,
    /// When the task was started.
    pub started_at: SystemTime,
    /// When the task ended.
    pub ended_at: Option<SystemTime>,
}

#[async_trait]
impl TaskCapability for NoCapability {
    async fn list(&self) -> Result<Vec<ComponentTask>, CallRejection> {
        Ok(Vec::new())
    }

    async fn get(&self, id: TaskId) -> Result<ComponentTask, CallRejection> {
        Err(CallRejection { reason: ComponentReason::NotFound, message: format!("there is no task `{id}`") })
    }

    async fn wait(&self, id: TaskId, _time: Duration) -> Result<ComponentTask, CallRejection> {
        self.get(id).await
    }
}

/// The interface `tasks`.
pub(crate) struct TasksImport;

impl Interface for TasksImport {
    const NAME: &'static str = "tasks";
    const PLAN_FUNCTIONS: &'static [&'static str] = &["list", "get"];
    type Capability = dyn TaskCapability;
    type State = ();

    fn initial_state(_setup: &CallSetup<'_>) -> Self::State {}
}

impl HostCall<'_, TasksImport> {
    pub(crate) async fn list(&mut self) -> HostResult<Vec<ComponentTask>> {
        self.begin_read("list")?;
        Ok(self.call.track_wait(self.capability.list()).await?)
    }

    pub(crate) async fn get(&mut self, id: &str) -> HostResult<ComponentTask> {
        self.begin_read("get")?;
        let id = id.parse().map_err(CallRejection::invalid)?;
        Ok(self.call.track_wait(self.capability.get(id)).await?)
    }

    pub(crate) async fn wait(&mut self, id: &str, time: Duration) -> HostResult<ComponentTask> {
        self.begin_request("wait")?;
        let id = id.parse().map_err(CallRejection::invalid)?;
        Ok(self.call.track_wait(self.capability.wait(id, time.min(MAX_WAIT))).await?)
    }
}
