//! Entries of servers as documentation and other clients write them, for `aiw mcp add-json`.

use aiw_core::quoted;
use aiw_home::{ConfigTree, Toml, json};
use aiw_servers::AddError;
use serde_json::{Map, Value, json};

use crate::clients::{ParsedEntry, SetupClient, client};

/// An entry of a server in the form of `mcp.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfigEntry {
    /// Its name; `None` if the text has none.
    pub name: Option<String>,
    /// The entry.
    pub entry: Map<String, Value>,
    /// The fields that only the client understands, which are left out.
    pub skipped: Vec<String>,
}

/// The keys under which clients keep their servers, and the client whose form the entries have, if it is one of its own.
const SERVER_KEYS: [(&str, Option<&str>); 5] = [
    ("mcpServers", None),
    ("servers", Some("vscode")),
    ("context_servers", Some("zed")),
    ("mcp_servers", Some("codex")),
    ("mcp", Some("opencode")),
];

/// Reads the entries of a text: one alone, `"name": {…}`, or a part of a client's file, as JSON or TOML, with comments and
/// in a fence of Markdown.
///
/// # Errors
///
/// The text is not one of these, or an entry can't be written as `mcp.json` does.
pub fn parse_entries(text: &str) -> Result<Vec<ServerConfigEntry>, AddError> {
    let wrong = |problem: String| AddError::EntryNotFound { problem };
    let fields = parsed(text).map_err(wrong)?;
    if is_entry(&fields) {
        return Ok(vec![read(None, fields, None).map_err(wrong)?]);
    }
    let (servers, of) = servers_in(fields);
    let read_one = |(name, entry): (String, Value)| match entry {
        Value::Object(entry) => read(Some(name), entry, of.and_then(client)).map_err(wrong),
        _ => Err(wrong(format!("the entry of {} is not a JSON object", quoted(&name)))),
    };
    servers.into_iter().map(read_one).collect()
}

/// Returns the object that a text holds.
fn parsed(text: &str) -> Result<Map<String, Value>, String> {
    let text = without_fence(text.trim_start_matches('\u{feff}').trim());
    // Documents of word processors.
    let plain = text.replace(['\u{201c}', '\u{201d}'], "\"");
    let mut problem = None;
    for text in [text.to_owned(), format!("{{{text}}}"), plain.clone(), format!("{{{plain}}}")] {
        match json::parse_settings(text.as_bytes()) {
            Ok(Value::Object(fields)) => return Ok(fields),
            Ok(_) => problem = problem.or_else(|| Some("the entry is not a JSON object".to_owned())),
            Err(why) => problem = problem.or_else(|| Some(format!("the entry {why}"))),
        }
    }
    if text.starts_with('[')
        && let Ok(toml) = Toml::parse(text.as_bytes())
        && let Value::Object(fields) = ConfigTree::to_json(toml.tree())
    {
        return Ok(fields);
    }
    Err(problem.unwrap_or_default())
}

fn without_fence(text: &str) -> &str {
    let inside = text.strip_prefix("```").and_then(|rest| rest.split_once('\n')).map(|(_, inside)| inside);
    inside.and_then(|inside| inside.trim_end().strip_suffix("```")).map_or(text, str::trim)
}

/// Whether an object is an entry itself. A command is a text, a list, or an object of an old Zed.
fn is_entry(fields: &Map<String, Value>) -> bool {
    let is_text = |field: &str| fields.get(field).is_some_and(Value::is_string);
    ["url", "httpUrl", "serverUrl", "command"].into_iter().any(is_text)
        || fields.get("command").is_some_and(|command| command.is_array() || command.get("path").is_some())
}

/// The servers of a client's file, or of an object that has nothing around them.
fn servers_in(mut fields: Map<String, Value>) -> (Map<String, Value>, Option<&'static str>) {
    // VS Code's settings have `mcp.servers`, OpenCode's file the servers below `mcp`.
    if let Some(Value::Object(servers)) = fields.get_mut("mcp").and_then(|mcp| mcp.get_mut("servers")) {
        return (std::mem::take(servers), Some("vscode"));
    }
    for (key, of) in SERVER_KEYS {
        match fields.shift_remove(key) {
            Some(Value::Object(servers)) if !is_entry(&servers) => return (servers, of),
            Some(other) => drop(fields.insert(key.to_owned(), other)),
            None => {}
        }
    }
    (fields, None)
}

