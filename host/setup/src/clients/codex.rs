//! Codex. Seen in 0.169.0.

use aiw_core::CliKind;
use aiw_home::CliFiles;
use serde_json::{Map, Value, json};

use super::{AutoApprove, ParsedEntry, SetupClient, check_unlimited};
use crate::config::ConfigFormat;
use crate::translate::{EnvSyntax, translate};

pub(super) static CLIENT: SetupClient = SetupClient {
    id: "codex",
    name: "Codex",
    cli: Some(CliKind::Codex),
    project_note: Some("Codex reads `.codex/config.toml` only in projects that you trust"),
    approval_note: Some(
        "`codex exec` refuses those of aiw's tools that change something; `aiw setup codex --approve-calls` approves them",
    ),
    format: ConfigFormat::Toml,
    servers_key: "mcp_servers",
    user_path: |places| places.clis.servers(CliKind::Codex).to_owned(),
    project_path: Some(CliFiles::for_cli(CliKind::Codex).project_settings),
    entry: |ours| {
        let mut entry = ours.entry();
        let tools: Map<String, Value> =
            ours.read_only_tools.iter().map(|tool| (tool.clone(), json!({"approval_mode": "approve"}))).collect();
        if !tools.is_empty() {
            entry.insert("tools".into(), Value::Object(tools));
        }
        entry
    },
    parse_entry: read,
    approval: AutoApprove::Field("default_tools_approval_mode", || json!("approve")),
    disabled_reason: |_, _| None,
};

/// Codex names the variables that it passes on, and expands nothing.
fn read(entry: &Map<String, Value>) -> Result<ParsedEntry, String> {
    const PORTABLE_KEYS: [&str; 5] = ["command", "args", "cwd", "env", "url"];
    const READ_KEYS: [&str; 5] = ["env_vars", "bearer_token_env_var", "http_headers", "env_http_headers", "enabled"];

    if entry.get("enabled") == Some(&Value::Bool(false)) {
        return Err("is disabled there".into());
    }
    check_unlimited(entry, &["enabled_tools", "disabled_tools"])?;
    let mut declaration = Map::new();
    if entry.contains_key("url") {
        declaration.insert("type".into(), json!("http"));
    }
    for key in PORTABLE_KEYS {
        if let Some(value) = entry.get(key) {
            declaration.insert(key.into(), translate(value, EnvSyntax::Plain)?);
        }
    }
    let mut add = |to: &str, key: &str, value: String| match declaration.entry(to).or_insert_with(|| json!({})) {
        Value::Object(map) => {
            map.entry(key).or_insert(value.into());
            Ok(())
        }
        _ => Err(format!("has a `{to}` that is not an object")),
    };
    for variable in entry.get("env_vars").and_then(Value::as_array).into_iter().flatten() {
        let name = variable.as_str().ok_or("has an `env_vars` that only Codex understands")?;
        add("env", name, format!("${{{name}}}"))?;
    }
    if let Some(name) = entry.get("bearer_token_env_var").and_then(Value::as_str) {
        add("headers", "Authorization", format!("Bearer ${{{name}}}"))?;
    }
    for (key, value) in entry.get("http_headers").and_then(Value::as_object).into_iter().flatten() {
        let value = translate(value, EnvSyntax::Plain)?;
        add("headers", key, value.as_str().unwrap_or_default().to_owned())?;
    }
    for (key, name) in entry.get("env_http_headers").and_then(Value::as_object).into_iter().flatten() {
        add("headers", key, format!("${{{}}}", name.as_str().unwrap_or_default()))?;
    }
    let is_read = |key: &str| PORTABLE_KEYS.contains(&key) || READ_KEYS.contains(&key);
    Ok(ParsedEntry { declaration, skipped: entry.keys().filter(|key| !is_read(key)).cloned().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables_become_references() {
        let entry = json!({
            "url": "https://h/mcp", "bearer_token_env_var": "TOKEN", "http_headers": {"X-A": "b"},
            "env_http_headers": {"X-C": "D"}, "tool_timeout_sec": 5
        });
        let got = read(entry.as_object().unwrap()).unwrap();
        assert_eq!(
            Value::Object(got.declaration),
            json!({"type": "http", "url": "https://h/mcp",
                "headers": {"Authorization": "Bearer ${TOKEN}", "X-A": "b", "X-C": "${D}"}})
        );
        assert_eq!(got.skipped, ["tool_timeout_sec"]);
        let entry = json!({"command": "x", "args": ["y"], "env": {"A": "1"}, "env_vars": ["B"]});
        let got = read(entry.as_object().unwrap()).unwrap();
        assert_eq!(
            Value::Object(got.declaration),
            json!({"command": "x", "args": ["y"], "env": {"A": "1", "B": "${B}"}})
        );
        assert!(read(json!({"command": "x", "enabled": false}).as_object().unwrap()).is_err());
    }
}
