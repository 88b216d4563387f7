//! `${…}` in server declarations.
//!
//! Claude Code expands `${VAR}` and `${VAR:-default}` when it loads `mcp.json`; those stay. `${secret:NAME}` is aiw's
//! own: a secret of the vault, which only aiw resolves.
//! `${CLAUDE_PLUGIN_ROOT}`, `${CLAUDE_PLUGIN_DATA}` and `${user_config.x}` mean nothing
//! outside a plugin: they are resolved at install. Agent Plugins (1.1, section 9) has the first two without `CLAUDE_`.
//! What a script in `sh -c` sets itself is the shell's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use aiw_core::{EnvName, Secret, SecretName};
use serde_json::{Map, Value};

use crate::Transport;

/// The plugin's own directory.
pub const PLUGIN_ROOT: &str = "CLAUDE_PLUGIN_ROOT";
/// The directory that the plugin may write to.
pub const PLUGIN_DATA: &str = "CLAUDE_PLUGIN_DATA";
/// The same directories, as Agent Plugins names them.
const AGENT_PLUGIN_ROOT: &str = "PLUGIN_ROOT";
const AGENT_PLUGIN_DATA: &str = "PLUGIN_DATA";
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
const SECRET_REFERENCE_PREFIX: &str = "secret:";

enum TextPart<'a> {
    Text(&'a str),
    Placeholder { whole: &'a str, what: Placeholder<'a> },
}

/// Splits text into literal pieces and placeholders. What only looks like a placeholder is literal.
fn pieces(text: &str) -> Vec<TextPart<'_>> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(start) = text[at..].find("${").map(|i| at + i) {
        let Some(end) = closing(&text[start + 2..]).map(|i| start + 2 + i) else { break };
        let inner = &text[start + 2..end];
        let what = match (inner.strip_prefix("user_config."), inner.strip_prefix(SECRET_REFERENCE_PREFIX)) {
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
                pieces.push(TextPart::Text(&text[from..start]));
                pieces.push(TextPart::Placeholder { whole: &text[start..=end], what });
                from = end + 1;
                from
            }
            None => start + 2,
        };
    }
    pieces.push(TextPart::Text(&text[from..]));
    pieces
}

/// The most levels of placeholders in defaults; deeper ones are text.
const MAX_NESTING_DEPTH: usize = 8;

/// Where the brace is that closes an opened one: behind those of placeholders in it, else the first.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    for (at, _) in text.match_indices(['{', '}']) {
        match text.as_bytes()[at] {
            b'{' if text[..at].ends_with('$') => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    text.find('}')
}

/// Visits the placeholders of a text, and those in their defaults, which may not be needed.
fn each_placeholder(text: &str, depth: usize, visit: &mut impl FnMut(&Placeholder<'_>, usize)) {
    for piece in pieces(text) {
        let TextPart::Placeholder { what, .. } = piece else { continue };
        visit(&what, depth);
        if let Placeholder::Variable { default: Some(default), .. } = &what
            && depth < MAX_NESTING_DEPTH
        {
            each_placeholder(default, depth + 1, visit);
        }
    }
}

/// A script that a declaration gives to a shell, and the variables that it sets itself.
#[derive(Default)]
struct ShellScript {
    text: Option<String>,
    own: BTreeSet<String>,
}

impl ShellScript {
    fn of(declaration: &Map<String, Value>) -> Self {
        const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "ash"];
        let command = declaration.get("command").and_then(Value::as_str).unwrap_or_default();
        let args = declaration.get("args").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_shell = command.rsplit('/').next().is_some_and(|name| SHELLS.contains(&name));
        // `-c`, alone or behind other letters: `-ec`.
        let is_c = |arg: &Value| {
            let letters = arg.as_str().and_then(|arg| arg.strip_prefix('-'));
            letters.is_some_and(|arg| arg.ends_with('c') && arg.bytes().all(|byte| byte.is_ascii_alphabetic()))
        };
        let script = args.iter().position(is_c).filter(|_| is_shell).and_then(|at| args.get(at + 1)?.as_str());
        // What stands in a placeholder may be gone when the server starts: it sets nothing.
        let literal = |text: &str| {
            let pieces = pieces(text).into_iter().map(|piece| match piece {
                TextPart::Text(text) => text,
                TextPart::Placeholder { .. } => "$",
            });
            pieces.collect::<String>()
        };
        script.map_or_else(Self::default, |text| Self { text: Some(text.to_owned()), own: set_in(&literal(text)) })
    }

    /// Whether a variable of a text is the shell's.
    fn has(&self, text: &str, name: &EnvName) -> bool {
        self.text.as_deref() == Some(text) && self.own.contains(name.as_str())
    }
}

