//! Tests of edits that touch nothing else.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn ours() -> ConfigTree {
    let value = json!({
        "command": "/x/a\"iw", "args": ["mcp", "serve"], "env": {"AIW_HOME": "/h"},
        "tools": {"list_roles": {"approval_mode": "approve"}}
    });
    (&value).into()
}

const PATH: [&str; 2] = ["mcp_servers", "aiw"];

fn tree(value: Value) -> ConfigTree {
    (&value).into()
}

const OURS: &str = "[mcp_servers.aiw]\ncommand = \"/x/a\\\"iw\"\nargs = [\"mcp\", \"serve\"]\nenv = { AIW_HOME = \"/h\" }\n\n\
                    [mcp_servers.aiw.tools]\nlist_roles = { approval_mode = \"approve\" }\n";

fn set(text: &str) -> String {
    let mut document = Toml::parse(text.as_bytes()).unwrap();
    document.set_tree(&PATH, &ours()).unwrap();
    document.text()
}

fn removed(text: &str, key: &str) -> String {
    let mut document = Toml::parse(text.as_bytes()).unwrap();
    assert!(document.remove(&["mcp_servers", key]).unwrap());
    document.text()
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
    assert_eq!(removed("mcp_servers = {x = {}} # all\n", "x"), "mcp_servers = {} # all\n");
    assert_eq!(removed("mcp_servers = { x = { a = 1 }, y.z = 1 }\n", "x"), "mcp_servers = { y.z = 1 }\n");
    assert_eq!(removed("mcp_servers = { y.z = 1, x.a = 1, x.b = 2 }\n", "x"), "mcp_servers = { y.z = 1 }\n");
}

#[test]
fn what_is_doubtful_is_refused() {
    for text in ["x", "a = 1\na = 2", "[a]\n[a]", "a = \u{1}"] {
        assert!(Toml::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Toml::parse(b"\xff").is_err());
    assert!(Toml::parse("a=[".repeat(50_000).as_bytes()).is_err());
    assert!(Toml::parse(b"mcp_servers = 1").unwrap().set_tree(&PATH, &ours()).is_err());
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

fn paths() -> impl Strategy<Value = Vec<String>> {
    let key = proptest::sample::select(vec![
        "mcp_servers",
        "one",
        "two",
        "three",
        "four",
        "five",
        "env",
        "features",
        "command",
        "args",
        "A",
        "new key",
        "list",
    ]);
    proptest::collection::vec(key.prop_map(str::to_owned), 1..4)
}

fn trees() -> impl Strategy<Value = ConfigTree> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(ConfigTree::Bool),
        any::<i64>().prop_map(|number| ConfigTree::Number(number.to_string())),
        any::<f64>().prop_map(|number| ConfigTree::Number(written::format_float(number))),
        Just(ConfigTree::Time("1979-05-27T07:32:00Z".into())),
        "(?s).{0,5}".prop_map(ConfigTree::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(ConfigTree::List),
            proptest::collection::vec((proptest::sample::select(vec!["a", "b c", "d"]), inner), 0..3).prop_map(
                |fields| {
                    ConfigTree::Table(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
                }
            ),
        ]
    })
}

/// How many comments have their own lines outside of values.
fn comments(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("# a comment")).count()
}

fn comments_kept(before: &Toml, path: &[String]) -> usize {
    let mut without = before.clone();
    without.remove(path).unwrap();
    comments(&without.text())
}

fn only_adds(old: &str, new: &str) -> bool {
    let mut new = new.chars();
    old.chars().all(|c| new.any(|other| other == c))
}

