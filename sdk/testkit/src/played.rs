//! The simulated network, clock, log and settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use std::time::{Duration, SystemTime};

use aiw_core::{ProcessId as TaskId, ProcessState as TaskState};
use aiw_net::{DeniedBy, Hosts, HttpRequest, Method, NetError, Policy, Response, Tree, host_and_port};
use aiw_wasm::host::{
    Clock, ComponentLog, ComponentTask, Http, SettingsSource, TaskCapability, TaskRequest, TaskStartCapability,
    TreeCapability, TreeOrigin,
};
use aiw_wasm::{CallRejection, ComponentReason};
use async_trait::async_trait;
use parking_lot::Mutex;

pub use aiw_wasm::host::LogLevel;

use crate::RecordedResponses;

/// A list that is written while the component runs and read by the test.
pub(crate) struct Recorder<T>(Mutex<Vec<T>>);

impl<T> Default for Recorder<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Recorder<T> {
    pub(crate) fn to_vec(&self) -> Vec<T> {
        self.0.lock().clone()
    }

    fn add(&self, note: T) {
        self.0.lock().push(note);
    }
}

/// A request that the server would have received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// Whether it is a `POST`.
    pub is_post: bool,
    /// The URL.
    pub url: String,
    /// The headers, with the secrets filled in.
    pub headers: BTreeMap<String, String>,
    /// The body; empty for a `GET`.
    pub body: Vec<u8>,
}

/// Recorded answers, and the requests so far.
pub(crate) struct MockHttp {
    pub(crate) responses: RecordedResponses,
    pub(crate) requests: Recorder<RecordedRequest>,
}

#[async_trait]
impl Http for MockHttp {
    async fn fetch(&self, policy: &Policy, request: &HttpRequest) -> Result<Response, NetError> {
        let url = &request.url;
        admit(policy, url)?;
        let secrets = request.secret_headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let headers = request.headers.iter().cloned().chain(secrets).collect();
        let post = request.method == Method::Post;
        self.requests.add(RecordedRequest { is_post: post, url: url.clone(), headers, body: request.body.clone() });
        let Some(answer) = self.responses.get(url) else {
            return Err(NetError::Unavailable {
                message: format!("no recorded answer for `{url}`"),
                retry_after: None,
                source: None,
            });
        };
        if answer.body.len() as u64 > request.max_body_bytes {
            let message = format!("`{url}` is longer than the {} bytes that were requested", request.max_body_bytes);
            return Err(NetError::TooLarge { message });
        }
        let (status, headers, body) = (answer.status, answer.headers.clone(), answer.body.clone());
        Ok(Response { status, headers, body, url: url.clone() })
    }
}

/// Checks a URL as the real client does before it resolves a name.
fn admit(policy: &Policy, url: &str) -> Result<(), NetError> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let default_port = match scheme.as_deref() {
        Some("https") => 443,
        Some("http") => 80,
        _ => return Err(NetError::Invalid { message: format!("`{url}` is not an `https` URL") }),
    };
    let (host, port) =
        host_and_port(url).ok_or_else(|| NetError::Invalid { message: format!("`{url}` names no host") })?;
    if policy.granted.contains(&(host.clone(), port)) {
        return Ok(());
    }
    let denied = |message| Err(NetError::Denied { by: DeniedBy::Other, message });
    let named = match &policy.hosts {
        Hosts::Any => true,
        Hosts::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(&host, port, default_port)),
    };
    match (named, default_port) {
        (true, 443) => Ok(()),
        (true, _) => denied(format!("`{url}` is not encrypted, and `{host}:{port}` is not granted")),
        (false, _) => denied(format!("host `{host}:{port}` is not among the allowed ones")),
    }
}

/// Directories are real; a directory stands in for a repository, unless real ones are requested.
pub(crate) struct MockTrees {
    pub(crate) trees: aiw_net::Trees,
    pub(crate) repositories: BTreeMap<String, PathBuf>,
    pub(crate) real_git: bool,
}

