//! Finds the strings in a line of JSON. Any other line is text.

/// Lines with deeper nesting are text. `serde_json` refuses them, too.
const MAX_DEPTH: usize = 128;
/// Longer strings do not name a kind or a text.
const MAX_NAME_LEN: usize = 40;

/// The place of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StringContext {
    /// A hash of the keys that lead to the string. All items of a list have the same path.
    pub path: u64,
    /// Like `path`, but with the names before the string that distinguish one text from another: `"role":"user"`,
    /// `"id":"item_3"`.
    pub shape: u64,
}

/// The effect of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transition {
    None,
    /// A string value begins after the byte.
    StringStart(StringContext),
    /// A string ended before the byte. A key has no place.
    StringEnd(Option<StringContext>),
    /// The line ended before the byte.
    LineEnd,
}

/// The part of a text that a byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextContext {
    /// A JSON string, or the quote that ends it.
    String,
    /// The start of a JSON value, or a value without quotes.
    Value,
    Other,
}

/// The line so far.
#[derive(Debug, Default)]
pub(super) struct LineState {
    kind: LineKind,
    levels: Vec<Level>,
    string: Option<OpenString>,
    /// Whether a value may start here, or has started.
    at_value: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LineKind {
    /// Only blanks so far.
    #[default]
    Blank,
    Text,
    Json,
}

/// An open object or list.
#[derive(Debug)]
struct Level {
    is_object: bool,
    place: StringContext,
    key: u64,
    /// Whether the next string is a key.
    at_key: bool,
}

/// An open string.
#[derive(Debug)]
struct OpenString {
    is_key: bool,
    place: StringContext,
    hash: u64,
    length: usize,
    is_word: bool,
    /// Whether an unescaped backslash precedes the next byte.
    is_escaped: bool,
}

impl LineState {
    /// Takes the next byte.
    pub fn next(&mut self, byte: u8) -> Transition {
        if byte == b'\n' {
            self.kind = LineKind::Blank;
            self.levels.clear();
            self.string = None;
            self.at_value = false;
            return Transition::LineEnd;
        }
        match (self.kind, byte) {
            (LineKind::Text, _) | (LineKind::Blank, b' ' | b'\t' | b'\r') => return Transition::None,
            (LineKind::Blank, b'{' | b'[') => self.kind = LineKind::Json,
            (LineKind::Blank, _) => {
                self.kind = LineKind::Text;
                return Transition::None;
            }
            // JSON escapes control characters, so this line is not JSON.
            (LineKind::Json, 0..0x20) if self.string.is_some() || !byte.is_ascii_whitespace() => {
                self.be_text();
                return Transition::None;
            }
            (LineKind::Json, _) => {}
        }
        if self.string.is_some() { self.within(byte) } else { self.between(byte) }
    }

    /// Returns whether no byte but `"`, backslash and line break has an effect.
    pub fn can_fast_scan(&self) -> bool {
        match &self.string {
            Some(text) => text.length >= MAX_NAME_LEN && !text.is_escaped,
            None => self.kind == LineKind::Text,
        }
    }

    /// Returns what the next byte is part of.
    pub fn context(&self) -> TextContext {
        match (&self.string, self.at_value) {
            (Some(_), _) => TextContext::String,
            (None, true) => TextContext::Value,
            (None, false) => TextContext::Other,
        }
    }

    fn be_text(&mut self) {
        (self.kind, self.string, self.at_value) = (LineKind::Text, None, false);
    }

    fn within(&mut self, byte: u8) -> Transition {
        let Some(text) = &mut self.string else { return Transition::None };
        if byte != b'"' || text.is_escaped {
            text.is_escaped = !text.is_escaped && byte == b'\\';
            if text.length < MAX_NAME_LEN {
                text.hash = mix(text.hash, byte.into());
                // A timestamp is not a word: it differs from line to line.
                text.is_word &= byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
                text.length += 1;
            }
            return Transition::None;
        }
        let (is_key, place, hash) = (text.is_key, text.place, text.hash);
        let is_word = text.is_word && (1..MAX_NAME_LEN).contains(&text.length);
        self.string = None;
        if let Some(level) = self.levels.last_mut() {
            if is_key {
                level.key = hash;
            } else if is_word && level.is_object {
                level.place.shape = mix(mix(level.place.shape, level.key), hash);
            }
        }
        Transition::StringEnd((!is_key).then_some(place))
    }

    fn between(&mut self, byte: u8) -> Transition {
        let place = self.place();
        self.at_value = match byte {
            b'{' | b'[' | b',' | b':' => true,
            b' ' | b'\t' | b'\r' => self.at_value,
            _ => false,
        };
        match byte {
            b'{' | b'[' if self.levels.len() == MAX_DEPTH => self.be_text(),
            b'{' | b'[' => {
                let is_object = byte == b'{';
                self.levels.push(Level { is_object, place, key: 0, at_key: is_object });
            }
            b'}' | b']' => {
                self.levels.pop();
            }
            b',' | b':' => {
                if let Some(level) = self.levels.last_mut() {
                    level.at_key = level.is_object && byte == b',';
                }
            }
            b'"' => {
                let is_key = self.levels.last().is_some_and(|level| level.at_key);
                self.string = Some(OpenString {
                    is_key,
                    place,
                    hash: FNV_OFFSET_BASIS,
                    length: 0,
                    is_word: true,
                    is_escaped: false,
                });
                if !is_key {
                    return Transition::StringStart(place);
                }
            }
            _ => {}
        }
        Transition::None
    }

    /// Returns the place of the next value.
    fn place(&self) -> StringContext {
        match self.levels.last() {
            None => StringContext { path: FNV_OFFSET_BASIS, shape: FNV_OFFSET_BASIS },
            Some(level) => {
                let step = if level.is_object { level.key } else { 1 };
                StringContext { path: mix(level.place.path, step), shape: mix(level.place.shape, step) }
            }
        }
    }
}

/// FNV-1a. Mistaking one place for another does no harm.
const FNV_OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

fn mix(hash: u64, more: u64) -> u64 {
    (hash ^ more).wrapping_mul(0x0100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the places of the strings, a list for each line.
    fn places(lines: &[&str]) -> Vec<Vec<StringContext>> {
        let mut shape = LineState::default();
        let places = |line: &&str| {
            let edges = line.bytes().chain([b'\n']).map(|byte| shape.next(byte));
            edges.filter_map(|edge| if let Transition::StringEnd(place) = edge { place } else { None }).collect()
        };
        lines.iter().map(places).collect()
    }

    #[test]
    fn a_place_is_its_keys_and_what_stands_beside_them() {
        let found = places(&[
            r#"{"type":"message","at":"2026-01-01T00:00:00Z","role":"assistant","content":"a \" {","delta":true}"#,
            r#"{"type":"message","at":"2026-01-01T00:00:01Z","role":"assistant","content":"b","delta":true}"#,
            r#"{"type":"message","at":"2026-01-01T00:00:02Z","role":"user","content":"c"}"#,
            r#"{"content":{"content":["d","e"]}}"#,
            r#"no "JSON" at all"#,
        ]);
        assert_eq!(found[0], found[1]);
        let content = |line: usize| found[line][3];
        assert_eq!(content(0).path, content(2).path);
        assert_ne!(content(0).shape, content(2).shape);
        assert!(found[3][0] == found[3][1] && found[3][0].path != content(0).path);
        assert_eq!((found[3].len(), found[4].len()), (2, 0));
    }
}
