//! Writing a log, with rotation.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aiw_core::one_line;
use aiw_home::{complete_lines_len, now_millis, position_line, remove_file, rename};

use super::format::LinePiece;
use super::{MAX_FILES, PIPE_CHUNK_BYTES, Stream};
use crate::new::LogPolicy;

/// The only writer of a log.
pub(crate) struct LogWriter {
    path: PathBuf,
    file: File,
    length: u64,
    /// The position of the file's first byte.
    base: u64,
    policy: LogPolicy,
    /// Which streams are in the middle of a line.
    open: [bool; 3],
    buffer: Vec<u8>,
}

impl LogWriter {
    /// Opens the log in a process's directory, and cuts off the unfinished line of a writer that was killed.
    pub fn open(directory: &Path, policy: LogPolicy) -> io::Result<Self> {
        let path = directory.join("log");
        let file = open(&path)?;
        let length = complete_lines_len(&file)?;
        file.set_len(length)?;
        let base = super::read::base_offsets(&path).first().copied().unwrap_or(0);
        Ok(Self { path, file, length, base, policy, open: [false; 3], buffer: Vec::new() })
    }

    /// Appends bytes of a stream in a single write. Once it returns, the death of this process does not lose them.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if self.policy.files == 0 {
            return Ok(());
        }
        self.buffer.clear();
        self.begin();
        let time = now_millis();
        let text_of_time = time.to_string();
        let mut whole = Vec::new();
        LinePiece { time, stream, is_start: true, is_end: true, bytes: b"" }.encode(&text_of_time, &mut whole);
        whole.pop();
        let open = &mut self.open[stream as usize];
        let mut from = 0;
        while from < bytes.len() {
            let end = memchr::memchr(b'\n', &bytes[from..]).map(|at| from + at);
            match end {
                // Most lines: the line break ends the piece, too.
                Some(end) if !*open => {
                    self.buffer.extend_from_slice(&whole);
                    self.buffer.extend_from_slice(&bytes[from..=end]);
                }
                _ => {
                    let text = &bytes[from..end.unwrap_or(bytes.len())];
                    let piece = LinePiece { time, stream, is_start: !*open, is_end: end.is_some(), bytes: text };
                    piece.encode(&text_of_time, &mut self.buffer);
                }
            }
            *open = end.is_none();
            from = end.map_or(bytes.len(), |end| end + 1);
        }
        if self.length > 0 && self.length + self.buffer.len() as u64 > self.policy.file_bytes {
            self.rotate()?;
        }
        if let Err(error) = self.file.write_all(&self.buffer) {
            // The disk is full. Cutting off the partial write keeps the log readable.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += self.buffer.len() as u64;
        // The memory of a long line is not kept for ever, and that of the next chunk is not made anew.
        if self.buffer.capacity() > 4 * PIPE_CHUNK_BYTES {
            self.buffer.shrink_to(2 * PIPE_CHUNK_BYTES);
        }
        Ok(())
    }

    /// Begins a new file with its position.
    fn begin(&mut self) {
        if self.length == 0 {
            self.buffer.extend_from_slice(position_line(self.base).as_bytes());
        }
    }

    /// Writes a line of aiw's own.
    pub fn write_message(&mut self, text: &str) -> io::Result<()> {
        self.write(Stream::Aiw, format!("{}\n", text.replace('\n', " ")).as_bytes())
    }

    fn rotate(&mut self) -> io::Result<()> {
        // Whoever reads meanwhile finds files that say their position.
        let (new, base) = (self.path.with_extension("new"), self.base + self.length);
        let _ = remove_file(&new);
        let (mut file, head) = (open(&new)?, position_line(base));
        file.write_all(head.as_bytes())?;
        let files = MAX_FILES.min(self.policy.files.into());
        // Some file systems write a file to the disk before another one may take its name.
        if files > 1 {
            let _ = remove_file(&super::numbered(&self.path, files - 1));
        }
        for older in (1..files).rev() {
            let newer = if older == 1 { self.path.clone() } else { super::numbered(&self.path, older - 1) };
            match rename(&newer, &super::numbered(&self.path, older)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        rename(&new, &self.path)?;
        (self.file, self.base, self.length) = (file, base, head.len() as u64);
        Ok(())
    }
}

/// Adds a line of aiw's own to the log of a process that has ended, if it has one. Nothing is rotated.
pub(crate) fn add_line(directory: &Path, text: &str) -> io::Result<()> {
    if !directory.join("log").exists() {
        return Ok(());
    }
    let policy = LogPolicy { file_bytes: u64::MAX, ..LogPolicy::default() };
    LogWriter::open(directory, policy)?.write_message(&one_line(text, 400))
}

fn open(path: &Path) -> io::Result<File> {
    aiw_home::open_append(path)
}
