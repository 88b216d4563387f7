//! Secrets in tables: in the column under a name, and beside a name in a row.

use super::assigned::{self, ValueKind};
use super::text::{REDACTED, Span, is_placeholder};

/// How many rows are looked at under a heading.
const MAX_ROWS: usize = 200;

/// The longest line that is looked at.
const MAX_LINE_LEN: usize = 2000;

/// The most cells of a row.
const MAX_CELLS: usize = 40;

/// The cells of a line, with where they begin and end without what is around them.
fn cells(line: &str, by: Gap, offset: usize) -> Vec<(usize, usize)> {
    let mut cells = Vec::new();
    let mut add = |start: usize, end: usize| {
        let part = &line[start..end];
        let is_around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '*' | '_' | '\\');
        let inner = part.trim_matches(is_around);
        // The last one of a text in JSON.
        let inner = inner.split('"').next().unwrap_or_default().trim_end_matches('\\');
        let at = start + (part.len() - part.trim_start_matches(is_around).len());
        cells.push((offset + at, offset + at + inner.len()));
    };
    match by {
        Gap::Char(sign) => {
            let mut start = 0;
            for (at, _) in line.match_indices(sign) {
                add(start, at);
                start = at + sign.len_utf8();
            }
            add(start, line.len());
        }
        Gap::Spaces => {
            let (mut start, bytes) = (0, line.as_bytes());
            while start < bytes.len() {
                let end = line[start..].find("  ").map_or(line.len(), |at| start + at);
                add(start, end);
                start = end + bytes[end..].iter().take_while(|byte| **byte == b' ').count();
            }
        }
    }
    cells
}

/// The separator of the cells of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    Char(char),
    Spaces,
}

/// The secrets of tables that have these words of names.
pub(super) fn find_secrets(text: &str, words: &[Span]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let bytes = text.as_bytes();
    let mut after = 0;
    for (word, _) in words {
        let word = (*word).min(text.len());
        if word < after || !is_in_cell(bytes, word) {
            continue;
        }
        let from = word.saturating_sub(MAX_LINE_LEN);
        let start = memchr::memrchr(b'\n', &bytes[from..word]).map_or(from, |at| from + at + 1).max(after);
        let end = memchr::memchr(b'\n', &bytes[word..(word + MAX_LINE_LEN).min(text.len())])
            .map_or((word + MAX_LINE_LEN).min(text.len()), |at| word + at);
        after = end;
        let Some(line) = text.get(start..end).filter(|line| line.len() < MAX_LINE_LEN) else { continue };
        for by in [Gap::Char('|'), Gap::Char('│'), Gap::Char('\t'), Gap::Char(','), Gap::Char(';'), Gap::Spaces] {
            let is_parted = match by {
                Gap::Char(sign) => (1..MAX_CELLS).contains(&line.matches(sign).take(MAX_CELLS).count()),
                Gap::Spaces => line.contains("  "),
            };
            if !is_parted {
                continue;
            }
            let row = cells(line, by, start);
            let filled = row.iter().filter(|(from, to)| from < to).count();
            if filled < 2 || row.len() > MAX_CELLS {
                continue;
            }
            let columns: Vec<(usize, ValueKind)> = (0..row.len())
                .filter_map(|column| Some((column, named(&text[row[column].0..row[column].1])?)))
                .collect();
            if columns.is_empty() {
                continue;
            }
            let is_comma = matches!(by, Gap::Char(',' | ';'));
            let beside = columns
                .first()
                .and_then(|(column, _)| row.get(column + 1))
                .filter(|(from, to)| !is_comma && is_value(&text[*from..*to]));
            match beside {
                Some(span) => spans.push(*span),
                // Code and sentences have commas and spaces as well.
                None if !matches!(by, Gap::Char('|' | '│'))
                    && !row.iter().all(|(from, to)| is_heading(&text[*from..*to])) => {}
                None => after = column(text, (end + 1).min(text.len()), by, row.len(), &columns, &mut spans),
            }
            break;
        }
    }
    spans
}

