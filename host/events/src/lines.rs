//! Two files of lines: the newest lines are kept, and each line is added by one write under a lock.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aiw_home::{
    Mode, complete_lines_len, file_position, make_private_dir, open_append, open_regular, position_line, remove_file,
    rename, replace,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most bytes of a line. Texts are short, but the path of a project may be long.
const MAX_LINE_BYTES: usize = 8192;

/// How long a writer waits for others. One of them may be suspended, and a line must not stop anything.
const LOCK_TIMEOUT: Duration = Duration::from_millis(250);

/// Lines of JSON in two files. When the live one is full, it takes the place of the older one.
#[derive(Debug, Clone)]
pub struct LineFiles {
    directory: PathBuf,
    name: &'static str,
    /// The size at which a file is full, in bytes.
    full: u64,
}

/// A part of the lines, from a position on.
#[derive(Debug, Clone)]
pub struct LinePage<T> {
    /// The lines, oldest first.
    pub lines: Vec<T>,
    /// The position behind the last one that was looked at.
    pub next: u64,
    /// Whether there were others before, which are gone.
    pub has_gap: bool,
}

impl LineFiles {
    /// Returns the files `NAME.jsonl` and `NAME.1.jsonl` of a directory. Nothing is created before the first line.
    pub fn new(directory: PathBuf, name: &'static str, full: u64) -> Self {
        Self { directory, name, full }
    }

    /// Returns the directory that the files are in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn active_path(&self) -> PathBuf {
        self.directory.join(format!("{}.jsonl", self.name))
    }

    pub(crate) fn rotated_path(&self) -> PathBuf {
        self.directory.join(format!("{}.1.jsonl", self.name))
    }

    /// Adds a line. Once this returns, every reader finds it.
    ///
    /// # Errors
    ///
    /// The system's error. A writer goes on without its line.
    pub fn add(&self, line: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        if line.len() > MAX_LINE_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a line is too long"));
        }
        loop {
            let file = self.locked()?;
            if self.add_to(&file, &line)? {
                return Ok(());
            }
        }
    }

    /// Takes out the lines that are not kept. What is killed meanwhile may lose older lines.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn retain<T: DeserializeOwned + Serialize>(&self, is_kept: impl Fn(&T) -> bool) -> io::Result<()> {
        if self.files()?.is_empty() {
            return Ok(());
        }
        let _file = self.locked()?;
        let page = self.read_lines(0, usize::MAX, |_| true, is_kept)?;
        let mut text = position_line(page.next).into_bytes();
        for line in &page.lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        match remove_file(&self.rotated_path()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        replace(&self.active_path(), &text, Mode::Private).map_err(io::Error::other)
    }

    /// Returns the live file under its lock.
    fn locked(&self) -> io::Result<File> {
        let start = Instant::now();
        loop {
            let file = self.open()?;
            while let Err(error) = lock(&file) {
                if error.kind() != io::ErrorKind::WouldBlock || start.elapsed() > LOCK_TIMEOUT {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            // Others may have put it aside before this lock.
            if is_same(&file, &self.active_path()) {
                return Ok(file);
            }
        }
    }

    fn open(&self) -> io::Result<File> {
        match open_append(&self.active_path()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                make_private_dir(&self.directory).map_err(io::Error::other)?;
                open_append(&self.active_path())
            }
            opened => opened,
        }
    }

    /// Adds a line to the live file, which is locked. Returns false if it was full, and is the older one now.
    fn add_to(&self, mut file: &File, line: &[u8]) -> io::Result<bool> {
        // What a writer left unfinished, such as on a full disk, is cut off.
        let mut length = complete_lines_len(file)?;
        file.set_len(length)?;
        if length == 0 {
            let older = open_regular(&self.rotated_path()).ok().and_then(|older| LinesFile::of(older).ok());
            let head = position_line(older.as_ref().map_or(0, LinesFile::end));
            file.write_all(head.as_bytes())?;
            length = head.len() as u64;
        }
        if length + line.len() as u64 > self.full {
            rename(&self.active_path(), &self.rotated_path())?;
            return Ok(false);
        }
        let done = file.write_all(line);
        if done.is_err() {
            // The disk is full. Part of a line would spoil the next one.
            let _ = file.set_len(length);
        }
        done.map(|()| true)
    }

    /// Returns the position behind the newest line.
    pub fn end_offset(&self) -> io::Result<u64> {
        Ok(self.files()?.last().map_or(0, LinesFile::end))
    }

    /// Returns the lines from a position on that are wanted, at most so many. From 0 on, they are all that are there. What
    /// is not looked at is not read as JSON.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn read_lines<T: DeserializeOwned>(
        &self,
        from: u64,
        most: usize,
        is_looked_at: impl Fn(&[u8]) -> bool,
        is_wanted: impl Fn(&T) -> bool,
    ) -> io::Result<LinePage<T>> {
        let files = self.files()?;
        let (start, end) = (files.first().map_or(0, |part| part.base), files.last().map_or(0, LinesFile::end));
        // A position behind the end is of files that somebody has removed.
        let has_gap = from != 0 && (from < start || from > end);
        let next = if has_gap { start } else { from.max(start) };
        let mut page = LinePage { lines: Vec::new(), next, has_gap };
        for part in &files {
            page.next = page.next.max(part.base);
            let bytes = part.read_from(page.next)?;
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                if page.lines.len() >= most {
                    return Ok(page);
                }
                page.next += line.len() as u64;
                // A line that another version of aiw wrote may be another one.
                let read = is_looked_at(line).then(|| serde_json::from_slice(line).ok()).flatten();
                page.lines.extend(read.filter(&is_wanted));
            }
        }
        Ok(page)
    }

    /// Returns the files, oldest first.
    fn files(&self) -> io::Result<Vec<LinesFile>> {
        let mut files: Vec<LinesFile> = Vec::new();
        // In this order: the live one may become the older one meanwhile, and is seen twice then.
        for path in [self.active_path(), self.rotated_path()] {
            let file = match open_regular(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            let part = LinesFile::of(file)?;
            // One without a line was just made, and says not yet where it begins.
            if part.length > 0 && files.iter().all(|other| other.base != part.base) {
                files.push(part);
            }
        }
        files.sort_by_key(|part| part.base);
        Ok(files)
    }
}

