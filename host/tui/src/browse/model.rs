//! The data that the browser shows, and the trait that provides it.

use std::error::Error;

use aiw_core::{Question, Secret};

use crate::screen::StepProgress;

/// A plugin in the list. Its strings need not be printable: the view takes care of that.
#[derive(Debug, Clone, Default)]
pub struct Plugin {
    /// `name@market`, which is passed to [`Backend`].
    pub id: String,
    /// The plugin's name in the market.
    pub name: String,
    /// The market that lists it.
    pub market: String,
    /// The version, according to the market or the plugin.
    pub version: Option<String>,
    /// The plugin's description, in its author's words.
    pub description: String,
    /// The author's name.
    pub author: Option<String>,
    /// Tags and keywords, according to the market.
    pub tags: Vec<String>,
    /// The category, according to the market.
    pub category: Option<String>,
    /// The kinds of content: `mcp`, `skills`, `commands`, `agents`, `hooks`, `lsp`. `None` if the plugin is not
    /// inspected yet.
    pub kinds: Option<Vec<String>>,
    /// The source of the plugin's files.
    pub source: String,
    /// The plugin's home page.
    pub homepage: Option<String>,
    /// The MCP servers that the plugin brings, as far as known.
    pub servers: Vec<PluginServer>,
    /// Other notable facts.
    pub notes: Vec<String>,
    /// Why the plugin cannot be installed.
    pub broken_reason: Option<String>,
    /// Whether the plugin is installed.
    pub installed: bool,
    /// Whether the plugin's servers are in use. Meaningless unless the plugin is installed.
    pub enabled: bool,
}

/// An MCP server of a plugin.
#[derive(Debug, Clone, Default)]
pub struct PluginServer {
    /// The server's name in `mcpServers`.
    pub name: String,
    /// `stdio`, `http`, `sse`.
    pub transport: String,
    /// The command with its arguments, or the URL.
    pub target: String,
}

/// A preview of an install, for the user to confirm.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// The lines about everything that the install would add and run.
    pub lines: Vec<String>,
    /// Missing variables and conflicts, which are shown first.
    pub warnings: Vec<String>,
    /// The values to ask for before the install.
    pub questions: Vec<Question>,
}

/// The options of the browser.
#[derive(Debug, Clone, Default)]
pub struct BrowserOptions {
    /// Whether to use color. Without color, bold, inversion and underlines remain.
    pub color: bool,
    /// The initial search query.
    pub query: String,
    /// Whether to show plugins without MCP servers.
    pub show_all: bool,
}

/// An error of an operation of the backend: a sentence for the status line.
pub type BackendError = Box<dyn Error + Send + Sync>;

/// The operations that the view needs from the rooms below. Every call may block: calls are made on a separate
/// thread, one at a time. An error is shown in the status line.
///
/// If the user insists on leaving, or a signal arrives, [`browse`](crate::browse) returns while a call is still
/// running. The process is expected to end then, so a change must survive being interrupted.
pub trait Backend: Send + Sync {
    /// Returns every plugin of every market. Called at the start and after each change.
    fn plugins(&self) -> Result<Vec<Plugin>, BackendError>;
    /// Returns what an install would add, or an error if the plugin cannot be installed.
    fn preview(&self, id: &str, progress: &dyn Fn(StepProgress)) -> Result<Preview, BackendError>;
    /// Installs what the preview showed, with the values that the user gave, by name. Returns a line for the status.
    fn install(
        &self,
        id: &str,
        values: Vec<(String, Secret)>,
        progress: &dyn Fn(StepProgress),
    ) -> Result<String, BackendError>;
    /// Removes a plugin. Returns a line for the status.
    fn remove(&self, id: &str, progress: &dyn Fn(StepProgress)) -> Result<String, BackendError>;
    /// Enables or disables a plugin. Returns a line for the status.
    fn set_enabled(&self, id: &str, enabled: bool) -> Result<String, BackendError>;
}
