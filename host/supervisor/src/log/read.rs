//! Reading a log: from its end, and while it is written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_home::now_millis;

use super::format::Assembler;
use super::{Entry, FILES, From, Log, Stream};
use crate::error::SupervisorError;
use crate::platform::{self, Watch};

/// How much is read at first when reading from the end.
const WINDOW: u64 = 64 << 10;
/// How much is read at once when reading on.
const CHUNK: usize = 256 << 10;

/// The length of a file up to its last line break.
#[cfg_attr(not(unix), expect(dead_code, reason = "only shims write logs"))]
pub(super) fn whole_length(mut file: &File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut buffer = vec![0; 4096];
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        file.seek(SeekFrom::Start(start))?;
        let part = &mut buffer[..usize::try_from(end - start).unwrap_or(0)];
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|b| *b == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The files of a log that are there, newest first, each once however they are renamed meanwhile.
fn files(path: &Path) -> Result<Vec<File>, SupervisorError> {
    let mut files: Vec<File> = Vec::new();
    for age in 0..FILES {
        let path = if age == 0 { path.to_owned() } else { super::numbered(path, age) };
        match aiw_home::open_plain(&path) {
            Ok(file) if files.iter().any(|other| platform::same_file(other, &file)) => {}
            Ok(file) => files.push(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(SupervisorError::io("read", &path, e)),
        }
    }
    Ok(files)
}

/// The end of a log: its entries, and where the live file goes on.
struct End {
    entries: Vec<Entry>,
    assembler: Assembler,
    live: Option<(File, u64)>,
}

impl Log {
    /// Reads backwards, more and more, until `enough` says so of what was found or all is read.
    fn end(&self, enough: impl Fn(&[Entry]) -> bool) -> Result<End, SupervisorError> {
        let path = self.path();
        let fail = |e| SupervisorError::io("read", &path, e);
        let mut files = files(&path)?;
        // What is written from now on is left to whoever reads on.
        let lengths = files.iter().map(|file| file.metadata().map(|m| m.len())).collect::<io::Result<Vec<u64>>>();
        let lengths = lengths.map_err(fail)?;
        let total: u64 = lengths.iter().sum();
        let mut window = WINDOW;
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
            let mut assembler = if cut { Assembler::midway() } else { Assembler::default() };
            let mut entries = Vec::new();
            let mut live_end = 0;
            for (age, part) in parts.iter().enumerate().rev() {
                // A window begins within a line of the file.
                let first_end = part.iter().position(|b| *b == b'\n').map_or(part.len(), |at| at + 1);
                let from = if cut && age + 1 == parts.len() { first_end } else { 0 };
                let taken = assembler.take_all(&part[from..], &mut entries);
                if age == 0 {
                    live_end = lengths[0] - (part.len() - from - taken) as u64;
                }
            }
            if !cut || enough(&entries) {
                let live = (!files.is_empty()).then(|| (files.swap_remove(0), live_end));
                return Ok(End { entries, assembler, live });
            }
            window = window.saturating_mul(4);
        }
    }

    /// The last lines, oldest first. It reads from the end, so the size of the log does not matter.
    pub fn tail(&self, lines: usize) -> Result<Vec<Entry>, SupervisorError> {
        let End { mut entries, assembler, .. } = self.end(|entries| entries.len() >= lines)?;
        entries.extend(assembler.rest());
        entries.drain(..entries.len().saturating_sub(lines));
        Ok(entries)
    }

    /// Lines from a place on, and those that will be written.
    pub fn follow(&self, from: From) -> Result<Follow, SupervisorError> {
        // Watching begins before reading, so that nothing falls between.
        let watch = Watch::new(&self.directory);
        let path = self.path();
        let mut follow = Follow {
            path,
            watch,
            ready: Vec::new(),
            assembler: Assembler::default(),
            current: None,
            newer: VecDeque::new(),
            missed: false,
        };
        match from {
            From::Start => {}
            From::Tail(lines) => {
                let End { mut entries, assembler, live } = self.end(|entries| entries.len() >= lines)?;
                entries.drain(..entries.len().saturating_sub(lines));
                (follow.ready, follow.assembler, follow.current) = (entries, assembler, live);
            }
            From::Since(time) => {
                let old = |entries: &[Entry]| entries.first().is_some_and(|entry| entry.time < time);
                let End { mut entries, assembler, live } = self.end(old)?;
                entries.retain(|entry| entry.time >= time);
                (follow.ready, follow.assembler, follow.current) = (entries, assembler, live);
            }
        }
        Ok(follow)
    }
}

fn read_part(file: &mut File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut part = Vec::new();
    file.take(length).read_to_end(&mut part)?;
    Ok(part)
}

/// Reads a log while it is written.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    watch: Watch,
    ready: Vec<Entry>,
    assembler: Assembler,
    /// The file being read, and the place in it.
    current: Option<(File, u64)>,
    /// The files after it, oldest first; whether others were between.
    newer: VecDeque<(File, bool)>,
    missed: bool,
}

