//! The front matter of instructions: between two lines `---`, what CLIs read as YAML before the text for a model.

use std::collections::BTreeMap;

use aiw_core::{is_unsafe, unsafe_chars};
use aiw_home::yaml;
use serde_json::Value;

/// Keys that say how instructions are called and who reads them. Without `tools`, an agent has all of them.
const PLAIN_KEYS: [&str; 5] = ["name", "description", "model", "color", "tools"];

const FRONT_MATTER_FENCE: &str = "---";

/// The longest front matter that is parsed.
const MAX_FRONT_MATTER_BYTES: usize = 64 << 10;

/// Returns `true` if instructions begin with no front matter, or with one that every parser of YAML reads as plain keys. Hooks,
/// servers and permissions are others, and what two parsers may read differently counts as those.
pub(crate) fn has_plain_front_matter(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let begins = |c: char| !c.is_whitespace() && !is_unsafe(c);
    if !text[text.find(begins).unwrap_or(text.len())..].starts_with(FRONT_MATTER_FENCE) {
        return true;
    }
    front_matter(text).is_some_and(|(front, rest)| {
        // A parser that wants a line between the two takes the second for the beginning, and ends at a third.
        let is_one = !front.trim().is_empty() || !rest.contains("---");
        let is_known = front.len() <= MAX_FRONT_MATTER_BYTES && !has_odd_breaks(front);
        is_one && is_known && has_plain_lines(front) && has_plain_keys(front)
    })
}

/// Returns `true` if each line begins with a plain key, or goes on with one by a blank, a comment or an item. Claude Code ends the
/// front matter at the first `---` anywhere, and where YAML fails, it puts values in quotes line by line and tries again.
fn has_plain_lines(text: &str) -> bool {
    let is_key = |line: &str| line.split_once(':').is_some_and(|(key, _)| PLAIN_KEYS.contains(&key));
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    !text.contains(FRONT_MATTER_FENCE)
        && lines.next().is_none_or(is_key)
        && lines.all(|line| line.starts_with([' ', '#', '-']) || is_key(line))
}

/// Returns the text between two lines that are nothing but `---`, the first of which begins the text, and what is behind them.
fn front_matter(text: &str) -> Option<(&str, &str)> {
    let is_fence = |line: &str| line.trim_end_matches('\n').trim_end_matches('\r') == FRONT_MATTER_FENCE;
    let mut lines = text.split_inclusive('\n');
    let begin = lines.next().filter(|line| is_fence(line))?.len();
    let mut end = begin;
    for line in lines {
        if is_fence(line) {
            return Some((&text[begin..end], &text[end + line.len()..]));
        }
        end += line.len();
    }
    None
}