/// The variables that a script of a shell sets: `name=`, `for name in` and `read name`.
fn set_in(script: &str) -> BTreeSet<String> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')' | '{' | '`');
    let mut own = BTreeSet::new();
    let mut words = script.split(is_end).filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        let name = match word {
            "for" => words.peek().copied(),
            "read" => {
                while words.peek().is_some_and(|word| word.starts_with('-')) {
                    words.next();
                }
                words.peek().copied()
            }
            word => word.split_once('=').map(|(name, _)| name.strip_suffix('+').unwrap_or(name)),
        };
        own.extend(name.filter(|name| name.parse::<EnvName>().is_ok()).map(str::to_owned));
    }
    own
}

/// Where the placeholders of a text are, in bytes.
pub fn placeholders(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    for piece in pieces(text) {
        match piece {
            TextPart::Text(text) => at += text.len(),
            TextPart::Placeholder { whole, .. } => {
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
pub struct ReferencedNames {
    /// Environment variables, and whether any use has no default.
    pub variables: BTreeMap<EnvName, bool>,
    /// Options of `userConfig`.
    pub options: BTreeSet<String>,
    /// Secrets of the vault.
    pub secrets: BTreeSet<SecretName>,
    /// Whether it names the plugin's own directories.
    pub has_plugin_paths: bool,
}

impl ReferencedNames {
    /// The variables, then the options, each by the name under which the user gives it.
    pub fn names(&self) -> Vec<String> {
        self.variables.keys().map(ToString::to_string).chain(self.options.iter().cloned()).collect()
    }
}

/// Lists what a declaration reads.
pub fn referenced_names(declaration: &Map<String, Value>) -> ReferencedNames {
    let mut reads = ReferencedNames::default();
    let script = ShellScript::of(declaration);
    let mut visit = |text: &str| {
        each_placeholder(text, 0, &mut |what, depth| match what {
            Placeholder::Variable { name, default } => match name.as_str() {
                PLUGIN_ROOT | PLUGIN_DATA | AGENT_PLUGIN_ROOT | AGENT_PLUGIN_DATA => reads.has_plugin_paths = true,
                PROJECT_DIR => {}
                _ if script.has(text, name) => {}
                _ => *reads.variables.entry(name.clone()).or_default() |= default.is_none() && depth == 0,
            },
            Placeholder::Option(option) => drop(reads.options.insert((*option).to_owned())),
            Placeholder::Secret(name) => drop(reads.secrets.insert(name.clone())),
        });
    };
    declaration.values().for_each(|value| each_text(value, &mut visit));
    reads
}

/// The reference to a secret of the vault, as declarations contain it: `${secret:NAME}`.
pub fn secret_reference(name: &SecretName) -> String {
    format!("${{{SECRET_REFERENCE_PREFIX}{name}}}")
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
pub struct MissingValues {
    /// Variables without a value or a default.
    pub variables: BTreeSet<EnvName>,
    /// Secrets that are not in the vault, or can't be read.
    pub secrets: BTreeSet<SecretName>,
}

/// The secrets that a text names.
fn secrets_of(text: &str) -> Vec<SecretName> {
    let mut secrets = Vec::new();
    if text.contains(SECRET_REFERENCE_PREFIX) {
        each_placeholder(text, 0, &mut |what, _| match what {
            Placeholder::Secret(name) => secrets.push(name.clone()),
            Placeholder::Variable { .. } | Placeholder::Option(_) => {}
        });
    }
    secrets
}

/// A declaration with every `${VAR}`, `${VAR:-default}` and `${secret:NAME}` replaced by what `lookup` returns, ready
/// to start a server with. As in a shell, the default applies if there is no value or an empty one. A value is never
/// read for placeholders itself. The result may contain secrets: don't print it.
///
/// # Errors
///
/// The variables that have neither a value nor a default, and the secrets that are absent.
pub fn expand(
    declaration: &Map<String, Value>,
    lookup: &impl ValueLookup,
) -> Result<Map<String, Value>, MissingValues> {
    let mut expansion = Expansion { lookup, script: ShellScript::of(declaration), absent: MissingValues::default() };
    let expanded = declaration.iter().map(|(key, value)| (key.clone(), expansion.value(value))).collect();
    if expansion.absent == MissingValues::default() { Ok(expanded) } else { Err(expansion.absent) }
}

/// The placeholders of a declaration, as they are replaced.
struct Expansion<'a, L> {
    lookup: &'a L,
    script: ShellScript,
    absent: MissingValues,
}

impl<L: ValueLookup> Expansion<'_, L> {
    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text, text, 0)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), self.value(v))).collect::<Map<_, _>>().into(),
            other => other.clone(),
        }
    }

    /// Replaces the placeholders of a part of a text.
    fn text(&mut self, part: &str, whole_text: &str, depth: usize) -> String {
        let mut result = String::with_capacity(part.len());
        for piece in pieces(part) {
            match piece {
                TextPart::Text(text) | TextPart::Placeholder { whole: text, what: Placeholder::Option(_) } => {
                    result.push_str(text);
                }
                TextPart::Placeholder { whole, what: Placeholder::Variable { name, .. } }
                    if self.script.has(whole_text, &name) =>
                {
                    result.push_str(whole);
                }
                TextPart::Placeholder { what: Placeholder::Variable { name, default }, .. } => {
                    match (self.lookup.variable(&name), default) {
                        (Some(found), _) if !found.is_empty() => result.push_str(&found),
                        (_, Some(default)) if depth < MAX_NESTING_DEPTH => {
                            result.push_str(&self.text(default, whole_text, depth + 1));
                        }
                        (_, Some(default)) => result.push_str(default),
                        (Some(empty), None) => result.push_str(&empty),
                        (None, None) => drop(self.absent.variables.insert(name)),
                    }
                }
                // In a default it is text: entries were accepted when nothing was looked for there.
                TextPart::Placeholder { whole, what: Placeholder::Secret(_) } if depth > 0 => result.push_str(whole),
                TextPart::Placeholder { what: Placeholder::Secret(name), .. } => match self.lookup.secret(&name) {
                    Some(secret) => result.push_str(secret.expose()),
                    None => drop(self.absent.secrets.insert(name)),
                },
            }
        }
        result
    }
}

