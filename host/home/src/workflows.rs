//! `workflows.lock`: which kept workflows the user has approved, and with which tools.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aiw_core::WorkflowName;
use serde::{Deserialize, Serialize};

use crate::documents::WORKFLOWS_VERSION as VERSION;
use crate::lockfile::{read_toml, write_toml};
use crate::{HomeError, Lock};

/// A workflow that the user has seen and approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedWorkflow {
    /// sha256 of the file, hexadecimal.
    pub sha256: String,
    /// The tools that it may call, each with a digest of its definition.
    #[serde(default)]
    pub tools: BTreeMap<String, String>,
}

/// `workflows.lock` (TOML), written only by aiw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct WorkflowsLock {
    version: u64,
    /// By name.
    #[serde(default)]
    pub workflows: BTreeMap<WorkflowName, ApprovedWorkflow>,
    #[serde(skip)]
    path: PathBuf,
}

impl WorkflowsLock {
    pub(crate) fn load(path: &Path) -> Result<Self, HomeError> {
        let Some(mut file) = read_toml(path, 8 << 20, VERSION, |file: &Self| file.version)? else {
            return Ok(Self { version: VERSION, path: path.to_owned(), ..Self::default() });
        };
        path.clone_into(&mut file.path);
        Ok(file)
    }

    /// Writes the file.
    pub fn save(&self, _lock: &Lock) -> Result<(), HomeError> {
        let head = "# Written by `aiw workflow`. Says which workflows may run, as they were when you approved them.";
        write_toml(&self.path, head, self)
    }
}
