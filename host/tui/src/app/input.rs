//! A line that is being typed.

use crossterm::event::{KeyCode, KeyEvent};

use super::keys::has_control;
use crate::text::clean;

/// Changes a line by a key, and keeps at most so many characters.
pub(super) fn edit(line: &mut String, key: KeyEvent, max_len: usize) {
    match key.code {
        KeyCode::Char(c) if has_control(key) => match c.to_ascii_lowercase() {
            'u' => line.clear(),
            'w' => line.truncate(line.trim_end().rfind(' ').map_or(0, |at| at + 1)),
            // Some terminals send this for Backspace.
            'h' => drop(line.pop()),
            _ => {}
        },
        KeyCode::Backspace => drop(line.pop()),
        KeyCode::Char(' ') => push(line, " ", max_len),
        KeyCode::Char(c) => push(line, &clean(c.encode_utf8(&mut [0; 4]), max_len), max_len),
        _ => {}
    }
}

/// Adds pasted text.
pub(super) fn paste(line: &mut String, text: &str, max_len: usize) {
    push(line, &clean(text, max_len), max_len);
}

fn push(line: &mut String, text: &str, max_len: usize) {
    let room = max_len.saturating_sub(line.chars().count());
    line.extend(text.chars().take(room));
}
