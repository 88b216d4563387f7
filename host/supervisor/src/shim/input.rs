//! Input for a running process: a FIFO in its directory, which other processes of the user write to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::event::PollFlags;

use crate::platform;

/// The FIFO and where its bytes go.
pub(super) struct Input {
    fifo: File,
    to: Option<File>,
    waiting: Vec<u8>,
}

impl Input {
    /// Makes the FIFO. What was written to it before is lost.
    pub fn open(path: &Path, to: File) -> io::Result<Self> {
        let _ = std::fs::remove_file(path);
        platform::make_fifo(path)?;
        // Open for writing as well, so that it has no end when a writer goes.
        let options =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path);
        Ok(Self { fifo: options?, to: Some(to), waiting: Vec::new() })
    }

    /// Returns what to wait for.
    pub fn awaits(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let to = self.to.as_ref()?;
        Some(if self.waiting.is_empty() { (self.fifo.as_fd(), PollFlags::IN) } else { (to.as_fd(), PollFlags::OUT) })
    }

    /// Passes on what is there, as far as the process takes it.
    pub fn pass(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            let Some(to) = &mut self.to else { return };
            if self.waiting.is_empty() {
                match self.fifo.read(&mut buffer) {
                    Ok(length) if length > 0 => self.waiting.extend_from_slice(&buffer[..length]),
                    _ => return,
                }
            }
            match to.write(&self.waiting) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // Nobody is left to read it.
                Err(_) => self.to = None,
            }
        }
    }
}
