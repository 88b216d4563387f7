//! Visual Studio Code. <https://code.visualstudio.com/docs/agents/reference/mcp-configuration>

use super::{PLAIN, SetupClient, read_plain};
use crate::ours::AiwEntry;
use crate::translate::EnvSyntax;

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "vscode",
    name: "VS Code",
    servers: "servers",
    user: |places| places.config.join("Code/User/mcp.json"),
    project: Some(".vscode/mcp.json"),
    entry: AiwEntry::typed_entry,
    read: |entry| read_plain(entry, EnvSyntax::Env, &["dev", "gallery", "version"]),
    ..PLAIN
};
