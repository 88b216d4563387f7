//! Claude Desktop. <https://modelcontextprotocol.io/docs/develop/connect-local-servers>

use super::{BASE_CLIENT, SetupClient, read_plain};
use crate::translate::EnvSyntax;

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "claude-desktop",
    name: "Claude Desktop",
    user_path: |places| places.config.join("Claude/claude_desktop_config.json"),
    parse_entry: |entry| read_plain(entry, EnvSyntax::Plain, &[]),
    ..BASE_CLIENT
};
