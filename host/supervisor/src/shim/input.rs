//! What others type at a process, on its way to the standard input.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// The standard input of a process, and what waits for it.
pub(super) struct Stdin {
    to: Option<File>,
    waiting: Vec<u8>,
    /// The viewer that sent what waits.
    from: Option<u64>,
}

impl Stdin {
    pub fn new(to: File) -> Self {
        Self { to: Some(to), waiting: Vec::new(), from: None }
    }

    /// Returns whether the next frame can be given.
    pub fn is_free(&self) -> bool {
        self.from.is_none()
    }

    /// Takes what the viewer of this number sends.
    pub fn enqueue(&mut self, bytes: &[u8], number: u64) {
        self.waiting.extend_from_slice(bytes);
        self.from = Some(number);
    }

    /// Returns what to wait for until more can be written.
    pub fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        self.to.as_ref().filter(|_| !self.waiting.is_empty()).map(AsFd::as_fd)
    }

    /// Writes what waits, as far as the process takes it. Returns who sent it, and whether the process got it, once that is
    /// settled.
    pub fn flush(&mut self) -> Option<(u64, bool)> {
        let number = self.from?;
        while let Some(to) = self.to.as_mut().filter(|_| !self.waiting.is_empty()) {
            match to.write(&self.waiting) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                // Nobody is left to read it.
                Err(_) => self.to = None,
            }
        }
        let is_taken = self.waiting.is_empty();
        self.waiting.clear();
        self.from = None;
        Some((number, is_taken))
    }
}
