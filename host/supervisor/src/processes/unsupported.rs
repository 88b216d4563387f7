//! Systems without supervised processes: every operation is refused.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::ProcessId;
use aiw_home::Home;

use super::outcome::{ProcessUsage, RetentionPolicy, StopOutcome, SupervisedProcess, WaitMode, WaitOutcome};
use crate::error::SupervisorError;
use crate::log::Log;
use crate::names::{Namespace, ResourceKind};
use crate::new::{NewProcess, QueueLimit, Terminal};
use crate::program::Program;
use crate::record::{Labels, ProcessRecord};
use crate::root::ProcessScope;
use crate::watch::Sources;

/// The supervised processes of a room. There are none on this system.
#[derive(Debug, Clone)]
pub struct Processes {
    kind: ResourceKind,
}

/// The result of an operation.
type Answer<T> = Result<T, SupervisorError>;

impl Processes {
    fn refuse<T>(&self) -> Answer<T> {
        Err(SupervisorError::Unsupported { noun: self.kind.clone() })
    }
    /// Always refused.
    pub fn open(_home: &Home, names: Namespace, _scope: ProcessScope) -> Answer<Self> {
        Err(SupervisorError::Unsupported { noun: names.kind })
    }
    /// Returns `self`: there are no labels to understand.
    #[must_use]
    pub fn with_label_validator(self, _understands: fn(&Labels) -> Result<(), serde_json::Error>) -> Self {
        self
    }
    /// Returns the widest scope, which has no processes either.
    pub fn scope(&self) -> ProcessScope {
        ProcessScope::All
    }
    /// Returns `self`: no scope has any processes.
    #[must_use]
    pub fn scoped(&self, _scope: ProcessScope) -> Self {
        self.clone()
    }
    /// Returns `self`: there is no runtime directory.
    #[must_use]
    pub fn with_runtime(self, _directory: impl Into<PathBuf>) -> Self {
        self
    }
    /// Returns `self`: no process is ever ended.
    #[must_use]
    pub fn with_grace(self, _grace: Duration) -> Self {
        self
    }
    /// Always refused.
    pub fn start(
        &self,
        _aiw: &Path,
        _new: NewProcess,
        _program: Program,
        _queue: QueueLimit,
    ) -> Answer<SupervisedProcess> {
        self.refuse()
    }
    /// Always refused.
    pub fn start_again(
        &self,
        _aiw: &Path,
        _id: ProcessId,
        _new: NewProcess,
        _program: Program,
        _queue: QueueLimit,
    ) -> Answer<SupervisedProcess> {
        self.refuse()
    }
    /// Always refused.
    pub fn list(&self) -> Answer<Vec<SupervisedProcess>> {
        self.refuse()
    }
    /// Always refused.
    pub fn list_with_problems(&self) -> Answer<(Vec<SupervisedProcess>, Vec<SupervisorError>)> {
        self.refuse()
    }
    /// Always refused.
    pub fn sweep(&self) -> Answer<()> {
        self.refuse()
    }
    /// Always refused.
    pub fn check(&self) -> Answer<()> {
        self.refuse()
    }
    /// Always refused.
    pub fn get(&self, _id: ProcessId) -> Answer<SupervisedProcess> {
        self.refuse()
    }
    /// Returns `false`: no process runs.
    pub fn is_stopping(&self, _record: &ProcessRecord) -> bool {
        false
    }
    /// Always refused.
    pub fn stop(&self, _id: ProcessId, _wait: bool) -> Answer<StopOutcome<SupervisedProcess>> {
        self.refuse()
    }
    /// Always refused.
    pub fn wait(
        &self,
        _ids: &[ProcessId],
        _mode: WaitMode,
        _deadline: Option<Instant>,
        _cancelled: &AtomicBool,
        _on_change: &mut dyn FnMut(&[SupervisedProcess]),
    ) -> Answer<WaitOutcome<SupervisedProcess>> {
        self.refuse()
    }
    /// Always refused.
    pub fn mark_seen(&self, _ids: &[ProcessId]) -> Answer<()> {
        self.refuse()
    }
    /// Always refused.
    pub fn remove(&self, _id: ProcessId) -> Answer<()> {
        self.refuse()
    }
    /// Always refused.
    pub fn prunable(&self, _keep: RetentionPolicy) -> Answer<Vec<ProcessId>> {
        self.refuse()
    }
    /// Always refused.
    pub fn prune(&self, _keep: RetentionPolicy) -> Answer<Vec<ProcessId>> {
        self.refuse()
    }
    /// Always refused.
    pub fn log(&self, _id: ProcessId) -> Answer<Log> {
        self.refuse()
    }
    /// Always refused.
    pub fn start_named(
        &self,
        _aiw: &Path,
        _id: ProcessId,
        _new: NewProcess,
        _program: Program,
        _queue: QueueLimit,
    ) -> Answer<SupervisedProcess> {
        self.refuse()
    }
    /// Returns nothing: no process runs.
    pub fn quarantined_directories(&self) -> Vec<PathBuf> {
        Vec::new()
    }
    /// Returns the directory of a process.
    pub fn process_directory(&self, id: ProcessId) -> PathBuf {
        PathBuf::from(id.as_str())
    }
    /// Always refused.
    pub fn signal(&self, _id: ProcessId, _signal: i32) -> Answer<()> {
        self.refuse()
    }
    /// Always refused.
    pub fn attach(&self, _id: ProcessId) -> Answer<Attachment> {
        self.refuse()
    }
    /// Always refused.
    pub fn write_input(&self, _id: ProcessId, _bytes: &[u8]) -> Answer<()> {
        self.refuse()
    }
    /// Always refused.
    pub fn add_remark(&self, _id: ProcessId, _sentence: &str) -> Answer<()> {
        self.refuse()
    }
    /// Returns an empty path: there is no process.
    pub fn directory(&self) -> PathBuf {
        PathBuf::new()
    }
    /// Returns nothing: no process runs.
    pub fn sources(&self, _ids: Option<&[ProcessId]>) -> Sources {
        Sources::default()
    }
    /// Returns no ports: no process runs.
    pub fn ports(&self, records: &[&ProcessRecord]) -> Vec<std::collections::BTreeSet<u16>> {
        vec![std::collections::BTreeSet::new(); records.len()]
    }
    /// Returns nothing for each: no process runs.
    pub fn usage(&self, records: &[&ProcessRecord]) -> Vec<Option<ProcessUsage>> {
        records.iter().map(|_| None).collect()
    }
}

/// A connection to the shim of a process. There are none on this system.
#[derive(Debug)]
pub enum Attachment {}

impl Attachment {
    /// Never called.
    pub fn terminal(&self) -> Option<Terminal> {
        match *self {}
    }
    /// Never called.
    pub fn disable_timeout(&self) -> io::Result<()> {
        match *self {}
    }
    /// Never called.
    pub fn write(&self, _bytes: &[u8]) -> io::Result<()> {
        match *self {}
    }
    /// Never called.
    pub fn resize(&self, _terminal: Terminal) -> io::Result<()> {
        match *self {}
    }
}
