//! MCP servers as plugins declare them: where declarations are, what they look like, and how to merge several.

use aiw_core::{RelPath, is_code_loading, mask_url_secrets, one_line, shell_quote, to_visible_line};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::names::is_reserved_name;
use crate::transport::{Transport, string_field};

/// The file in which a project declares servers.
pub const PROJECT_FILE: &str = ".mcp.json";

/// The largest one that is read, in bytes.
pub const MAX_PROJECT_FILE_BYTES: u64 = 4 << 20;

/// More servers than any plugin or project has; a bound for what is shown and merged.
pub const MAX_SERVERS: usize = 200;

/// The longest declaration that a user can review. The longest seen has 500 bytes.
pub(crate) const MAX_DECLARATION_LEN: usize = 8 << 10;

/// One declared server that can be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeclaredServer {
    /// The name in the declaration.
    pub name: String,
    /// How it is reached.
    #[serde(rename = "type")]
    pub transport: Transport,
    /// The declaration as written, including unknown fields.
    pub declaration: Map<String, Value>,
}

impl DeclaredServer {
    /// Returns its declaration as it may be shown: no key stands in its addresses.
    pub fn redacted_declaration(&self) -> Value {
        Value::Object(self.declaration.iter().map(|(key, value)| (key.clone(), without_keys(value))).collect())
    }

    /// Returns its command or address, on one line, for the user to judge: in full but for keys in addresses.
    pub fn target(&self) -> String {
        let text = |key: &str| self.declaration.get(key).and_then(Value::as_str).unwrap_or_default();
        if self.transport != Transport::Stdio {
            return to_visible_line(&mask_url_secrets(text("url")));
        }
        let args = self.declaration.get("args").and_then(Value::as_array).into_iter().flatten();
        let words = std::iter::once(text("command")).chain(args.map(|arg| arg.as_str().unwrap_or_default()));
        words.map(|word| quoted(&mask_url_secrets(word))).collect::<Vec<_>>().join(" ")
    }

    /// Everything else that the declaration sets, one line each: a variable or a header can change what runs as much
    /// as a command can.
    pub fn details(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (key, value) in &self.declaration {
            let value = &without_keys(value);
            match (key.as_str(), value) {
                ("type", _) | ("command" | "args", _) if key == "type" || self.transport == Transport::Stdio => {}
                ("url", _) if self.transport != Transport::Stdio => {}
                ("env" | "headers", Value::Object(fields)) => {
                    lines.extend(
                        fields
                            .iter()
                            .map(|(name, value)| format!("{key} {}: {}", to_visible_line(name), visible_json(value))),
                    );
                }
                ("headersHelper", _) => lines.push(format!("runs a command for its headers: {}", visible_json(value))),
                _ => lines.push(format!("{}: {}", to_visible_line(key), visible_json(value))),
            }
        }
        lines
    }

    /// The variables and options that it reads, by name.
    pub fn referenced_names(&self) -> Vec<String> {
        crate::referenced_names(&self.declaration).names()
    }

    /// All that decides what it does, a line each, for the user to judge before it runs under this key: nothing is
    /// folded, cut or left out.
    pub fn describe(&self, key: &str) -> Vec<String> {
        let verb = if self.transport == Transport::Stdio { "runs" } else { "reaches" };
        let mut lines = vec![format!("{} ({}) {verb}: {}", to_visible_line(key), self.transport, self.target())];
        lines.extend(self.details().into_iter().map(|detail| format!("  {detail}")));
        let options = self.code_options();
        if !options.is_empty() {
            lines.push(format!("  decides by its options which code runs: {}", options.join(", ")));
        }
        let reads = self.referenced_names();
        if !reads.is_empty() {
            lines.push(format!("  reads {}", reads.join(", ")));
        }
        lines
    }

    /// The variables that it sets, and the arguments that it gives an interpreter, which name code to run besides the
    /// command itself.
    fn code_options(&self) -> Vec<String> {
        let env = self.declaration.get("env").and_then(Value::as_object).into_iter().flatten();
        let mut options: Vec<String> =
            env.map(|(name, _)| name).filter(|name| is_code_loading(name)).map(|n| to_visible_line(n)).collect();
        if self.transport != Transport::Stdio {
            return options;
        }
        let command = self.declaration.get("command").and_then(Value::as_str).unwrap_or_default();
        let program = command.rsplit(['/', '\\']).next().unwrap_or_default().trim_end_matches(".exe");
        // `python3.12`
        let program = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let flags =
            INTERPRETER_OPTIONS.iter().find(|(names, _)| names.contains(&program)).map_or(&[][..], |(_, flags)| *flags);
        let args =
            self.declaration.get("args").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let is_option = |arg: &&str| flags.iter().any(|flag| *arg == *flag || arg.split('=').next() == Some(*flag));
        options.extend(args.filter(is_option).map(to_visible_line));
        options
    }
}

