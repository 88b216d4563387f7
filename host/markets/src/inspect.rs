//! What a plugin brings, according to its entry and its files. Pure: files in, facts out.

use std::collections::BTreeMap;

use aiw_core::{RelPath, Sha, one_line};
use aiw_net::{ItemKind, NetError, Tree};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::document::{PluginEntry, author, truncate_lines};
use aiw_servers::{DeclaredServer, DeclaredServers, parse_servers_file, parse_source};

/// A plugin's manifest within its tree.
pub const PLUGIN_JSON: &str = ".claude-plugin/plugin.json";
/// A plugin's servers within its tree.
pub const MCP_JSON: &str = ".mcp.json";

/// The longest manifest that is read.
pub const MANIFEST_BYTES: u64 = 1 << 20;

/// More notes on one plugin than anyone reads.
const MAX_SKIPPED: usize = 100;

/// A plugin's contents, as far as they are known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inspection {
    /// The commit that was read; none for plain directories.
    pub commit: Option<Sha>,
    /// From plugin.json.
    pub version: Option<String>,
    /// From plugin.json, for entries without one.
    pub description: Option<String>,
    /// From plugin.json, for entries without one.
    pub author: Option<String>,
    /// Its MCP servers.
    pub servers: Vec<DeclaredServer>,
    /// `skills`, `commands`, `agents`, `hooks`, `lsp`; none if its files were not read.
    pub contents: Option<Vec<String>>,
    /// The parts that are left out and why, one sentence each.
    pub skipped: Vec<String>,
    /// Options that it asks for.
    pub options: BTreeMap<String, UserOption>,
    /// Why it can't be installed, as the end of a sentence about the plugin.
    pub broken: Option<String>,
}

/// One option of `userConfig`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct UserOption {
    /// A human-readable label.
    pub title: String,
    /// Whether it is never shown or stored.
    pub sensitive: bool,
    /// Whether the plugin needs it.
    pub required: bool,
    /// As text.
    pub default: Option<String>,
}

/// The files that an inspection reads.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// `.claude-plugin/plugin.json`
    pub plugin_json: Option<Vec<u8>>,
    /// `.mcp.json`
    pub mcp_json: Option<Vec<u8>>,
    /// Files that a manifest names, if they were found.
    pub referenced_files: BTreeMap<RelPath, Vec<u8>>,
    /// The contents of the plugin's own directories; none if only files were read.
    pub contents: Option<Vec<String>>,
}

impl Files {
    /// Reads them from a tree.
    pub fn from_tree(tree: &Tree, entry: &PluginEntry) -> Result<Self, NetError> {
        let mut files = Self {
            plugin_json: read(tree, PLUGIN_JSON)?,
            mcp_json: read(tree, MCP_JSON)?,
            referenced_files: BTreeMap::new(),
            contents: Some(in_directories(tree)?),
        };
        for path in files.missing(entry) {
            if let Some(bytes) = read(tree, path.as_str())? {
                files.referenced_files.insert(path, bytes);
            }
        }
        Ok(files)
    }

    /// The files that the entry or plugin.json names and that were not read yet.
    pub fn missing(&self, entry: &PluginEntry) -> Vec<RelPath> {
        let manifest = self.plugin_json.as_deref().and_then(|bytes| aiw_home::json::parse(bytes).ok());
        let values = [entry.fields.get("mcpServers"), manifest.as_ref().and_then(|m| m.value.get("mcpServers"))];
        let named = values.into_iter().flatten().filter_map(|value| parse_source(value).ok()).flat_map(|d| d.files);
        named.filter(|path| !self.referenced_files.contains_key(path)).collect()
    }
}

