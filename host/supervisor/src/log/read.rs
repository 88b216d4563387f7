//! Reading a log, from its end and while it is being written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_home::file_position;

use super::format::Assembler;
use super::{FollowFrom, Log, LogEntry, MAX_FILES, Stream};
use crate::error::SupervisorError;
use crate::platform;
use crate::watch::{Sources, Watch};

/// How much to read at first when reading from the end.
const WINDOW_BYTES: u64 = 64 << 10;
/// How much to read at once when reading on.
const CHUNK_BYTES: usize = 256 << 10;
/// How many files may be open and not yet read. Open files that the log has dropped keep their place on the disk.
const MAX_OPEN_FILES: usize = 2 * MAX_FILES;

/// Opens the existing files of a log, newest first. Each file appears once, even if files are renamed meanwhile.
pub(super) fn files(path: &Path) -> Result<Vec<File>, SupervisorError> {
    let mut files: Vec<File> = Vec::new();
    for age in 0..MAX_FILES {
        let path = if age == 0 { path.to_owned() } else { super::numbered(path, age) };
        match aiw_home::open_regular(&path) {
            Ok(file) if files.iter().any(|other| platform::is_same_file(other, &file)) => {}
            Ok(file) => files.push(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(SupervisorError::io("read", &path, e)),
        }
    }
    Ok(files)
}

/// Returns the position of the first byte of each file of a log, newest first.
#[cfg(unix)]
pub(super) fn base_offsets(path: &Path) -> Vec<u64> {
    let Ok(files) = files(path) else { return Vec::new() };
    positions(&files)
}

/// Returns the position of the first byte of each of these files, newest first. A file that does not say its position
/// begins where the file before it ends.
pub(super) fn positions(files: &[File]) -> Vec<u64> {
    let mut positions = Vec::new();
    let mut end = 0;
    for file in files.iter().rev() {
        let start = file_position(file).unwrap_or(end);
        end = start + file.metadata().map_or(0, |meta| meta.len());
        positions.push(start);
    }
    positions.reverse();
    positions
}

/// Returns how many bytes are missing between two files, as far as they tell; `None` if none are.
fn lost_between(older: &File, newer: &File) -> Option<u64> {
    let length = older.metadata().map(|meta| meta.len());
    match (file_position(older), file_position(newer), length) {
        (Some(older), Some(newer), Ok(length)) => Some(newer.saturating_sub(older + length)).filter(|lost| *lost > 0),
        _ => Some(0),
    }
}

/// The entry that stands for lost lines.
fn missing(bytes: u64, time: u64) -> LogEntry {
    let count = if bytes > 0 { format!(" ({bytes} bytes)") } else { String::new() };
    let text = format!("lines are missing here{count}: they were written faster than they were read");
    LogEntry { time, stream: Stream::Aiw, bytes: text.into_bytes(), is_complete: true }
}

/// The end of a log: its entries, and the position where reading of the live file continues.
struct End {
    entries: Vec<LogEntry>,
    /// The position in the log where it ends.
    position: u64,
    assembler: Assembler,
    live: Option<(File, u64)>,
}

impl Log {
    /// Reads backwards in growing windows, until `enough` accepts the entries or everything is read. `as_written`: each
    /// piece of a line is an entry.
    fn end(&self, as_written: bool, enough: impl Fn(&[LogEntry]) -> bool) -> Result<End, SupervisorError> {
        let path = self.path();
        let fail = |e| SupervisorError::io("read", &path, e);
        let mut files = files(&path)?;
        // What is written from now on is left to `LogFollower`.
        let lengths = files.iter().map(|file| file.metadata().map(|m| m.len())).collect::<io::Result<Vec<u64>>>();
        let lengths = lengths.map_err(fail)?;
        let total: u64 = lengths.iter().sum();
        let base = positions(&files).first().copied().unwrap_or(0);
        let mut window = WINDOW_BYTES;
        loop {
            let mut parts = Vec::new();
            let mut left = window.min(total);
            for (file, length) in files.iter_mut().zip(&lengths) {
                let take = left.min(*length);
                parts.push(read_part(file, length - take, take).map_err(fail)?);
                left -= take;
                if left == 0 {
                    break;
                }
            }
            let cut = window < total;
            let assembler = if cut { Assembler::new_mid_log() } else { Assembler::default() };
            let mut assembler = assembler.with_raw_pieces(as_written);
            let mut entries = Vec::new();
            let mut live_end = 0;
            for (age, part) in parts.iter().enumerate().rev() {
                // A window may begin in the middle of a line of the file.
                let first_end = part.iter().position(|b| *b == b'\n').map_or(part.len(), |at| at + 1);
                let from = if cut && age + 1 == parts.len() { first_end } else { 0 };
                let taken = assembler.push_all(&part[from..], &mut entries);
                if age == 0 {
                    live_end = lengths[0] - (part.len() - from - taken) as u64;
                }
            }
            if !cut || enough(&entries) {
                let live = (!files.is_empty()).then(|| (files.swap_remove(0), live_end));
                return Ok(End { entries, position: base + live_end, assembler, live });
            }
            window = window.saturating_mul(4);
        }
    }

    /// Returns the last lines, oldest first. It reads from the end, so the size of the log does not matter.
    pub fn tail(&self, lines: usize) -> Result<Vec<LogEntry>, SupervisorError> {
        Ok(self.tail_with_position(lines)?.0)
    }

    /// Returns the last lines as [`Self::tail`] does, and the position where a page goes on behind them.
    pub fn tail_with_position(&self, lines: usize) -> Result<(Vec<LogEntry>, u64), SupervisorError> {
        let End { mut entries, assembler, position, .. } = self.end(false, |entries| entries.len() >= lines)?;
        entries.extend(assembler.finish());
        entries.drain(..entries.len().saturating_sub(lines));
        Ok((entries, position))
    }

    /// Returns a reader of the lines from a position on, including those still to be written.
    pub fn follow(&self, from: FollowFrom) -> Result<LogFollower, SupervisorError> {
        let mut follow = LogFollower::of(self.path());
        match from {
            // Opened now, they stay readable, however often the log is rotated.
            FollowFrom::Start => follow.look()?,
            FollowFrom::Tail(lines) => {
                let End { mut entries, assembler, live, .. } = self.end(false, |entries| entries.len() >= lines)?;
                entries.drain(..entries.len().saturating_sub(lines));
                (follow.ready, follow.assembler, follow.current) = (entries, assembler, live);
            }
            FollowFrom::Since(time) => {
                let old = |entries: &[LogEntry]| entries.first().is_some_and(|entry| entry.time < time);
                let End { mut entries, assembler, live, .. } = self.end(false, old)?;
                entries.retain(|entry| entry.time >= time);
                (follow.ready, follow.assembler, follow.current) = (entries, assembler, live);
            }
        }
        Ok(follow)
    }

    /// Returns a reader of the output as it was written, in pieces that need not be whole lines, and begins with at least
    /// this many bytes of what is there.
    pub fn follow_output(&self, bytes: usize) -> Result<LogFollower, SupervisorError> {
        let enough = |entries: &[LogEntry]| entries.iter().map(|entry| entry.bytes.len()).sum::<usize>() >= bytes;
        let End { entries, assembler, live, .. } = self.end(true, enough)?;
        Ok(LogFollower { ready: entries, assembler, current: live, ..LogFollower::of(self.path()) })
    }

    /// Returns a reader of the lines that are there now, however much is written meanwhile.
    pub fn existing_lines(&self, from: FollowFrom) -> Result<LogFollower, SupervisorError> {
        // The files are open before the end is looked up, so none of what is before it is missed.
        let mut follow = self.follow(from)?;
        let end = self.end_position()?;
        // Every file that begins before the end is open after this look, so it is the last one.
        follow.look()?;
        Ok(LogFollower { until: Some(end), ..follow })
    }
}

pub(super) fn read_part(file: &mut File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut part = Vec::new();
    file.take(length).read_to_end(&mut part)?;
    Ok(part)
}

/// Reads a log while it is being written.
#[derive(Debug)]
pub struct LogFollower {
    path: PathBuf,
    /// Listens from the first wait on.
    watch: Option<Watch>,
    is_heard: bool,
    ready: Vec<LogEntry>,
    assembler: Assembler,
    /// The file being read, and the position in it.
    current: Option<(File, u64)>,
    /// The files after it, oldest first, and how many bytes before each of them are missing, if some are.
    newer: VecDeque<(File, Option<u64>)>,
    /// How many bytes are missing before the next line, if some are.
    lost: Option<u64>,
    /// The position at which reading ends.
    until: Option<u64>,
    missed: bool,
}

impl LogFollower {
    fn of(path: PathBuf) -> Self {
        Self {
            path,
            watch: None,
            is_heard: false,
            ready: Vec::new(),
            assembler: Assembler::default(),
            current: None,
            newer: VecDeque::new(),
            lost: None,
            until: None,
            missed: false,
        }
    }

    /// Returns the directory that the files of the log are in.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Returns the next lines, usually at most a few hundred. If there are none, it waits at most `patience` for a
    /// change in the process's directory (including its end) or for a signal, and may still return none, at once when
    /// it begins to listen. The caller then checks whether the process has ended, and calls again.
    pub fn next(&mut self, patience: Duration) -> Result<Vec<LogEntry>, SupervisorError> {
        if !self.read_on()? && !patience.is_zero() {
            self.wait(patience)?;
            self.read_on()?;
        }
        Ok(std::mem::take(&mut self.ready))
    }

    /// Waits for a change in the process's directory since the last wait. The wait in which listening begins ends at
    /// once: nobody hears of what was written, or of a process that ended, just before it.
    fn wait(&mut self, patience: Duration) -> Result<(), SupervisorError> {
        /// How long a directory that can't be listened to is left alone.
        const MTIME_GRANULARITY: Duration = Duration::from_millis(if cfg!(target_os = "linux") { 1000 } else { 250 });
        let watch = match self.watch.take() {
            Some(watch) => watch,
            None => Watch::new()?,
        };
        if self.is_heard {
            watch.wait(Some(patience));
        } else {
            let directories = [(self.directory().to_owned(), true)].into();
            self.is_heard = watch.listen(Sources { directories, ..Sources::default() }).is_empty();
            if !self.is_heard {
                watch.wait(Some(patience.min(MTIME_GRANULARITY)));
            }
        }
        self.watch = Some(watch);
        Ok(())
    }

    /// Reads until there are lines. Returns whether there are any.
    fn read_on(&mut self) -> Result<bool, SupervisorError> {
        while self.ready.is_empty() && self.advance()? {}
        Ok(!self.ready.is_empty())
    }

    /// Returns the lines that have no line break, once the process has ended.
    pub fn finish(self) -> Vec<LogEntry> {
        self.assembler.finish()
    }

    /// Reads on. Returns whether there was anything to read.
    fn advance(&mut self) -> Result<bool, SupervisorError> {
        self.look()?;
        let fail = |e| SupervisorError::io("read", &self.path, e);
        let Some((file, at)) = &mut self.current else { return Ok(self.go_on()) };
        // A file that does not say its position was there before any end that is asked for.
        let left =
            self.until.and_then(|until| Some(until.saturating_sub(file_position(file)? + *at))).unwrap_or(u64::MAX);
        let mut size = (CHUNK_BYTES as u64).min(left);
        loop {
            let part = read_part(file, *at, size).map_err(fail)?;
            let before = self.ready.len();
            let taken = self.assembler.push_all(&part, &mut self.ready);
            if let Some(time) = self.ready.get(before).map(|entry| entry.time)
                && let Some(lost) = self.lost.take()
            {
                // In its place among the lines of other logs, too.
                self.ready.insert(before, missing(lost, time));
            }
            *at += taken as u64;
            if taken > 0 {
                return Ok(true);
            }
            if (part.len() as u64) < size {
                break;
            }
            if size == left {
                return Ok(false);
            }
            // There is no line break in the whole part. A piece is never that long, but the file may hold anything.
            size = (size * 4).min(left);
        }
        if self.newer.is_empty() {
            return Ok(false);
        }
        // A newer file exists, so this one is finished, unless something was appended to it since.
        if read_part(file, *at, 1).map_err(fail)?.is_empty() {
            self.go_on();
        }
        Ok(true)
    }

    /// Goes on to the next file, if there is one.
    fn go_on(&mut self) -> bool {
        let is_late =
            |file: &File| self.until.is_some_and(|until| file_position(file).is_some_and(|start| start >= until));
        if self.newer.front().is_some_and(|(file, _)| is_late(file)) {
            return false;
        }
        let Some((file, lost)) = self.newer.pop_front() else { return false };
        if let Some(lost) = lost {
            self.missed = true;
            self.assembler.flush(&mut self.ready);
            self.lost = Some(self.lost.unwrap_or(0).saturating_add(lost));
        }
        self.current = Some((file, 0));
        true
    }

    /// Opens the files that are new. An open file stays readable, however often the log is rotated.
    fn look(&mut self) -> Result<(), SupervisorError> {
        if self.until.is_some() || self.newer.len() >= MAX_OPEN_FILES {
            return Ok(());
        }
        let files = files(&self.path)?;
        let known = self.newer.back().map(|(file, _)| file).or(self.current.as_ref().map(|(file, _)| file));
        let (count, lost) = match known {
            None => (files.len(), None),
            Some(known) => match files.iter().position(|file| platform::is_same_file(file, known)) {
                Some(age) => (age, None),
                None => (files.len(), files.last().and_then(|oldest| lost_between(known, oldest))),
            },
        };
        let fresh = files.into_iter().take(count).rev().enumerate();
        self.newer.extend(fresh.map(|(number, file)| (file, lost.filter(|_| number == 0))));
        Ok(())
    }

    /// Returns whether reading was too slow and lines were lost.
    pub fn has_lost_lines(&self) -> bool {
        self.missed
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::LogWriter;
    use super::*;
    use crate::new::LogPolicy;

    /// Writes so many lines that each of them begins a file.
    fn rotate(log: &mut LogWriter, mut lines: std::ops::Range<usize>) -> io::Result<()> {
        lines.try_for_each(|number| log.write(Stream::Stdout, format!("line {number}\n").as_bytes()))
    }

    fn read_entries(follow: &mut LogFollower) -> Result<Vec<LogEntry>, SupervisorError> {
        let mut seen = Vec::new();
        loop {
            let entries = follow.next(Duration::ZERO)?;
            if entries.is_empty() {
                return Ok(seen);
            }
            seen.extend(entries);
        }
    }

    fn read(follow: &mut LogFollower) -> Result<Vec<String>, SupervisorError> {
        let entries = read_entries(follow)?;
        Ok(entries.iter().map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned()).collect())
    }

    #[test]
    fn a_slow_reader_keeps_few_files_open_and_says_what_it_missed() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::open(dir.path(), LogPolicy { file_bytes: 1, files: 3 }).unwrap();
        rotate(&mut log, 0..3).unwrap();
        let mut follow = Log::new(dir.path()).follow(FollowFrom::Start).unwrap();
        let mut written = 3;
        for _ in 0..200 {
            // One line is read while two are written.
            follow.next(Duration::ZERO).unwrap();
            rotate(&mut log, written..written + 2).unwrap();
            written += 2;
            assert!(follow.newer.len() < MAX_OPEN_FILES + MAX_FILES, "{} files are open", follow.newer.len());
        }
        let rest = read(&mut follow).unwrap();
        assert!(
            follow.has_lost_lines() && rest.iter().any(|line| line.starts_with("lines are missing here (")),
            "{rest:?}"
        );
        assert_eq!(rest.last().unwrap(), &format!("line {}", written - 1));
    }

    #[test]
    fn each_line_is_read_or_stands_for_the_bytes_that_are_missing_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::open(dir.path(), LogPolicy { file_bytes: 200, files: 3 }).unwrap();
        let mut follow = Log::new(dir.path()).follow(FollowFrom::Start).unwrap();
        let (mut written, mut seen, mut state) = (0, Vec::new(), 7_u64);
        for _ in 0..300 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Now and then more than rotation holds.
            for _ in 0..(state >> 33) % 60 {
                log.write(Stream::Stdout, format!("{written}\n").as_bytes()).unwrap();
                written += 1;
            }
            seen.extend(read_entries(&mut follow).unwrap());
        }
        let (mut next, mut gaps, mut last) = (0, 0, 0);
        for (at, entry) in seen.iter().enumerate() {
            assert!(entry.time >= last, "{entry:?}");
            last = entry.time;
            let text = String::from_utf8_lossy(&entry.bytes);
            if entry.stream == Stream::Aiw {
                gaps += 1;
                let after: usize = String::from_utf8_lossy(&seen[at + 1].bytes).parse().unwrap();
                assert!(after > next, "a gap before {after} where {next} is next");
                // A line of this log: a time of 13 digits, `o=` with blanks around it, the number, and a line break.
                let lost: usize = (next..after).map(|number| 13 + 4 + number.to_string().len() + 1).sum();
                let told: usize = text.split(['(', ' ']).find_map(|word| word.parse().ok()).unwrap();
                assert!(told >= lost && told < lost + lost / 5 + 200, "{text}: {lost} bytes of lines");
                next = after;
            } else {
                assert_eq!(text.parse::<usize>().unwrap(), next);
                next += 1;
            }
        }
        assert!(next == written && gaps > 10 && follow.has_lost_lines(), "{next} of {written}, {gaps} gaps");
    }

    #[test]
    fn what_is_written_after_the_end_opens_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::open(dir.path(), LogPolicy { file_bytes: 1, files: 3 }).unwrap();
        rotate(&mut log, 0..3).unwrap();
        let mut so_far = Log::new(dir.path()).existing_lines(FollowFrom::Start).unwrap();
        let open = so_far.newer.len();
        let mut seen = Vec::new();
        for number in 3..100 {
            seen.extend(so_far.next(Duration::ZERO).unwrap());
            rotate(&mut log, number..number + 1).unwrap();
            assert!(so_far.newer.len() <= open);
        }
        let seen: Vec<_> = seen.iter().map(|entry| String::from_utf8_lossy(&entry.bytes)).collect();
        assert_eq!((seen, so_far.has_lost_lines()), (vec!["line 0".into(), "line 1".into(), "line 2".into()], false));
    }
}