/// A value without keys in the addresses in it.
fn without_keys(value: &Value) -> Value {
    match value {
        Value::String(text) => mask_url_secrets(text).into(),
        Value::Array(items) => items.iter().map(without_keys).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), without_keys(value))).collect(),
        other => other.clone(),
    }
}

/// Whether two entries mean the same server: what an entry leaves out, another may say.
pub fn is_same_server(one: &Value, two: &Value) -> bool {
    let plain = |entry: &Value| {
        let mut fields = entry.as_object().cloned()?;
        let is_remote = fields.contains_key("url");
        let is_given = |key: &str, value: &Value| match (key, value) {
            // The type follows from the rest.
            ("type" | "transport", Value::String(kind)) => {
                let usual: &[&str] =
                    if is_remote { &["http", "streamable-http", "streamableHttp"] } else { &["stdio"] };
                !usual.contains(&kind.as_str())
            }
            (_, Value::Object(fields)) => !fields.is_empty(),
            (_, Value::Array(items)) => !items.is_empty(),
            ("disabled", Value::Bool(is_off)) => *is_off,
            (_, value) => !value.is_null(),
        };
        fields.retain(|key, value| is_given(key, value));
        Some(fields)
    };
    one == two || plain(one).is_some_and(|one| plain(two) == Some(one))
}

/// Options with which an interpreter or a runner of packages takes code from elsewhere than its script.
const INTERPRETER_OPTIONS: [(&[&str], &[&str]); 6] = [
    (
        &["node", "bun", "tsx", "ts-node"],
        &[
            "-e",
            "--eval",
            "-p",
            "--print",
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "--env-file",
            "--preload",
        ],
    ),
    (&["deno"], &["eval", "--config", "-c", "--import-map", "--preload"]),
    (&["python", "pypy"], &["-c"]),
    (
        &["sh", "bash", "zsh", "dash", "ksh", "fish", "pwsh", "powershell", "cmd"],
        &["-c", "-lc", "-ic", "-Command", "-EncodedCommand", "/c", "/C", "--rcfile", "--init-file"],
    ),
    (&["perl", "ruby", "php", "lua"], &["-e", "-E", "-r", "-I", "-M", "-d"]),
    (
        &["npx", "npm", "pnpm", "yarn", "bunx", "uv", "uvx", "pip", "pipx"],
        &[
            "--registry",
            "--index",
            "--index-url",
            "--extra-index-url",
            "--default-index",
            "--with",
            "--from",
            "--userconfig",
            "-c",
            "--call",
        ],
    ),
];

/// A JSON value as [`visible`] text; a string without its quotes.
pub fn visible_json(value: &Value) -> String {
    match value {
        Value::String(text) => to_visible_line(text),
        value => to_visible_line(&value.to_string()),
    }
}

/// A word quoted as for a shell, so that two arguments never look like three. A `${VAR}` stays plain, because the
/// client reads it, not a shell.
fn quoted(word: &str) -> String {
    let word = to_visible_line(word);
    let without: String = word.chars().filter(|c| !"${}".contains(*c)).collect();
    let plain = !word.is_empty() && (without.is_empty() || shell_quote(&without) == without);
    if plain { word } else { shell_quote(&word).into_owned() }
}

/// The servers of one plugin, and a note for each that is left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeclaredServers {
    /// By name, in the order of declaration.
    pub servers: Vec<DeclaredServer>,
    /// The parts that were left out and why, one sentence each.
    pub skipped: Vec<String>,
}

/// Where one `mcpServers` value points: its own content, and files that it names.
pub struct DeclarationSource<'a> {
    /// Objects of servers.
    pub objects: Vec<&'a Map<String, Value>>,
    /// JSON files in the plugin.
    pub files: Vec<RelPath>,
    /// `.mcpb` bundles, shown and not installed.
    pub bundles: Vec<String>,
}

/// Reads an `mcpServers` value: an object, a path, or a list of them.
/// The error is the end of a sentence about the manifest that holds it.
pub fn parse_source(value: &Value) -> Result<DeclarationSource<'_>, String> {
    let mut found = DeclarationSource { objects: Vec::new(), files: Vec::new(), bundles: Vec::new() };
    let items = match value {
        Value::Array(items) if items.len() <= 64 => items.iter().collect(),
        Value::Array(_) => return Err("has an `mcpServers` list of more than 64 items".into()),
        Value::Null => Vec::new(),
        single => vec![single],
    };
    for item in items {
        match item {
            Value::Object(servers) => found.objects.push(servers),
            Value::String(text) if text.ends_with(".mcpb") || text.ends_with(".dxt") => {
                found.bundles.push(one_line(text, 200));
            }
            Value::String(text) if text.contains("://") => {
                return Err(format!("has an `mcpServers` that is a URL: `{}`", one_line(text, 100)));
            }
            Value::String(path) => {
                let path = RelPath::parse(path).map_err(|e| format!("has a bad `mcpServers`: {e}"))?;
                found.files.push(path);
            }
            _ => return Err("has an `mcpServers` that is neither an object, a path nor a list of them".into()),
        }
    }
    Ok(found)
}

