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
    async fn list(&self) -> Result<Vec<Task>, Refused>;

    /// Returns one task.
    async fn get(&self, id: TaskId) -> Result<Task, Refused>;

    /// Returns the task once it has ended, or after `time`.
    async fn wait(&self, id: TaskId, time: Duration) -> Result<Task, Refused>;

    /// Starts a task for a component, with the CLI's own safe permissions.
    async fn start(&self, request: &StartTask) -> Result<Task, Refused>;
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

/// Why a capability did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// Which error of the contract it is.
    pub refusal: Refusal,
    /// The message.
    pub message: String,
}

/// An implementation without tasks: none exist, and none can be started.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTasks;

impl NoTasks {
    fn not_found(id: TaskId) -> Refused {
        Refused { refusal: Refusal::NotFound, message: format!("there is no task `{id}`") }
    }
}

#[async_trait]
impl Tasks for NoTasks {
    async fn list(&self) -> Result<Vec<Task>, Refused> {
        Ok(Vec::new())
    }

    async fn get(&self, id: TaskId) -> Result<Task, Refused> {
        Err(Self::not_found(id))
    }

    async fn wait(&self, id: TaskId, _time: Duration) -> Result<Task, Refused> {
        Err(Self::not_found(id))
    }

    async fn start(&self, _request: &StartTask) -> Result<Task, Refused> {
        Err(Refused { refusal: Refusal::Denied, message: "tasks cannot be started here".into() })
    }
}

/// Texts as vectors.
#[async_trait]
pub trait Embeddings: Send + Sync {
    /// Returns the id and the dimensions of the model, or why there is none.
    async fn model(&self) -> Result<(String, usize), Refused>;

    /// Returns a vector of length 1 for each text.
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Refused>;
}

/// Collections of vectors. Each belongs to a component; both names are valid parts of a path.
#[async_trait]
pub trait Vectors: Send + Sync {
    /// Adds and replaces entries, all or none. More than `limit` bytes of vectors are refused.
    async fn upsert(&self, of: Collection, entries: Vec<(String, Vec<f32>)>, limit: u64) -> Result<(), Refused>;

    /// Removes entries, and returns how many there were.
    async fn delete(&self, of: Collection, ids: Vec<String>) -> Result<usize, Refused>;

    /// Returns the vector of an entry.
    async fn get(&self, of: Collection, id: String) -> Result<Option<Vec<f32>>, Refused>;

    /// Returns the number of entries.
    async fn count(&self, of: Collection) -> Result<usize, Refused>;

    /// Returns the ids and scores of the nearest entries, the nearest first.
    async fn search(&self, of: Collection, query: Vec<f32>, limit: usize) -> Result<Vec<(String, f32)>, Refused>;

    /// Removes the collection.
    async fn clear(&self, of: Collection) -> Result<(), Refused>;
}

/// A collection of vectors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Collection {
    /// The id of the component.
    pub owner: String,
    /// The name in its manifest.
    pub name: String,
}

/// The tools of the user's MCP servers.
#[async_trait]
pub trait Mcp: Send + Sync {
    /// Returns the tools that are known without starting a server.
    async fn list(&self) -> Result<Vec<McpTool>, Refused>;

    /// Returns one tool. Starts its server if it is not known.
    async fn find(&self, server: &str, tool: &str) -> Result<McpTool, Refused>;

    /// Calls a tool with a JSON object, and returns the server's result.
    async fn call(&self, server: &str, tool: &str, arguments: &str) -> Result<McpResult, Refused>;
}

/// A tool of an MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpTool {
    /// The server's key.
    pub server: String,
    /// The tool's own name.
    pub name: String,
    /// What the server says about it.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub input_schema: String,
    /// Whether it may destroy something.
    pub destructive: bool,
}

/// The result of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpResult {
    /// Whether the tool failed.
    pub is_error: bool,
    /// The result in JSON.
    pub json: String,
}

/// Neither a model nor collections nor MCP servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Nothing {
    fn refused<T>(what: &str) -> Result<T, Refused> {
        let refusal = Refusal::Unavailable { retry_after: None };
        Err(Refused { refusal, message: format!("there are no {what} here") })
    }
}

#[async_trait]
impl Embeddings for Nothing {
    async fn model(&self) -> Result<(String, usize), Refused> {
        Self::refused("sentence models")
    }

    async fn embed(&self, _texts: Vec<String>) -> Result<Vec<Vec<f32>>, Refused> {
        Self::refused("sentence models")
    }
}

#[async_trait]
impl Vectors for Nothing {
    async fn upsert(&self, _of: Collection, _entries: Vec<(String, Vec<f32>)>, _limit: u64) -> Result<(), Refused> {
        Self::refused("collections")
    }

    async fn delete(&self, _of: Collection, _ids: Vec<String>) -> Result<usize, Refused> {
        Self::refused("collections")
    }

    async fn get(&self, _of: Collection, _id: String) -> Result<Option<Vec<f32>>, Refused> {
        Self::refused("collections")
    }

    async fn count(&self, _of: Collection) -> Result<usize, Refused> {
        Self::refused("collections")
    }

    async fn search(&self, _of: Collection, _query: Vec<f32>, _limit: usize) -> Result<Vec<(String, f32)>, Refused> {
        Self::refused("collections")
    }

    async fn clear(&self, _of: Collection) -> Result<(), Refused> {
        Self::refused("collections")
    }
}

#[async_trait]
impl Mcp for Nothing {
    async fn list(&self) -> Result<Vec<McpTool>, Refused> {
        Ok(Vec::new())
    }

    async fn find(&self, _server: &str, _tool: &str) -> Result<McpTool, Refused> {
        Self::refused("MCP servers")
    }

    async fn call(&self, _server: &str, _tool: &str, _arguments: &str) -> Result<McpResult, Refused> {
        Self::refused("MCP servers")
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
    /// For the interface `embeddings`.
    pub embeddings: Arc<dyn Embeddings>,
    /// For the interface `vectors`.
    pub vectors: Arc<dyn Vectors>,
    /// For the interface `mcp`.
    pub mcp: Arc<dyn Mcp>,
    /// For the interface `cache`. Each component has its own directory beneath the home's.
    pub home: aiw_home::Home,
}

#[async_trait]
impl Http for aiw_net::Client {
    async fn get(&self, policy: &Policy, request: &Request) -> Result<Response, NetError> {
        Self::fetch(self, policy, request).await
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
