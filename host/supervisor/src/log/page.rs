//! Reading a log by positions, a page at a time.

use std::time::Instant;

use super::format::{Assembler, parse};
use super::read::{files, positions, read_part};
use super::{Log, LogEntry};
use crate::error::SupervisorError;

/// How much is read at once.
const CHUNK_BYTES: u64 = 256 << 10;

/// How much a page holds at most.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    /// The number of lines.
    pub lines: usize,
    /// The number of bytes in the lines. One line may be longer.
    pub bytes: usize,
    /// When reading stops, whatever was found.
    pub deadline: Option<Instant>,
}

/// A line and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionedEntry {
    /// The position of the line's last piece: the number of bytes of the log before it.
    pub position: u64,
    /// The line.
    pub entry: LogEntry,
}

/// Lines of a log from a position on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The lines, oldest first.
    pub lines: Vec<PositionedEntry>,
    /// The position after the last byte that was read: the next page begins here.
    pub next: u64,
    /// The end of the log.
    pub end: u64,
    /// Whether lines between the given position and the first one are no longer kept.
    pub has_gap: bool,
}

impl Log {
    /// Returns the position of the end of the log.
    pub fn end_position(&self) -> Result<u64, SupervisorError> {
        let files = files(&self.path())?;
        let start = positions(&files).first().copied().unwrap_or(0);
        Ok(start + files.first().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len()))
    }

    /// Returns the lines from a position on that `wanted` selects. A position within a line means its rest.
    pub fn page(
        &self,
        from: u64,
        wanted: &dyn Fn(&LogEntry) -> bool,
        limits: PageLimits,
    ) -> Result<LogPage, SupervisorError> {
        let path = self.path();
        let mut files = files(&path)?;
        let starts = positions(&files);
        let mut page = LogPage { next: from, ..LogPage::default() };
        page.end = match (starts.first(), files.first()) {
            (Some(start), Some(file)) => start + file.metadata().map_or(0, |meta| meta.len()),
            _ => return Ok(page),
        };
        let oldest = starts.last().copied().unwrap_or(0);
        page.has_gap = from < oldest;
        page.next = from.max(oldest);
        let (mut assembler, mut bytes, mut found) = (Assembler::default(), 0, Vec::new());
        for (file, start) in files.iter_mut().zip(starts).rev() {
            // A file that a killed writer did not finish may leave a gap before the next one.
            page.next = page.next.max(start);
            let mut size = CHUNK_BYTES;
            loop {
                let part = read_part(file, page.next - start, size);
                let part = part.map_err(|e| SupervisorError::io("read", &path, e))?;
                let mut taken = 0;
                for line in part.split_inclusive(|b| *b == b'\n') {
                    let Some((b'\n', text)) = line.split_last() else { break };
                    if let Some(piece) = parse(text) {
                        assembler.push(piece, &mut found);
                    }
                    let position = page.next + taken;
                    taken += line.len() as u64;
                    for entry in found.drain(..).filter(wanted) {
                        bytes += entry.bytes.len();
                        page.lines.push(PositionedEntry { position, entry });
                    }
                    if page.lines.len() >= limits.lines || bytes >= limits.bytes {
                        page.next += taken;
                        return Ok(page.with(assembler, wanted));
                    }
                }
                page.next += taken;
                if limits.deadline.is_some_and(|until| Instant::now() >= until) {
                    return Ok(page.with(assembler, wanted));
                }
                if taken == 0 {
                    if (part.len() as u64) < size {
                        break;
                    }
                    // There is no line break in the whole part.
                    size *= 4;
                }
            }
        }
        Ok(page.with(assembler, wanted))
    }
}

