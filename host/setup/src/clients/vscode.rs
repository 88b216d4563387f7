//! Visual Studio Code. <https://code.visualstudio.com/docs/agents/reference/mcp-configuration>

use serde_json::json;

use super::{Approval, Client, read_plain};
use crate::config::Format;
use crate::translate::Style;

pub(super) static CLIENT: Client = Client {
    id: "vscode",
    name: "VS Code",
    cli: None,
    about_project: None,
    about_calls: None,
    format: Format::Json,
    servers: "servers",
    user: |places| places.config.join("Code/User/mcp.json"),
    project: Some(".vscode/mcp.json"),
    entry: |ours| {
        let mut entry = ours.entry();
        entry.shift_insert(0, "type".into(), json!("stdio"));
        entry
    },
    read: |entry| read_plain(entry, Style::Env, &["dev", "gallery", "version"]),
    approval: Approval::None,
};
