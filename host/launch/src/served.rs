//! How a CLI starts aiw's own MCP server.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::builder::RunBuilder;
use crate::{AiwServer, LaunchError};

/// The server's name, which becomes a part of the names of its tools.
pub(crate) const SERVER_NAME: &str = "aiw";

/// The command line and the variables of the server. Every user of the machine can read them: they contain no secrets.
pub(crate) struct McpServerCommand {
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
}

impl McpServerCommand {
    /// Returns what starts the server on the home of a run.
    pub(crate) fn new(server: &AiwServer, draft: &RunBuilder) -> Result<Self, LaunchError> {
        let not_text = |what: &str| LaunchError::invalid(format!("{what} is not text"), "leave out `--mcp`");
        let command = server.command.to_str().ok_or_else(|| not_text("the path of aiw's executable"))?.to_owned();
        let mut args = vec!["mcp".to_owned(), "serve".to_owned()];
        args.extend(server.profile.iter().flat_map(|profile| ["--profile".to_owned(), profile.clone()]));
        args.extend(server.toolsets.iter().flat_map(|names| ["--toolsets".to_owned(), names.clone()]));
        let mut env = BTreeMap::new();
        // Codex passes on next to nothing.
        let default = draft.environment.get("HOME").map(|home| PathBuf::from(home).join(".aiw"));
        if default.as_deref() != Some(draft.home.root()) {
            let home = draft.home.root().to_str().ok_or_else(|| not_text("the path of aiw's home"))?;
            env.insert("AIW_HOME".to_owned(), home.to_owned());
        }
        if let Some(directory) = draft.environment.get("AIW_RUNTIME_DIR").and_then(|value| value.to_str()) {
            env.insert("AIW_RUNTIME_DIR".to_owned(), directory.to_owned());
        }
        Ok(Self { command, args, env })
    }

    /// Returns the entry that Claude Code and Gemini CLI read.
    pub(crate) fn entry(&self) -> Map<String, Value> {
        let mut entry = Map::new();
        entry.insert("command".to_owned(), json!(self.command));
        entry.insert("args".to_owned(), json!(self.args));
        if !self.env.is_empty() {
            entry.insert("env".to_owned(), json!(self.env));
        }
        entry
    }
}
