//! Prepares untrusted text for a cell grid, and breaks it into lines.

use std::borrow::Cow;

use aiw_core::{is_unsafe, one_line, printable};
use ratatui::buffer::CellWidth;

/// More marks than this on one base character are an attack on the line above, not a language.
const MAX_COMBINING_MARKS: usize = 2;

/// Returns `text` on one line of at most `limit` characters, without anything that controls a terminal, changes the
/// reading direction, or hides.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    without_stacks(one_line(text, limit))
}

/// Returns a line of output as [`clean`] does, with its blanks.
pub(crate) fn clean_output(line: &str, limit: usize) -> String {
    let mut plain = String::with_capacity(line.len());
    for c in strip_ansi(line).chars().take(limit) {
        match c {
            '\t' => plain.push_str("    "),
            '\r' | '\n' => plain.push(' '),
            c => plain.push(c),
        }
    }
    without_stacks(printable(plain.trim_end()).into_owned())
}

/// Takes out what terminals disagree on, and marks above a second one.
fn without_stacks(line: String) -> String {
    if line.is_ascii() {
        return line;
    }
    let mut safe = String::with_capacity(line.len());
    let mut marks = 0;
    for c in line.chars() {
        // What is left of these belongs to the writing, but terminals disagree on the width of what has it.
        if is_unsafe(c) {
            continue;
        }
        if char_width(c) == 0 {
            marks += 1;
            if marks <= MAX_COMBINING_MARKS {
                safe.push(c);
            }
        } else {
            marks = 0;
            safe.push(c);
        }
    }
    safe
}

/// Returns text without the sequences that set colours and move the cursor: output of programs that write to terminals.
/// The rest of others is made visible by [`clean`].
pub(crate) fn strip_ansi(text: &str) -> Cow<'_, str> {
    if !text.contains("\u{1b}[") {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // Parameters, then a letter. What is neither was never a sequence.
        match part.find(|c: char| !(' '..='?').contains(&c)) {
            Some(end) if ('@'..='~').contains(&char::from(part.as_bytes()[end])) => plain.push_str(&part[end + 1..]),
            Some(end) => plain.push_str(&part[end..]),
            None => {}
        }
    }
    Cow::Owned(plain)
}

/// Returns the number of cells that `c` takes.
pub(crate) fn char_width(c: char) -> usize {
    if c.is_ascii() { 1 } else { usize::from(c.encode_utf8(&mut [0; 4]).cell_width()) }
}

/// Returns the number of cells that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char_width).sum() }
}

#[cfg(test)]
std::thread_local! {
    /// How many texts this thread has broken into lines.
    pub(crate) static WRAP_CALL_COUNT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Breaks clean text into lines of at most `width` cells, at spaces where possible.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<&str> {
    #[cfg(test)]
    WRAP_CALL_COUNT.set(WRAP_CALL_COUNT.get() + 1);
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut start = 0;
    let mut cells = 0;
    // The last place to break: the offset of the space, and the number of cells up to and including it.
    let mut space: Option<(usize, usize)> = None;
    for (at, c) in text.char_indices() {
        let wide = char_width(c);
        while cells + wide > width && at > start {
            (start, cells) = match space.take() {
                _ if c == ' ' => {
                    lines.push(&text[start..at]);
                    (at, 0)
                }
                Some((end, used)) => {
                    lines.push(&text[start..end]);
                    (end + 1, cells - used)
                }
                None => {
                    lines.push(&text[start..at]);
                    (at, 0)
                }
            };
        }
        if c == ' ' && at == start && !lines.is_empty() {
            // The space at which the previous line was broken.
            start = at + 1;
            continue;
        }
        cells += wide;
        if c == ' ' {
            space = Some((at, cells));
        }
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_hides_or_stacks_is_made_plain() {
        assert_eq!(clean("a\u{61c}b\u{ad}c", 80), "a\\u{61c}b\\u{ad}c");
        assert_eq!(clean(&format!("e{}x", "\u{301}".repeat(8)), 600), "e\u{301}\u{301}x");
        assert_eq!(clean("❤\u{fe0f}", 80), "❤");
        assert_eq!(clean("\u{1b}]0;t\u{7}", 80), "\\u{1b}]0;t\\u{7}");
    }

    #[test]
    fn colours_of_programs_are_left_out() {
        assert_eq!(strip_ansi("\u{1b}[1;31mred\u{1b}[0m and\u{1b}[2K plain"), "red and plain");
        assert_eq!(clean_output("\tin \u{1b}[32m  deep\u{202e}\r\n", 80), "    in   deep\\u{202e}");
        assert_eq!(clean(&strip_ansi("\u{1b}]0;t\u{7}\u{1b}[é"), 80), "\\u{1b}]0;t\\u{7}é");
        assert_eq!(strip_ansi("cut \u{1b}[1;3\u{1b}[0mhere, \u{1b}[12"), "cut here, ");
    }

    #[test]
    fn lines_break_at_spaces_and_inside_words_that_are_too_long() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("日本語です", 5), ["日本", "語で", "す"]);
        assert_eq!(wrap("", 5), Vec::<&str>::new());
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn wrapped_lines_fit_and_lose_nothing_but_spaces(text in "[a-c日é ]{0,60}", width in 2usize..20) {
                let lines = wrap(&text, width);
                for line in &lines {
                    prop_assert!(super::width(line) <= width, "{line:?}");
                }
                prop_assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
            }

            #[test]
            fn clean_text_steers_nothing(text in any::<String>()) {
                let safe = clean(&text, 200);
                prop_assert!(!safe.chars().any(char::is_control));
            }
        }
    }
}
