//! `${…}` in server declarations.
//!
//! Claude Code expands `${VAR}` and `${VAR:-default}` when it loads `mcp.json`; those stay. `${secret:NAME}` is aiw's
//! own: a secret of the vault, which only aiw resolves.
//! `${CLAUDE_PLUGIN_ROOT}`, `${CLAUDE_PLUGIN_DATA}` and `${user_config.x}` mean nothing
//! outside a plugin: they are resolved at install.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use aiw_core::{EnvName, Secret, SecretName};
use serde_json::{Map, Value};

use crate::Transport;

/// The plugin's own directory.
pub const PLUGIN_ROOT: &str = "CLAUDE_PLUGIN_ROOT";
/// The directory that the plugin may write to.
pub const PLUGIN_DATA: &str = "CLAUDE_PLUGIN_DATA";
/// Set by the client itself.
const PROJECT_DIR: &str = "CLAUDE_PROJECT_DIR";

/// The value that one placeholder asks for.
#[derive(Debug, PartialEq)]
enum Placeholder<'a> {
    Variable { name: EnvName, default: Option<&'a str> },
    Option(&'a str),
    Secret(SecretName),
}

/// The beginning of a reference to the vault, after `${`.
const SECRET: &str = "secret:";

enum TextPiece<'a> {
    Text(&'a str),
    Placeholder { whole: &'a str, what: Placeholder<'a> },
}

/// Splits text into literal pieces and placeholders. What only looks like a placeholder is literal.
fn pieces(text: &str) -> Vec<TextPiece<'_>> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(start) = text[at..].find("${").map(|i| at + i) {
        let Some(end) = text[start..].find('}').map(|i| start + i) else { break };
        let inner = &text[start + 2..end];
        let what = match (inner.strip_prefix("user_config."), inner.strip_prefix(SECRET)) {
            (Some(option), _) if is_option_name(option) => Some(Placeholder::Option(option)),
            (Some(_), _) => None,
            (None, Some(secret)) => secret.parse().ok().map(Placeholder::Secret),
            (None, None) => {
                let (name, default) = match inner.split_once(":-") {
                    Some((name, default)) => (name, Some(default)),
                    None => (inner, None),
                };
                name.parse().ok().map(|name| Placeholder::Variable { name, default })
            }
        };
        at = match what {
            Some(what) => {
                pieces.push(TextPiece::Text(&text[from..start]));
                pieces.push(TextPiece::Placeholder { whole: &text[start..=end], what });
                from = end + 1;
                from
            }
            None => start + 2,
        };
    }
    pieces.push(TextPiece::Text(&text[from..]));
    pieces
}

/// Where the placeholders of a text are, in bytes.
pub fn placeholders(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    for piece in pieces(text) {
        match piece {
            TextPiece::Text(text) => at += text.len(),
            TextPiece::Placeholder { whole, .. } => {
                found.push(at..at + whole.len());
                at += whole.len();
            }
        }
    }
    found
}

/// A name that can be shown and typed; anything else is text.
fn is_option_name(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn each_text(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, visit)),
        Value::Object(map) => map.values().for_each(|item| each_text(item, visit)),
        _ => {}
    }
}

/// The names that a declaration reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reads {
    /// Environment variables, and whether any use has no default.
    pub variables: BTreeMap<EnvName, bool>,
    /// Options of `userConfig`.
    pub options: BTreeSet<String>,
    /// Secrets of the vault.
    pub secrets: BTreeSet<SecretName>,
    /// Whether it names the plugin's own directories.
    pub own_tree: bool,
}

impl Reads {
    /// The variables, then the options, each by the name under which the user gives it.
    pub fn names(&self) -> Vec<String> {
        self.variables.keys().map(ToString::to_string).chain(self.options.iter().cloned()).collect()
    }
}

/// Lists what a declaration reads.
pub fn reads(declaration: &Map<String, Value>) -> Reads {
    let mut reads = Reads::default();
    let mut visit = |text: &str| {
        for piece in pieces(text) {
            match piece {
                TextPiece::Placeholder { what: Placeholder::Variable { name, default }, .. } => match name.as_str() {
                    PLUGIN_ROOT | PLUGIN_DATA => reads.own_tree = true,
                    PROJECT_DIR => {}
                    _ => *reads.variables.entry(name).or_default() |= default.is_none(),
                },
                TextPiece::Placeholder { what: Placeholder::Option(option), .. } => {
                    reads.options.insert(option.to_owned());
                }
                TextPiece::Placeholder { what: Placeholder::Secret(name), .. } => drop(reads.secrets.insert(name)),
                TextPiece::Text(_) => {}
            }
        }
    };
    declaration.values().for_each(|value| each_text(value, &mut visit));
    reads
}