/// The replacement of a variable or option after the install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// `${NAME}`: read from the environment when the client starts.
    Reference(EnvName),
    /// `${secret:NAME}`: a secret of the vault.
    Secret(SecretName),
    /// A plain value, never a secret.
    Literal(String),
}

impl Replacement {
    /// Reads what the user typed: `${NAME}` and `${secret:NAME}` are references.
    pub fn parse(text: &str) -> Self {
        let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let reference = name.and_then(|name| match name.strip_prefix(SECRET_REFERENCE_PREFIX) {
            Some(secret) => secret.parse().ok().map(Self::Secret),
            None => name.parse().ok().map(Self::Reference),
        });
        reference.unwrap_or_else(|| Self::Literal(text.to_owned()))
    }

    /// Whether it names where the value is.
    pub fn is_reference(&self) -> bool {
        !matches!(self, Self::Literal(_))
    }
}

impl std::fmt::Display for Replacement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reference(name) => write!(f, "${{{name}}}"),
            Self::Secret(name) => f.write_str(&secret_reference(name)),
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
    pub variables: BTreeMap<EnvName, Replacement>,
    /// Given options.
    pub options: BTreeMap<String, Replacement>,
}

impl Values {
    fn text(&self, text: &str, script: &ShellScript) -> String {
        let result = self.part(text, text, script, 0);
        // `${secret:${user_config.x}}`: a reference must not be assembled from parts that the user was not shown.
        let given = self.variables.values().chain(self.options.values());
        let given: BTreeSet<SecretName> = given.flat_map(|given| secrets_of(&given.to_string())).collect();
        if secrets_of(&result).iter().all(|name| given.contains(name)) { result } else { text.to_owned() }
    }

