//! The signals that a shim listens to, as a pipe to poll and flags to look at.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::fcntl_dupfd_cloexec;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::{flag, low_level};

use super::child::ABOVE_PASSED;

pub(super) struct Signals {
    pipe: UnixStream,
    terminate: Arc<AtomicBool>,
}

impl Signals {
    /// SIGTERM asks for the task's end, SIGCHLD tells of a child's. The others are meant for a
    /// terminal that this process has left.
    pub fn install() -> io::Result<Self> {
        let (pipe, end) = UnixStream::pair()?;
        // Out of the range of the files that are passed on under numbers of their own.
        let above = |pipe: UnixStream| fcntl_dupfd_cloexec(pipe, ABOVE_PASSED).map(UnixStream::from);
        let (pipe, end) = (above(pipe)?, above(end)?);
        pipe.set_nonblocking(true)?;
        let terminate = Arc::new(AtomicBool::new(false));
        flag::register(SIGTERM, terminate.clone())?;
        // A limit on the size of files fails a write instead of ending us. The CLI gets all of these back
        // as the system has them: an exec forgets handlers.
        for ignored in [SIGHUP, SIGINT, SIGXFSZ] {
            flag::register(ignored, Arc::new(AtomicBool::new(false)))?;
        }
        low_level::pipe::register(SIGTERM, UnixStream::from(fcntl_dupfd_cloexec(&end, ABOVE_PASSED)?))?;
        // A starter may have had it ignored: then there would be no exit codes.
        low_level::pipe::register(SIGCHLD, end)?;
        Ok(Self { pipe, terminate })
    }

    /// Becomes readable when a signal has come.
    pub fn pipe(&self) -> &UnixStream {
        &self.pipe
    }

    /// Forgets that signals have come, before what they tell of is looked at.
    pub fn clear(&mut self) {
        let mut bytes = [0; 64];
        while self.pipe.read(&mut bytes).is_ok_and(|n| n > 0) {}
    }

    /// Whether the end of the task was asked for.
    pub fn terminate(&self) -> bool {
        self.terminate.load(Ordering::Relaxed)
    }
}
