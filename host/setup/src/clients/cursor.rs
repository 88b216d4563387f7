//! Cursor. <https://cursor.com/docs/context/mcp>

use super::{Client, PLAIN};

pub(super) static CLIENT: Client = Client {
    id: "cursor",
    name: "Cursor",
    user: |places| places.home().join(".cursor/mcp.json"),
    project: Some(".cursor/mcp.json"),
    ..PLAIN
};
