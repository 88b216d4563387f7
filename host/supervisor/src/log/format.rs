//! The format of a log file: one text line for each piece of an output line.
//!
//! ```text
//! 1732104000123 o= {"type":"init"}      a whole line of standard output
//! 1732104000124 e< Warn                 the beginning of a line of standard error,
//! 1732104000190 e~ ing: no              a piece from its middle,
//! 1732104000200 e> thing                and its end
//! 1732104000201 a= ended: exit code 0   written by aiw itself
//! ```
//!
//! The first line of a file is its position: `@` and the number of bytes of the log before the file. With it, a position in
//! the log means the same after older files are gone. Files that aiw wrote before it had positions begin without.
//!
//! A piece of a program's output cannot contain a line break, so every line break in the file ends a piece. The file can
//! therefore be read from any place, backwards too.

use super::{LogEntry, Stream};

/// A piece of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinePiece<'a> {
    pub time: u64,
    pub stream: Stream,
    pub is_start: bool,
    pub is_end: bool,
    pub bytes: &'a [u8],
}

impl LinePiece<'_> {
    /// Appends the piece as it is written in the file. `time` is its time as text, which many pieces share.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only shims write logs"))]
    pub fn encode(&self, time: &str, out: &mut Vec<u8>) {
        let stream = match self.stream {
            Stream::Stdout => b'o',
            Stream::Stderr => b'e',
            Stream::Aiw => b'a',
        };
        let mark = match (self.is_start, self.is_end) {
            (true, true) => b'=',
            (true, false) => b'<',
            (false, false) => b'~',
            (false, true) => b'>',
        };
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(&[b' ', stream, mark, b' ']);
        out.extend_from_slice(self.bytes);
        out.push(b'\n');
    }
}

/// Parses a line of the file, without its line break. Returns `None` if the line is not valid.
pub(super) fn parse(line: &[u8]) -> Option<LinePiece<'_>> {
    let space = line.iter().take(21).position(|b| *b == b' ')?;
    let time = str::from_utf8(&line[..space]).ok()?.parse().ok()?;
    let [stream, mark, b' ', bytes @ ..] = &line[space + 1..] else { return None };
    let stream = match stream {
        b'o' => Stream::Stdout,
        b'e' => Stream::Stderr,
        b'a' => Stream::Aiw,
        _ => return None,
    };
    let (begins, ends) = match mark {
        b'=' => (true, true),
        b'<' => (true, false),
        b'~' => (false, false),
        b'>' => (false, true),
        _ => return None,
    };
    Some(LinePiece { time, stream, is_start: begins, is_end: ends, bytes })
}

/// A longer line is returned in parts.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Joins pieces into lines.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    open: [Option<(u64, Vec<u8>)>; 3],
    /// Whether reading began in the middle of the log. A piece without a beginning then belongs to a line that is
    /// left out. At the start of a log it is the rest of a line that rotation has cut.
    midway: bool,
    /// Whether pieces are returned as they are.
    as_written: bool,
}

impl Assembler {
    /// Returns an assembler for reading that begins in the middle of a log.
    pub fn new_mid_log() -> Self {
        Self { midway: true, ..Self::default() }
    }

    /// Returns this assembler, which joins nothing: each piece is an entry.
    pub fn with_raw_pieces(self, as_written: bool) -> Self {
        Self { as_written, ..self }
    }

    /// Takes a piece, and appends the line to `out` if it is complete.
    pub fn push(&mut self, piece: LinePiece<'_>, out: &mut Vec<LogEntry>) {
        if self.as_written {
            let LinePiece { time, stream, is_end: ends, bytes, .. } = piece;
            return out.push(LogEntry { time, stream, bytes: bytes.to_vec(), is_complete: ends });
        }
        let open = &mut self.open[piece.stream as usize];
        if piece.is_start
            && let Some((time, bytes)) = open.take()
        {
            out.push(LogEntry { time, stream: piece.stream, bytes, is_complete: false });
        }
        if self.midway && !piece.is_start && open.is_none() {
            return;
        }
        let (time, bytes) = open.get_or_insert_default();
        *time = piece.time;
        bytes.extend_from_slice(piece.bytes);
        if (piece.is_end || bytes.len() > MAX_LINE_BYTES)
            && let Some((time, bytes)) = open.take()
        {
            out.push(LogEntry { time, stream: piece.stream, bytes, is_complete: piece.is_end });
            if !piece.is_end {
                *open = Some((time, Vec::new()));
            }
        }
    }

    /// Ends the open lines, because what follows is not what was written next. Until a line begins, pieces are left out.
    pub fn flush(&mut self, out: &mut Vec<LogEntry>) {
        let open = std::mem::replace(self, Self::new_mid_log().with_raw_pieces(self.as_written));
        out.extend(open.finish());
    }

    /// Takes the lines of a buffer, up to its last line break. Returns how many bytes that were.
    pub fn push_all(&mut self, buffer: &[u8], out: &mut Vec<LogEntry>) -> usize {
        let Some(end) = buffer.iter().rposition(|b| *b == b'\n') else { return 0 };
        for piece in buffer[..end].split(|b| *b == b'\n').filter_map(parse) {
            self.push(piece, out);
        }
        end + 1
    }

    /// Returns the lines that have no line break yet, oldest first.
    pub fn finish(self) -> Vec<LogEntry> {
        let streams = [Stream::Stdout, Stream::Stderr, Stream::Aiw];
        let open = self.open.into_iter().zip(streams);
        let mut rest: Vec<LogEntry> = open
            .filter_map(|(open, stream)| open.map(|(time, bytes)| LogEntry { time, stream, bytes, is_complete: false }))
            .collect();
        rest.sort_by_key(|entry| entry.time);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_bytes_are_answered(bytes: Vec<u8>) {
                let _ = parse(&bytes);
                let mut entries = Vec::new();
                Assembler::default().push_all(&bytes, &mut entries);
            }

            #[test]
            fn a_piece_is_read_as_it_was_written(time: u64, begins: bool, ends: bool, bytes in "[^\n]*") {
                let piece = LinePiece { time, stream: Stream::Stderr, is_start: begins, is_end: ends, bytes: bytes.as_bytes() };
                let mut line = Vec::new();
                piece.encode(&time.to_string(), &mut line);
                prop_assert_eq!(line.pop(), Some(b'\n'));
                prop_assert_eq!(parse(&line), Some(piece));
            }
        }
    }
}