/// Reads an entry: as a client does whose file it is from, then in the forms that occur anywhere.
fn read(
    name: Option<String>,
    entry: Map<String, Value>,
    of: Option<&SetupClient>,
) -> Result<ServerConfigEntry, String> {
    // OpenCode's own form is not that of others; an old Zed's is plain.
    let is_opencode = of.is_some_and(|client| client.id == "opencode");
    let entry = if is_opencode { entry } else { plain(entry)? };
    let is_off = entry.get("enabled") == Some(&Value::Bool(false));
    let shown =
        || name.as_deref().map_or_else(|| "the entry".to_owned(), |name| format!("the entry of {}", quoted(name)));
    // Who adds a server that is disabled there wants it as it is.
    let as_on: Map<String, Value> =
        entry.iter().filter(|(key, _)| *key != "enabled").map(|(k, v)| (k.clone(), v.clone())).collect();
    let ParsedEntry { mut declaration, skipped: left } = match of {
        Some(client) => (client.parse_entry)(&as_on).map_err(|why| format!("{} {why}", shown()))?,
        None => ParsedEntry { declaration: as_on, skipped: Vec::new() },
    };
    if is_opencode {
        declaration = plain(declaration)?;
    }
    if is_off {
        declaration.insert("disabled".into(), true.into());
    }
    Ok(ServerConfigEntry { name, entry: declaration, skipped: left })
}

