//! The interface `task-starts`. To import it is to ask for it; a component that the user did not grant it is not loaded.

use std::path::PathBuf;

use aiw_core::{CliKind, ProcessId as TaskId, ProviderName, RoleName};
use async_trait::async_trait;

use super::{CallSetup, HostCall, HostResult, Interface, NoCapability};
use crate::budget::LimitExceeded;
use crate::error::{CallRejection, ComponentReason};

/// Tasks that one call may start. More indicate a loop.
const MAX_STARTS_PER_CALL: u32 = 8;

/// Starts tasks in the user's session.
#[async_trait]
pub trait TaskStartCapability: Send + Sync {
    /// Starts a task for a component, with the CLI's own safe permissions.
    async fn start(&self, request: &TaskRequest) -> Result<TaskId, CallRejection>;
}

/// A task to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRequest {
    /// The CLI to run.
    pub cli: CliKind,
    /// The prompt for the CLI; not checked.
    pub prompt: String,
    /// The provider; the default one if `None`.
    pub provider: Option<ProviderName>,
    /// The role to apply.
    pub role: Option<RoleName>,
    /// An absolute path; aiw's own directory if `None`.
    pub cwd: Option<PathBuf>,
    /// The model; the provider's if `None`.
    pub model: Option<String>,
}

#[async_trait]
impl TaskStartCapability for NoCapability {
    async fn start(&self, _request: &TaskRequest) -> Result<TaskId, CallRejection> {
        Err(CallRejection { reason: ComponentReason::Denied, message: "tasks cannot be started here".into() })
    }
}

/// The number of tasks that one call has started.
#[derive(Default)]
pub(crate) struct StartedCount(u32);

/// The interface `task-starts`.
pub(crate) struct TaskStartsImport;

impl Interface for TaskStartsImport {
    const NAME: &'static str = "task-starts";
    type Capability = dyn TaskStartCapability;
    type State = StartedCount;

    fn initial_state(_setup: &CallSetup<'_>) -> Self::State {
        StartedCount::default()
    }
}

impl HostCall<'_, TaskStartsImport> {
    /// Starts a task. A request that makes no sense counts as well.
    pub(crate) async fn start(&mut self, request: Result<TaskRequest, CallRejection>) -> HostResult<TaskId> {
        self.check_import("start")?;
        self.state.0 += 1;
        if self.state.0 > MAX_STARTS_PER_CALL {
            return Err(LimitExceeded(format!("started more than {MAX_STARTS_PER_CALL} tasks in one call")).into());
        }
        let request = request?;
        if request.cwd.as_ref().is_some_and(|cwd| !cwd.is_absolute()) {
            let message = "the directory of a task must be an absolute path".into();
            return Err(CallRejection { reason: ComponentReason::Invalid, message }.into());
        }
        Ok(self.call.track_wait(self.capability.start(&request)).await?)
    }
}
