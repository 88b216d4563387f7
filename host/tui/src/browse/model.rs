//! What the browser shows, and what it asks for it.

use std::error::Error;

use crate::screen::Progress;

/// One plugin in the list. Nothing of it needs to be fit to print: the view sees to that.
#[derive(Debug, Clone, Default)]
pub struct Plugin {
    /// `name@market`: what [`Backend`] is asked with.
    pub id: String,
    /// Its name in the market.
    pub name: String,
    /// The market that lists it.
    pub market: String,
    /// As the market or the plugin says.
    pub version: Option<String>,
    /// What it is for, in its author's words.
    pub description: String,
    /// As the market sorts it.
    pub category: Option<String>,
    /// What it brings: `mcp`, `skills`, `commands`, `agents`, `hooks`, `lsp`. `None` when nobody
    /// has looked yet.
    pub kinds: Option<Vec<String>>,
    /// Where its files come from.
    pub source: String,
    /// Its page.
    pub homepage: Option<String>,
    /// The MCP servers it brings, as far as known.
    pub servers: Vec<Server>,
    /// Anything else worth a line.
    pub notes: Vec<String>,
    /// Why it cannot be installed.
    pub broken: Option<String>,
    /// Whether it is installed.
    pub installed: bool,
    /// Whether its servers are in use; means nothing unless installed.
    pub enabled: bool,
}

/// An MCP server of a plugin.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// Its name in `mcpServers`.
    pub name: String,
    /// `stdio`, `http`, `sse`.
    pub transport: String,
    /// The command with its arguments, or the URL.
    pub target: String,
}

/// What an install would do, for the user to agree to.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// What it would add and run.
    pub lines: Vec<String>,
    /// Variables that are missing, clashes; shown first.
    pub warnings: Vec<String>,
}

/// How to browse.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether to use color; without it bold, inversion and underlines are left.
    pub color: bool,
    /// What to search for at the start.
    pub query: String,
    /// Whether to show plugins without MCP servers.
    pub all: bool,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BackendError {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl BackendError {
    /// A sentence for the status line.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// The same with what it came from.
    #[must_use]
    pub fn because(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }
}

/// What the view asks of the rooms below. Every call may block: it is made on a thread of its
/// own, one at a time. An error goes to the status line.
///
/// Where the user insists on leaving, or a signal comes, [`browse`](crate::browse) returns while a call is under
/// way; the process is expected to end then, so a change must survive being cut off.
pub trait Backend: Send + Sync {
    /// Every plugin of every market. Called at the start and after each change.
    fn plugins(&self) -> Result<Vec<Plugin>, BackendError>;
    /// What an install would add; an error where it cannot be done.
    fn preview(&self, id: &str, progress: &dyn Fn(Progress)) -> Result<Preview, BackendError>;
    /// Installs what the preview showed; one line is said at the end.
    fn install(&self, id: &str, progress: &dyn Fn(Progress)) -> Result<String, BackendError>;
    /// Removes it; one line is said at the end.
    fn remove(&self, id: &str, progress: &dyn Fn(Progress)) -> Result<String, BackendError>;
    /// Enables or disables it; one line is said at the end.
    fn set_enabled(&self, id: &str, enabled: bool) -> Result<String, BackendError>;
}