/// A file of lines.
struct LinesFile {
    /// The position of its first byte.
    base: u64,
    length: u64,
    file: File,
}

impl LinesFile {
    /// Returns a file without a line at its end that a writer has not finished.
    fn of(file: File) -> io::Result<Self> {
        // In this order: the first line may be written meanwhile.
        let length = complete_lines_len(&file)?;
        Ok(Self { base: file_position(&file).unwrap_or(0), length, file })
    }

    fn end(&self) -> u64 {
        self.base + self.length
    }

    /// Returns the bytes from a position on.
    fn read_from(&self, position: u64) -> io::Result<Vec<u8>> {
        let skipped = position.saturating_sub(self.base).min(self.length);
        (&self.file).seek(SeekFrom::Start(skipped))?;
        let mut bytes = Vec::new();
        (&self.file).take(self.length - skipped).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Takes the lock of a file until it is closed, if nobody has it.
#[cfg(unix)]
fn lock(file: &File) -> io::Result<()> {
    Ok(rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?)
}

#[cfg(not(unix))]
fn lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|_| io::ErrorKind::WouldBlock.into())
}

/// Whether a file is still the one of this path.
#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |meta: io::Result<std::fs::Metadata>| meta.map(|meta| (meta.dev(), meta.ino())).ok();
    let one = of(file.metadata());
    one.is_some() && one == of(std::fs::symlink_metadata(path))
}

#[cfg(not(unix))]
fn is_same(_file: &File, path: &Path) -> bool {
    path.exists()
}
