//! Claude Code. Seen in 2.1.328.

use aiw_core::CliKind;
use aiw_home::CliFiles;

use super::{AutoApprove, BASE_CLIENT, SetupClient, read_plain};
use crate::ours::AiwEntry;
use crate::translate::EnvSyntax;

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "claude",
    name: "Claude Code",
    cli: Some(CliKind::Claude),
    project_note: Some("Claude Code asks you once whether you trust the servers of a project"),
    approval_note: Some(
        "with a prompt (`-p`), Claude Code denies calls of aiw's tools; `aiw setup claude --approve-calls` allows them",
    ),
    user_path: |places| places.clis.servers(CliKind::Claude).to_owned(),
    project_path: Some(".mcp.json"),
    entry: AiwEntry::typed_entry,
    parse_entry: |entry| read_plain(entry, EnvSyntax::Shell, &["alwaysLoad"]),
    approval: AutoApprove::ListItem {
        user: |places| places.clis.settings(CliKind::Claude),
        project: CliFiles::for_cli(CliKind::Claude).project_settings,
        list: &["permissions", "allow"],
        item: "mcp__aiw",
    },
    ..BASE_CLIENT
};
