//! What components reach of the client that calls them.

use std::path::PathBuf;
use std::sync::Arc;

use aiw_launch::RunRequest;
use aiw_routing::Pool;
use aiw_tasks::{Task, Tasks};
use tokio::runtime::Handle;

use crate::AppError;

/// The client of a component, as far as a component may know it.
pub(crate) trait ComponentClient: Send + Sync {
    /// Returns the client's directory.
    fn cwd(&self) -> PathBuf;

    /// Returns the MCP servers, as the client's profile allows them.
    fn servers(&self) -> Arc<Pool>;

    /// Returns the tasks of the client's session.
    fn tasks(&self) -> Result<Tasks, AppError>;

    /// Starts a task in the client's session. This blocks: `runtime` does what waits for components and the network.
    fn start(&self, request: RunRequest, runtime: &Handle) -> Result<Task, AppError>;
}
