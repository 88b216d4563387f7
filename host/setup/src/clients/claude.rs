//! Claude Code. Seen in 2.1.328.

use aiw_core::CliKind;
use aiw_home::CliFiles;
use serde_json::json;

use super::{Approval, Client, read_plain};
use crate::config::Format;
use crate::translate::Style;

pub(super) static CLIENT: Client = Client {
    id: "claude",
    name: "Claude Code",
    cli: Some(CliKind::Claude),
    about_project: Some("Claude Code asks you once whether you trust the servers of a project"),
    about_calls: Some(
        "with a prompt (`-p`), Claude Code denies calls of aiw's tools; `aiw setup claude --approve-calls` allows them",
    ),
    format: Format::Json,
    servers: "mcpServers",
    user: |places| places.clis.servers(CliKind::Claude).to_owned(),
    project: Some(".mcp.json"),
    entry: |ours| {
        let mut entry = ours.entry();
        entry.shift_insert(0, "type".into(), json!("stdio"));
        entry
    },
    read: |entry| read_plain(entry, Style::Shell, &["alwaysLoad"]),
    approval: Approval::Item {
        user: |places| places.clis.settings(CliKind::Claude),
        project: CliFiles::of(CliKind::Claude).project_settings,
        list: &["permissions", "allow"],
        item: "mcp__aiw",
    },
};
