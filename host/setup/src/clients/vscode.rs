//! Visual Studio Code. <https://code.visualstudio.com/docs/agents/reference/mcp-configuration>

use super::{PLAIN, SetupClient, read_plain};
use crate::ours::Ours;
use crate::translate::Style;

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "vscode",
    name: "VS Code",
    servers: "servers",
    user: |places| places.config.join("Code/User/mcp.json"),
    project: Some(".vscode/mcp.json"),
    entry: Ours::typed_entry,
    read: |entry| read_plain(entry, Style::Env, &["dev", "gallery", "version"]),
    ..PLAIN
};