    /// Replaces the placeholders of a part of a text.
    fn part(&self, part: &str, text: &str, script: &ShellScript, depth: usize) -> String {
        let mut result = String::with_capacity(part.len());
        for piece in pieces(part) {
            match piece {
                TextPart::Text(text) => result.push_str(text),
                TextPart::Placeholder { whole, what } => match what {
                    Placeholder::Variable { name, default } => match (name.as_str(), self.variables.get(&name)) {
                        (PLUGIN_ROOT | AGENT_PLUGIN_ROOT, _) => result.push_str(&self.root),
                        (PLUGIN_DATA | AGENT_PLUGIN_DATA, _) => result.push_str(&self.data),
                        _ if script.has(text, &name) => result.push_str(whole),
                        (_, None) => match default.filter(|_| depth < MAX_NESTING_DEPTH) {
                            Some(default) => {
                                let default = self.part(default, text, script, depth + 1);
                                result.push_str(&format!("${{{name}:-{default}}}"));
                            }
                            None => result.push_str(whole),
                        },
                        (_, Some(given)) if given.is_reference() => result.push_str(&given.to_string()),
                        // As a default: the environment may still say otherwise.
                        (_, Some(Replacement::Literal(value))) if !value.contains(['}', '$']) => {
                            result.push_str(&format!("${{{name}:-{value}}}"));
                        }
                        (_, Some(given)) => result.push_str(&given.to_string()),
                    },
                    Placeholder::Option(option) => match self.options.get(option) {
                        Some(given) => result.push_str(&given.to_string()),
                        None => match option_variable(option) {
                            Some(name) => result.push_str(&format!("${{{name}}}")),
                            None => result.push_str(whole),
                        },
                    },
                    Placeholder::Secret(_) => result.push_str(whole),
                },
            }
        }
        result
    }

