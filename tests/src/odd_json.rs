//! JSON as programs write it that cut texts between two UTF-16 units or write Latin-1, for the tests of what reads it.

/// What a text can hold: as it stands between the quotes, and as it is read.
const PIECES: [(&[u8], &str); 10] = [
    (b"word", "word"),
    ("é".as_bytes(), "é"),
    (b"\\u00e9", "é"),
    (b"\\ud83d\\ude00", "\u{1f600}"),
    // One half of a pair, two first halves, and what looks like one behind a backslash.
    (b"\\ud83d", "\u{fffd}"),
    (b"\\uDE00", "\u{fffd}"),
    (b"\\uD83D\\ud83d", "\u{fffd}\u{fffd}"),
    (b"\\\\ud83d", "\\ud83d"),
    // Latin-1, and half a character of UTF-8.
    (b"\xe9", "\u{fffd}"),
    (b"\xf0\x9f", "\u{fffd}"),
];

/// How many texts are tried.
const CASES: u64 = 300;

/// Checks that a reader takes texts that are not well-formed with U+FFFD for what is invalid in them. `TEXT` in
/// `document` is where they stand; `read` returns the text that is read there.
///
/// # Panics
///
/// Panics if a text is read as another one, or is not read.
pub fn assert_reads_odd_json(document: &str, mut read: impl FnMut(&[u8]) -> Option<String>) {
    let (before, after) = document.split_once("TEXT").unwrap_or_else(|| panic!("no TEXT in {document}"));
    for case in 0..CASES {
        let (mut written, mut expected, mut state) = (before.as_bytes().to_vec(), String::new(), case + 1);
        for _ in 0..=case % 7 {
            // Numerical Recipes' linear congruential generator.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) & 0xffff_ffff;
            let (bytes, text) = PIECES[(state >> 16) as usize % PIECES.len()];
            // Between two halves stands something, or they were a pair.
            written.extend_from_slice(&[b"x", bytes, b" "].concat());
            expected.extend(["x", text, " "]);
        }
        written.push(b'y');
        expected.push('y');
        written.extend_from_slice(after.as_bytes());
        let found = read(&written);
        assert_eq!(found.as_deref(), Some(expected.as_str()), "{}", String::from_utf8_lossy(&written));
    }
}

/// As [`assert_reads_odd_json`], for what is read into a value: the text stands anywhere in it.
///
/// # Panics
///
/// Panics as that does.
pub fn assert_finds_odd_json(document: &str, mut read: impl FnMut(&[u8]) -> serde_json::Value) {
    fn texts(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) => found.push(text.clone()),
            serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            serde_json::Value::Object(fields) => fields.values().for_each(|item| texts(item, found)),
            _ => {}
        }
    }
    assert_reads_odd_json(document, |bytes| {
        let mut found = Vec::new();
        texts(&read(bytes), &mut found);
        found.into_iter().filter(|text| text.starts_with('x') && text.ends_with('y')).max_by_key(String::len)
    });
}
