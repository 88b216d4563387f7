//! What is registered: aiw itself.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

/// The name under which clients know aiw.
pub(crate) const NAME: &str = "aiw";

/// How a client starts aiw's server.
#[derive(Debug, Clone, Default)]
pub struct AiwEntry {
    /// The executable: an absolute path, or a name that the client finds.
    pub command: String,
    /// Variables that the server needs.
    pub env: BTreeMap<String, String>,
    /// The tools that only read.
    pub read_only_tools: Vec<String>,
    /// Which of aiw's toolsets the server offers, as on the command line; none leaves those that an entry names.
    pub toolsets: Option<String>,
    /// Whether the settings name toolsets.
    pub has_toolsets: bool,
}

/// The flag of the server that names toolsets.
const TOOLSETS_FLAG: &str = "--toolsets";

/// The word for the usual ones alone.
const DEFAULT_TOOLSETS: &str = "default";

impl AiwEntry {
    /// The arguments.
    pub(crate) fn args() -> [&'static str; 2] {
        ["mcp", "serve"]
    }

    /// The entry in the form that most clients read.
    pub(crate) fn entry(&self) -> Map<String, Value> {
        let mut entry = Map::new();
        entry.insert("command".into(), json!(self.command));
        entry.insert("args".into(), json!(Self::args()));
        if !self.env.is_empty() {
            entry.insert("env".into(), json!(self.env));
        }
        entry
    }

    /// Like the one above, with the type first.
    pub(crate) fn typed_entry(&self) -> Map<String, Value> {
        let mut entry = self.entry();
        entry.shift_insert(0, "type".into(), json!("stdio"));
        entry
    }

    /// Writes the toolsets into an entry, in place of those that it names. What the client may call without asking does not start
    /// processes unless the user has named their toolset.
    pub(crate) fn set_toolsets(&self, entry: &mut Map<String, Value>, approves_calls: bool) {
        let names_some = || {
            let options = self.parse_options(&Value::Object(entry.clone())).unwrap_or_default();
            options.iter().any(|option| option.starts_with(TOOLSETS_FLAG))
        };
        let usual = || (approves_calls && !self.has_toolsets && !names_some()).then(|| DEFAULT_TOOLSETS.to_owned());
        let Some(toolsets) = &self.toolsets.clone().or_else(usual) else { return };
        // OpenCode has one list for the command and its arguments.
        for key in ["args", "command"] {
            let Some(Value::Array(words)) = entry.get_mut(key) else { continue };
            let Some(start) = words.windows(2).position(|two| two == Self::args()).map(|at| at + 2) else { continue };
            let (mut at, mut place) = (start, words.len());
            while let Some(word) = words.get(at).and_then(Value::as_str) {
                let length = match word.strip_prefix(TOOLSETS_FLAG) {
                    Some("") => 2,
                    Some(rest) if rest.starts_with('=') => 1,
                    _ => 0,
                };
                if length == 0 {
                    at += 1;
                } else {
                    words.drain(at..words.len().min(at + length));
                    place = place.min(at);
                }
            }
            let place = place.min(words.len());
            words.splice(place..place, [json!(TOOLSETS_FLAG), json!(toolsets)]);
        }
    }

    /// Whether a declaration starts aiw's server, this one or another.
    pub(crate) fn is_started_by(&self, declaration: &Value) -> bool {
        self.parse_options(declaration).is_some()
    }

    /// The arguments after `mcp serve` of a declaration that starts aiw's server, this one or another.
    pub(crate) fn parse_options(&self, declaration: &Value) -> Option<Vec<String>> {
        let words = |value: &Value| -> Vec<String> {
            match value {
                Value::String(text) => vec![text.clone()],
                Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                _ => Vec::new(),
            }
        };
        let line = [words(&declaration["command"]), words(&declaration["args"])].concat();
        let (command, args) = line.split_first()?;
        let name = Path::new(command).file_stem().and_then(|name| name.to_str());
        let options = args.strip_prefix(&Self::args().map(str::to_owned))?;
        (*command == self.command || name == Some(NAME)).then(|| options.to_vec())
    }
}
