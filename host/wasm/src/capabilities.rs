//! What components can use, as plain traits. The capability crates provide the real implementations; tests bring
//! their own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aiw_core::{CliKind, ProviderName, RoleName, TaskId, TaskOutcome, TaskState};
use aiw_net::{NetError, Policy, Request, Response, Tree};
use async_trait::async_trait;

use crate::error::Refusal;

/// Reads over HTTP.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends a GET request within a policy.
    async fn get(&self, policy: &Policy, request: &Request) -> Result<Response, NetError>;
}

/// The origin of a tree.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A git repository.
    Git(aiw_net::GitOrigin),
    /// A directory.
    Directory(PathBuf),
}

/// Opens trees.
#[async_trait]
pub trait Trees: Send + Sync {
    /// Opens a tree within a policy.
    async fn open(&self, policy: &Policy, origin: &Origin) -> Result<Tree, NetError>;
}

/// The clock that components see.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> SystemTime;
}

/// The destination of a component's log lines.
pub trait Log: Send + Sync {
    /// Writes one line, which is already limited in length and printable.
    fn write(&self, component: &str, level: Level, line: &str);
}

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Details for the component's author.
    Debug,
    /// Information for anyone who reads the log.
    Info,
    /// Something is wrong.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// Returns the name used in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A component's settings, by key.
pub trait SettingsSource: Send + Sync {
    /// Returns the setting `sources.<component>.<key>`.
    fn get(&self, component: &str, key: &str) -> Option<String>;
}

/// The tasks in the user's session.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Returns the tasks that have not been removed, the newest first.
    async fn list(&self) -> Result<Vec<Task>, TaskError>;

    /// Returns one task.
    async fn get(&self, id: TaskId) -> Result<Task, TaskError>;

    /// Returns the task once it has ended, or after `time`.
    async fn wait(&self, id: TaskId, time: Duration) -> Result<Task, TaskError>;

    /// Starts a task for a component, with the CLI's own safe permissions.
    async fn start(&self, request: &StartTask) -> Result<Task, TaskError>;
}

/// A task as components see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
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
    pub started: SystemTime,
    /// When the task ended.
    pub ended: Option<SystemTime>,
}

/// A task to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartTask {
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

/// Why a call of [`Tasks`] failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TaskError {
    /// Which error of the contract it is.
    pub refusal: Refusal,
    /// The message.
    pub message: String,
}

/// An implementation without tasks: none exist, and none can be started.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTasks;

impl NoTasks {
    fn not_found(id: TaskId) -> TaskError {
        TaskError { refusal: Refusal::NotFound, message: format!("there is no task `{id}`") }
    }
}

#[async_trait]
impl Tasks for NoTasks {
    async fn list(&self) -> Result<Vec<Task>, TaskError> {
        Ok(Vec::new())
    }

    async fn get(&self, id: TaskId) -> Result<Task, TaskError> {
        Err(Self::not_found(id))
    }

    async fn wait(&self, id: TaskId, _time: Duration) -> Result<Task, TaskError> {
        Err(Self::not_found(id))
    }

    async fn start(&self, _request: &StartTask) -> Result<Task, TaskError> {
        Err(TaskError { refusal: Refusal::Denied, message: "tasks cannot be started here".into() })
    }
}

/// All capabilities together.
#[derive(Clone)]
pub struct Capabilities {
    /// For the interface `http`.
    pub http: Arc<dyn Http>,
    /// For the interface `trees`.
    pub trees: Arc<dyn Trees>,
    /// For the interface `clock`.
    pub clock: Arc<dyn Clock>,
    /// For the interface `log`.
    pub log: Arc<dyn Log>,
    /// For the interface `settings`.
    pub settings: Arc<dyn SettingsSource>,
    /// For the interface `tasks`.
    pub tasks: Arc<dyn Tasks>,
    /// For the interface `cache`. Each component has its own directory beneath the home's.
    pub home: aiw_home::Home,
}

#[async_trait]
impl Http for aiw_net::Client {
    async fn get(&self, policy: &Policy, request: &Request) -> Result<Response, NetError> {
        Self::get(self, policy, request).await
    }
}

#[async_trait]
impl Trees for aiw_net::Trees {
    async fn open(&self, policy: &Policy, origin: &Origin) -> Result<Tree, NetError> {
        match origin {
            Origin::Git(git) => self.open_git(policy, git).await,
            Origin::Directory(path) => self.open_directory(policy, path).await,
        }
    }
}

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
