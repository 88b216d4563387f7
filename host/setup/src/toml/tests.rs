//! Tests of edits that touch nothing else.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn ours() -> Map<String, Value> {
    let value = json!({
        "command": "/x/a\"iw", "args": ["mcp", "serve"], "env": {"AIW_HOME": "/h"},
        "tools": {"list_roles": {"approval_mode": "approve"}}
    });
    value.as_object().unwrap().clone()
}

const OURS: &str = "[mcp_servers.aiw]\ncommand = \"/x/a\\\"iw\"\nargs = [\"mcp\", \"serve\"]\nenv = { AIW_HOME = \"/h\" }\n\n\
                    [mcp_servers.aiw.tools]\nlist_roles = { approval_mode = \"approve\" }\n";

fn set(text: &str) -> String {
    let mut document = Toml::parse(text.as_bytes()).unwrap();
    document.set("mcp_servers", "aiw", &ours()).unwrap();
    String::from_utf8(document.bytes()).unwrap()
}

fn removed(text: &str, key: &str) -> String {
    let mut document = Toml::parse(text.as_bytes()).unwrap();
    assert!(document.remove("mcp_servers", key).unwrap());
    String::from_utf8(document.bytes()).unwrap()
}

#[test]
fn a_table_is_added_at_the_end() {
    assert_eq!(set(""), OURS);
    assert_eq!(set("model = \"x\" # mine"), format!("model = \"x\" # mine\n\n{OURS}"));
    let windows = "\u{feff}[a]\r\nb = 1\r\n";
    assert_eq!(set(windows), format!("{windows}\r\n{}", OURS.replace('\n', "\r\n")));
    let dotted = "mcp_servers.x.command = \"y\"\n";
    assert_eq!(set(dotted), format!("{dotted}\n{OURS}"));
    assert!(
        set("mcp_servers = { x = { command = \"y\" } }\n")
            .starts_with("mcp_servers = { x = { command = \"y\" }, aiw = { ")
    );
    assert!(set("mcp_servers = {}\n").starts_with("mcp_servers = { aiw = { "));
}

#[test]
fn a_table_goes_with_its_own_tables_and_nothing_else() {
    let text = "# top\na = 1\n\n# about x\n[mcp_servers.x] # x\ncommand = \"c\"\nargs = [\n  1, # one\n]\n\n[other]\nz = 1\n\n[mcp_servers.x.env]\nA = \"b\"\n\n[mcp_servers.y]\nurl = \"u\"\n";
    assert_eq!(removed(text, "x"), "# top\na = 1\n\n# about x\n\n[other]\nz = 1\n\n[mcp_servers.y]\nurl = \"u\"\n");
    assert_eq!(removed("a = 1\n\n[mcp_servers.x]\ncommand = \"c\"\n", "x"), "a = 1\n");
    assert_eq!(
        removed("[mcp_servers]\nx = {command = \"a\"}\ny.command = \"z\"\n", "y"),
        "[mcp_servers]\nx = {command = \"a\"}\n"
    );
    let text = "a = 1\n";
    assert_eq!(removed(&set(text), "aiw"), text);
    assert!(Toml::parse(b"mcp_servers = {x = {}}").unwrap().remove("mcp_servers", "x").is_err());
}

#[test]
fn what_is_doubtful_is_refused() {
    for text in ["x", "a = 1\na = 2", "[a]\n[a]", "a = \u{1}"] {
        assert!(Toml::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Toml::parse(b"\xff").is_err());
    assert!(Toml::parse("a=[".repeat(50_000).as_bytes()).is_err());
    assert!(Toml::parse(b"mcp_servers = 1").unwrap().set("mcp_servers", "aiw", &ours()).is_err());
}

/// Configurations as people write them.
fn texts() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("# a comment = [x]"),
        Just(""),
        Just("  "),
        Just("[features]"),
        Just("[mcp_servers.one]"),
        Just("[mcp_servers.one.env]"),
        Just("[ mcp_servers . \"two\" ] # two"),
        Just("[[list]]"),
        Just("[mcp_servers]"),
        Just("command = \"a\" # b"),
        Just("args = [\"x\",\n  # in it\n  'y',\n]"),
        Just("env = { A = \"b\" }"),
        Just("three.command = \"c\""),
        Just("mcp_servers.four.url = \"u\""),
        Just("text = '''\n[mcp_servers.x]\n'''"),
        Just("when = 1979-05-27T07:32:00Z"),
        Just("number = 1_000.50"),
        Just("mcp_servers = { five = { command = \"c\" } }"),
        Just("mcp_servers = {}"),
    ];
    (proptest::collection::vec(line, 0..14), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(lines, crlf, end, bom)| {
            let newline = if crlf { "\r\n" } else { "\n" };
            let text = lines.join("\n").replace('\n', newline);
            format!("{}{text}{}", if bom { BOM } else { "" }, if end { newline } else { "" })
        },
    )
}

fn only_adds(old: &str, new: &str) -> bool {
    let mut new = new.chars();
    old.chars().all(|c| new.any(|other| other == c))
}

mod fuzz {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_is_added_touches_nothing_else_and_goes_again(text in texts()) {
            let Ok(before) = Toml::parse(text.as_bytes()) else { return Ok(()) };
            let mut document = before.clone();
            if document.set("mcp_servers", "aiw", &ours()).is_ok() {
                prop_assert!(only_adds(&text, str::from_utf8(&document.bytes()).unwrap()));
                prop_assert_eq!(&document.value()["mcp_servers"]["aiw"], &Value::Object(ours()));
                match document.remove("mcp_servers", "aiw") {
                    Ok(there) => {
                        prop_assert!(there);
                        prop_assert_eq!(document.value(), before.value());
                    }
                    // In braces it stays.
                    Err(_) => prop_assert!(text.contains("mcp_servers = "), "{}", text),
                }
            } else {
                prop_assert!(before.value()["mcp_servers"].is_array(), "{}", text);
            }
            for name in ["one", "two", "three", "four"] {
                let mut document = before.clone();
                if let Ok(true) = document.remove("mcp_servers", name) {
                    prop_assert!(only_adds(str::from_utf8(&document.bytes()).unwrap(), &text));
                    prop_assert!(document.value()["mcp_servers"].get(name).is_none());
                }
            }
        }
    }
}
