//! Claude Desktop. <https://modelcontextprotocol.io/docs/develop/connect-local-servers>

use super::{PLAIN, SetupClient, read_plain};
use crate::translate::EnvSyntax;

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "claude-desktop",
    name: "Claude Desktop",
    user: |places| places.config.join("Claude/claude_desktop_config.json"),
    read: |entry| read_plain(entry, EnvSyntax::Plain, &[]),
    ..PLAIN
};