mod fuzz {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_is_added_touches_nothing_else_and_goes_again(text in texts()) {
            let Ok(before) = Toml::parse(text.as_bytes()) else { return Ok(()) };
            let mut document = before.clone();
            if document.set_tree(&PATH, &ours()).is_ok() {
                prop_assert!(only_adds(&text, &document.text()));
                prop_assert_eq!(document.tree().get(&PATH), Some(&ours()));
                prop_assert!(document.remove(&PATH).unwrap());
                let mut after = document.tree().clone();
                if before.tree().get(&PATH[..1]).is_some() && after.get(&PATH[..1]).is_none() {
                    after.put(&PATH[..1], ConfigTree::empty()).unwrap();
                }
                prop_assert_eq!(&after, before.tree());
            } else {
                prop_assert!(before.tree().to_json()["mcp_servers"].is_array(), "{}", text);
            }
            for name in ["one", "two", "three", "four", "five"] {
                let mut document = before.clone();
                if document.remove(&["mcp_servers", name]).unwrap() {
                    prop_assert!(only_adds(&document.text(), &text));
                    prop_assert!(document.tree().get(&["mcp_servers", name]).is_none());
                }
            }
        }

        #[test]
        fn any_value_is_set_and_removed_at_any_path(text in texts(), path in paths(), value in trees()) {
            let Ok(before) = Toml::parse(text.as_bytes()) else { return Ok(()) };
            let mut document = before.clone();
            let mut wanted = before.tree().clone();
            match wanted.put(&path, value.clone()) {
                Err(_) => prop_assert!(document.set_tree(&path, &value).is_err()),
                Ok(()) => {
                    document.set_tree(&path, &value).unwrap();
                    prop_assert_eq!(document.tree(), &wanted, "{}", document.text());
                    prop_assert_eq!(comments(&document.text()) >= comments_kept(&before, &path), true, "{}", document.text());
                    let mut again = document.clone();
                    again.set_tree(&path, &value).unwrap();
                    prop_assert_eq!(again.text(), document.text());
                    prop_assert!(document.remove(&path).unwrap());
                }
            }
            let mut document = before.clone();
            let was = before.tree().get(&path).is_some();
            prop_assert_eq!(document.remove(&path).unwrap(), was);
            prop_assert!(document.tree().get(&path).is_none());
            prop_assert!(only_adds(&document.text(), &text), "{}", document.text());
        }

        #[test]
        fn lists_grow_and_shrink(text in texts(), path in paths(), item in trees()) {
            let Ok(before) = Toml::parse(text.as_bytes()) else { return Ok(()) };
            let mut document = before.clone();
            let old = before.tree().get(&path).map(|tree| tree.as_list().map(<[ConfigTree]>::to_vec));
            if document.append_tree(&path, &item).is_ok() {
                let mut items = old.flatten().unwrap_or_default();
                if !items.contains(&item) {
                    items.push(item.clone());
                }
                prop_assert_eq!(document.tree().get(&path).unwrap().as_list().unwrap(), &items);
                prop_assert!(only_adds(&text, &document.text()));
                for item in items {
                    prop_assert!(document.remove_tree(&path, &item).unwrap());
                }
                prop_assert!(document.tree().get(&path).is_none_or(|list| *list == ConfigTree::List(Vec::new())));
            }
        }

        #[test]
        fn strings_are_replaced_where_they_are(text in texts()) {
            let Ok(before) = Toml::parse(text.as_bytes()) else { return Ok(()) };
            let mut document = before.clone();
            document.replace_strings(|_, text| Some(format!("{text}\n\"é"))).unwrap();
            document.replace_strings(|_, text| text.strip_suffix("\n\"é").map(str::to_owned)).unwrap();
            prop_assert_eq!(document.tree(), before.tree());
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "[{}\\[\\]\",.=#a1 \n]{0,40}") {
            let _ = Toml::parse(&bytes);
            if let Ok(mut document) = Toml::parse(text.as_bytes()) {
                let _ = document.set_tree(&["a", "b"], &tree(json!(1)));
                let _ = document.remove(&["a"]);
                let _ = document.append_tree(&["1"], &tree(json!(1)));
            }
        }
    }
}