/// The servers in a `.mcp.json` or a file that a manifest names: the wrapper if `mcpServers` is an object, else every
/// key whose value is an object.
pub fn parse_servers_file(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let parsed = aiw_home::json::parse(bytes)?;
    let Value::Object(mut object) = parsed.value else { return Err("is not a JSON object".into()) };
    match object.get_mut("mcpServers") {
        Some(Value::Object(servers)) => Ok(std::mem::take(servers)),
        Some(_) => Err("has an `mcpServers` that is not an object".into()),
        None => Ok(object.into_iter().filter(|(_, value)| value.is_object()).collect()),
    }
}

impl DeclaredServers {
    /// Adds the servers of one place. If a name repeats, an identical declaration is merged, and a different one
    /// replaces the earlier, with a note.
    pub fn add(&mut self, servers: &Map<String, Value>, place: &str) {
        for (name, declaration) in servers {
            let shown = one_line(name, 60);
            match parse_server(name, declaration).and_then(reject_secret_references) {
                Err(why) => self.skipped.push(format!("server `{shown}` in {place} is left out: it {why}")),
                Ok(new) => match self.servers.iter().position(|s| s.name == new.name) {
                    Some(at) if self.servers[at] == new => {}
                    Some(at) => {
                        self.skipped.push(format!(
                            "server `{shown}` is declared in several places; the one in {place} is used"
                        ));
                        self.servers[at] = new;
                    }
                    None if self.servers.len() == MAX_SERVERS => {
                        self.skipped
                            .push(format!("server `{shown}` is left out: the plugin has more than {MAX_SERVERS}"));
                        return;
                    }
                    None => self.servers.push(new),
                },
            }
        }
    }
}

/// Refuses a server of somebody else's that asks for a secret of the user's vault by its name.
pub(crate) fn reject_secret_references(server: DeclaredServer) -> Result<DeclaredServer, String> {
    match crate::referenced_names(&server.declaration).secrets.first() {
        None => Ok(server),
        Some(name) => Err(format!("asks for the secret `{name}`, which only you may give a server, in mcp.json")),
    }
}

