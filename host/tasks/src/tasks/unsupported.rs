//! Systems without supervised tasks say so.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use aiw_core::TaskId;
use aiw_home::Home;

use super::{Keep, Stopped, WaitMode, Waited};
use crate::{Log, NewTask, Program, Queue, Scope, Task, TaskError};

/// The tasks of a session, or of all. There are none on this system.
#[derive(Debug, Clone)]
pub struct Tasks {}

impl Tasks {
    /// Always refused.
    pub fn open(_home: &Home, _scope: Scope) -> Result<Self, TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn start(&self, _aiw: &Path, _task: NewTask, _program: Program, _queue: Queue) -> Result<Task, TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn list(&self) -> Result<Vec<Task>, TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn check(&self) -> Result<(), TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn get(&self, _id: TaskId) -> Result<Task, TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn find(&self, _text: &str) -> Result<Task, TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn find_by_pid(&self, _pid: u32) -> Result<Task, TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn stop(&self, _id: TaskId, _wait: bool) -> Result<Stopped, TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn wait(
        &self,
        _ids: &[TaskId],
        _mode: WaitMode,
        _deadline: Option<Instant>,
        _cancelled: &AtomicBool,
        _on_change: &mut dyn FnMut(&[Task]),
    ) -> Result<Waited, TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn mark_read(&self, _ids: &[TaskId]) -> Result<(), TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn remove(&self, _id: TaskId) -> Result<(), TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn prune(&self, _keep: Keep) -> Result<Vec<TaskId>, TaskError> {
        Err(TaskError::Unsupported)
    }
    /// Always refused.
    pub fn log(&self, _id: TaskId) -> Result<Log, TaskError> {
        Err(TaskError::Unsupported)
    }
}
