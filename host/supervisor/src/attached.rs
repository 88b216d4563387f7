//! Attached processes talk only to their owner and end with it.
//!
//! Between the owner and the process stands a reaper, which is a different kind of shim. The reaper has none of the
//! process's pipes and writes no log; it holds a socket to the owner. When that socket closes, however the owner
//! ended, the reaper ends the process and everything the process has started.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use aiw_core::ProcessId;

use crate::error::{ShimError, SupervisorError};
use crate::files::random;
use crate::platform;
use crate::program::Program;
use crate::request::{ATTACHED, Attachment, CWD_ARGUMENT, ReaperReport};
use crate::signal::{ProcessMarkers, ProcessProof, Target, end_marked, format_instance};

/// The variable that marks everything an attached process starts.
const ATTACHED_VARIABLE: &str = "AIW_ATTACHED";

/// Returns the variable of everything that an attached process starts.
pub(crate) fn attached_env(number: u64) -> [(&'static str, String); 1] {
    [(ATTACHED_VARIABLE, format_instance(number))]
}

/// A process that belongs to this process alone. When the value is dropped, or this process ends in any way, the
/// attached process and everything it has started are ended too: by SIGTERM, and after the grace period by SIGKILL.
#[derive(Debug)]
pub struct AttachedChild {
    /// Taken on drop.
    reaper: Option<Child>,
    control: BufReader<UnixStream>,
    pid: u32,
    /// Distinguishes the processes it starts from all others.
    mark: u64,
    /// When the reaper started.
    since: u64,
    exit: Option<Exit>,
    /// The standard input of the process.
    pub stdin: Option<ChildStdin>,
    /// The standard output of the process, unchanged: nothing is masked or kept.
    pub stdout: Option<ChildStdout>,
    /// The standard error of the process. A caller that doesn't read it must drop it: a full pipe blocks the
    /// process.
    pub stderr: Option<ChildStderr>,
}

/// How an attached process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, if the process exited.
    pub code: Option<i32>,
    /// The signal that ended it. Both fields are `None` if the reaper was killed, because nobody saw the end.
    pub signal: Option<i32>,
}

impl AttachedChild {
    /// Starts a process in a directory. `aiw` is the executable whose `shim` command is
    /// [`shim_main`](crate::shim_main); `grace` is the time between SIGTERM and SIGKILL. The program's `stdin` is
    /// not used.
    pub fn start(aiw: &Path, cwd: &Path, program: Program, grace: Duration) -> Result<Self, SupervisorError> {
        Self::start_within(aiw, None, cwd, program, grace)
    }

    /// As [`start`](Self::start), but a relative `cwd`, and with it a relative program, begins at this open directory:
    /// whatever has the directory's path now, it starts in the one that was opened.
    pub fn start_beneath(
        aiw: &Path,
        directory: &File,
        cwd: &Path,
        program: Program,
        grace: Duration,
    ) -> Result<Self, SupervisorError> {
        Self::start_within(aiw, Some(directory), cwd, program, grace)
    }

    fn start_within(
        aiw: &Path,
        directory: Option<&File>,
        cwd: &Path,
        program: Program,
        grace: Duration,
    ) -> Result<Self, SupervisorError> {
        crate::request::check(&program, &crate::runtime::runtime_dir().unwrap_or_default())?;
        let failed = |source| SupervisorError::Shim { noun: None, source };
        let (ours, theirs) = UnixStream::pair().map_err(|e| failed(ShimError::RequestFailed(e)))?;
        let mut command = crate::program::command(aiw);
        command
            .arg("shim")
            .arg(ATTACHED)
            .arg(theirs.as_raw_fd().to_string())
            .args(directory.map(|_| CWD_ARGUMENT))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        platform::inherit_fd(&mut command, theirs.as_raw_fd(), directory.map(File::as_raw_fd));
        let not_run = |source| failed(ShimError::SpawnFailed { path: aiw.to_owned(), source });
        let mut reaper = command.spawn().map_err(not_run)?;
        // From now on only our end is open, so that a closed socket means the reaper has died.
        drop(theirs);
        let mark = random();
        let (stdin, stdout, stderr) = (reaper.stdin.take(), reaper.stdout.take(), reaper.stderr.take());
        let since = platform::start_time(reaper.id()).unwrap_or(0);
        let control = BufReader::new(ours);
        let mut attached =
            Self { reaper: Some(reaper), control, pid: 0, mark, since, exit: None, stdin, stdout, stderr };
        let path = program.path.clone();
        attached.tell(Attachment { grace, cwd: cwd.to_owned(), mark, program })?;
        match attached.hear() {
            Some(ReaperReport::Started(pid)) => {
                attached.pid = pid;
                Ok(attached)
            }
            Some(ReaperReport::Cwd(told)) => {
                Err(SupervisorError::InvalidCwd { path: cwd.to_owned(), source: told.into() })
            }
            Some(ReaperReport::NotStarted(told)) => {
                Err(SupervisorError::NotStarted { id: ProcessId::from_number(0), path, source: told.into() })
            }
            Some(ReaperReport::Ended { .. }) | None => Err(failed(ShimError::NoResponse(PathBuf::from(aiw)))),
        }
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks the process to end: SIGTERM to its group, and SIGKILL once the grace period is over.
    pub fn stop(&mut self) {
        let _ = self.control.get_ref().write_all(b"s");
    }

    /// Waits until the process and everything it has started have ended. Returns `None` if that takes longer than
    /// `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<Exit> {
        if self.exit.is_none() {
            // A zero timeout would mean no limit.
            let _ = self.control.get_ref().set_read_timeout(Some(limit.max(Duration::from_millis(1))));
            let mut line = Vec::new();
            self.exit = match self.control.read_until(b'\n', &mut line) {
                Ok(0) => {
                    // The reaper was killed, and the process with it, but the processes it started don't know that.
                    kill_descendants(self.mark, self.since);
                    Some(Exit { code: None, signal: None })
                }
                Ok(_) => match serde_json::from_slice(&line) {
                    Ok(ReaperReport::Ended { code, signal }) => Some(Exit { code, signal }),
                    _ => Some(Exit { code: None, signal: None }),
                },
                Err(_) => return None,
            };
            let _ = self.reaper.as_mut().map(Child::wait);
        }
        self.exit
    }

    fn tell(&mut self, attachment: Attachment) -> Result<(), SupervisorError> {
        let told = attachment.encode().and_then(|bytes| self.control.get_ref().write_all(&bytes));
        told.map_err(|e| SupervisorError::Shim { noun: None, source: ShimError::RequestFailed(e) })
    }

    fn hear(&mut self) -> Option<ReaperReport> {
        let mut line = Vec::new();
        self.control.read_until(b'\n', &mut line).ok()?;
        serde_json::from_slice(&line).ok()
    }
}

/// Ends what an attached process has left, if it started no earlier than `since`.
pub(crate) fn kill_descendants(number: u64, since: u64) {
    let marks = ProcessMarkers { variables: attached_env(number).into(), number };
    end_marked(&marks, since, &|pid, start| Target::find(pid, start, ProcessProof::Markers(&marks)).ok().flatten());
}

impl Drop for AttachedChild {
    fn drop(&mut self) {
        let _ = self.control.get_ref().shutdown(Shutdown::Both);
        if let Some(mut reaper) = self.reaper.take().filter(|_| self.exit.is_none()) {
            // The reaper still has work to do, and must not stay as a zombie afterwards.
            let wait = move || drop(reaper.wait());
            let _ = std::thread::Builder::new().name("aiw-attached".into()).stack_size(64 << 10).spawn(wait);
        }
    }
}