fn read(tree: &Tree, path: &str) -> Result<Option<Vec<u8>>, NetError> {
    let Ok(path) = RelPath::parse(path) else { return Ok(None) };
    match tree.read(&path, MANIFEST_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(NetError::NotFound { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Returns the kinds of content in a plugin's default places.
fn in_directories(tree: &Tree) -> Result<Vec<String>, NetError> {
    let mut brings = Vec::new();
    for item in tree.list(&RelPath::root())? {
        let word = match (item.name.as_str(), item.kind) {
            ("skills", ItemKind::Directory) | ("SKILL.md", ItemKind::File) => "skills",
            ("commands", ItemKind::Directory) => "commands",
            ("agents", ItemKind::Directory) => "agents",
            ("hooks", ItemKind::Directory) => "hooks",
            (".lsp.json", ItemKind::File) => "lsp",
            _ => continue,
        };
        brings.push(word.to_owned());
    }
    Ok(brings)
}

/// Component fields of a manifest, and the name of each.
const COMPONENT_FIELDS: [(&str, &str); 6] = [
    ("skills", "skills"),
    ("commands", "commands"),
    ("agents", "agents"),
    ("hooks", "hooks"),
    ("lspServers", "lsp"),
    ("mcpServers", ""),
];

/// Combines an entry and its files.
pub fn inspect(entry: &PluginEntry, files: &Files, commit: Option<Sha>) -> Inspection {
    let mut inspection = Inspection { commit, ..Inspection::default() };
    if let Err(problem) = fill(&mut inspection, entry, files) {
        inspection.broken = Some(problem);
    }
    inspection
}

fn fill(inspection: &mut Inspection, entry: &PluginEntry, files: &Files) -> Result<(), String> {
    let manifest = match &files.plugin_json {
        None => Map::new(),
        Some(bytes) => match aiw_home::json::parse(bytes).map_err(|e| format!("has a `{PLUGIN_JSON}` that {e}"))?.value
        {
            Value::Object(manifest) => manifest,
            _ => return Err(format!("has a `{PLUGIN_JSON}` that is not a JSON object")),
        },
    };
    let text = |key: &str| manifest.get(key).and_then(Value::as_str).map(|t| aiw_core::printable(t).into_owned());
    inspection.version = text("version");
    inspection.description = text("description");
    inspection.author = author(&manifest);
    if !entry.is_strict()
        && let Some((field, _)) = COMPONENT_FIELDS.iter().find(|(field, _)| manifest.contains_key(*field))
    {
        return Err(format!("is `strict: false` in its marketplace, but its plugin.json declares `{field}`"));
    }
    // From the weakest to the strongest place.
    let mut collected = DeclaredServers::default();
    if let Some(bytes) = &files.mcp_json {
        let servers = parse_servers_file(bytes).map_err(|e| format!("has a `{MCP_JSON}` that {e}"))?;
        collected.add(&servers, &format!("`{MCP_JSON}`"));
    }
    for (place, value) in [(PLUGIN_JSON, manifest.get("mcpServers")), ("entry", entry.fields.get("mcpServers"))] {
        let Some(value) = value else { continue };
        let declared = parse_source(value)?;
        for path in &declared.files {
            let bytes = files
                .referenced_files
                .get(path)
                .ok_or_else(|| format!("names `{path}` for its servers, but there is no such file"))?;
            let servers =
                parse_servers_file(bytes).map_err(|e| format!("names `{path}` for its servers, which {e}"))?;
            collected.add(&servers, &format!("`{path}`"));
        }
        for servers in declared.objects {
            collected.add(servers, if place == "entry" { "the marketplace entry" } else { "`plugin.json`" });
        }
        for bundle in declared.bundles {
            collected.skipped.push(format!("the bundle `{bundle}` is left out: .mcpb bundles are not installed"));
        }
    }
    inspection.servers = collected.servers;
    inspection.skipped = truncate_lines(collected.skipped, MAX_SKIPPED, "things are left out");
    inspection.options = options(manifest.get("userConfig").or_else(|| entry.fields.get("userConfig")));
    inspection.contents = files.contents.clone().map(|mut brings| {
        for fields in [&manifest, &entry.fields] {
            for (field, word) in COMPONENT_FIELDS {
                if !word.is_empty() && fields.get(field).is_some_and(|v| !v.is_null()) {
                    brings.push(word.to_owned());
                }
            }
        }
        let order = |word: &String| COMPONENT_FIELDS.iter().position(|(_, w)| w == word);
        brings.sort_by_key(order);
        brings.dedup();
        brings
    });
    Ok(())
}

fn options(value: Option<&Value>) -> BTreeMap<String, UserOption> {
    let flag = |option: &Value, key: &str| option.get(key).and_then(Value::as_bool).unwrap_or(false);
    let read = |(key, option): (&String, &Value)| {
        let title = option.get("title").or_else(|| option.get("description")).and_then(Value::as_str);
        let default = match option.get("default") {
            Some(Value::String(text)) => Some(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
            _ => None,
        };
        // A default with a placeholder would read a variable that the user never saw.
        let default = default.filter(|text| !text.contains("${"));
        let option = UserOption {
            title: one_line(title.unwrap_or(key), 120),
            sensitive: flag(option, "sensitive"),
            required: flag(option, "required"),
            default,
        };
        (key.clone(), option)
    };
    value.and_then(Value::as_object).into_iter().flatten().take(64).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::MarketDocument;
    use crate::tests::anything::{self, is_line};
    use proptest::prelude::*;
    use serde_json::json;

    fn entry(extra: &Value) -> PluginEntry {
        let mut entry = json!({"name": "p", "source": "./p"});
        for (key, value) in extra.as_object().unwrap() {
            entry[key] = value.clone();
        }
        let document = json!({"name": "m", "plugins": [entry]});
        MarketDocument::parse(document.to_string().as_bytes(), &[]).unwrap().entries.remove(0)
    }

    fn files(plugin: Option<Value>, mcp: Option<Value>) -> Files {
        let bytes = |value: Option<Value>| value.map(|v| v.to_string().into_bytes());
        Files { plugin_json: bytes(plugin), mcp_json: bytes(mcp), contents: Some(Vec::new()), ..Files::default() }
    }

    fn names(inspection: &Inspection) -> Vec<&str> {
        inspection.servers.iter().map(|s| s.name.as_str()).collect()
    }

    #[test]
    fn servers_come_from_all_three_places() {
        let server = json!({"command": "x"});
        let files = files(Some(json!({"mcpServers": {"b": server, "a": server}})), Some(json!({"a": server})));
        let found = inspect(&entry(&json!({"mcpServers": {"c": server}})), &files, None);
        assert_eq!(names(&found), ["a", "b", "c"]);
        assert_eq!((found.broken, found.skipped.len()), (None, 0));
    }

    #[test]
    fn a_plugin_json_may_name_files_lists_and_bundles() {
        let mut files =
            files(Some(json!({"mcpServers": ["./a.json", {"b": {"command": "x"}}, "https://h/c.mcpb"]})), None);
        let entry = entry(&json!({}));
        assert_eq!(files.missing(&entry).len(), 1);
        assert!(inspect(&entry, &files, None).broken.unwrap().contains("no such file"));
        files
            .referenced_files
            .insert(RelPath::parse("a.json").unwrap(), br#"{"mcpServers":{"a":{"command":"x"}}}"#.to_vec());
        let found = inspect(&entry, &files, None);
        assert_eq!(names(&found), ["a", "b"]);
        assert!(found.skipped[0].contains(".mcpb"));
    }

    #[test]
    fn strict_false_makes_the_entry_the_whole_definition() {
        let entry = entry(&json!({"strict": false, "mcpServers": {"a": {"command": "x"}}}));
        assert_eq!(names(&inspect(&entry, &files(Some(json!({"name": "p"})), None), None)), ["a"]);
        let both = inspect(&entry, &files(Some(json!({"mcpServers": {}})), None), None);
        assert!(both.broken.unwrap().contains("strict"));
    }

    #[test]
    fn an_unreadable_manifest_breaks_the_plugin() {
        for (plugin, mcp) in [(Some(json!([])), None), (None, Some(json!([])))] {
            assert!(inspect(&entry(&json!({})), &files(plugin, mcp), None).broken.is_some());
        }
        let bad = Files { mcp_json: Some(b"{".to_vec()), ..Files::default() };
        assert!(inspect(&entry(&json!({})), &bad, None).broken.unwrap().contains("is not JSON"));
    }

    #[test]
    fn of_many_faults_some_are_said_and_the_others_counted() {
        let servers: Map<String, Value> = (0..5000).map(|n| (format!("s{n}"), json!(n))).collect();
        let found = inspect(&entry(&json!({})), &files(None, Some(json!({"mcpServers": servers}))), None);
        assert_eq!((found.broken, found.servers.len(), found.skipped.len()), (None, 0, MAX_SKIPPED + 1));
        assert_eq!(found.skipped[0], "server `s0` in `.mcp.json` is left out: it is not an object");
        assert_eq!(found.skipped[MAX_SKIPPED], "4900 more things are left out");
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_plugin_is_inspected_within_bounds(
                own in anything::json(),
                plugin in prop::option::of(anything::bytes()),
                mcp in prop::option::of(anything::bytes()),
                named in anything::bytes(),
            ) {
                let fields = own.as_object().cloned().unwrap_or_default();
                let entry = PluginEntry { name: "p".into(), content: Err(String::new()), fields };
                let mut files = Files { plugin_json: plugin, mcp_json: mcp, contents: Some(Vec::new()), ..Files::default() };
                for path in files.missing(&entry) {
                    files.referenced_files.insert(path, named.clone());
                }
                let found = inspect(&entry, &files, None);
                prop_assert!(found.servers.len() <= 200 && found.skipped.len() <= MAX_SKIPPED + 1);
                prop_assert!(found.options.len() <= 64);
                let told = found.skipped.iter().chain(&found.broken);
                prop_assert!(told.clone().all(|line| is_line(line)), "{:?}", told.collect::<Vec<_>>());
                let mut names = std::collections::HashSet::new();
                for server in &found.servers {
                    prop_assert!(names.insert(&server.name));
                    // What is shown before an install has no line that hides another.
                    let shown = server.details().into_iter().chain([server.target()]);
                    prop_assert!(shown.clone().all(|line| is_line(&line)), "{:?}", shown.collect::<Vec<_>>());
                    let _ = server.referenced_names();
                }
                for option in found.options.values() {
                    prop_assert!(is_line(&option.title));
                }
            }
        }
    }
}
