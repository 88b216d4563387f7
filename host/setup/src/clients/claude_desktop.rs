//! Claude Desktop. <https://modelcontextprotocol.io/docs/develop/connect-local-servers>

use super::{Approval, Client, read_plain};
use crate::config::Format;
use crate::ours::Ours;
use crate::translate::Style;

pub(super) static CLIENT: Client = Client {
    id: "claude-desktop",
    name: "Claude Desktop",
    cli: None,
    about_project: None,
    about_calls: None,
    format: Format::Json,
    servers: "mcpServers",
    user: |places| places.config.join("Claude/claude_desktop_config.json"),
    project: None,
    entry: Ours::entry,
    read: |entry| read_plain(entry, Style::Plain, &[]),
    approval: Approval::None,
};
