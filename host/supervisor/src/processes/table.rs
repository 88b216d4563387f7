//! The processes of a room.

use std::path::PathBuf;
use std::time::Duration;

use aiw_core::ProcessId;
use aiw_home::Home;

use super::listing_cache::ListingCache;
use crate::error::SupervisorError;
use crate::log::Log;
use crate::names::Namespace;
use crate::record::ProcessRecord;
use crate::records::{LabelValidator, Records};
use crate::root::ProcessScope;
use crate::runtime::RuntimeDir;

/// How much longer than the grace period a shim may take before it is considered stuck.
const SHIM_EXIT_TIMEOUT: Duration = Duration::from_secs(15);

/// The supervised processes of a room, of one root or of all.
#[derive(Debug, Clone)]
pub struct Processes {
    pub(super) records: Records,
    pub(super) runtime: RuntimeDir,
    pub(super) scope: ProcessScope,
    pub(super) grace: Duration,
    pub(super) timeout: Duration,
    /// The last listing of this scope.
    pub(super) listing_cache: ListingCache,
}

impl Processes {
    /// Returns the processes of a scope. Nothing is created until a process is started.
    pub fn open(home: &Home, names: Namespace, scope: ProcessScope) -> Result<Self, SupervisorError> {
        Ok(Self {
            runtime: RuntimeDir::find(names.kind.clone())?,
            records: Records::open(home, names),
            scope,
            grace: Duration::from_secs(5),
            timeout: SHIM_EXIT_TIMEOUT,
            listing_cache: ListingCache::default(),
        })
    }

    /// Restricts these to processes whose labels `understands` accepts. Other processes are reported as unreadable,
    /// and left alone.
    #[must_use]
    pub fn with_label_validator(self, understands: LabelValidator) -> Self {
        Self { records: self.records.with_label_validator(understands), ..self }
    }

    /// Returns which processes these are.
    pub fn scope(&self) -> ProcessScope {
        self.scope
    }

    /// Returns the processes of another scope.
    #[must_use]
    pub fn scoped(&self, scope: ProcessScope) -> Self {
        Self { scope, listing_cache: ListingCache::default(), ..self.clone() }
    }

    /// Uses another runtime directory than the one from the environment.
    #[must_use]
    pub fn with_runtime(mut self, directory: impl Into<PathBuf>) -> Self {
        self.listing_cache = ListingCache::default();
        self.runtime = RuntimeDir::from_path(directory.into(), self.records.names().kind.clone());
        self
    }

    /// Uses another time between SIGTERM and SIGKILL than 5 s.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Uses another time until a shim is considered stuck.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_timeout(mut self, patience: Duration) -> Self {
        self.timeout = patience;
        self
    }

    /// Returns the log of a process.
    pub fn log(&self, id: ProcessId) -> Result<Log, SupervisorError> {
        self.record(id)?;
        Ok(Log::new(&self.records.directory(id)))
    }

    pub(super) fn record(&self, id: ProcessId) -> Result<ProcessRecord, SupervisorError> {
        self.records.require_record(id, self.records.find(id))
    }
}
