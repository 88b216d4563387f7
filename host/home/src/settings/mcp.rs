//! `mcp`: settings of the MCP server.

use serde_json::Value;

use super::Settings;

/// Settings of the MCP server: `mcp`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct McpSettings {
    /// The names of the toolsets that it offers; none for all of them.
    pub toolsets: Option<Vec<String>>,
}

impl Settings {
    /// `mcp`
    pub fn mcp(&self) -> McpSettings {
        let names = |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        McpSettings { toolsets: self.document.get(&["mcp", "toolsets"]).and_then(Value::as_array).map(names) }
    }
}
