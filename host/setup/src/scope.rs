//! What is asked of a setup.

use std::path::{Path, PathBuf};

use aiw_home::{HomeError, json, read_capped, read_nofollow};

/// The owner of a configuration: the user or a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupScope {
    /// The user's own.
    User,
    /// That of a project, by its directory.
    Project(PathBuf),
}

impl SetupScope {
    /// Reads a file of a client's configuration. A link in a project may lead to the user's own files, which were not meant.
    pub(crate) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HomeError> {
        match self {
            Self::User => read_capped(path, json::MAX_BYTES),
            Self::Project(_) => read_nofollow(path, json::MAX_BYTES),
        }
    }
}

/// Additional actions of a setup.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetupOptions {
    /// Move the client's own servers to `mcp.json`.
    pub import: bool,
    /// Tell the client not to ask before any of aiw's tools.
    pub approve_calls: bool,
}
