//! What anyone may do with tasks.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::TaskId;
use aiw_home::Home;

use crate::{Log, NewTask, Program, Queue, Scope, Task, TaskError};

/// The tasks of a session, or of all.
#[derive(Debug, Clone)]
pub struct Tasks {}

/// Which ends are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitMode {
    /// The first.
    Any,
    /// All of them.
    All,
}

/// How waiting ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Waited {
    /// The tasks as they are now, in the order asked for.
    pub tasks: Vec<Task>,
    /// Whether what was waited for came true.
    pub done: bool,
    /// Whether it ended because it was cancelled.
    pub cancelled: bool,
}

/// What became of a request to stop.
#[derive(Debug, Clone, PartialEq)]
pub enum Stopped {
    /// It has ended; this is how.
    Ended(Task),
    /// It was told to and still runs.
    Stopping(Task),
    /// There was nothing to stop.
    AlreadyEnded(Task),
}

/// Which ended tasks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// So many, the newest. Five times as many of those that no report has shown.
    pub count: usize,
    /// Those that ended no longer ago than this.
    pub age: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { count: 200, age: Duration::from_secs(30 * 24 * 3600) }
    }
}

impl Tasks {
    /// The tasks of a scope. Nothing is created until a task is started.
    pub fn open(_home: &Home, _scope: Scope) -> Result<Self, TaskError> {
        Err(TaskError::Unsupported)
    }

    /// Starts a task beneath a shim of its own, and returns once it runs, is queued or has been
    /// refused. `aiw` is the executable whose `shim` command is [`shim_main`](crate::shim_main).
    pub fn start(&self, _aiw: &Path, _task: NewTask, _program: Program, _queue: Queue) -> Result<Task, TaskError> {
        Err(TaskError::Unsupported)
    }

    /// All of them, oldest first. What dead shims have left behind is ended and recorded first.
    pub fn list(&self) -> Result<Vec<Task>, TaskError> {
        Err(TaskError::Unsupported)
    }

    /// One of them. A task of another session is found too: its id was known.
    pub fn get(&self, _id: TaskId) -> Result<Task, TaskError> {
        Err(TaskError::Unsupported)
    }

    /// The task whose CLI has, or had, this process id; the newest of several.
    pub fn find_by_pid(&self, _pid: u32) -> Result<Task, TaskError> {
        Err(TaskError::Unsupported)
    }

    /// Asks a task to end: SIGTERM to its group, 5 s, SIGKILL. With `wait` it returns when that is done.
    pub fn stop(&self, _id: TaskId, _wait: bool) -> Result<Stopped, TaskError> {
        Err(TaskError::Unsupported)
    }

    /// Waits until one or all of the tasks have ended, until the deadline, or until `cancelled` is
    /// set, which is seen within a second. `on_change` is called at the start and after each
    /// change of a state.
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

    /// Marks ended tasks as shown by a report. Others are left as they are.
    pub fn mark_read(&self, _ids: &[TaskId]) -> Result<(), TaskError> {
        Err(TaskError::Unsupported)
    }

    /// Removes the record and the log of an ended task.
    pub fn remove(&self, _id: TaskId) -> Result<(), TaskError> {
        Err(TaskError::Unsupported)
    }

    /// Removes the records and logs of ended tasks that are not to be kept, of all sessions.
    pub fn prune(&self, _keep: Keep) -> Result<Vec<TaskId>, TaskError> {
        Err(TaskError::Unsupported)
    }

    /// The log of a task.
    pub fn log(&self, _id: TaskId) -> Result<Log, TaskError> {
        Err(TaskError::Unsupported)
    }
}
