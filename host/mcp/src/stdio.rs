//! Standard input and output, without a thread where they can be waited for.
//!
//! A client starts aiw with pipes or sockets. Waking a thread for each message takes longer than everything else that
//! happens to it, so these are read and written where the work is done. Their mode is left alone, because another
//! process may share them: nothing is read or written before the system says that it won't block.

use std::io::{Read, Write};
use std::os::fd::AsFd;

/// Where messages come from.
pub(crate) enum StdioInput {
    /// A reader, which gets a thread.
    Blocking(Box<dyn Read + Send>),
    /// A pipe or a socket.
    NonBlocking(unix::Readable),
}

/// Where messages go.
pub(crate) struct StdioOutput {
    /// A writer, which gets a thread.
    pub(crate) blocking: Box<dyn Write + Send>,
    /// A writer for short messages that does not block.
    pub(crate) nonblocking: Option<unix::Writable>,
}

impl StdioInput {
    /// Standard input. It must be called within a runtime.
    pub(crate) fn stdin() -> Self {
        if let Some(readable) = unix::Readable::new(&std::io::stdin()) {
            return Self::NonBlocking(readable);
        }
        Self::Blocking(Box::new(std::io::stdin()))
    }
}

impl StdioOutput {
    pub(crate) fn from_writer(output: impl Write + Send + 'static) -> Self {
        Self { blocking: Box::new(output), nonblocking: None }
    }

    /// Standard output without the standard library's lock: a client that doesn't read would block whatever needs that
    /// lock when the process ends.
    pub(crate) fn stdout() -> Self {
        if let Ok(output) = std::io::stdout().as_fd().try_clone_to_owned() {
            let ready = unix::Writable::new(&output);
            return Self { nonblocking: ready, ..Self::from_writer(std::fs::File::from(output)) };
        }
        Self::from_writer(std::io::stdout())
    }

    /// Writes as much as is possible at once.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> Option<std::io::Result<usize>> {
        self.nonblocking.as_ref()?.write(bytes)
    }
}

pub(crate) mod unix {
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{FileType, fstat};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// A pipe that has room for anything takes this much without blocking, and a socket does too.
    const PIPE_BUF_BYTES: usize = 4096;

    /// A copy of a pipe's or socket's descriptor. Files and terminals can't be waited for, or not everywhere.
    fn copied(fd: &impl AsFd) -> Option<OwnedFd> {
        let kind = FileType::from_raw_mode(fstat(fd).ok()?.st_mode);
        let can_wait = matches!(kind, FileType::Fifo | FileType::Socket);
        if can_wait { fd.as_fd().try_clone_to_owned().ok() } else { None }
    }

    fn is_ready(fd: &impl AsFd, wanted: PollFlags) -> bool {
        let mut fds = [PollFd::new(fd, wanted)];
        matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
    }

    /// A pipe or socket that is read when it has something.
    pub(crate) struct Readable(AsyncFd<OwnedFd>);

    impl Readable {
        #[expect(deprecated, reason = "an owned descriptor stays the same one, and the new form is unsafe")]
        pub(super) fn new(fd: &impl AsFd) -> Option<Self> {
            AsyncFd::with_interest(copied(fd)?, Interest::READABLE).ok().map(Self)
        }

        /// Reads what there is; nothing at the end. Nothing is lost if the future is dropped.
        pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
            loop {
                let mut ready = self.0.readable().await?;
                if !is_ready(self.0.get_ref(), PollFlags::IN) {
                    ready.clear_ready();
                    continue;
                }
                match rustix::io::read(self.0.get_ref(), &mut *buffer) {
                    Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                    read => {
                        // Less than there is room for was all. What comes later is told anew.
                        if read.is_ok_and(|read| read < buffer.len()) {
                            ready.clear_ready();
                        }
                        return Ok(read?);
                    }
                }
            }
        }
    }

    /// A pipe or socket that is written when it has room.
    pub(crate) struct Writable(OwnedFd);

    impl Writable {
        pub(super) fn new(fd: &impl AsFd) -> Option<Self> {
            copied(fd).map(Self)
        }

        /// How much it took; none if it is too much, or there is no room.
        pub(super) fn write(&self, bytes: &[u8]) -> Option<io::Result<usize>> {
            if bytes.is_empty() || bytes.len() > PIPE_BUF_BYTES || !is_ready(&self.0, PollFlags::OUT) {
                return None;
            }
            match rustix::io::write(&self.0, bytes) {
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => None,
                written => Some(written.map_err(io::Error::from)),
            }
        }
    }
}