/// Writes the fields of an entry as `mcp.json` does.
fn plain(mut entry: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut is_http = false;
    for key in ["httpUrl", "serverUrl"] {
        if let Some(url) = entry.shift_remove(key) {
            entry.entry("url").or_insert(url);
            is_http = true;
        }
    }
    if let Some(transport) = entry.shift_remove("transport") {
        entry.entry("type").or_insert(transport);
    }
    let kind = entry.get("type").and_then(Value::as_str).map(str::to_ascii_lowercase);
    match kind.as_deref() {
        Some("streamable-http" | "streamablehttp" | "streamable_http" | "remote") => is_http = true,
        Some("local") => drop(entry.shift_remove("type")),
        _ => {}
    }
    if is_http {
        entry.insert("type".into(), json!("http"));
    }
    if let Some(Value::Object(command)) = entry.get("command").cloned() {
        entry.shift_remove("command");
        for (from, to) in [("path", "command"), ("args", "args"), ("env", "env")] {
            if let Some(value) = command.get(from) {
                entry.entry(to).or_insert_with(|| value.clone());
            }
        }
    }
    if let Some(Value::Array(words)) = entry.get("command").cloned() {
        let mut words = words.into_iter();
        entry.insert("command".into(), words.next().unwrap_or_default());
        let rest = entry.shift_remove("args").and_then(|args| args.as_array().cloned()).unwrap_or_default();
        entry.insert("args".into(), words.chain(rest).collect());
    }
    let split =
        |text: &str| aiw_core::shell_words(text).ok_or_else(|| "the entry has a quote without its end".to_owned());
    if let Some(Value::String(args)) = entry.get("args") {
        let words = split(args)?;
        entry.insert("args".into(), words.into());
    }
    // A whole command line, unless it is a path with spaces.
    if let Some(line) = entry.get("command").and_then(Value::as_str).map(str::to_owned)
        && !entry.contains_key("args")
        && line.split_whitespace().count() > 1
        && !line.contains(['/', '\\'])
    {
        let mut words = split(&line)?.into_iter();
        entry.insert("command".into(), words.next().unwrap_or_default().into());
        entry.insert("args".into(), words.collect::<Vec<_>>().into());
    }
    if let Some(environment) = entry.shift_remove("environment") {
        entry.entry("env").or_insert(environment);
    }
    for key in ["env", "headers"] {
        if let Some(Value::Object(variables)) = entry.get_mut(key) {
            variables.retain(|_, value| !value.is_null());
            for value in variables.values_mut().filter(|value| value.is_number() || value.is_boolean()) {
                *value = value.to_string().into();
            }
        }
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> (Option<String>, Value) {
        let mut all = parse_entries(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(all.len(), 1, "{text}");
        let ServerConfigEntry { name, entry, .. } = all.remove(0);
        (name, entry.into())
    }

    #[test]
    fn each_form_becomes_that_of_mcp_json() {
        let http = json!({"type": "http", "url": "https://h.example/mcp"});
        let npx = json!({"command": "npx", "args": ["-y", "x"]});
        for (text, expected) in [
            (r#"{"mcpServers":{"x":{"httpUrl":"https://h.example/mcp"}}}"#, &http),
            (r#"{"mcpServers":{"x":{"serverUrl":"https://h.example/mcp"}}}"#, &http),
            (r#"{"servers":{"x":{"type":"http","url":"https://h.example/mcp"}}}"#, &http),
            (r#"{"mcpServers":{"x":{"type":"streamableHttp","url":"https://h.example/mcp"}}}"#, &http),
            (r#"{"mcpServers":{"x":{"transport":"streamable-http","url":"https://h.example/mcp"}}}"#, &http),
            (r#"{"mcp":{"x":{"type":"remote","url":"https://h.example/mcp"}}}"#, &http),
            ("[mcp_servers.x]\nurl = \"https://h.example/mcp\"\n", &http),
            (r#"{"mcp":{"x":{"type":"local","command":["npx","-y","x"]}}}"#, &npx),
            (r#"{"mcp":{"servers":{"x":{"command":"npx","args":["-y","x"]}}}}"#, &npx),
            (r#"{"context_servers":{"x":{"command":{"path":"npx","args":["-y","x"]}}}}"#, &npx),
            (r#"{"context_servers":{"x":{"source":"custom","command":"npx","args":["-y","x"]}}}"#, &npx),
            ("[mcp_servers.x]\ncommand = \"npx\"\nargs = [\"-y\", \"x\"]\n", &npx),
            ("{\"mcpServers\":{ // mine\n\"x\":{\"command\":\"npx\",\"args\":[\"-y\",\"x\",],},}}", &npx),
            (r#""x": {"command":"npx","args":["-y","x"]}"#, &npx),
            (r#"{"x": {"command":"npx","args":["-y","x"]}}"#, &npx),
            ("{“mcpServers”: {“x”: {“command”: “npx”, “args”: [“-y”, “x”]}}}", &npx),
            ("```json\n{\"mcpServers\":{\"x\":{\"command\":\"npx\",\"args\":[\"-y\",\"x\"]}}}\n```", &npx),
            (r#"{"mcpServers":{"x":{"command":["npx","-y","x"]}}}"#, &npx),
            (r#"{"mcpServers":{"x":{"command":"npx","args":"-y x"}}}"#, &npx),
            (r#"{"mcpServers":{"x":{"command":"npx -y x"}}}"#, &npx),
        ] {
            let (name, entry) = one(text);
            assert_eq!((name.as_deref(), &entry), (Some("x"), expected), "{text}");
        }
        let (_, entry) = one(r#"{"mcpServers":{"x":{"command":"npx","env":{"PORT":3000,"DEBUG":true,"N":null}}}}"#);
        assert_eq!(entry["env"], json!({"PORT": "3000", "DEBUG": "true"}));
        let (_, entry) =
            one(r#"{"mcp":{"x":{"type":"local","command":["npx"],"environment":{"A":"{env:B}"},"enabled":false}}}"#);
        assert_eq!(entry, json!({"command": "npx", "args": [], "env": {"A": "${B}"}, "disabled": true}));
    }

    #[test]
    fn names_may_be_absent_or_several() {
        assert_eq!(one(r#"{"command":"npx"}"#).0, None);
        assert_eq!(one(r#"{"httpUrl":"https://h.example"}"#).0, None);
        let two = parse_entries(r#"{"mcpServers":{"a.b":{"command":"x"},"mcp":{"command":"y"}}}"#).unwrap();
        assert_eq!(two.iter().map(|entry| entry.name.as_deref().unwrap()).collect::<Vec<_>>(), ["a.b", "mcp"]);
        for (text, problem) in [
            ("{", "the entry is not JSON: "),
            ("7", "the entry is not a JSON object"),
            (r#"{"mcpServers":{"x":7}}"#, "the entry of `x` is not a JSON object"),
            (r#"{"context_servers":{"x":{"source":"extension"}}}"#, "the entry of `x` belongs to an extension"),
        ] {
            let error = parse_entries(text).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(?s)[{}\\[\\]\":,a-c `\\n=.]{0,80}") {
            let _ = parse_entries(&text);
        }
    }
}