/// Whether a word may be one of a cell that is a name: on both sides, there are only words up to what parts cells.
fn is_in_cell(bytes: &[u8], word: usize) -> bool {
    is_open(bytes[..word].iter().rev().copied(), false) && is_open(bytes[word..].iter().copied(), true)
}

fn is_open(around: impl Iterator<Item = u8>, is_behind: bool) -> bool {
    let mut last = 0;
    for byte in around.take(80) {
        match byte {
            // `│` is not ASCII.
            b'\n' | b'\r' | b'|' | b',' | b';' | b'\t' | 0x80.. => return true,
            b' ' if last == b' ' => return true,
            // What a quote closes is the cell.
            b'"' if is_behind => return true,
            b':' if is_behind => {}
            b'_' | b'-' | b'.' | b' ' | b'"' | b'\'' | b'`' | b'*' | b'\\' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => return false,
        }
        last = byte;
    }
    true
}

/// Takes the cells of columns in the rows from a place on. Returns where the rows end.
fn column(
    text: &str,
    from: usize,
    by: Gap,
    count: usize,
    columns: &[(usize, ValueKind)],
    spans: &mut Vec<Span>,
) -> usize {
    let mut start = from;
    for line in text.get(from..).unwrap_or_default().split('\n').take(MAX_ROWS) {
        let at = start;
        let is_rule = !line.is_empty()
            && line.bytes().all(|byte| matches!(byte, b'-' | b'|' | b':' | b'+' | b' ' | b'=' | b'\r'));
        if !is_rule {
            let row = if line.len() < MAX_LINE_LEN { cells(line, by, at) } else { Vec::new() };
            if row.len() < count {
                break;
            }
            spans.extend(
                columns
                    .iter()
                    .filter_map(|(column, kind)| Some((row.get(*column)?, kind)))
                    .filter_map(|((from, to), kind)| is_in_column(&text[*from..*to], *kind).then_some((*from, *to))),
            );
        }
        start = at + line.len() + 1;
    }
    start.min(text.len())
}

/// Whether a cell can be one of a heading.
fn is_heading(cell: &str) -> bool {
    let is_of = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '{' | '[' | '"' | ':' | '\\');
    (1..=40).contains(&cell.len()) && cell.chars().all(is_of)
}

/// The kind of secret that a cell names, if it has nothing else.
fn named(cell: &str) -> Option<ValueKind> {
    let name = cell.trim_end_matches(':');
    let is_name = (2..=40).contains(&cell.len())
        && cell.split(' ').count() <= 3
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b' '));
    if !is_name {
        return None;
    }
    assigned::classify_name(&name.replace(' ', "_")).filter(|kind| *kind != ValueKind::Key)
}

/// Whether a cell under a name has a secret. Any word may be a password.
fn is_in_column(cell: &str, kind: ValueKind) -> bool {
    let is_word = cell.len() >= 5
        && cell.bytes().all(|byte| byte.is_ascii_graphic())
        && !cell.contains(['(', '<', '[', '{', '"'])
        && !cell.starts_with(['$', '-', '*'])
        && !cell.contains(REDACTED)
        && !is_placeholder(cell);
    is_value(cell) || (kind == ValueKind::Password && is_word)
}

/// Whether a cell has a secret, and not a word or a number.
fn is_value(cell: &str) -> bool {
    let digits = cell.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = cell.bytes().all(|byte| byte.is_ascii_graphic()) && !cell.contains(['(', '<', '[', '/', ':']);
    let letters = cell.bytes().filter(u8::is_ascii_alphabetic).count();
    cell.len() >= 8
        && is_plain
        && digits >= 1
        && letters >= 3
        && !cell.contains(REDACTED)
        && !assigned::is_compound_word(cell)
}
