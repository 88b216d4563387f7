//! Tests of edits that touch nothing else.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn edited(text: &str, edit: impl FnOnce(&mut Jsonc) -> Result<(), String>) -> String {
    let mut document = Jsonc::parse(text.as_bytes()).unwrap();
    edit(&mut document).unwrap();
    document.text()
}

fn set(text: &str) -> String {
    edited(text, |document| document.set(&["servers", "aiw"], &json!({"command": "aiw", "args": ["mcp", "serve"]})))
}

#[test]
fn an_entry_is_added_in_the_manner_of_the_file() {
    let entry = "\"aiw\": {\n      \"command\": \"aiw\",\n      \"args\": [\"mcp\", \"serve\"]\n    }";
    assert_eq!(set(""), format!("{{\n  \"servers\": {{\n    {entry}\n  }}\n}}\n"));
    assert_eq!(set("{}"), format!("{{\n  \"servers\": {{\n    {entry}\n  }}\n}}"));
    assert_eq!(
        set("{\n  // mine\n  \"servers\": {\n    \"a\": {}, // first\n    // last\n  },\n}\n"),
        format!("{{\n  // mine\n  \"servers\": {{\n    \"a\": {{}}, // first\n    // last\n    {entry},\n  }},\n}}\n")
    );
    assert_eq!(
        set("{\"x\": 1, \"servers\": {\"a\": {}}}"),
        "{\"x\": 1, \"servers\": {\"a\": {}, \"aiw\": {\"command\":\"aiw\",\"args\":[\"mcp\",\"serve\"]}}}"
    );
    assert_eq!(
        set("\u{feff}{\r\n\t\"x\": 1 // one\r\n}\r\n"),
        "\u{feff}{\r\n\t\"x\": 1, // one\r\n\t\"servers\": {\r\n\t\t\"aiw\": {\r\n\t\t\t\"command\": \"aiw\",\r\n\t\t\t\"args\": [\"mcp\", \"serve\"]\r\n\t\t}\r\n\t}\r\n}\r\n"
    );
}

#[test]
fn an_entry_is_not_added_to_a_comment() {
    for text in [
        "{\"x\": 14, // mine\n \"s\": {\"a\": {}} // yours\n}\n",
        "{\n \"s\": { \"a\": {\"command\": \"x\"} // one\n }\n}",
        "{\"a\":1, // x\n}",
        "{\"a\":1 /* x */ // y\n}",
    ] {
        let new = edited(text, |document| document.set(&["s", "new"], &json!({"command": "x"})));
        assert!(only_adds(text, &new), "{new}");
        let new = edited(text, |document| document.append(&["list"], &json!({"b": [{"c": 2}]})));
        let both = edited(&new, |document| document.append(&["list"], &json!("b")));
        assert!(only_adds(text, &both), "{both}");
    }
    let nested = edited("{}", |document| document.set(&["l"], &json!([{"a": 1, "b": [1, 2]}, []])));
    assert_eq!(nested, "{\n  \"l\": [\n    {\n      \"a\": 1,\n      \"b\": [1, 2]\n    },\n    []\n  ]\n}");
}

#[test]
fn an_entry_goes_and_comments_stay() {
    let remove =
        |text: &str, key: &str| edited(text, |document| document.remove(&["s", key]).map(|there| assert!(there)));
    let text = "{\"s\": {\n  \"a\": 1, // one\n  \"b\": 2,\n  \"c\": 3 // three\n}}";
    assert_eq!(remove(text, "b"), "{\"s\": {\n  \"a\": 1, // one\n  \"c\": 3 // three\n}}");
    assert_eq!(remove(text, "c"), "{\"s\": {\n  \"a\": 1, // one\n  \"b\": 2 // three\n}}");
    assert_eq!(remove("{\"s\": {\"a\": 1, \"b\": 2}}", "a"), "{\"s\": {\"b\": 2}}");
    assert_eq!(remove("{\"s\": {\"a\": 1, \"b\": 2}}", "b"), "{\"s\": {\"a\": 1}}");
    assert_eq!(remove("{\"s\": {\"a\": 1}}", "a"), "{\"s\": {}}");
}

#[test]
fn items_come_and_go() {
    let path = ["permissions", "allow"];
    let text = "{\"permissions\": {\"allow\": [\n  \"a\" // one\n]}}";
    let more = edited(text, |document| document.append(&path, &json!("b")));
    assert_eq!(more, "{\"permissions\": {\"allow\": [\n  \"a\", // one\n  \"b\"\n]}}");
    let less = edited(&more, |document| document.remove_item(&path, &json!("a")).map(drop));
    assert_eq!(less, "{\"permissions\": {\"allow\": [\n  // one\n  \"b\"\n]}}");
    let numbers = "{\"l\": [1.50, 12345678901234567890123, 2]}";
    let less = edited(numbers, |document| document.remove_item(&["l"], &json!(1.5)).map(|there| assert!(there)));
    assert_eq!(less, "{\"l\": [12345678901234567890123, 2]}");
    assert!(Jsonc::parse(b"{\"permissions\": {\"allow\": 1}}").unwrap().append(&path, &json!("b")).is_err());
}

