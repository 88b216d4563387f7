//! What is asked of a setup.

use std::path::PathBuf;

/// Whose configuration is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The user's own.
    User,
    /// That of a project, by its directory.
    Project(PathBuf),
}

/// What else a setup does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Move the client's own servers to `mcp.json`.
    pub import: bool,
    /// Tell the client not to ask before any of aiw's tools.
    pub approve_calls: bool,
}