/// The reference to a secret of the vault, as declarations contain it: `${secret:NAME}`.
pub fn secret_reference(name: &SecretName) -> String {
    format!("${{{SECRET}{name}}}")
}

/// Where the values of placeholders come from when a server starts. A function of a variable's name knows no secrets.
pub trait ValueLookup {
    /// The value of a variable.
    fn variable(&self, name: &EnvName) -> Option<String>;

    /// A secret of the vault.
    fn secret(&self, _name: &SecretName) -> Option<Secret> {
        None
    }
}

impl<F: Fn(&EnvName) -> Option<String>> ValueLookup for F {
    fn variable(&self, name: &EnvName) -> Option<String> {
        self(name)
    }
}

/// The names that a declaration reads and that have no value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Absent {
    /// Variables without a value or a default.
    pub variables: BTreeSet<EnvName>,
    /// Secrets that are not in the vault, or can't be read.
    pub secrets: BTreeSet<SecretName>,
}

/// The secrets that a text names.
fn secrets_of(text: &str) -> Vec<SecretName> {
    let name = |piece| match piece {
        TextPiece::Placeholder { what: Placeholder::Secret(name), .. } => Some(name),
        _ => None,
    };
    if text.contains(SECRET) { pieces(text).into_iter().filter_map(name).collect() } else { Vec::new() }
}

/// A declaration with every `${VAR}`, `${VAR:-default}` and `${secret:NAME}` replaced by what `lookup` returns, ready
/// to start a server with. As in a shell, the default applies if there is no value or an empty one. A value is never
/// read for placeholders itself. The result may contain secrets: don't print it.
///
/// # Errors
///
/// The variables that have neither a value nor a default, and the secrets that are absent.
pub fn expand(declaration: &Map<String, Value>, lookup: &impl ValueLookup) -> Result<Map<String, Value>, Absent> {
    let mut absent = Absent::default();
    let expanded = declaration.iter().map(|(k, v)| (k.clone(), expanded(v, lookup, &mut absent))).collect();
    if absent == Absent::default() { Ok(expanded) } else { Err(absent) }
}

fn expanded(text: &Value, lookup: &impl ValueLookup, absent: &mut Absent) -> Value {
    match text {
        Value::String(text) => {
            let mut result = String::with_capacity(text.len());
            for piece in pieces(text) {
                match piece {
                    TextPiece::Text(text) | TextPiece::Placeholder { whole: text, what: Placeholder::Option(_) } => {
                        result.push_str(text);
                    }
                    TextPiece::Placeholder { what: Placeholder::Variable { name, default }, .. } => {
                        match (lookup.variable(&name), default) {
                            (Some(found), _) if !found.is_empty() => result.push_str(&found),
                            (_, Some(default)) => result.push_str(default),
                            (Some(empty), None) => result.push_str(&empty),
                            (None, None) => drop(absent.variables.insert(name)),
                        }
                    }
                    TextPiece::Placeholder { what: Placeholder::Secret(name), .. } => match lookup.secret(&name) {
                        Some(secret) => result.push_str(secret.expose()),
                        None => drop(absent.secrets.insert(name)),
                    },
                }
            }
            Value::String(result)
        }
        Value::Array(items) => items.iter().map(|item| expanded(item, lookup, absent)).collect(),
        Value::Object(map) => {
            map.iter().map(|(k, v)| (k.clone(), expanded(v, lookup, absent))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// The replacement of a variable or option after the install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// `${NAME}`: read from the environment when the client starts.
    Reference(EnvName),
    /// A plain value, never a secret.
    Literal(String),
}

impl Given {
    /// Reads what the user typed: `${NAME}` is a reference.
    pub fn parse(text: &str) -> Self {
        let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).and_then(|name| name.parse().ok());
        name.map_or_else(|| Self::Literal(text.to_owned()), Self::Reference)
    }
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reference(name) => write!(f, "${{{name}}}"),
            Self::Literal(text) => f.write_str(text),
        }
    }
}

/// The variable in which Claude Code passes an option to a plugin's processes.
pub fn option_variable(option: &str) -> Option<EnvName> {
    let upper: String =
        option.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("CLAUDE_PLUGIN_OPTION_{upper}").parse().ok()
}

