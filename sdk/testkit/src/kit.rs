//! A component under test.

use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aiw_core::Secret;
use aiw_extensions::{Grants, inspect};
use aiw_home::Home;
use aiw_wasm::host::{Capabilities, Http};
use aiw_wasm::{CallPermissions, CompiledCache, Component, Engine, OnCompile, Origin};

use crate::played::{FixedClock, MockHttp, MockTasks, MockTrees, Recorder, SettingsMap, StoredLogLines};
use crate::{Driver, RecordedResponse, RecordedResponses, Task, TestkitError, answers};

/// What a component says about itself, read without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentInfo {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// A few words for people.
    pub label: String,
    /// The kinds of component that it is: `market-source`, `provider`, `registry-source`.
    pub worlds: Vec<String>,
    /// What it asks the user to agree to, by kind, as in `extensions.lock`: `{"imports": ["http"], …}`.
    pub requested: BTreeMap<String, Vec<String>>,
}

/// The setup for driving a component. By default, it has all grants that it asks for, a clock stopped at January 1,
/// 2026, no settings, and a network that doesn't answer.
pub struct Testkit {
    bytes: Vec<u8>,
    about: aiw_extensions::ComponentFacts,
    grants: Grants,
    answers: RecordedResponses,
    clock: SystemTime,
    settings: BTreeMap<String, String>,
    reach: CallPermissions,
    repositories: BTreeMap<String, PathBuf>,
    real_git: bool,
    real_http: bool,
    tasks: Vec<Task>,
    secrets: BTreeMap<String, Secret>,
    cache: CompiledCache,
    compiler: Option<PathBuf>,
    on_compile: Option<Arc<OnCompile>>,
    guest_cpu: Option<Duration>,
}

