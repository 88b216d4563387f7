//! JSON of any shape, for property tests: made of the formats' own words, so that odd values appear where the code
//! looks.

use proptest::prelude::*;
use serde_json::{Map, Value};

/// Field names, most of them from some format.
fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "name",
        "plugins",
        "source",
        "repo",
        "url",
        "path",
        "ref",
        "sha",
        "package",
        "metadata",
        "pluginRoot",
        "renames",
        "owner",
        "description",
        "version",
        "category",
        "displayName",
        "strict",
        "mcpServers",
        "skills",
        "commands",
        "agents",
        "hooks",
        "lspServers",
        "userConfig",
        "tags",
        "keywords",
        "type",
        "command",
        "args",
        "env",
        "headers",
        "title",
        "sensitive",
        "required",
        "default",
        "",
    ]);
    prop_oneof![6 => known.prop_map(str::to_owned), 1 => "\\PC{0,8}", 1 => any::<String>()]
}

/// Strings, most of them meaningful somewhere.
fn text() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "./x",
        "./",
        ".",
        "../x",
        "/etc",
        "x",
        "a/b",
        "github",
        "url",
        "git-subdir",
        "npm",
        "acme",
        "o/r",
        "o/r.git",
        "https://h/r.git",
        "https://u:p@h/r",
        "git@h:r",
        "-x",
        "ext::sh -c x",
        "v1",
        "main",
        "d16d14ac7f817336e21bf9392cf51b6cac6194d8",
        "stdio",
        "http",
        "sse",
        "${X:-y}",
        "./a.json",
        "https://h/x.mcpb",
        "\u{1b}[31m",
        "\u{202e}x",
        "a\nb",
        "",
    ]);
    prop_oneof![6 => known.prop_map(str::to_owned), 1 => "\\PC{0,40}", 1 => any::<String>()]
}

/// Any JSON.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        5 => text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            3 => object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let fields = prop::collection::vec((name(), value), 0..8);
    fields.prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

/// A document whose entries are almost valid: a name, a source, and anything else.
pub(crate) fn document() -> impl Strategy<Value = Value> {
    let source = prop_oneof![
        2 => text().prop_map(Value::from),
        3 => (text(), json()).prop_map(|(word, more)| {
            let mut fields = more.as_object().cloned().unwrap_or_default();
            fields.insert("source".into(), word.into());
            Value::Object(fields)
        }),
        1 => json(),
    ];
    let entry = (prop_oneof!["[a-cA-C]{1,2}", text()], source, json()).prop_map(|(name, source, more)| {
        let mut fields = more.as_object().cloned().unwrap_or_default();
        fields.insert("name".into(), name.into());
        fields.insert("source".into(), source);
        Value::Object(fields)
    });
    let plugins = prop::collection::vec(prop_oneof![5 => entry, 1 => json()], 0..8);
    (plugins, json()).prop_map(|(plugins, more)| {
        let mut fields = more.as_object().cloned().unwrap_or_default();
        fields.insert("plugins".into(), plugins.into());
        Value::Object(fields)
    })
}

/// The bytes of any JSON, or any bytes, or the ones within the others.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let written = || json().prop_map(|value| value.to_string().into_bytes());
    let garbled = (written(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![3 => written(), 2 => garbled, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

/// Whether text can be shown as is, on one line.
pub(crate) fn is_line(text: &str) -> bool {
    aiw_core::printable(text) == text && !text.contains('\n')
}
