//! What components are given, as plain traits: the real ones come from the capability
//! crates, tests bring their own.

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
    /// A GET within a policy.
    async fn get(&self, policy: &Policy, request: &Request) -> Result<Response, NetError>;
}

/// Where a tree comes from.
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
    /// A tree within a policy.
    async fn open(&self, policy: &Policy, origin: &Origin) -> Result<Tree, NetError>;
}

/// The clock that components see.
pub trait Clock: Send + Sync {
    /// The time.
    fn now(&self) -> SystemTime;
}

/// Where a component's log lines go.
pub trait Log: Send + Sync {
    /// One line, already bounded and printable.
    fn write(&self, component: &str, level: Level, line: &str);
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the component's author.
    Debug,
    /// For whoever looks.
    Info,
    /// Something is off.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// As it stands in a log.
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
pub trait Settings: Send + Sync {
    /// `sources.<component>.<key>`
    fn get(&self, component: &str, key: &str) -> Option<String>;
}

/// The tasks of the user's session.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Those that have not been removed, the newest first.
    async fn list(&self) -> Result<Vec<Task>, TaskError>;

    /// One of them.
    async fn get(&self, id: TaskId) -> Result<Task, TaskError>;

    /// The task as it is once it has ended, or after `time`.
    async fn wait(&self, id: TaskId, time: Duration) -> Result<Task, TaskError>;

    /// Starts one, as a component asked for it: with the CLI's own safe permissions.
    async fn start(&self, request: &StartTask) -> Result<Task, TaskError>;
}

/// A task, as components see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What runs.
    pub cli: CliKind,
    /// The provider; none is the CLI's own configuration.
    pub provider: Option<ProviderName>,
    /// The role, or several as they were given.
    pub role: Option<String>,
    /// What the provider's plan kept with it.
    pub tag: Option<String>,
    /// Where it stands.
    pub state: TaskState,
    /// How it ended; none until then.
    pub outcome: Option<TaskOutcome>,
    /// The CLI's own, where it had one.
    pub exit_code: Option<i32>,
    /// When it was started.
    pub started: SystemTime,
    /// When it ended.
    pub ended: Option<SystemTime>,
}

/// A task to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartTask {
    /// What is to run.
    pub cli: CliKind,
    /// What is asked of it; not checked.
    pub prompt: String,
    /// The provider; the default one if none is named.
    pub provider: Option<ProviderName>,
    /// The role that goes before it.
    pub role: Option<RoleName>,
    /// An absolute path; aiw's own directory if none is named.
    pub cwd: Option<PathBuf>,
    /// The model; the provider's if none is named.
    pub model: Option<String>,
}

/// Why tasks gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TaskError {
    /// Which of the contract's errors.
    pub refusal: Refusal,
    /// The sentence.
    pub message: String,
}

/// A place without tasks: there are none, and none can be started.
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

/// All of them together.
#[derive(Clone)]
pub struct Capabilities {
    /// `http`
    pub http: Arc<dyn Http>,
    /// `trees`
    pub trees: Arc<dyn Trees>,
    /// `clock`
    pub clock: Arc<dyn Clock>,
    /// `log`
    pub log: Arc<dyn Log>,
    /// `settings`
    pub settings: Arc<dyn Settings>,
    /// `tasks`
    pub tasks: Arc<dyn Tasks>,
    /// `cache`: each component has a directory of its own beneath the home's.
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

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