impl Follow {
    /// The next lines, some hundreds at most of a usual log. Where there are none, it waits for at most
    /// `patience` for something to happen to the task, its end too, or for a signal, and may answer
    /// with none: ask whether the task has ended, and ask again.
    pub fn next(&mut self, patience: Duration) -> Result<Vec<Entry>, SupervisorError> {
        if !self.read_on()? && !patience.is_zero() {
            self.watch.wait(patience);
            self.read_on()?;
        }
        Ok(std::mem::take(&mut self.ready))
    }

    /// Whether there are lines.
    fn read_on(&mut self) -> Result<bool, SupervisorError> {
        while self.ready.is_empty() && self.advance()? {}
        Ok(!self.ready.is_empty())
    }

    /// What is left of lines that have no line break, once the task has ended.
    pub fn rest(self) -> Vec<Entry> {
        self.assembler.rest()
    }

    /// Reads on; whether there was anything.
    fn advance(&mut self) -> Result<bool, SupervisorError> {
        self.look()?;
        let fail = |e| SupervisorError::io("read", &self.path, e);
        let Some((file, at)) = &mut self.current else { return Ok(self.go_on()) };
        let mut size = CHUNK as u64;
        loop {
            let part = read_part(file, *at, size).map_err(fail)?;
            let taken = self.assembler.take_all(&part, &mut self.ready);
            *at += taken as u64;
            if taken > 0 {
                return Ok(true);
            }
            if (part.len() as u64) < size {
                break;
            }
            // No line break in all of that: a piece is never that long, but a file may be anything.
            size *= 4;
        }
        if self.newer.is_empty() {
            return Ok(false);
        }
        // All that will ever be in it is read, unless it was written since.
        if read_part(file, *at, 1).map_err(fail)?.is_empty() {
            self.go_on();
        }
        Ok(true)
    }

    /// To the next file, if there is one.
    fn go_on(&mut self) -> bool {
        let Some((file, gap)) = self.newer.pop_front() else { return false };
        if gap {
            self.missed = true;
            let bytes = b"lines are missing here: they were written faster than they were read".to_vec();
            self.ready.push(Entry { time: now_millis(), stream: Stream::Aiw, bytes, whole: true });
        }
        self.current = Some((file, 0));
        true
    }

    /// Opens the files that came since: what is open can be read, however often the log is rotated.
    fn look(&mut self) -> Result<(), SupervisorError> {
        let files = files(&self.path)?;
        let known = self.newer.back().map(|(file, _)| file).or(self.current.as_ref().map(|(file, _)| file));
        let (count, gap) = match known {
            None => (files.len(), false),
            Some(known) => match files.iter().position(|file| platform::same_file(file, known)) {
                Some(age) => (age, false),
                None => (files.len(), true),
            },
        };
        let fresh = files.into_iter().take(count).rev().enumerate();
        self.newer.extend(fresh.map(|(number, file)| (file, gap && number == 0)));
        Ok(())
    }

    /// Whether there were lines that can't be read any more: it was read too slowly.
    pub fn has_missed(&self) -> bool {
        self.missed
    }
}
