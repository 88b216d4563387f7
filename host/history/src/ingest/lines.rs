//! The lines of a file, in bounded memory however long they are.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

/// How much is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The longest line that is parsed.
pub(crate) const MAX_LINE: usize = 16 << 20;

/// The next item of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextLine<'a> {
    /// A line, without its end.
    Complete {
        /// Where it begins.
        offset: u64,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// A line that is longer than the limit. It was passed over, not held.
    TooLong {
        /// Where it begins.
        offset: u64,
    },
    /// The bytes after the last end of a line. Their writer may not have finished.
    Incomplete {
        /// Where it begins.
        offset: u64,
        /// Its bytes.
        bytes: &'a [u8],
    },
}

/// Reads lines from a position in a file.
pub(crate) struct Lines<R> {
    reader: R,
    limit: usize,
    buffer: Vec<u8>,
    /// Where the bytes begin that are in the buffer and not yet returned.
    start: usize,
    end: usize,
    /// Where in the file `start` is.
    offset: u64,
    is_over: bool,
}

/// The result of [`Lines::find`].
enum FoundLine {
    Line(usize),
    TooLong,
    End,
}

impl<R: Read> Lines<R> {
    /// Lines of what `reader` returns, which begins at `offset` of the file.
    pub(crate) fn new(reader: R, offset: u64, limit: usize) -> Self {
        Self { reader, limit, buffer: vec![0; CHUNK_BYTES], start: 0, end: 0, offset, is_over: false }
    }

