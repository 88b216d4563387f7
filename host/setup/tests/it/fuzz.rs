//! Whatever a configuration looks like, setup adds to it and undo gives it back byte for byte.

use proptest::prelude::*;
use proptest::{collection, sample};

use aiw_setup::{Options, Scope, client};

use crate::world::World;

/// Parts of JSON that people write around values.
fn blank() -> impl Strategy<Value = &'static str> {
    sample::select(vec!["", " ", "\n  ", "\r\n\t", " // a, } \"\n", "/* b */", "\n\n"])
}

fn value() -> impl Strategy<Value = String> {
    let server = sample::select(vec![
        r#"{"command": "x"}"#,
        r#"{"command":"y","args":["-a", "b"],"env":{"A_KEY":"sk-1", "B":"${env:C}"}}"#,
        "{ \"type\": \"http\", \"url\": \"https://h/mcp\", // far\n \"headers\": {\"Authorization\": \"Bearer sk-2\"} }",
        r#"{"type": "sse", "url": "https://h"}"#,
        r#"{"command": "aiw", "args": ["mcp", "serve"]}"#,
        "[1, 2.50, {\"x\": null}]",
        "\"text, // {\"",
    ]);
    server.prop_map(str::to_owned)
}

fn object(names: &'static [&'static str], value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let part = (blank(), sample::select(names), blank(), value, blank());
    (collection::vec(part, 0..4), blank(), any::<bool>()).prop_map(|(parts, end, trailing)| {
        let mut seen = Vec::new();
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|part| {
                !seen.contains(&part.1) && {
                    seen.push(part.1);
                    true
                }
            })
            .map(|(a, name, b, value, c)| format!("{a}\"{name}\"{b}:{value}{c}"))
            .collect();
        let comma = if trailing && !parts.is_empty() { "," } else { "" };
        format!("{{{}{comma}{end}}}", parts.join(","))
    })
}

fn json() -> impl Strategy<Value = String> {
    let servers = object(&["a", "b", "aiw", "odd name"], value());
    let whole = object(&["mcpServers", "x", "servers"], prop_oneof![3 => servers, 1 => value()]);
    (any::<bool>(), blank(), whole, blank())
        .prop_map(|(bom, a, whole, b)| format!("{}{a}{whole}{b}", if bom { "\u{feff}" } else { "" }))
}

fn toml() -> impl Strategy<Value = String> {
    let line = sample::select(vec![
        "# [mcp_servers.x]",
        "",
        "[features]",
        "[mcp_servers.one]",
        "[mcp_servers.one.env]",
        "[mcp_servers . \"two\"] # 2",
        "[[list]]",
        "[mcp_servers]",
        "command = \"a\" # b",
        "args = [\"x\",\n  # in it\n  'y',\n]",
        "env = { A_TOKEN = \"sk-1\" }",
        "three = { url = \"https://h\" }",
        "mcp_servers.four.command = \"u\"",
        "text = '''\n[mcp_servers.x]\n'''",
        "when = 1979-05-27T07:32:00Z",
        "mcp_servers = { five = { command = \"c\" } }",
        "A_KEY = \"sk-2\"",
    ]);
    (collection::vec(line, 0..14), any::<bool>(), any::<bool>()).prop_map(|(lines, crlf, end)| {
        let newline = if crlf { "\r\n" } else { "\n" };
        lines.join("\n").replace('\n', newline) + if end { newline } else { "" }
    })
}

/// Whether a text is another with insertions only.
fn only_adds(old: &str, new: &str) -> bool {
    let mut new = new.chars();
    old.chars().all(|c| new.any(|other| other == c))
}

fn check(id: &str, before: &str, options: Options) -> Result<bool, TestCaseError> {
    let world = World::new();
    let path = world.write(id, before);
    let Ok(plan) = world.setup.plan(client(id).unwrap(), &Scope::User, &options) else { return Ok(false) };
    world.setup.apply(&plan).unwrap();
    let now = std::fs::read_to_string(&path).unwrap();
    if !options.import && !before.contains("aiw") {
        prop_assert!(only_adds(before, &now), "{}", now);
    }
    prop_assert!(!world.set_up(id, &options), "not the same twice: {}", now);
    if !plan.is_empty() {
        world.undo(id);
        prop_assert!(!world.home.mcp_path().exists());
    }
    prop_assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn json_is_given_back(text in json(), import in any::<bool>(), approve_calls in any::<bool>()) {
        for id in ["cursor", "vscode", "gemini"] {
            check(id, &text, Options { import, approve_calls })?;
        }
    }

    #[test]
    fn toml_is_given_back(text in toml(), import in any::<bool>(), approve_calls in any::<bool>()) {
        check("codex", &text, Options { import, approve_calls })?;
    }
}
