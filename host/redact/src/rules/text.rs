//! Words about words: what of a text could be a secret at all.

/// The replacement of a secret. A rule of another scanner adds its name to it at last (`labels.rs`).
pub const REDACTED: &str = "[redacted]";

/// The longest text that is looked through, in bytes. [`super::Redactor::redact`] returns nothing of the rest.
pub const MAX_SCANNED_BYTES: usize = 256 << 10;

/// A stretch of a text that is a secret.
pub(super) type Span = (usize, usize);

/// How random a text is, in bits a sign.
pub(super) fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = text.len() as f64;
    let share = |count: &u32| f64::from(*count) / length;
    counts.iter().filter(|count| **count > 0).map(|count| -share(count) * share(count).log2()).sum()
}

/// Whether it is a number, or a share of a hundred.
pub(super) fn is_amount(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'%' | b'/'))
}

/// Whether it is a sign of a word, as patterns have it.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether it has a digit.
pub(super) fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether it has small and large letters and digits, as tokens at random have.
pub(super) fn is_mixed(text: &str) -> bool {
    has_digit(text)
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The words that stand where a secret could, in code and in descriptions.
const PLACEHOLDER_WORDS: [&str; 32] = [
    "self",
    "unsafe",
    "string",
    "str",
    "text",
    "bool",
    "boolean",
    "true",
    "false",
    "null",
    "none",
    "nil",
    "undefined",
    "required",
    "optional",
    "option",
    "any",
    "object",
    "number",
    "integer",
    "int",
    "char",
    "bytes",
    "secret",
    "secretstring",
    "the",
    "and",
    "see",
    "not",
    "missing",
    "invalid",
    "unknown",
];

/// Whether it stands where a secret could, and is a word for one or the name of a type: `u8>`, `__u64`, `uint8_t`, `LPCWSTR`.
pub(super) fn is_placeholder(text: &str) -> bool {
    let name = text.trim_matches(['_', '>', ',', ';', '*', '&', '?']);
    let bare = name.strip_suffix("_t").unwrap_or(name).to_ascii_lowercase();
    let sized = ["uint", "int", "float", "u", "i", "f"].iter().find_map(|kind| bare.strip_prefix(kind));
    let is_sized = sized.is_some_and(|size| ["8", "16", "32", "64", "128", "size"].contains(&size));
    // Pointers to strings of Windows.
    let string = bare.trim_start_matches(['l', 'p', 'c', 'b', 't']);
    let is_string = text == text.to_ascii_uppercase() && ["wstr", "str", "void"].contains(&string);
    is_sized || is_string || PLACEHOLDER_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether it reads like an expression.
pub(super) fn is_code(text: &str) -> bool {
    let is_path = |separator: &str| {
        text.split(separator).count() > 1
            && text.split(separator).all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
    };
    text.contains(['(', '<', '[', '{']) || is_path("::") || (is_path(".") && !has_digit(text))
}

/// Whether any of eight bytes is a digit, asked of all at once.
pub(super) fn has_digit_in(part: [u8; 8]) -> bool {
    const LOW_BITS_MASK: u64 = u64::MAX / 255;
    let bytes = u64::from_le_bytes(part);
    let low = bytes & (LOW_BITS_MASK * 127);
    // The highest bit of each byte tells whether it is below `:`, and whether it is above `/`.
    ((LOW_BITS_MASK * (127 + u64::from(b':')) - low) & (low + LOW_BITS_MASK * (127 - u64::from(b'/'))) & !bytes)
        & (LOW_BITS_MASK * 128)
        != 0
}