/// Checks one declaration.
///
/// # Errors
///
/// The end of a sentence about the server.
pub fn parse_server(name: &str, declaration: &Value) -> Result<DeclaredServer, String> {
    if name.is_empty() || name.len() > 256 {
        return Err("has a name that is not 1 to 256 bytes long".into());
    }
    if is_reserved_name(name) {
        return Err("has aiw's own name: rename it".into());
    }
    let Value::Object(fields) = declaration else { return Err("is not an object".into()) };
    // Users see all of it before they agree; no one would read more.
    if declaration.to_string().len() > MAX_DECLARATION_LEN {
        return Err(format!("has a declaration of more than {} KiB", MAX_DECLARATION_LEN >> 10));
    }
    let (command, url) = (string_field(fields, "command")?, string_field(fields, "url")?);
    let transport = Transport::from_declaration(fields)?;
    if transport == Transport::Stdio {
        if command.is_none_or(|c| c.trim().is_empty()) {
            return Err("has no `command`".into());
        }
        let texts = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
        if fields.get("args").is_some_and(|args| !texts(args)) {
            return Err("has an `args` that is not a list of strings".into());
        }
    } else {
        match url {
            None => return Err("has no `url`".into()),
            // Real marketplaces hold dozens of these, as placeholders.
            Some(url) if url.trim().is_empty() => return Err("has an empty `url`".into()),
            Some(_) => {}
        }
    }
    for key in ["env", "headers"] {
        let texts = |value: &Value| value.as_object().is_some_and(|map| map.values().all(Value::is_string));
        if fields.get(key).is_some_and(|value| !texts(value)) {
            return Err(format!("has an `{key}` that is not an object of strings"));
        }
    }
    Ok(DeclaredServer { name: name.to_owned(), transport, declaration: fields.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn collect(value: &Value) -> DeclaredServers {
        let mut collected = DeclaredServers::default();
        collected.add(value.as_object().unwrap(), "`.mcp.json`");
        collected
    }

    #[test]
    fn every_type_is_known_and_what_is_odd_is_left_out_with_a_word() {
        let collected = collect(&json!({
            "a": {"command": "x"}, "b": {"type": "http", "url": "https://h"}, "c": {"type": "streamable-http", "url": "https://h"},
            "d": {"type": "sse", "url": "https://h"}, "e": {"type": "ws", "url": "wss://h", "odd": 1},
            "empty": {"type": "http", "url": ""}, "none": {}, "no": 3, "odd": {"type": "carrier-pigeon", "url": "x"},
            "args": {"command": "x", "args": "y"}, "env": {"command": "x", "env": {"A": 1}}
        }));
        let types: Vec<_> = collected.servers.iter().map(|s| (s.name.as_str(), s.transport.as_str())).collect();
        assert_eq!(types, [("a", "stdio"), ("b", "http"), ("c", "http"), ("d", "sse"), ("e", "ws")]);
        assert_eq!(collected.skipped.len(), 6);
        assert!(collected.skipped[0].contains("`empty`") && collected.skipped[0].contains("empty `url`"));
        assert_eq!(collected.servers[4].declaration["odd"], 1);
    }

    #[test]
    fn a_plugin_gets_no_secret_by_asking_for_it() {
        let collected = collect(&json!({
            "a": {"command": "x", "env": {"K": "${secret:openrouter}"}},
            "b": {"type": "http", "url": "https://h/${secret:openrouter}"},
        }));
        assert_eq!((collected.servers.len(), collected.skipped.len()), (0, 2));
        assert!(collected.skipped[0].contains("asks for the secret `openrouter`"), "{}", collected.skipped[0]);
    }

    #[test]
    fn no_plugin_takes_the_place_of_what_aiw_offers() {
        let collected =
            collect(&json!({"workflows": {"command": "x"}, "Planned": {"command": "x"}, "a": {"command": "x"}}));
        assert_eq!((collected.servers.len(), collected.skipped.len()), (1, 2));
        assert!(collected.skipped[0].contains("has aiw's own name"), "{}", collected.skipped[0]);
    }

    #[test]
    fn identical_declarations_are_one() {
        let mut collected = collect(&json!({"a": {"command": "x"}}));
        collected.add(json!({"a": {"command": "x"}}).as_object().unwrap(), "`plugin.json`");
        assert_eq!((collected.servers.len(), collected.skipped.len()), (1, 0));
        collected.add(json!({"a": {"command": "y"}}).as_object().unwrap(), "the entry");
        assert_eq!((collected.servers.len(), collected.skipped.len()), (1, 1));
        assert_eq!(collected.servers[0].declaration["command"], "y");
    }

    #[test]
    fn a_file_is_read_with_and_without_the_wrapper() {
        assert_eq!(parse_servers_file(br#"{"mcpServers":{"a":{}}}"#).unwrap().len(), 1);
        assert_eq!(parse_servers_file(br#"{"a":{},"_docs":"text"}"#).unwrap().len(), 1);
        assert_eq!(parse_servers_file(b"{}").unwrap().len(), 0);
        assert!(parse_servers_file(b"[]").is_err());
        assert!(parse_servers_file(br#"{"mcpServers":[]}"#).is_err());
    }

    #[test]
    fn all_that_decides_is_shown_with_nothing_hidden() {
        let declaration = json!({"command": "python3", "args": ["-c", "x"], "cwd": "../else", "oauth": {"issuer": "https://i"},
            "env": {"NODE_OPTIONS": "--require ./x.js", "A": "${SECRET_OF_MINE:-\u{1b}[2K}\nb"}});
        assert_eq!(
            parse_server("a\n", &declaration).unwrap().describe("a\n"),
            [
                r"a\n (stdio) runs: python3 -c x",
                "  cwd: ../else",
                r#"  oauth: {"issuer":"https://i"}"#,
                "  env NODE_OPTIONS: --require ./x.js",
                r"  env A: ${SECRET_OF_MINE:-\u{1b}[2K}\nb",
                "  decides by its options which code runs: NODE_OPTIONS, -c",
                "  reads SECRET_OF_MINE",
            ]
        );
        let remote = json!({"url": "https://h", "headers": {"X": "${A}"}});
        let shown = parse_server("r", &remote).unwrap().describe("r");
        assert_eq!(shown, ["r (http) reaches: https://h", "  headers X: ${A}", "  reads A"]);
    }

    #[test]
    fn arguments_are_shown_as_they_are_separated() {
        let server = parse_server("a", &json!({"command": "sh", "args": ["-c", "rm -rf x; echo 'y'"]})).unwrap();
        assert_eq!(server.target(), r#"sh -c "rm -rf x; echo 'y'""#);
    }
}
