//! Zed. <https://zed.dev/docs/ai/mcp>

use serde_json::{Map, Value, json};

use super::{BASE_CLIENT, ParsedEntry, SetupClient, read_plain};
use crate::translate::EnvSyntax;

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "zed",
    name: "Zed",
    servers_key: "context_servers",
    user_path: |places| places.dot_config().join("zed/settings.json"),
    project_path: Some(".zed/settings.json"),
    entry: |ours| {
        let mut entry = ours.entry();
        // Needed by versions of 2025; later ones take it and don't look at it.
        entry.shift_insert(0, "source".into(), json!("custom"));
        entry
    },
    parse_entry: read,
    ..BASE_CLIENT
};

fn read(entry: &Map<String, Value>) -> Result<ParsedEntry, String> {
    if entry.get("enabled") == Some(&Value::Bool(false)) {
        return Err("is disabled there".into());
    }
    let is_extension = entry.get("source").is_some_and(|source| source == "extension");
    if is_extension || !(entry.contains_key("command") || entry.contains_key("url")) {
        return Err("belongs to an extension of Zed's".into());
    }
    if entry.get("command").is_some_and(Value::is_object) {
        return Err("is written as an old Zed wrote it".into());
    }
    read_plain(entry, EnvSyntax::Plain, &["source", "enabled", "settings"])
}
