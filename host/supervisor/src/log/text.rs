//! Lines of programs as people read them.

use aiw_core::printable;

use super::LogEntry;
use super::overwrite::resolve_moves;

/// The longest sequence that sets colours, in bytes.
const MAX_SEQUENCE_BYTES: usize = 64;

/// The text of a line, without the codes of a terminal.
pub(crate) fn strip_ansi(line: &[u8]) -> String {
    // Most lines have none.
    if !line.contains(&b'\x1b') {
        return String::from_utf8_lossy(line).into_owned();
    }
    anstream::adapter::strip_str(&String::from_utf8_lossy(line)).to_string()
}

impl LogEntry {
    /// The line's text as a terminal shows it in the end, without codes.
    pub fn text(&self) -> String {
        strip_ansi(resolve_moves(&String::from_utf8_lossy(&self.bytes)).as_bytes())
    }

    /// The line for a terminal: printable, and with no codes but colours, if the terminal shows them.
    pub fn to_terminal_string(&self, has_colour: bool) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = &*resolve_moves(&text);
        // Most lines have no codes.
        if !text.contains('\x1b') {
            return printable(text).into_owned();
        }
        let part = |text: &str| printable(&anstream::adapter::strip_str(text).to_string()).into_owned();
        if !has_colour {
            return part(text);
        }
        let (mut shown, mut rest, mut is_coloured) = (String::with_capacity(text.len()), text, false);
        while let Some((before, colour, after)) = next_colour(rest) {
            shown.push_str(&part(before));
            shown.push_str(colour);
            (rest, is_coloured) = (after, true);
        }
        shown.push_str(&part(rest));
        if is_coloured {
            shown.push_str("\x1b[0m");
        }
        shown
    }
}

/// The next sequence that sets colours or style (SGR of ECMA-48), with what is before it and behind it.
fn next_colour(text: &str) -> Option<(&str, &str, &str)> {
    for (at, _) in text.match_indices("\x1b[") {
        let inner = &text.as_bytes()[at + 2..];
        let length =
            inner.iter().take(MAX_SEQUENCE_BYTES).take_while(|b| matches!(b, b'0'..=b'9' | b';' | b':')).count();
        if inner.get(length) == Some(&b'm') {
            let end = at + 2 + length + 1;
            return Some((&text[..at], &text[at..end], &text[end..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Stream;
    use super::*;

    fn entry(text: &str) -> LogEntry {
        LogEntry { time: 0, stream: Stream::Stdout, bytes: text.as_bytes().to_vec(), is_complete: true }
    }

    #[test]
    fn colours_pass_where_a_terminal_has_them_and_nothing_else_does() {
        let vite =
            entry("  \x1b[32m➜\x1b[39m  \x1b[1mLocal\x1b[22m: \x1b[36mhttp://localhost:\x1b[1m5173\x1b[22m/\x1b[39m\r");
        assert_eq!(vite.text().trim_end(), "  ➜  Local: http://localhost:5173/");
        assert_eq!(vite.to_terminal_string(false), "  ➜  Local: http://localhost:5173/");
        assert_eq!(
            vite.to_terminal_string(true),
            "  \x1b[32m➜\x1b[39m  \x1b[1mLocal\x1b[22m: \x1b[36mhttp://localhost:\x1b[1m5173\x1b[22m/\x1b[39m\x1b[0m"
        );
        let hostile = entry("\x1b[2J\x1b]0;title\x07a\x1b[31mb\x1b[10;10Hc\u{202e}");
        assert_eq!(hostile.text(), "abc\u{202e}");
        assert_eq!(hostile.to_terminal_string(true), "a\x1b[31mbc\\u{202e}\x1b[0m");
        assert_eq!(hostile.to_terminal_string(false), "abc\\u{202e}");
        let bar = entry("\x1b[31m 5 %\x1b[0m\r\x1b[2K\x1b[32m100 %\x1b[0m\r");
        assert_eq!((bar.text(), bar.to_terminal_string(true)), ("100 %".into(), "\x1b[32m100 %\x1b[0m\x1b[0m".into()));
    }

    proptest! {
        #[test]
        fn nothing_steers_a_terminal(text in "([a-z ]|\x1b|\\[|\\]|m|;|[0-9]|\x07|\u{9b}|\r){0,60}") {
            let entry = entry(&text);
            prop_assert!(aiw_core::is_safe(&entry.to_terminal_string(false)));
            let mut shown = entry.to_terminal_string(true);
            while let Some((before, _, after)) = next_colour(&shown) {
                shown = format!("{before}{after}");
            }
            prop_assert!(aiw_core::is_safe(&shown), "{shown:?}");
        }
    }
}