    fn value(&self, value: &Value, script: &ShellScript) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text, script)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item, script)).collect()),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(key, value)| (key.clone(), self.value(value, script))).collect())
            }
            other => other.clone(),
        }
    }

    /// Returns the entry that the user would write for the same server, without the plugin's variables.
    pub fn plain_entry(&self, declaration: &Map<String, Value>, transport: Transport) -> Value {
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
        let script = ShellScript::of(declaration);
        let mut entry: Map<String, Value> =
            declaration.iter().map(|(key, value)| (key.clone(), self.value(value, &script))).collect();
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
    fn placeholders_in_defaults_are_replaced() {
        let values = Values { root: "/r".into(), data: "/d".into(), ..Values::default() };
        let given = map(
            &json!({"command": "x", "args": ["${DIR:-${HOME}/.tools}", "${DIR:-${PLUGIN_ROOT}/x}", "${A:-${B:-c}}}"]}),
        );
        let reads = referenced_names(&given);
        let variables: Vec<_> = reads.variables.iter().map(|(name, required)| (name.as_str(), *required)).collect();
        assert_eq!(variables, [("A", false), ("B", false), ("DIR", false), ("HOME", false)]);
        assert!(reads.has_plugin_paths);
        let entry = map(&values.plain_entry(&given, Transport::Stdio));
        assert_eq!(entry["args"], json!(["${DIR:-${HOME}/.tools}", "${DIR:-/r/x}", "${A:-${B:-c}}}"]));
        let home = |name: &EnvName| (name.as_str() == "HOME").then(|| "/home/me".to_owned());
        assert_eq!(expand(&entry, &home).unwrap()["args"], json!(["/home/me/.tools", "/r/x", "c}"]));
        let dir = |name: &EnvName| (name.as_str() == "DIR").then(|| "/opt/t".to_owned());
        assert_eq!(expand(&entry, &dir).unwrap()["args"], json!(["/opt/t", "/opt/t", "c}"]));
        let none = |_: &EnvName| None::<String>;
        assert_eq!(
            expand(&entry, &none).unwrap_err().variables.iter().map(EnvName::as_str).collect::<Vec<_>>(),
            ["HOME"]
        );
    }

    #[test]
    fn a_secret_in_a_default_is_text() {
        struct Vault;
        impl ValueLookup for Vault {
            fn variable(&self, _: &EnvName) -> Option<String> {
                None
            }
            fn secret(&self, _: &SecretName) -> Option<Secret> {
                Some(Secret::new("hunter2".to_owned()))
            }
        }
        let given = map(&json!({"args": ["${A:-${secret:github}}", "${A:-${B:-${secret:github}}}"]}));
        assert_eq!(referenced_names(&given).secrets.len(), 1);
        assert_eq!(expand(&given, &Vault).unwrap()["args"], json!(["${secret:github}", "${secret:github}"]));
    }

    #[test]
    fn what_a_script_of_a_shell_sets_is_the_shells() {
        let script = "base=\"${CLAUDE_PLUGIN_ROOT}\"; for f in a b; do [ -r \"${base}/${f}\" ] && read -r line && exec ${line} ${KEY}; done";
        let given = map(&json!({"command": "/bin/sh", "args": ["-ec", script], "env": {"X": "${base}"}}));
        let names: Vec<String> = referenced_names(&given).names();
        assert_eq!(names, ["KEY", "base"]);
        let values = Values { root: "/r".into(), ..Values::default() };
        let entry = map(&values.plain_entry(&given, Transport::Stdio));
        let filled = script.replace("${CLAUDE_PLUGIN_ROOT}", "/r");
        assert_eq!(entry["args"][1], filled);
        let all = |name: &EnvName| Some(format!("<{name}>"));
        let started = expand(&entry, &all).unwrap();
        assert_eq!(
            (&started["args"][1], &started["env"]["X"]),
            (&json!(filled.replace("${KEY}", "<KEY>")), &json!("<base>"))
        );
        // What is set in a placeholder is not set when the script runs.
        let hidden = "exec x $CLAUDE_PLUGIN_ROOT ${PLUGIN_ROOT:-;MY_KEY=} ${MY_KEY}";
        let given = map(&json!({"command": "sh", "args": ["-c", hidden]}));
        assert_eq!(referenced_names(&given).names(), ["MY_KEY"]);
        // Only a shell has variables of its own.
        let other = map(&json!({"command": "node", "args": ["-c", "f=1; ${f}"]}));
        assert_eq!(referenced_names(&other).names(), ["f"]);
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
        let reads = referenced_names(&declaration);
        assert!(reads.has_plugin_paths);
        let variables: Vec<_> = reads.variables.iter().map(|(name, needed)| (name.as_str(), *needed)).collect();
        assert_eq!(variables, [("A", true), ("B", false)]);
    }

    #[test]
    fn given_values_become_references_or_defaults() {
        let mut values = Values::default();
        values.variables.insert("A".parse().unwrap(), Replacement::parse("${OTHER}"));
        values.variables.insert("B".parse().unwrap(), Replacement::parse("eu"));
        values.variables.insert("C".parse().unwrap(), Replacement::parse("a}b"));
        values.options.insert("host".into(), Replacement::parse("h"));
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
        assert_eq!(referenced_names(&given).secrets.iter().map(SecretName::as_str).collect::<Vec<_>>(), ["github"]);
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
        values.options.insert("x".into(), Replacement::parse("openrouter"));
        values.options.insert("y".into(), Replacement::parse("{secret:openrouter}"));
        values.variables.insert("MINE".parse().unwrap(), Replacement::parse("${secret:github}"));
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
                    TextPart::Text(text) => *text,
                    TextPart::Placeholder { whole, .. } => *whole,
                }).collect();
                prop_assert_eq!(back, text);
            }
        }
    }
}