impl Testkit {
    /// Creates the setup from a component's bytes. The component is not compiled or run yet.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, TestkitError> {
        let bytes = bytes.into();
        let about = inspect(&bytes).map_err(|e| TestkitError::Component(e.into()))?;
        Ok(Self {
            grants: Grants::from_facts(&about),
            bytes,
            about,
            answers: RecordedResponses::new(),
            clock: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            settings: BTreeMap::new(),
            reach: CallPermissions::default(),
            repositories: BTreeMap::new(),
            real_git: false,
            real_http: false,
            tasks: Vec::new(),
            secrets: BTreeMap::new(),
            cache: CompiledCache::disabled(),
            compiler: None,
            on_compile: None,
            guest_cpu: None,
        })
    }

    /// Creates the setup from a component's file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TestkitError> {
        let path = path.as_ref();
        Self::new(std::fs::read(path).map_err(|source| TestkitError::Read { path: path.to_owned(), source })?)
    }

    /// Returns what the component says about itself.
    pub fn info(&self) -> ComponentInfo {
        let manifest = &self.about.manifest;
        ComponentInfo {
            id: manifest.id.to_string(),
            version: manifest.version.clone(),
            label: manifest.label.clone(),
            worlds: self.about.worlds.iter().map(|world| world.as_str().to_owned()).collect(),
            requested: Grants::from_facts(&self.about).to_map(),
        }
    }

    /// Grants everything that the component asks for.
    #[must_use]
    pub fn grant_all(mut self) -> Self {
        self.grants = Grants::from_facts(&self.about);
        self
    }

    /// Sets what the user agreed to, as in `extensions.lock`: `{"hosts": ["example.com"], …}`.
    #[must_use]
    pub fn grants(mut self, grants: &BTreeMap<String, Vec<String>>) -> Self {
        self.grants = Grants::from_map(grants);
        self
    }

    /// Adds the server's answer for a URL. A URL without a recorded answer can't be reached.
    #[must_use]
    pub fn response(mut self, url: impl Into<String>, answer: RecordedResponse) -> Self {
        self.answers.insert(url.into(), answer);
        self
    }

    /// Adds the recorded answers of a JSON file, an object by URL: `{"https://…": {"status": 200, "headers": {"etag":
    /// "x"}, "body": "…"}}`. `headers` and `body` are optional; a body that is an object or a list is sent as JSON.
    pub fn responses_from(mut self, path: impl AsRef<Path>) -> Result<Self, TestkitError> {
        self.answers.extend(answers::read(path.as_ref())?);
        Ok(self)
    }

    /// Sets the time that the component sees.
    #[must_use]
    pub fn clock(mut self, now: SystemTime) -> Self {
        self.clock = now;
        self
    }

    /// Adds a setting of the user.
    #[must_use]
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(key.into(), value.into());
        self
    }

    /// Adds a directory that the user named, so it may be read.
    #[must_use]
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.reach.directories.push(path.into());
        self
    }

    /// Adds a URL that the user typed: its host and port are allowed, whatever the manifest says.
    #[must_use]
    pub fn allow_url(mut self, url: impl Into<String>) -> Self {
        self.reach.urls.push(url.into());
        self
    }

    /// Adds a directory that stands in for a git repository, at every commit. Its revision is that of a directory.
    #[must_use]
    pub fn repository(mut self, url: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        self.repositories.insert(url.into(), directory.into());
        self
    }

    /// Sets whether to fetch git repositories without a stand-in, as aiw does.
    #[must_use]
    pub fn git(mut self, real: bool) -> Self {
        self.real_git = real;
        self
    }

    /// Sets whether to send real requests, as aiw does, instead of using recorded answers.
    #[must_use]
    pub fn http(mut self, real: bool) -> Self {
        self.real_http = real;
        self
    }

    /// Adds one of the provider's secrets. The component knows only its name. A request carries it only to the
    /// place that it is bound to.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.secrets.insert(name.into(), Secret::new(value));
        self
    }

    /// Adds a task that the component sees, besides those that it starts. Add the newest task last.
    #[must_use]
    pub fn task(mut self, task: Task) -> Self {
        self.tasks.insert(0, task);
        self
    }

    /// Sets where to keep compiled code. Without it, the component is compiled at each [`load`](Self::load).
    #[must_use]
    pub fn compiled_cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache = CompiledCache::new(directory.into());
        self
    }

    /// Compiles the component in a separate process, within limits, as aiw does with third-party ones. `program` must be
    /// aiw. Without this, it is compiled in this process.
    #[must_use]
    pub fn compile_with(mut self, program: impl Into<PathBuf>) -> Self {
        self.compiler = Some(program.into());
        self
    }

    /// Calls `on_compile` with the component's id, and with how long it has been compiling, each second.
    #[must_use]
    pub fn on_compile(mut self, on_compile: impl Fn(&str, Duration) + Send + Sync + 'static) -> Self {
        self.on_compile = Some(Arc::new(on_compile));
        self
    }

    /// Sets the time that one call may spend in the component, instead of aiw's limit: for tests on a slow machine.
    #[must_use]
    pub fn guest_cpu(mut self, limit: Duration) -> Self {
        self.guest_cpu = Some(limit);
        self
    }

    /// Compiles and links the component.
    pub fn load(self) -> BoxFuture<'static, Result<Driver, TestkitError>> {
        Box::pin(async move {
            let home = tempfile::Builder::new().prefix("aiw-testkit-").tempdir().map_err(TestkitError::TempDir)?;
            let http = Arc::new(MockHttp { responses: self.answers, requests: Recorder::default() });
            let asked: Arc<dyn Http> = match self.real_http {
                true => Arc::new(client()?),
                false => http.clone(),
            };
            let tasks: Result<Vec<_>, _> = self.tasks.into_iter().map(Task::into_host).collect();
            let tasks = tasks.map_err(|e| TestkitError::Task(e.into()))?;
            let tasks = Arc::new(MockTasks::new(tasks, self.clock));
            let log = Arc::new(StoredLogLines::default());
            let trees = MockTrees {
                trees: aiw_net::Trees::new(client()?, home.path().join("git")),
                repositories: self.repositories,
                real_git: self.real_git,
            };
            let capabilities = Capabilities {
                http: asked,
                trees: Arc::new(trees),
                clock: Arc::new(FixedClock(self.clock)),
                log: log.clone(),
                settings: Arc::new(SettingsMap(self.settings)),
                tasks: tasks.clone(),
                task_starts: tasks.clone(),
                cache: Arc::new(Home::from_root(home.path())),
                ..Capabilities::deny_all()
            };
            let mut engine = Engine::new(self.cache).map_err(|e| TestkitError::Load(e.into()))?;
            if let Some(program) = self.compiler {
                engine = engine.compile_with(program);
            }
            if let Some(on_compile) = self.on_compile {
                engine = engine.on_compile(on_compile);
            }
            if let Some(limit) = self.guest_cpu {
                engine = engine.with_guest_cpu(limit);
            }
            let component =
                Component::load(&engine, &self.bytes, &self.about, self.grants, capabilities, Origin::Foreign).await;
            let component = component.map_err(|e| TestkitError::Load(e.into()))?;
            let hosts = self.about.manifest.hosts.iter().map(ToString::to_string).collect();
            Ok(Driver {
                component,
                permissions: self.reach,
                secrets: self.secrets,
                hosts,
                http,
                tasks,
                log,
                _home: home,
            })
        })
    }
}

fn client() -> Result<aiw_net::HttpClient, TestkitError> {
    aiw_net::HttpClient::new().map_err(|e| TestkitError::Load(e.into()))
}
