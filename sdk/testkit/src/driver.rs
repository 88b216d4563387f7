//! Drives a component as aiw does: each call in a fresh instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiw_core::Secret;
use aiw_wasm::{Component, Reach};
use tempfile::TempDir;

use crate::StartTask;
use crate::played::{LogLine, PlayedHttp, PlayedTasks, RecordedRequest, StoredLogLines};

/// A loaded component. Each call runs in a fresh instance, as in aiw.
pub struct Driver {
    pub(crate) component: Component,
    pub(crate) reach: Reach,
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// The hosts that the manifest names, to which a registry's secrets are bound.
    pub(crate) hosts: Vec<String>,
    pub(crate) http: Arc<PlayedHttp>,
    pub(crate) tasks: Arc<PlayedTasks>,
    pub(crate) log: Arc<StoredLogLines>,
    /// Holds the component's cache and repositories. Removed with the driver.
    pub(crate) _home: TempDir,
}

impl Driver {
    /// Returns the tasks that the component asked to start.
    pub fn started(&self) -> Vec<StartTask> {
        self.tasks.started.all().iter().map(StartTask::new).collect()
    }

    /// Returns what the component has logged so far.
    pub fn log(&self) -> Vec<LogLine> {
        self.log.0.all()
    }

    /// Returns the URLs that the component has requested so far, without refused requests.
    pub fn requests(&self) -> Vec<String> {
        self.http.requests.all().into_iter().map(|asked| asked.url).collect()
    }

    /// Returns the same requests with their headers and bodies. Secrets appear as the server would get them.
    pub fn asked(&self) -> Vec<RecordedRequest> {
        self.http.requests.all()
    }
}
