//! Secrets in tables: in the column under a name, and beside a name in a row.

use super::assigned::{self, Kind};
use super::{REDACTED, Span};

/// How many rows are looked at under a heading.
const MAX_ROWS: usize = 200;

/// The cells of a line, with where they begin and end without what is around them.
fn cells(line: &str, by: By, offset: usize) -> Vec<(usize, usize)> {
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
        By::Sign(sign) => {
            let mut start = 0;
            for (at, _) in line.match_indices(sign) {
                add(start, at);
                start = at + sign.len_utf8();
            }
            add(start, line.len());
        }
        By::Spaces => {
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

/// What parts the cells of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Sign(char),
    Spaces,
}

/// The secrets of a text's tables.
pub(super) fn spans(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    // The columns of secrets in the table that the last rows are of.
    let mut heading: Option<(By, usize, Vec<usize>, usize)> = None;
    let mut offset = 0;
    for line in text.split('\n') {
        let start = offset;
        offset += line.len() + 1;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.len() > 2000 {
            heading = None;
            continue;
        }
        let is_rule = !line.is_empty() && line.bytes().all(|byte| matches!(byte, b'-' | b'|' | b':' | b'+' | b' ' | b'=')) ;
        if is_rule {
            continue;
        }
        if let Some((by, count, columns, rows)) = &mut heading {
            let row = cells(line, *by, start);
            *rows += 1;
            if row.len() < *count || *rows > MAX_ROWS {
                heading = None;
            } else {
                let found = columns.iter().filter_map(|column| row.get(*column)).filter(|(from, to)| is_value(&text[*from..*to]));
                spans.extend(found);
                continue;
            }
        }
        if !assigned::has_name(line) {
            continue;
        }
        for by in [By::Sign('|'), By::Sign('│'), By::Sign('\t'), By::Sign(','), By::Sign(';'), By::Spaces] {
            let is_parted = match by {
                By::Sign(sign) => line.contains(sign),
                By::Spaces => line.contains("  "),
            };
            if !is_parted {
                continue;
            }
            let row = cells(line, by, start);
            let is_secret = |(from, to): &(usize, usize)| is_name(&text[*from..*to]);
            let columns: Vec<usize> = (0..row.len()).filter(|column| is_secret(&row[*column])).collect();
            if columns.is_empty() || row.len() < 2 || row.len() > 40 {
                continue;
            }
            let is_comma = matches!(by, By::Sign(',' | ';'));
            let beside = columns.first().and_then(|column| row.get(column + 1)).filter(|(from, to)| !is_comma && is_value(&text[*from..*to]));
            match beside {
                Some(span) => spans.push(*span),
                // A list of names has no rows of as many cells.
                None => heading = Some((by, row.len(), columns, 0)),
            }
            break;
        }
    }
    spans
}

/// Whether a cell names a secret, and nothing else.
fn is_name(cell: &str) -> bool {
    let is_short = (2..=40).contains(&cell.len()) && cell.split(' ').count() <= 3;
    let name = cell.trim_end_matches(':').replace(' ', "_");
    is_short
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        && matches!(assigned::kind(&name), Some(Kind::Password | Kind::Phrase | Kind::Token))
}

/// Whether a cell has a secret, and not a word or a number.
fn is_value(cell: &str) -> bool {
    let digits = cell.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = cell.bytes().all(|byte| byte.is_ascii_graphic()) && !cell.contains(['(', '<', '[', '/', ':']);
    let letters = cell.bytes().filter(u8::is_ascii_alphabetic).count();
    cell.len() >= 8 && is_plain && digits >= 1 && letters >= 3 && !cell.contains(REDACTED) && assigned::kind(cell).is_none()
}