/// Returns `true` if a text has what some parsers take for the end of a line and others don't, or what nobody sees.
fn has_odd_breaks(text: &str) -> bool {
    let rest = text.replace("\r\n", "\n");
    rest.contains(['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) || unsafe_chars(&rest).next().is_some()
}

fn has_plain_keys(text: &str) -> bool {
    let is_word = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
    let is_plain = |value: &Value| is_word(value) || value.as_array().is_some_and(|list| list.iter().all(is_word));
    yaml::parse::<BTreeMap<String, Value>>(text)
        .is_ok_and(|keys| keys.iter().all(|(key, value)| PLAIN_KEYS.contains(&key.as_str()) && is_plain(value)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOOKS: &str = "hooks:\n  Stop:\n  - hooks: [{type: command, command: x}]";

    #[test]
    fn what_one_parser_may_read_as_hooks_is_not_plain() {
        let indented = HOOKS.replace('\n', "\n ");
        for (name, text) in [
            ("a key", format!("---\nname: a\n{HOOKS}\n---\nx\n")),
            ("a key in quotes", "---\nname: a\n\"h\\x6foks\": {}\n---\n".into()),
            ("indented by a blank", format!("---\n name: a\n {indented}\n---\nx\n")),
            ("indented by a tab", "---\n\tname: a\n\thooks: {}\n---\n".into()),
            ("lone CR", format!("---\nname: a\r{HOOKS}\n---\nx\n")),
            ("CR alone everywhere", format!("---\nname: a\n{HOOKS}\n---\nx\n").replace('\n', "\r")),
            ("U+0085", format!("---\nname: a\u{85}{HOOKS}\n---\nx\n")),
            ("U+2028", format!("---\nname: a\u{2028}{HOOKS}\n---\nx\n")),
            ("U+2029", format!("---\nname: a\u{2029}{HOOKS}\n---\nx\n")),
            ("a form feed", format!("---\nname: a\u{c}{HOOKS}\n---\nx\n")),
            ("a merge", "---\nx: &a {hooks: {}}\n<<: *a\n---\n".into()),
            ("a flow mapping", "---\n{name: a, hooks: {}}\n---\n".into()),
            ("JSON", "---\n{\"hooks\": {}}\n---\n".into()),
            ("a complex key", "---\n? hooks\n: {}\n---\n".into()),
            ("a tag", "---\n!!map {hooks: {}}\n---\n".into()),
            ("a list", "---\n- hooks: {}\n---\n".into()),
            ("a value with keys", "---\nname: {hooks: {}}\n---\n".into()),
            ("a list with keys", "---\ntools: [{hooks: {}}]\n---\n".into()),
            ("another language", "---json\n{\"hooks\": {}}\n---\n".into()),
            ("a second one behind an empty one", format!("---\n---\n{HOOKS}\n---\nx\n")),
            ("a second one behind blanks", format!("---\n\n---\n{HOOKS}\n---\nx\n")),
            ("no end", format!("---\nname: a\n{HOOKS}\n")),
            ("an end that is none to others", format!("---\nname: a\n--- \n{HOOKS}\n---\nx\n")),
            ("a document behind it", format!("---\nname: a\n...\n{HOOKS}\n---\nx\n")),
            ("a blank before it", format!(" ---\nname: a\n{HOOKS}\n---\nx\n")),
            ("lines before it", format!("\u{feff}\n\u{200b}\n---\nname: a\n{HOOKS}\n---\nx\n")),
            ("two marks of the byte order", format!("\u{feff}\u{feff}---\n{HOOKS}\n---\n")),
            ("no YAML", "---\ndescription: a: b\n---\n".into()),
            ("the same key twice", "---\nname: a\nname: b\n---\n".into()),
            (
                "a value in quotes over the end that Claude Code sees",
                "---\nname: a\ntools: [\"x\nhooks:\n  Stop:\n  - hooks: [{type: command, command: x}]\n ---\"]\n---\nb\n".into(),
            ),
            ("a value in quotes over lines", "---\nname: \"a\nhooks:\n  Stop: x\n# \"\n---\n".into()),
        ] {
            assert!(!has_plain_front_matter(text.as_bytes()), "{name}: {text:?}");
        }
        assert!(!has_plain_front_matter(b"---\nname: \xff\n---\n"));
        assert!(!has_plain_front_matter(
            format!("---\nname: {}\n---\n", "a".repeat(MAX_FRONT_MATTER_BYTES)).as_bytes()
        ));
    }

    #[test]
    fn plain_keys_and_texts_without_front_matter_are_plain() {
        for text in [
            "",
            "x\n",
            "# A\n\n---\n\nhooks: {}\n",
            "--\nhooks: {}\n--\n",
            "---\n---\nx\n",
            "\u{feff}---\nname: a\n---\n",
            "---\r\nname: a\r\ndescription: |\r\n  b\r\n  hooks: c\r\ntools: Read, Bash\r\n---\r\nx\r\n",
            "---\nname: a\ndescription: \"b: 👩\u{200d}💻\"\nmodel: opus\ncolor: red\ntools: [Read, Bash]\n---",
        ] {
            assert!(has_plain_front_matter(text.as_bytes()), "{text:?}");
        }
    }

    proptest! {
        /// A key that is not plain is seen wherever `serde-saphyr` sees it, and any text is read without panic.
        #[test]
        fn nothing_that_is_parsed_as_another_key_is_plain(
            parts in proptest::collection::vec(
                prop::sample::select(vec![
                    "name", "hooks", ":", " ", "\n", "\r\n", "\r", "\u{85}", "\u{2028}", "---", "...", "|", ">", "- ", "\t", "#",
                    "{", "}", "[", "]", "\"", "'", "a", ",", "? ", "& a", "*a", "<<", "!!map", "\u{feff}",
                ]),
                0..24,
            )
        ) {
            let text = parts.concat();
            let whole = format!("---\n{text}\n---\nx\n");
            let keys = yaml::parse::<BTreeMap<String, Value>>(&text).unwrap_or_default();
            if keys.keys().any(|key| !PLAIN_KEYS.contains(&key.as_str())) && !text.contains("---") {
                prop_assert!(!has_plain_front_matter(whole.as_bytes()), "{whole:?}");
            }
            let _ = has_plain_front_matter(text.as_bytes());
        }
    }
}