/// The values of placeholders.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// The plugin's directory.
    pub root: String,
    /// Its data directory.
    pub data: String,
    /// Given variables.
    pub variables: BTreeMap<EnvName, Given>,
    /// Given options.
    pub options: BTreeMap<String, Given>,
}

impl Values {
    fn text(&self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                TextPiece::Text(text) => result.push_str(text),
                TextPiece::Placeholder { whole, what } => match what {
                    Placeholder::Variable { name, .. } => match (name.as_str(), self.variables.get(&name)) {
                        (PLUGIN_ROOT, _) => result.push_str(&self.root),
                        (PLUGIN_DATA, _) => result.push_str(&self.data),
                        (_, None) => result.push_str(whole),
                        (_, Some(Given::Reference(other))) => result.push_str(&format!("${{{other}}}")),
                        // As a default: the environment may still say otherwise.
                        (_, Some(Given::Literal(value))) if !value.contains(['}', '$']) => {
                            result.push_str(&format!("${{{name}:-{value}}}"));
                        }
                        (_, Some(Given::Literal(value))) => result.push_str(value),
                    },
                    Placeholder::Option(option) => match self.options.get(option) {
                        Some(Given::Literal(value)) => result.push_str(value),
                        Some(Given::Reference(name)) => result.push_str(&format!("${{{name}}}")),
                        None => match option_variable(option) {
                            Some(name) => result.push_str(&format!("${{{name}}}")),
                            None => result.push_str(whole),
                        },
                    },
                    Placeholder::Secret(_) => result.push_str(whole),
                },
            }
        }
        // `${secret:${user_config.x}}`: a reference must not be assembled from parts that the user was not shown.
        let given = self.variables.values().chain(self.options.values());
        let given: BTreeSet<SecretName> = given.flat_map(|given| secrets_of(&given.to_string())).collect();
        if secrets_of(&result).iter().all(|name| given.contains(name)) { result } else { text.to_owned() }
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), self.value(v))).collect()),
            other => other.clone(),
        }
    }

    /// Returns the entry that the user would write for the same server, without the plugin's variables.
    pub fn plain(&self, declaration: &Map<String, Value>, transport: Transport) -> Value {
        let mut entry = self.resolve(declaration, transport);
        if !declaration.contains_key("env")
            && let Value::Object(entry) = &mut entry
        {
            entry.shift_remove("env");
        }
        entry
    }

    /// The entry for `mcp.json`: placeholders resolved; a process also gets the plugin's
    /// directories as variables, as Claude Code gives them to a plugin's processes.
    pub fn resolve(&self, declaration: &Map<String, Value>, transport: Transport) -> Value {
        let mut entry: Map<String, Value> = declaration.iter().map(|(k, v)| (k.clone(), self.value(v))).collect();
        if transport == Transport::Stdio {
            let env = entry.entry("env").or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(env) = env {
                for (name, value) in [(PLUGIN_ROOT, &self.root), (PLUGIN_DATA, &self.data)] {
                    env.entry(name).or_insert_with(|| value.clone().into());
                }
            }
        } else {
            // `streamable-http` is the registry's term; not every client reads a missing type as http.
            entry.shift_insert(0, "type".into(), transport.as_str().into());
        }
        Value::Object(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn plugin_variables_are_resolved_and_the_rest_stays() {
        let values = Values { root: "/r".into(), data: "/d".into(), ..Values::default() };
        let declaration = map(
            &json!({"command": "${CLAUDE_PLUGIN_ROOT}/run", "args": ["${A}", "${B:-}", "$C", "${not a name}", "${D"],
            "env": {"E": "${CLAUDE_PLUGIN_DATA}/db"}, "odd": {"x": "${CLAUDE_PLUGIN_ROOT}"}}),
        );
        assert_eq!(
            values.resolve(&declaration, Transport::Stdio),
            json!({"command": "/r/run", "args": ["${A}", "${B:-}", "$C", "${not a name}", "${D"],
                "env": {"E": "/d/db", "CLAUDE_PLUGIN_ROOT": "/r", "CLAUDE_PLUGIN_DATA": "/d"}, "odd": {"x": "/r"}})
        );
        let reads = reads(&declaration);
        assert!(reads.own_tree);
        let variables: Vec<_> = reads.variables.iter().map(|(name, needed)| (name.as_str(), *needed)).collect();
        assert_eq!(variables, [("A", true), ("B", false)]);
    }

    #[test]
    fn given_values_become_references_or_defaults() {
        let mut values = Values::default();
        values.variables.insert("A".parse().unwrap(), Given::parse("${OTHER}"));
        values.variables.insert("B".parse().unwrap(), Given::parse("eu"));
        values.variables.insert("C".parse().unwrap(), Given::parse("a}b"));
        values.options.insert("host".into(), Given::parse("h"));
        let declaration =
            map(&json!({"type": "streamable-http", "url": "https://${user_config.host}/${user_config.pass-word}",
            "headers": {"x": "${A} ${B} ${C} ${B:-us}"}}));
        assert_eq!(
            values.resolve(&declaration, Transport::Http),
            json!({"type": "http", "url": "https://h/${CLAUDE_PLUGIN_OPTION_PASS_WORD}",
                "headers": {"x": "${OTHER} ${B:-eu} a}b ${B:-eu}"}})
        );
    }

    #[test]
    fn what_a_server_is_started_with_holds_no_placeholder_and_what_is_missing_is_named() {
        let value = |name: &EnvName| match name.as_str() {
            "A" => Some("a$ {B}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let given =
            map(&json!({"command": "x", "args": ["${A}-${EMPTY:-e}-${NONE:-}", "${EMPTY}", "$A ${ }"], "n": 1}));
        let wanted = map(&json!({"command": "x", "args": ["a$ {B}-e-", "", "$A ${ }"], "n": 1}));
        assert_eq!(expand(&given, &value), Ok(wanted));
        let absent = expand(&map(&json!({"env": {"X": "${B} ${A}"}, "url": "${C}"})), &value).unwrap_err();
        assert_eq!(absent.variables.iter().map(EnvName::as_str).collect::<Vec<_>>(), ["B", "C"]);
    }

    struct Vault;

    impl ValueLookup for Vault {
        fn variable(&self, _name: &EnvName) -> Option<String> {
            Some("${secret:github}".into())
        }

        fn secret(&self, name: &SecretName) -> Option<Secret> {
            (name.as_str() == "github").then(|| Secret::new("${A} ghp_1"))
        }
    }

    #[test]
    fn a_secret_of_the_vault_is_put_in_once_and_only_by_its_whole_name() {
        let given =
            map(&json!({"headers": {"a": "Bearer ${secret:github}", "b": "${A}", "c": "${secret:} ${secret:a b}"}}));
        assert_eq!(
            expand(&given, &Vault),
            Ok(map(&json!({"headers": {
                // Values are not substituted again, so a variable can't reach a secret.
                "a": "Bearer ${A} ghp_1", "b": "${secret:github}", "c": "${secret:} ${secret:a b}"
            }})))
        );
        assert_eq!(reads(&given).secrets.iter().map(SecretName::as_str).collect::<Vec<_>>(), ["github"]);
        let none = map(&json!({"env": {"X": "${secret:gitlab}"}}));
        assert_eq!(expand(&none, &Vault).unwrap_err().secrets.first().map(SecretName::as_str), Some("gitlab"));
        // A function knows no secrets.
        assert!(expand(&given, &|_: &EnvName| Some(String::new())).is_err());
        let name: SecretName = "github".parse().unwrap();
        assert_eq!(secret_reference(&name), "${secret:github}");
    }

    #[test]
    fn an_install_resolves_no_reference_that_the_user_did_not_write() {
        let mut values = Values::default();
        values.options.insert("x".into(), Given::parse("openrouter"));
        values.options.insert("y".into(), Given::parse("{secret:openrouter}"));
        values.variables.insert("MINE".parse().unwrap(), Given::parse("${secret:github}"));
        let given = map(&json!({"env": {
            "A": "${secret:${user_config.x}}", "B": "$${user_config.y}", "C": "${secret:${user_config.x}", "D": "${MINE}"
        }}));
        let resolved = values.resolve(&given, Transport::Http);
        assert_eq!(
            resolved["env"],
            json!({
                "A": "${secret:${user_config.x}}", "B": "$${user_config.y}", "C": "${secret:openrouter", "D": "${secret:github}"
            })
        );
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn cutting_loses_nothing(text in "[${}:a-zA-Z_.é-]{0,40}") {
                let back: String = pieces(&text).iter().map(|piece| match piece {
                    TextPiece::Text(text) => *text,
                    TextPiece::Placeholder { whole, .. } => *whole,
                }).collect();
                prop_assert_eq!(back, text);
            }
        }
    }
}
