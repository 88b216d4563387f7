//! Programs that are run and waited for.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The pauses between two looks at a program, from the first to the longest.
const POLL_INTERVAL_RANGE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// A running program, with all that it starts in its process group. Dropping this before its end kills them.
#[derive(Debug)]
pub struct ChildGroup(Child);

impl ChildGroup {
    /// Starts a program in a process group of its own.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        command.spawn().map(Self)
    }

    /// Returns the program.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Waits for its end as long as this. `None` if it still runs then.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn wait_for(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let (begun, mut pause) = (Instant::now(), POLL_INTERVAL_RANGE.0);
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if begun.elapsed() >= patience {
                return Ok(None);
            }
            sleep(pause);
            pause = (pause * 2).min(POLL_INTERVAL_RANGE.1);
        }
    }
}

impl Drop for ChildGroup {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        #[cfg(unix)]
        let _ = rustix::process::kill_process_group(
            rustix::process::Pid::from_child(&self.0),
            rustix::process::Signal::KILL,
        );
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
