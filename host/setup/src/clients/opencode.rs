//! OpenCode. <https://opencode.ai/docs/mcp-servers>

use serde_json::{Map, Value, json};

use super::{BASE_CLIENT, ParsedEntry, SetupClient};
use crate::ours::AiwEntry;
use crate::translate::{EnvSyntax, translate};

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "opencode",
    name: "OpenCode",
    servers_key: "mcp",
    user_path: |places| {
        let dir = places.home().join(".config/opencode");
        let with_comments = dir.join("opencode.jsonc");
        if with_comments.exists() { with_comments } else { dir.join("opencode.json") }
    },
    project_path: Some("opencode.json"),
    entry: |ours| {
        let command: Vec<&str> = std::iter::once(ours.command.as_str()).chain(AiwEntry::args()).collect();
        let mut entry = Map::new();
        entry.insert("type".into(), json!("local"));
        entry.insert("command".into(), json!(command));
        entry.insert("enabled".into(), json!(true));
        if !ours.env.is_empty() {
            entry.insert("environment".into(), json!(ours.env));
        }
        entry
    },
    parse_entry: read,
    ..BASE_CLIENT
};

/// One list of command and arguments, and other words for the rest.
fn read(entry: &Map<String, Value>) -> Result<ParsedEntry, String> {
    if entry.get("enabled") == Some(&Value::Bool(false)) {
        return Err("is disabled there".into());
    }
    let mut declaration = Map::new();
    let field = |key: &str| entry.get(key).map(|value| translate(value, EnvSyntax::Braces)).transpose();
    if let Some(Value::Array(words)) = field("command")? {
        let mut words = words.into_iter();
        declaration.insert("command".into(), words.next().unwrap_or_default());
        declaration.insert("args".into(), words.collect());
    }
    if let Some(url) = field("url")? {
        declaration.insert("type".into(), json!("http"));
        declaration.insert("url".into(), url);
    }
    for (from, to) in [("environment", "env"), ("headers", "headers")] {
        if let Some(value) = field(from)? {
            declaration.insert(to.into(), value);
        }
    }
    let known = ["type", "command", "url", "environment", "headers", "enabled"];
    Ok(ParsedEntry {
        declaration,
        skipped: entry.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect(),
    })
}
