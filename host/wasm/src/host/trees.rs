//! The interface `trees`.

use std::path::PathBuf;

use aiw_core::RelPath;
use aiw_extensions::CapabilityKind;
use aiw_net::{GitOrigin, Item, NetError, Policy, Tree};
use async_trait::async_trait;
use wasmtime::component::Resource;

use super::{CallSetup, HostCall, HostResult, Interface, NoCapability};
use crate::error::CallRejection;

/// Opens trees.
#[async_trait]
pub trait TreeCapability: Send + Sync {
    /// Opens a tree within a policy.
    async fn open(&self, policy: &Policy, origin: &TreeOrigin) -> Result<Tree, NetError>;
}

/// The origin of a tree.
#[derive(Debug, Clone)]
pub enum TreeOrigin {
    /// A git repository.
    Git(GitOrigin),
    /// A directory.
    Directory(PathBuf),
}

#[async_trait]
impl TreeCapability for aiw_net::Trees {
    async fn open(&self, policy: &Policy, origin: &TreeOrigin) -> Result<Tree, NetError> {
        match origin {
            TreeOrigin::Git(git) => self.open_git(policy, git).await,
            TreeOrigin::Directory(path) => self.open_directory(policy, path).await,
        }
    }
}

#[async_trait]
impl TreeCapability for NoCapability {
    async fn open(&self, _policy: &Policy, _origin: &TreeOrigin) -> Result<Tree, NetError> {
        Err(NetError::Unavailable { message: "there are no trees here".into(), retry_after: None, source: None })
    }
}

/// The interface `trees`.
pub(crate) struct TreesImport;

impl Interface for TreesImport {
    const NAME: &'static str = "trees";
    type Capability = dyn TreeCapability;
    /// The policy of one call.
    type State = Policy;

    fn initial_state(setup: &CallSetup<'_>) -> Self::State {
        let origins = setup.grants.effective_values(CapabilityKind::Origins);
        let git = origins.iter().filter_map(|origin| origin.strip_prefix("git:"));
        let mut policy = Policy { hosts: super::http::parse_host_patterns(git), ..Policy::none() };
        if origins.iter().any(|origin| origin == "directory" || origin.starts_with("git:")) {
            policy.directories = setup.permissions.directories.clone();
        }
        for url in &setup.user_urls {
            policy.grant_url(url);
        }
        policy
    }
}

impl HostCall<'_, TreesImport> {
    pub(crate) async fn open(&mut self, origin: Result<TreeOrigin, CallRejection>) -> HostResult<Resource<Tree>> {
        self.begin_request("open")?;
        let (origin, keys) = (origin?, &self.call.grants);
        match &origin {
            TreeOrigin::Directory(directory) => {
                let to = format!("reach `{}`", directory.display());
                keys.check(CapabilityKind::Origins, &to, |origin| origin == "directory")?;
            }
            TreeOrigin::Git(git) => keys.check_host(self.state, CapabilityKind::Origins, &git.url)?,
        }
        let opened = self.call.track_wait(self.capability.open(self.state, &origin)).await;
        let tree = opened.map_err(|e| self.call.grants.rejection_for(e))?;
        Ok(self.call.table.push(tree)?)
    }

    pub(crate) fn revision(&mut self, tree: &Resource<Tree>) -> wasmtime::Result<String> {
        self.call.charge_read()?;
        Ok(self.call.table.get(tree)?.revision().to_owned())
    }

    pub(crate) fn list(&mut self, tree: &Resource<Tree>, at: &str) -> HostResult<Vec<Item>> {
        self.call.charge_read()?;
        let tree = self.call.table.get(tree)?;
        Ok(tree.list(&path(at)?).map_err(CallRejection::from)?)
    }

    pub(crate) fn read_file(&mut self, tree: &Resource<Tree>, at: &str, limit: u32) -> HostResult<Vec<u8>> {
        self.call.charge_read()?;
        let tree = self.call.table.get(tree)?;
        let limit = u64::from(limit).min(self.call.limits().read_bytes);
        Ok(tree.read(&path(at)?, limit).map_err(CallRejection::from)?)
    }

    pub(crate) fn subtree(&mut self, tree: &Resource<Tree>, at: &str) -> HostResult<Resource<Tree>> {
        self.call.charge_read()?;
        let tree = self.call.table.get(tree)?;
        let subtree = tree.subtree(&path(at)?).map_err(CallRejection::from)?;
        Ok(self.call.table.push(subtree)?)
    }
}

fn path(path: &str) -> Result<RelPath, CallRejection> {
    RelPath::parse(path).map_err(CallRejection::invalid)
}