    /// Where the next line begins. A torn one is not passed.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line. After a torn one there is none.
    pub(crate) fn next(&mut self) -> io::Result<Option<NextLine<'_>>> {
        if self.is_over {
            return Ok(None);
        }
        let offset = self.offset;
        match self.find()? {
            FoundLine::Line(length) => {
                let from = self.start;
                self.pass(length + 1);
                let bytes = &self.buffer[from..from + length];
                Ok(Some(NextLine::Complete { offset, bytes: bytes.strip_suffix(b"\r").unwrap_or(bytes) }))
            }
            FoundLine::TooLong => match self.skip()? {
                true => Ok(Some(NextLine::TooLong { offset })),
                false => {
                    // Its end may still be written.
                    self.offset = offset;
                    self.is_over = true;
                    Ok(None)
                }
            },
            FoundLine::End => {
                self.is_over = true;
                let bytes = &self.buffer[self.start..self.end];
                Ok((!bytes.is_empty()).then_some(NextLine::Incomplete { offset, bytes }))
            }
        }
    }

    fn pass(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Reads until the buffer has a whole line, as many bytes as a line may have, or all that there is.
    fn find(&mut self) -> io::Result<FoundLine> {
        let mut seen = 0;
        loop {
            let held = &self.buffer[self.start..self.end];
            if let Some(at) = memchr::memchr(b'\n', &held[seen..]) {
                return Ok(if seen + at > self.limit { FoundLine::TooLong } else { FoundLine::Line(seen + at) });
            }
            seen = held.len();
            if seen > self.limit {
                return Ok(FoundLine::TooLong);
            }
            if !self.fill()? {
                return Ok(FoundLine::End);
            }
        }
    }

    /// Passes over the rest of a line; returns whether it has an end.
    fn skip(&mut self) -> io::Result<bool> {
        loop {
            match memchr::memchr(b'\n', &self.buffer[self.start..self.end]) {
                Some(at) => {
                    self.pass(at + 1);
                    return Ok(true);
                }
                None => {
                    self.pass(self.end - self.start);
                    if !self.fill()? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Reads more into the buffer; returns whether there was more.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read > 0);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// The most objects that are looked for in a line that is not JSON.
const MAX_OBJECTS: usize = 16;

/// Returns where the whole objects are in a line that is not JSON as a whole: several in a row, or behind the torn
/// beginning of another one.
pub(crate) fn find_json_objects(line: &[u8]) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    for _ in 0..MAX_OBJECTS {
        // Behind a whole object, another one may follow at some distance.
        let rest = line.get(at..).unwrap_or_default();
        let follows = rest.trim_ascii_start();
        if !found.is_empty()
            && follows.starts_with(b"{\"")
            && found.last().is_some_and(|last: &Range<usize>| last.end == at)
        {
            at += rest.len() - follows.len();
        }
        let Some(start) = line.get(at..).and_then(|rest| object_start(rest, at == 0)).map(|start| at + start) else {
            break;
        };
        let mut objects = serde_json::Deserializer::from_slice(&line[start..]).into_iter::<serde::de::IgnoredAny>();
        at = match objects.next() {
            Some(Ok(_)) => {
                let end = start + objects.byte_offset();
                found.push(start..end);
                end
            }
            // Torn: the next one may begin anywhere in it.
            _ => start + 1,
        };
    }
    found
}

/// Where an object begins that is not a part of another one, as far as the byte before it tells.
fn object_start(bytes: &[u8], is_first: bool) -> Option<usize> {
    memchr::memmem::find_iter(bytes, b"{\"").find(|at| match at.checked_sub(1).and_then(|before| bytes.get(before)) {
        None => is_first || *at == 0,
        Some(before) => !matches!(before, b':' | b'[' | b',' | b' ' | b'\t' | b'\\'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where each line begins, and its bytes if it is not too long.
    type All = Vec<(u64, Option<Vec<u8>>)>;

    /// Returns the lines of a file with these bytes, read in pieces of this size, and where it ends.
    fn lines(bytes: &[u8], piece: usize, limit: usize) -> (All, u64) {
        let mut lines = Lines::new(Pieces(bytes, piece), 0, limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(match line {
                NextLine::Complete { offset, bytes } => (offset, Some(bytes.to_owned())),
                NextLine::TooLong { offset } => (offset, None),
                NextLine::Incomplete { .. } => continue,
            });
        }
        (all, lines.offset())
    }

    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }

    #[test]
    fn whole_objects_are_found_in_a_line_that_is_none() {
        let all = |line: &str| -> Vec<String> {
            find_json_objects(line.as_bytes()).into_iter().map(|range| line[range].to_owned()).collect()
        };
        let (one, two) = (r#"{"a": {"b": [{"c": 1}]}}"#, r#"{"type": "user", "text": "{\"x\": 1}"}"#);
        assert_eq!(all(&format!("{one}{two}")), [one, two]);
        assert_eq!(all(&format!("{one} {two}")), [one, two]);
        assert_eq!(all(&format!(r#"{{"a": "/ho{two}"#)), [two]);
        assert_eq!(all(&format!(r#"{{"a": {{"b": 1, "t{one}{two}"#)), [one, two]);
        assert_eq!(all(r#"{"a": {"b": {"c": "torn"#), Vec::<String>::new());
        assert_eq!(all(&one[..one.len() - 1]), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn any_line_is_answered(line in "[{}\"a:, \\[\\]]{0,60}") {
            for range in find_json_objects(line.as_bytes()) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&line[range]).is_ok());
            }
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over_and_the_next_one_is_read() {
        let long = vec![b'x'; 3 << 20];
        let bytes = [b"a\n", &long[..], b"\nb\n"].concat();
        let (all, end) = lines(&bytes, 70_000, 1 << 20);
        assert_eq!(all, [(0, Some(b"a".to_vec())), (2, None), (3 + (3 << 20), Some(b"b".to_vec()))]);
        assert_eq!(end, bytes.len() as u64);
    }

    #[test]
    fn memory_is_bounded_by_the_limit_of_a_line() {
        let mut lines = Lines::new(io::repeat(b'x').take(200 << 20), 0, 1 << 20);
        assert_eq!(lines.next().unwrap(), None);
        assert!(lines.buffer.capacity() <= 4 << 20, "{}", lines.buffer.capacity());
        assert_eq!(lines.offset(), 0);
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn every_line_is_found_once_wherever_reads_end(
                text in "[ab\\n\\r]{0,60}",
                piece in 1_usize..9,
                limit in 0_usize..12,
            ) {
                let bytes = text.as_bytes();
                let (all, end) = lines(bytes, piece, limit);
                let mut offset = 0_u64;
                let mut wanted = Vec::new();
                for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
                    let body = &line[..line.len() - 1];
                    let whole = (body.len() <= limit).then(|| body.strip_suffix(b"\r").unwrap_or(body).to_owned());
                    wanted.push((offset, whole));
                    offset += line.len() as u64;
                }
                prop_assert_eq!(all, wanted);
                prop_assert_eq!(end, offset);
            }
        }
    }
}
