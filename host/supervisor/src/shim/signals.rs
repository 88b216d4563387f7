//! The signals that a shim handles, as a pipe to poll and flags to check.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::fcntl_dupfd_cloexec;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::{flag, low_level};

use super::child::PASSED_FD_LIMIT;

pub(super) struct ShimSignals {
    pipe: UnixStream,
    terminate: Arc<AtomicBool>,
}

impl ShimSignals {
    /// Installs the handlers. SIGTERM requests the end of the process, SIGCHLD reports the end of a child. The other
    /// signals are meant for a terminal that this process has left.
    pub fn install() -> io::Result<Self> {
        let (pipe, end) = UnixStream::pair()?;
        // Moved above the range of numbers that passed files may have.
        let above = |pipe: UnixStream| fcntl_dupfd_cloexec(pipe, PASSED_FD_LIMIT).map(UnixStream::from);
        let (pipe, end) = (above(pipe)?, above(end)?);
        pipe.set_nonblocking(true)?;
        let terminate = Arc::new(AtomicBool::new(false));
        flag::register(SIGTERM, terminate.clone())?;
        // With SIGXFSZ handled, a file size limit makes a write fail instead of ending us. The program gets the default
        // action of all of these signals, because an exec removes handlers.
        for ignored in [SIGHUP, SIGINT, SIGXFSZ] {
            flag::register(ignored, Arc::new(AtomicBool::new(false)))?;
        }
        low_level::pipe::register(SIGTERM, UnixStream::from(fcntl_dupfd_cloexec(&end, PASSED_FD_LIMIT)?))?;
        // A starter may have ignored SIGCHLD, and then there would be no exit codes.
        low_level::pipe::register(SIGCHLD, end)?;
        Ok(Self { pipe, terminate })
    }

    /// Returns the pipe that becomes readable when a signal has arrived.
    pub fn pipe(&self) -> &UnixStream {
        &self.pipe
    }

    /// Clears the pipe, before the reasons for the signals are checked.
    pub fn clear(&mut self) {
        let mut bytes = [0; 64];
        while self.pipe.read(&mut bytes).is_ok_and(|n| n > 0) {}
    }

    /// Returns whether the end of the process was requested.
    pub fn is_termination_requested(&self) -> bool {
        self.terminate.load(Ordering::Relaxed)
    }
}