impl LogPage {
    /// Adds what was read of lines that have no end yet. The next page has their rest.
    fn with(mut self, assembler: Assembler, wanted: &dyn Fn(&LogEntry) -> bool) -> Self {
        let position = self.next;
        let rest = assembler.finish().into_iter().filter(|entry| !entry.bytes.is_empty()).filter(wanted);
        self.lines.extend(rest.map(|entry| PositionedEntry { position, entry }));
        self
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::{LogWriter, Stream};
    use super::*;
    use crate::new::LogPolicy;
    use proptest::prelude::*;

    const ALL: PageLimits = PageLimits { lines: usize::MAX, bytes: usize::MAX, deadline: None };

    fn text(line: &PositionedEntry) -> String {
        String::from_utf8_lossy(&line.entry.bytes).into_owned()
    }

    #[test]
    fn a_position_means_the_same_after_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let policy = LogPolicy { file_bytes: 200, files: 3 };
        let mut log = LogWriter::open(dir.path(), policy).unwrap();
        let reader = Log::new(dir.path());
        log.write(Stream::Stdout, b"first\n").unwrap();
        let at = reader.page(0, &|_| true, ALL).unwrap().next;
        log.write(Stream::Stdout, b"second\n").unwrap();
        let second = reader.page(at, &|_| true, ALL).unwrap();
        assert_eq!(second.lines.iter().map(text).collect::<Vec<_>>(), ["second"]);
        // A new writer goes on where the old one was.
        let mut log = LogWriter::open(dir.path(), policy).unwrap();
        for number in 0..12 {
            log.write(Stream::Stdout, format!("line {number}\n").as_bytes()).unwrap();
        }
        let again = reader.page(at, &|_| true, PageLimits { lines: 1, ..ALL }).unwrap();
        assert_eq!((text(&again.lines[0]), again.lines[0].position), ("second".into(), second.lines[0].position));
        for number in 0..40 {
            log.write(Stream::Stdout, format!("more {number}\n").as_bytes()).unwrap();
        }
        let late = reader.page(at, &|_| true, ALL).unwrap();
        assert!(late.has_gap && late.next == late.end && text(late.lines.last().unwrap()) == "more 39", "{late:?}");
        assert_eq!(reader.end_position().unwrap(), late.end);
    }

    #[test]
    fn no_part_of_a_line_is_lost_between_pages() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::open(dir.path(), LogPolicy::default()).unwrap();
        let (reader, mut from, mut seen) = (Log::new(dir.path()), 0, String::new());
        for part in ["first half,", " second half\n", "prompt> "] {
            log.write(Stream::Stdout, part.as_bytes()).unwrap();
            log.write(Stream::Stderr, b"between\n").unwrap();
            let page = reader.page(from, &|entry| entry.stream == Stream::Stdout, ALL).unwrap();
            seen.extend(page.lines.iter().map(text));
            from = page.next;
        }
        assert_eq!(seen, "first half, second halfprompt> ");
    }

    #[test]
    fn a_log_without_positions_is_read_beside_one_with_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log.1"), "1 o= old\n").unwrap();
        std::fs::write(dir.path().join("log"), "2 o= older aiw\n").unwrap();
        let mut log = LogWriter::open(dir.path(), LogPolicy::default()).unwrap();
        log.write(Stream::Stdout, b"new\n").unwrap();
        let page = Log::new(dir.path()).page(0, &|_| true, ALL).unwrap();
        assert_eq!(page.lines.iter().map(text).collect::<Vec<_>>(), ["old", "older aiw", "new"]);
        assert_eq!((page.has_gap, page.lines[1].position), (false, 9));
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn pages_together_are_the_whole_log(lines in proptest::collection::vec("[a-z]{0,40}", 0..60), most in 1usize..9) {
                let dir = tempfile::tempdir().unwrap();
                let mut log = LogWriter::open(dir.path(), LogPolicy { file_bytes: 300, files: 16 }).unwrap();
                for line in &lines {
                    log.write(Stream::Stdout, format!("{line}\n").as_bytes()).unwrap();
                }
                let (reader, mut seen, mut from) = (Log::new(dir.path()), Vec::new(), 0);
                loop {
                    let page = reader.page(from, &|_| true, PageLimits { lines: most, ..ALL }).unwrap();
                    prop_assert!(!page.has_gap || lines.len() > 40);
                    if page.lines.is_empty() {
                        break;
                    }
                    seen.extend(page.lines.iter().map(text));
                    from = page.next;
                }
                prop_assert!(lines.ends_with(&seen));
            }

            #[test]
            fn any_file_is_read(bytes: Vec<u8>, from: u64) {
                let dir = tempfile::tempdir().unwrap();
                std::fs::write(dir.path().join("log"), bytes).unwrap();
                let _ = Log::new(dir.path()).page(from, &|_| true, ALL);
            }
        }
    }
}