#[test]
fn what_is_doubtful_is_refused() {
    for text in ["[]", "{", "{\"a\":1,\"a\":2}", "{\"a\":1,/**/\"a\":2}", "{a: 1}", "{'a': 1}", "x", "\u{1}"] {
        assert!(Jsonc::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Jsonc::parse(b"\xff{}").is_err());
    assert!(Jsonc::parse("[".repeat(100_000).as_bytes()).is_err());
    assert!(Jsonc::parse(b"{\"s\": []}").unwrap().set(&["s", "a"], &json!(1)).is_err());
}

/// Whether one text is another with insertions only.
fn only_adds(old: &str, new: &str) -> bool {
    let mut new = new.chars();
    old.chars().all(|c| new.any(|other| other == c))
}

/// Objects as people write them: with comments, blanks, trailing commas, any line ends.
fn texts() -> impl Strategy<Value = String> {
    let blank = || {
        prop_oneof![
            Just(String::new()),
            Just(" ".to_owned()),
            Just("\n  ".to_owned()),
            Just("\r\n\t".to_owned()),
            Just(" // , } \"x\n".to_owned()),
            Just("/* , ] */".to_owned()),
        ]
    };
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1.50".to_owned()),
        Just("\"a, // {\"".to_owned()),
        Just("\"\\u0041é\"".to_owned()),
    ];
    let value = leaf.prop_recursive(3, 12, 4, move |inner| {
        let part = (blank(), inner.clone(), blank());
        let object = (proptest::collection::vec(part.clone(), 0..4), blank(), any::<bool>());
        let array = (proptest::collection::vec(part, 0..4), blank(), any::<bool>());
        prop_oneof![
            object.prop_map(|(parts, end, trailing)| {
                let parts: Vec<_> = parts
                    .iter()
                    .enumerate()
                    .map(|(at, (before, value, after))| {
                        format!("{before}\"{}\":{value}{after}", ["aiw", "s", "x", "y"][at])
                    })
                    .collect();
                let comma = if trailing && !parts.is_empty() { "," } else { "" };
                format!("{{{}{comma}{end}}}", parts.join(","))
            }),
            array.prop_map(|(parts, end, trailing)| {
                let parts: Vec<_> =
                    parts.iter().map(|(before, value, after)| format!("{before}{value}{after}")).collect();
                let comma = if trailing && !parts.is_empty() { "," } else { "" };
                format!("[{}{comma}{end}]", parts.join(","))
            }),
        ]
    });
    (blank(), proptest::collection::vec((blank(), value, blank()), 0..4), blank(), blank()).prop_map(
        |(a, parts, b, c)| {
            let parts: Vec<_> = parts
                .iter()
                .enumerate()
                .map(|(at, (before, value, after))| {
                    format!("{before}\"{}\":{value}{after}", ["s", "aiw", "x", "y"][at])
                })
                .collect();
            format!("{a}{{{}{b}}}{c}", parts.join(","))
        },
    )
}

mod fuzz {
    use super::*;
    proptest! {
        #[test]
        fn what_is_added_touches_nothing_else_and_goes_again(text in texts()) {
            let before = Jsonc::parse(text.as_bytes()).unwrap();
            let mut document = before.clone();
            let is_new = document.get(&["s", "new"]).is_none();
            let is_set = document.set(&["s", "new"], &json!({"command": "x", "args": ["a"]}));
            // It refuses only values that are not objects.
            prop_assert_eq!(is_set.is_ok(), before.get(&["s"]).is_none_or(Value::is_object), "{:?}", is_set);
            if is_set.is_ok() && is_new {
                prop_assert!(only_adds(&text, &document.text), "{:?}", document.text);
                prop_assert!(document.remove(&["s", "new"]).unwrap());
                if before.get(&["s"]).is_none() {
                    document.remove(&["s"]).unwrap();
                }
                prop_assert_eq!(document.value(), before.value());
            }
            for key in before.value().as_object().unwrap().keys() {
                let mut document = before.clone();
                prop_assert!(document.remove(&[key]).unwrap());
                prop_assert!(only_adds(&document.text, &text), "{:?}", document.text);
                prop_assert_eq!(document.get(&[key]), None);
            }
        }

        #[test]
        fn lists_grow_and_shrink(text in texts()) {
            let before = Jsonc::parse(text.as_bytes()).unwrap();
            let mut document = before.clone();
            let is_added = document.append(&["s", "aiw"], &json!("new"));
            let takes = before.get(&["s"]).is_none_or(Value::is_object)
                && before.get(&["s", "aiw"]).is_none_or(Value::is_array);
            prop_assert_eq!(is_added.is_ok(), takes, "{:?}", is_added);
            if takes {
                prop_assert!(only_adds(&text, &document.text), "{:?}", document.text);
                prop_assert!(document.remove_item(&["s", "aiw"], &json!("new")).unwrap());
                if let Some(Value::Array(items)) = before.get(&["s", "aiw"]) {
                    prop_assert_eq!(document.get(&["s", "aiw"]).unwrap().as_array().unwrap(), items);
                }
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "[{}\\[\\]\",:/*a1 \n]{0,40}") {
            let _ = Jsonc::parse(&bytes);
            if let Ok(mut document) = Jsonc::parse(text.as_bytes()) {
                let _ = document.set(&["a", "b"], &json!(1));
            }
        }
    }
}
