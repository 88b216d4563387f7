//! `workflows.lock`: which kept workflows the user has approved, and with which tools.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aiw_core::WorkflowName;
use serde::{Deserialize, Serialize};

use crate::{HomeError, Lock, Mode, read_capped, replace};

/// The version of `workflows.lock` that aiw writes.
const VERSION: u32 = 1;

/// What the user has seen and approved.
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
    version: u32,
    /// By name.
    #[serde(default)]
    pub workflows: BTreeMap<WorkflowName, ApprovedWorkflow>,
    #[serde(skip)]
    path: PathBuf,
}

impl WorkflowsLock {
    pub(crate) fn load(path: &Path) -> Result<Self, HomeError> {
        let invalid = |problem: String| HomeError::invalid(path, problem);
        let Some(bytes) = read_capped(path, 8 << 20)? else {
            return Ok(Self { version: VERSION, path: path.to_owned(), ..Self::default() });
        };
        let text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8".into()))?;
        let mut file: Self = toml::from_str(&text).map_err(|e| invalid(format!("cannot be read: {}", e.message())))?;
        if file.version != VERSION {
            return Err(invalid(format!(
                "has version {}, but this aiw supports {VERSION}; a newer aiw wrote it",
                file.version
            )));
        }
        path.clone_into(&mut file.path);
        Ok(file)
    }

    /// Writes the file.
    pub fn save(&self, _lock: &Lock) -> Result<(), HomeError> {
        let text = toml::to_string_pretty(self).map_err(|e| HomeError::invalid(&self.path, e.to_string()))?;
        let head = "# Written by `aiw workflow`. Says which workflows may run, as they were when you approved them.\n";
        replace(&self.path, format!("{head}{text}").as_bytes(), Mode::Private)
    }
}
