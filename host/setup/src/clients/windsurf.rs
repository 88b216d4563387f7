//! Windsurf. <https://docs.windsurf.com/windsurf/cascade/mcp>

use serde_json::{Map, Value, json};

use super::{BASE_CLIENT, ParsedEntry, SetupClient, check_unlimited, read_plain};
use crate::translate::EnvSyntax;

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "windsurf",
    name: "Windsurf",
    user_path: |places| places.home().join(".codeium/windsurf/mcp_config.json"),
    parse_entry: read,
    ..BASE_CLIENT
};

fn read(entry: &Map<String, Value>) -> Result<ParsedEntry, String> {
    if entry.get("disabled") == Some(&Value::Bool(true)) {
        return Err("is disabled there".into());
    }
    check_unlimited(entry, &["disabledTools"])?;
    let mut read = read_plain(entry, EnvSyntax::Env, &["disabled", "disabledTools", "alwaysAllow"])?;
    if let Some(url) = read.declaration.shift_remove("serverUrl") {
        read.declaration.insert("type".into(), json!("http"));
        read.declaration.insert("url".into(), url);
    }
    Ok(read)
}
