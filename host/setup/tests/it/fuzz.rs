//! Whatever a configuration looks like, setup adds to it and undo gives it back byte for byte.

use proptest::prelude::*;
use proptest::{collection, sample};

use aiw_setup::{SetupOptions, SetupScope, client};

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
    let servers = || prop_oneof![6 => object(&["a", "b", "c", "odd name", "aiw"], value()), 1 => value()];
    let part = (blank(), blank(), servers(), blank());
    let parts =
        ((part, sample::select(vec!["mcpServers", "servers"])), object(&["mcpServers", "x", "servers"], servers()));
    (any::<bool>(), blank(), parts, blank(), 0..3).prop_map(|(bom, a, (((b, c, servers, d), key), other), e, which)| {
        let whole = match which {
            0 => other,
            1 => format!("{{{b}\"{key}\"{c}:{servers}{d}}}"),
            _ => format!("{{{b}\"y\":{other},{a}\"{key}\"{c}:{servers}{d},{e}\"z\": [1]{b}}}"),
        };
        format!("{}{a}{whole}{e}", if bom { "\u{feff}" } else { "" })
    })
}

/// Tables that may stand in any order, after lines that have to come first.
fn toml() -> impl Strategy<Value = String> {
    let first = sample::subsequence(
        vec![
            "# [mcp_servers.x]",
            "model = \"m\" # mine",
            "",
            "text = '''\n[mcp_servers.x]\n'''",
            "when = 1979-05-27T07:32:00Z",
            "mcp_servers.four.command = \"u\"",
        ],
        0..=6,
    );
    let tables = vec![
        "[features]\na = 1_000.50\n",
        "[mcp_servers.one]\ncommand = \"a\" # b\nargs = [\"x\",\n  # in it\n  'y',\n]\n",
        "[mcp_servers.one.env]\n# the key\nA_TOKEN = \"sk-1\"\n",
        "[ mcp_servers . \"two\" ] # 2\nurl = \"https://h\"\nhttp_headers = { A = \"b\" }\ntool_timeout_sec = 5",
        "[[list]]\nb = 1",
        "[[list]]\n\n",
        "[mcp_servers.three]\ncommand = \"c\"\nenv.B_KEY = \"sk-2\"\nenabled = false",
        "\n# about five\n[mcp_servers.five]\ncommand = \"c\"\nenv_vars = [\"V\"]",
    ];
    let tables = sample::subsequence(tables, 0..=8).prop_shuffle();
    (first, tables, any::<bool>(), any::<bool>()).prop_map(|(first, tables, crlf, end)| {
        let newline = if crlf { "\r\n" } else { "\n" };
        [first, tables].concat().join("\n").replace('\n', newline) + if end { newline } else { "" }
    })
}

/// Whether a text is another with insertions only.
fn only_adds(old: &str, new: &str) -> bool {
    let mut new = new.chars();
    old.chars().all(|c| new.any(|other| other == c))
}

fn check(id: &str, before: &str, options: SetupOptions) -> Result<bool, TestCaseError> {
    let world = World::new();
    let path = world.write(id, before);
    let Ok(plan) = world.setup.plan(client(id).unwrap(), &SetupScope::User, &options) else { return Ok(false) };
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
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn json_is_given_back(text in json(), import in any::<bool>(), approve_calls in any::<bool>()) {
        for id in ["cursor", "vscode", "gemini"] {
            check(id, &text, SetupOptions { import, approve_calls })?;
        }
    }

    #[test]
    fn toml_is_given_back(text in toml(), import in any::<bool>(), approve_calls in any::<bool>()) {
        check("codex", &text, SetupOptions { import, approve_calls })?;
    }
}
