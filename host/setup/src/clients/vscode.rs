//! Visual Studio Code. <https://code.visualstudio.com/docs/agents/reference/mcp-configuration>

use super::{BASE_CLIENT, SetupClient, read_plain};
use crate::ours::AiwEntry;
use crate::translate::EnvSyntax;

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "vscode",
    name: "VS Code",
    servers_key: "servers",
    user_path: |places| places.config.join("Code/User/mcp.json"),
    project_path: Some(".vscode/mcp.json"),
    entry: AiwEntry::typed_entry,
    parse_entry: |entry| read_plain(entry, EnvSyntax::Env, &["dev", "gallery", "version"]),
    ..BASE_CLIENT
};
