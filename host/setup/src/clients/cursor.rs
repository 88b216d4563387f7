//! Cursor. <https://cursor.com/docs/context/mcp>

use super::{Approval, Client, read_plain};
use crate::config::Format;
use crate::ours::Ours;
use crate::translate::Style;

pub(super) static CLIENT: Client = Client {
    id: "cursor",
    name: "Cursor",
    cli: None,
    about_project: None,
    about_calls: None,
    format: Format::Json,
    servers: "mcpServers",
    user: |places| places.home().join(".cursor/mcp.json"),
    project: Some(".cursor/mcp.json"),
    entry: Ours::entry,
    read: |entry| read_plain(entry, Style::Env, &[]),
    approval: Approval::None,
};
