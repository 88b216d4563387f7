//! What components are given, as plain traits: the real ones come from the capability
//! crates, tests bring their own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use aiw_net::{NetError, Policy, Request, Response, Tree};
use async_trait::async_trait;

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
