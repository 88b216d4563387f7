//! Drives a component as aiw does: each call in a fresh instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiw_core::Secret;
use aiw_net::Tree;
use aiw_wasm::capabilities::StartTask;
use aiw_wasm::provider::{Account, Health, Intent, Model, ProviderInfo, Target};
use aiw_wasm::{CallError, Component, Reach};
use tempfile::TempDir;

use crate::played::{Asked, Kept, LogLine, PlayedHttp, PlayedTasks};
use crate::{EntryRef, Manifests, Registration, Snapshot, SourceInfo};

/// A loaded component. Each call runs in a fresh instance, as in aiw.
pub struct Driver {
    pub(crate) component: Component,
    pub(crate) reach: Reach,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) http: Arc<PlayedHttp>,
    pub(crate) tasks: Arc<PlayedTasks>,
    pub(crate) log: Arc<Kept>,
    /// Holds the component's cache and repositories. Removed with the driver.
    pub(crate) _home: TempDir,
}

impl Driver {
    /// Returns what the source reads.
    pub async fn describe(&self) -> Result<SourceInfo, CallError> {
        self.component.describe().await
    }

    /// Returns what a reference means, or `None` if this source does not handle it.
    pub async fn claim(&self, reference: &str) -> Result<Option<Registration>, CallError> {
        self.component.claim(reference).await
    }

    /// Fetches the marketplace document and its revision.
    pub async fn fetch_marketplace(&self, at: &Registration) -> Result<Snapshot, CallError> {
        self.component.fetch_marketplace(&self.reach, at).await
    }

    /// Fetches an entry's manifests.
    pub async fn fetch_plugin(&self, at: &Registration, entry: &EntryRef) -> Result<Manifests, CallError> {
        self.component.fetch_plugin(&self.reach, at, entry).await
    }

    /// Fetches all files of an entry.
    pub async fn download_plugin(&self, at: &Registration, entry: &EntryRef) -> Result<Tree, CallError> {
        self.component.download_plugin(&self.reach, at, entry).await
    }

    /// Returns the current document, or `None` if `known` is still its revision.
    pub async fn update(&self, at: &Registration, known: &str) -> Result<Option<Snapshot>, CallError> {
        self.component.update(&self.reach, at, known).await
    }

    /// Returns what a provider connects to.
    pub async fn provider_info(&self) -> Result<ProviderInfo, CallError> {
        self.component.provider_info().await
    }

    /// Returns what to tell a CLI so that it reaches a provider.
    pub async fn plan(&self, account: &Account, target: &Target) -> Result<Intent, CallError> {
        self.component.plan(account, target).await
    }

    /// Checks whether a provider is reachable and accepts the key, with the kit's secrets.
    pub async fn check_provider(&self, account: &Account) -> Result<Health, CallError> {
        self.component.check_provider(account, &self.secrets).await
    }

    /// Returns the models of a provider, with the kit's secrets.
    pub async fn provider_models(&self, account: &Account) -> Result<Vec<Model>, CallError> {
        self.component.provider_models(account, &self.secrets).await
    }

    /// Returns the tasks that the component asked to start.
    pub fn started(&self) -> Vec<StartTask> {
        self.tasks.started.all()
    }

    /// Measures `count` calls of `describe` in one instance, for `cargo xtask bench`.
    #[doc(hidden)]
    pub async fn time_calls(&self, count: u32) -> Result<std::time::Duration, CallError> {
        self.component.time_calls(count).await
    }

    /// Returns what the component has logged so far.
    pub fn log(&self) -> Vec<LogLine> {
        self.log.0.all()
    }

    /// Returns the URLs that the component has requested so far, without refused requests.
    pub fn requests(&self) -> Vec<String> {
        self.http.requests.all().into_iter().map(|asked| asked.url).collect()
    }

    /// Returns the same requests with their headers. Secrets appear as the server would get them.
    pub fn asked(&self) -> Vec<Asked> {
        self.http.requests.all()
    }
}
