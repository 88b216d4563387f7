//! Systems without supervised processes: every operation is refused.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::TaskId;
use aiw_home::Home;

use super::outcome::{Keep, Stopped, Supervised, WaitMode, Waited};
use crate::error::SupervisorError;
use crate::log::Log;
use crate::names::Names;
use crate::new::{NewProcess, Queue};
use crate::program::Program;
use crate::record::Labels;
use crate::root::Scope;

/// The supervised processes of a room. There are none on this system.
#[derive(Debug, Clone)]
pub struct Processes {}

/// The result of an operation.
type Answer<T> = Result<T, SupervisorError>;

impl Processes {
    /// Always refused.
    pub fn open(_home: &Home, _names: Names, _scope: Scope) -> Answer<Self> {
        Err(SupervisorError::Unsupported)
    }
    /// Returns `self`: there are no labels to understand.
    #[must_use]
    pub fn understood_by(self, _understands: fn(&Labels) -> Result<(), serde_json::Error>) -> Self {
        self
    }
    /// Returns `self`: no scope has any processes.
    #[must_use]
    pub fn of(&self, _scope: Scope) -> Self {
        self.clone()
    }
    /// Returns `self`: there is no runtime directory.
    #[must_use]
    pub fn with_runtime(self, _directory: impl Into<PathBuf>) -> Self {
        self
    }
    /// Returns `self`: no process is ever ended.
    #[must_use]
    pub fn with_grace(self, _grace: Duration) -> Self {
        self
    }
    /// Always refused.
    pub fn start(&self, _aiw: &Path, _new: NewProcess, _program: Program, _queue: Queue) -> Answer<Supervised> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn start_again(
        &self,
        _aiw: &Path,
        _id: TaskId,
        _new: NewProcess,
        _program: Program,
        _queue: Queue,
    ) -> Answer<Supervised> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn list(&self) -> Answer<Vec<Supervised>> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn list_with_problems(&self) -> Answer<(Vec<Supervised>, Vec<SupervisorError>)> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn sweep(&self) -> Answer<()> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn check(&self) -> Answer<()> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn get(&self, _id: TaskId) -> Answer<Supervised> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn stop(&self, _id: TaskId, _wait: bool) -> Answer<Stopped<Supervised>> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn wait(
        &self,
        _ids: &[TaskId],
        _mode: WaitMode,
        _deadline: Option<Instant>,
        _cancelled: &AtomicBool,
        _on_change: &mut dyn FnMut(&[Supervised]),
    ) -> Answer<Waited<Supervised>> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn mark_read(&self, _ids: &[TaskId]) -> Answer<()> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn remove(&self, _id: TaskId) -> Answer<()> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn prunable(&self, _keep: Keep) -> Answer<Vec<TaskId>> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn prune(&self, _keep: Keep) -> Answer<Vec<TaskId>> {
        Err(SupervisorError::Unsupported)
    }
    /// Always refused.
    pub fn log(&self, _id: TaskId) -> Answer<Log> {
        Err(SupervisorError::Unsupported)
    }
}
