//! Drives a component as aiw does: each call in a fresh instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiw_core::Secret;
use aiw_wasm::{CallPermissions, Component};
use tempfile::TempDir;

use crate::TaskRequest;
use crate::played::{LogLine, MockHttp, MockTasks, RecordedRequest, StoredLogLines};

/// A loaded component. Each call runs in a fresh instance, as in aiw.
pub struct Driver {
    pub(crate) component: Component,
    pub(crate) permissions: CallPermissions,
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// The hosts that the manifest names, to which a registry's secrets are bound.
    pub(crate) hosts: Vec<String>,
    pub(crate) http: Arc<MockHttp>,
    pub(crate) tasks: Arc<MockTasks>,
    pub(crate) log: Arc<StoredLogLines>,
    /// Holds the component's cache and repositories. Removed with the driver.
    pub(crate) _home: TempDir,
}

impl Driver {
    /// Returns the tasks that the component asked to start.
    pub fn started_tasks(&self) -> Vec<TaskRequest> {
        self.tasks.started_tasks.to_vec().iter().map(TaskRequest::new).collect()
    }

    /// Returns what the component has logged so far.
    pub fn log(&self) -> Vec<LogLine> {
        self.log.0.to_vec()
    }

    /// Returns the URLs that the component has requested so far, without refused requests.
    pub fn requested_urls(&self) -> Vec<String> {
        self.http.requests.to_vec().into_iter().map(|asked| asked.url).collect()
    }

    /// Returns the same requests with their headers and bodies. Secrets appear as the server would get them.
    pub fn recorded_requests(&self) -> Vec<RecordedRequest> {
        self.http.requests.to_vec()
    }
}
