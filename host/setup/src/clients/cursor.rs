//! Cursor. <https://cursor.com/docs/context/mcp>

use super::{BASE_CLIENT, SetupClient};

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "cursor",
    name: "Cursor",
    user_path: |places| places.home().join(".cursor/mcp.json"),
    project_path: Some(".cursor/mcp.json"),
    ..BASE_CLIENT
};
