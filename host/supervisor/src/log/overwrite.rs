//! What a terminal shows of a line in which a program went back and wrote over it, as progress bars do.

use std::borrow::Cow;
use std::fmt::Write;

use anstyle_parse::{DefaultCharAccumulator, Params, Parser, Perform};

/// The columns that a program can skip: no terminal is wider.
const MAX_COLUMNS: usize = 1000;

/// The longest sum of sequences that set a style, in bytes.
const MAX_STYLE_BYTES: usize = 128;

/// Returns a line as it stands after all moves of the cursor within it (CR, BS, and CHA, CUF, CUB, EL of ECMA-48), with the
/// sequences for colours (SGR) and without all others. A line without moves is returned as it is.
pub(super) fn resolve_moves(text: &str) -> Cow<'_, str> {
    let text = text.trim_end_matches('\r');
    let has_moves =
        text.contains(['\r', '\x08']) || ["\x1b[1G", "\x1b[G", "\x1b[2K"].iter().any(|code| text.contains(code));
    if !has_moves {
        return Cow::Borrowed(text);
    }
    let (mut parser, mut line) = (Parser::<DefaultCharAccumulator>::new(), Line::default());
    text.bytes().for_each(|byte| parser.advance(&mut line, byte));
    Cow::Owned(line.into_text())
}

#[derive(Clone, PartialEq)]
struct Cell {
    shown: char,
    /// The sequences that set its style.
    style: String,
}

#[derive(Default)]
struct Line {
    cells: Vec<Cell>,
    column: usize,
    style: String,
}

impl Line {
    fn put(&mut self, shown: char) {
        let blank = Cell { shown: ' ', style: String::new() };
        if self.cells.len() <= self.column {
            self.cells.resize(self.column + 1, blank);
        }
        self.cells[self.column] = Cell { shown, style: self.style.clone() };
        self.column += 1;
    }

    fn move_to(&mut self, column: usize) {
        self.column = column.min(self.cells.len().max(MAX_COLUMNS));
    }

    fn set_style(&mut self, params: &Params) {
        let is_reset = params.iter().next().is_none_or(|first| first == [0]);
        if is_reset || self.style.len() > MAX_STYLE_BYTES {
            self.style.clear();
        }
        if params.iter().all(|param| param == [0]) {
            return;
        }
        let values = |param: &[u16]| param.iter().map(u16::to_string).collect::<Vec<_>>().join(":");
        let params: Vec<String> = params.iter().map(values).collect();
        let _ = write!(self.style, "\x1b[{}m", params.join(";"));
    }

    fn into_text(self) -> String {
        let (mut text, mut style) = (String::with_capacity(self.cells.len()), "");
        for cell in &self.cells {
            if cell.style != style {
                if !style.is_empty() {
                    text.push_str("\x1b[0m");
                }
                text.push_str(&cell.style);
                style = &cell.style;
            }
            text.push(cell.shown);
        }
        if !style.is_empty() {
            text.push_str("\x1b[0m");
        }
        let end = text.trim_end_matches(' ').len();
        text.truncate(end);
        text
    }
}

impl Perform for Line {
    fn print(&mut self, c: char) {
        self.put(c);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\r' => self.column = 0,
            b'\x08' => self.column = self.column.saturating_sub(1),
            byte => self.put(char::from(byte)),
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: u8) {
        if ignore || !intermediates.is_empty() {
            return;
        }
        let first = usize::from(params.iter().next().and_then(|param| param.first().copied()).unwrap_or_default());
        match action {
            b'm' => self.set_style(params),
            b'G' => self.move_to(first.max(1) - 1),
            b'C' => self.move_to(self.column + first.max(1)),
            b'D' => self.move_to(self.column.saturating_sub(first.max(1))),
            b'K' => {
                let erased = match first {
                    0 => self.column.min(self.cells.len())..self.cells.len(),
                    1 => 0..(self.column + 1).min(self.cells.len()),
                    2 => 0..self.cells.len(),
                    _ => return,
                };
                self.cells[erased].fill(Cell { shown: ' ', style: String::new() });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_written_over_is_not_shown() {
        for (text, shown) in [
            ("plain \x1b[1mbold\x1b[0m\r", "plain \x1b[1mbold\x1b[0m"),
            ("10 %\r50 %\r100 %\r", "100 %"),
            ("a long line\rshort", "shortg line"),
            ("a long line\r\x1b[Kshort", "short"),
            ("wait\x1b[2K\x1b[1Gdone", "done"),
            ("|\x08/\x08-", "-"),
            ("é日\rx", "x日"),
            ("\x1b[33mbusy\x1b[0m\r\x1b[2K\x1b[1;32mok\x1b[0m rest", "\x1b[1;32mok\x1b[0m rest"),
            ("a\r\x1b[3Cb", "a  b"),
        ] {
            assert_eq!(resolve_moves(text), shown, "{text:?}");
        }
        // A column far away costs no memory.
        assert!(resolve_moves("a\r\x1b[65535Cb").len() <= MAX_COLUMNS + 1);
    }

    proptest! {
        #[test]
        fn no_line_moves_the_cursor(text in "([a-zé ]|\x1b\\[|K|G|C|D|m|;|[0-9]|\r|\x08|\x1b){0,80}") {
            let shown = resolve_moves(&text);
            prop_assert!(!shown.contains(['\r', '\x08']) , "{shown:?}");
            prop_assert_eq!(resolve_moves(&shown), shown.clone());
        }
    }
}
