//! Sentence models: a tiny one that is made here, and the real ones if they are present.

use std::fs;
use std::path::{Path, PathBuf};

/// The dimensions of the tiny model's vectors.
pub const TINY_DIMENSIONS: usize = 32;

/// Words of the tiny model. Words on one line mean almost the same.
const WORDS: [&[&str]; 12] = [
    &["[PAD]"],
    &["[UNK]"],
    &["a", "the", "an", "to", "of", "in", "on", "and", "for", "with"],
    &["find", "search", "look", "up"],
    &["news", "headlines", "articles"],
    &["web", "online", "internet"],
    &["convert", "turn", "into"],
    &["pdf", "docx", "word", "file", "document"],
    &["play", "song", "music"],
    &["weather", "forecast", "rain"],
    &["send", "mail", "email", "message"],
    &["time", "clock", "hour", "zone"],
];

/// Writes a model of some kB to a directory: each word has a vector, and a sentence is their mean.
pub fn tiny_model(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    let (mut vocabulary, mut table) = (serde_json::Map::new(), Vec::new());
    for (line, words) in WORDS.iter().enumerate() {
        for word in *words {
            vocabulary.insert((*word).to_owned(), vocabulary.len().into());
            let own = noise(vocabulary.len() as u64 + 1000, TINY_DIMENSIONS);
            // Words such as `the` say little.
            let weight = if line <= 2 { 0.1 } else { 1.0 };
            table.extend(
                noise(line as u64, TINY_DIMENSIONS).iter().zip(own).map(|(shared, own)| weight * (shared + 0.2 * own)),
            );
        }
    }
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "post_processor": null,
        "decoder": null, "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary},
    });
    let files = [
        ("tokenizer.json", tokenizer.to_string()),
        ("config.json", r#"{"pad_token_id": 0}"#.into()),
        ("special_tokens_map.json", "{}".into()),
        ("tokenizer_config.json", r#"{"model_max_length": 512, "pad_token": "[PAD]"}"#.into()),
    ];
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
    fs::write(directory.join("model.onnx"), onnx(vocabulary.len(), &table)).unwrap();
}

/// Vectors that look random and are the same on every machine.
pub fn noise(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f32::from(u16::try_from(state >> 48).unwrap()) / f32::from(u16::MAX) - 0.5
    };
    (0..dimensions).map(|_| next()).collect()
}

/// The bytes of an ONNX model that looks the tokens up in a table. The numbers of the fields are those of
/// `onnx.proto`.
fn onnx(rows: usize, table: &[f32]) -> Vec<u8> {
    let text = |value: &str| value.as_bytes().to_vec();
    let dimension = |name: &str| field(1, &field(2, &text(name)));
    let value = |name: &str, kind: u64, shape: &[Vec<u8>]| {
        let shape: Vec<u8> = shape.concat();
        let tensor = [number(1, kind), field(2, &shape)].concat();
        [field(1, &text(name)), field(2, &field(1, &tensor))].concat()
    };
    let tokens = [dimension("batch"), dimension("sequence")];
    let hidden = [dimension("batch"), dimension("sequence"), field(1, &number(1, TINY_DIMENSIONS as u64))];
    let node =
        [field(1, b"table"), field(1, b"input_ids"), field(2, b"last_hidden_state"), field(4, b"Gather")].concat();
    let raw: Vec<u8> = table.iter().flat_map(|value| value.to_le_bytes()).collect();
    let sizes = [number(1, rows as u64), number(1, TINY_DIMENSIONS as u64)].concat();
    let tensor = [sizes, number(2, 1), field(8, b"table"), field(9, &raw)].concat();
    let graph = [
        field(1, &node),
        field(2, b"tiny"),
        field(5, &tensor),
        field(11, &value("input_ids", 7, &tokens)),
        field(11, &value("attention_mask", 7, &tokens)),
        field(12, &value("last_hidden_state", 1, &hidden)),
    ]
    .concat();
    [number(1, 8), field(7, &graph), field(8, &number(2, 17))].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7F).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn number(tag: u64, value: u64) -> Vec<u8> {
    [varint(tag << 3), varint(value)].concat()
}

fn field(tag: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(tag << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// Returns where the real model files are: `AIW_TEST_MODEL`, or where `cargo xtask test` puts them.
fn place(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/model");
    let path = std::env::var_os("AIW_TEST_MODEL").map_or(beside, PathBuf::from).join(name);
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    super::not_run(&format!(
        "`{}` is absent (`cargo xtask setup --tests` makes it; AIW_TEST_MODEL names its folder)",
        path.display()
    ));
    None
}

/// Finds the library of ONNX Runtime. If it is absent, prints a line and returns `None`.
pub fn onnx_runtime() -> Option<PathBuf> {
    place("libonnxruntime.so")
}

/// Finds the directory with the package that the library comes in. If it is absent, prints a line and returns `None`.
pub fn onnx_package() -> Option<PathBuf> {
    let name = format!("onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_{}.whl", std::env::consts::ARCH);
    Some(place(&name)?.parent()?.to_owned())
}

/// Finds the directory of a real model: `all-MiniLM-L6-v2` or `all-MiniLM-L6-v2-int8`. If it is absent, prints a
/// line and returns `None`.
pub fn real_model(name: &str) -> Option<PathBuf> {
    place(name)
}
