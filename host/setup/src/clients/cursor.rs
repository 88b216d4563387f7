//! Cursor. <https://cursor.com/docs/context/mcp>

use super::{PLAIN, SetupClient};

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "cursor",
    name: "Cursor",
    user: |places| places.home().join(".cursor/mcp.json"),
    project: Some(".cursor/mcp.json"),
    ..PLAIN
};