impl MockTrees {
    async fn stand_in(&self, directory: &Path, path: Option<&aiw_core::RelPath>) -> Result<Tree, NetError> {
        let policy = Policy { directories: vec![directory.to_owned()], ..Policy::none() };
        let tree = self.trees.open_directory(&policy, directory).await?;
        match path {
            Some(path) => tree.subtree(path),
            None => Ok(tree),
        }
    }
}

#[async_trait]
impl TreeCapability for MockTrees {
    async fn open(&self, policy: &Policy, origin: &TreeOrigin) -> Result<Tree, NetError> {
        match origin {
            TreeOrigin::Git(git) => match self.repositories.get(&git.url) {
                Some(directory) => self.stand_in(directory, git.path.as_ref()).await,
                None if self.real_git => self.trees.open(policy, origin).await,
                None => {
                    let message = format!("no recorded repository for `{}`", git.url);
                    Err(NetError::Unavailable { message, retry_after: None, source: None })
                }
            },
            TreeOrigin::Directory(_) => self.trees.open(policy, origin).await,
        }
    }
}

/// A stopped clock.
pub(crate) struct FixedClock(pub(crate) SystemTime);

impl Clock for FixedClock {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// A line that the component logged, as the host passed it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: LogLevel,
    /// The text.
    pub line: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.level.as_str(), self.line)
    }
}

/// Stored log lines.
#[derive(Default)]
pub(crate) struct StoredLogLines(pub(crate) Recorder<LogLine>);

impl ComponentLog for StoredLogLines {
    fn write(&self, _component: &str, level: LogLevel, line: &str) {
        self.0.add(LogLine { level, line: line.to_owned() });
    }
}

/// Settings by key.
pub(crate) struct SettingsMap(pub(crate) BTreeMap<String, String>);

impl SettingsSource for SettingsMap {
    fn get(&self, _component: &str, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }
}

/// Tasks that never change; a started one stays queued forever.
pub(crate) struct MockTasks {
    tasks: Mutex<Vec<ComponentTask>>,
    now: SystemTime,
    pub(crate) started_tasks: Recorder<TaskRequest>,
}

impl MockTasks {
    pub(crate) fn new(tasks: Vec<ComponentTask>, now: SystemTime) -> Self {
        Self { tasks: Mutex::new(tasks), now, started_tasks: Recorder::default() }
    }

    fn all(&self) -> parking_lot::MutexGuard<'_, Vec<ComponentTask>> {
        self.tasks.lock()
    }
}

#[async_trait]
impl TaskCapability for MockTasks {
    async fn list(&self) -> Result<Vec<ComponentTask>, CallRejection> {
        Ok(self.all().clone())
    }

    async fn get(&self, id: TaskId) -> Result<ComponentTask, CallRejection> {
        let found = self.all().iter().find(|task| task.id == id).cloned();
        found.ok_or_else(|| CallRejection {
            reason: ComponentReason::NotFound,
            message: format!("there is no task `{id}`"),
        })
    }

    async fn wait(&self, id: TaskId, _time: Duration) -> Result<ComponentTask, CallRejection> {
        self.get(id).await
    }
}

#[async_trait]
impl TaskStartCapability for MockTasks {
    async fn start(&self, request: &TaskRequest) -> Result<TaskId, CallRejection> {
        self.started_tasks.add(request.clone());
        let number = self.started_tasks.to_vec().len() as u64;
        let task = ComponentTask {
            id: TaskId::from_number(number),
            cli: request.cli,
            provider: request.provider.clone(),
            role: request.role.as_ref().map(ToString::to_string),
            tag: None,
            state: TaskState::Queued,
            outcome: None,
            exit_code: None,
            started_at: self.now,
            ended_at: None,
        };
        self.all().insert(0, task);
        Ok(TaskId::from_number(number))
    }
}
