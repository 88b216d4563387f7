//! The reaper of an attached process, which makes sure that nothing is left when the owner is gone.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Rlimit, WaitOptions, WaitStatus, fchdir, wait};

use super::child::{InheritStdioOptions, PASSED_FD_LIMIT, create_passed_files, spawn_inherited};
use super::enter::{invalid_argument, isolate_process, redirect_stdio_to_null};
use super::signals::ShimSignals;
use crate::files::random;
use crate::memory;
use crate::platform::{self, Group, Signal, timespec};
use crate::request::{Attachment, CWD_ARGUMENT, ReaperReport, WireError};
use crate::signal::{end_descendants, signal_group_of_child};

/// The time between SIGTERM and SIGKILL for processes that were left behind.
const KILL_GRACE_PERIOD: Duration = Duration::from_secs(1);
/// How long the reaper sleeps when nothing happens.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(3600);

/// Runs a process with our standard streams, until the process or its owner has ended.
pub(super) fn reap(mut words: impl Iterator<Item = String>) -> io::Result<()> {
    let fd =
        words.next().and_then(|fd| fd.parse().ok()).filter(|fd| *fd > 2).ok_or_else(|| invalid_argument("no owner"))?;
    platform::close_inherited_fds(Some(fd));
    let owner = UnixStream::from(fcntl_dupfd_cloexec(platform::inherited_fd(fd), PASSED_FD_LIMIT)?);
    let is_here = words.next().is_some_and(|word| word == CWD_ARGUMENT);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let here = is_here.then(|| open(".", flags, Mode::empty())).transpose()?;
    let core = isolate_process()?;
    let signals = ShimSignals::install()?;
    let attachment = Attachment::read(&owner)?;
    let (grace, mark) = (attachment.grace, attachment.mark);
    let mut reaper = Reaper { owner, signals, status: None, pid: 0, grace };
    let (group, named) = match reaper.start(attachment, core, here) {
        Ok(started) => started,
        Err(report) => return reaper.say(&report),
    };
    redirect_stdio_to_null()?;
    reaper.say(&ReaperReport::Started(reaper.pid)).ok();
    reaper.watch();
    let kill_at = Instant::now() + KILL_GRACE_PERIOD.min(grace);
    end_descendants(&|pid, _| platform::is_shim(pid), kill_at, &mut || reaper.reap());
    if !platform::is_subreaper() {
        crate::attached::kill_descendants(mark, 0);
    }
    if let Some(group) = group {
        group.kill_and_remove();
    }
    drop(named);
    let status = reaper.status;
    let (code, signal) = (status.and_then(|s| s.exit_status()), status.and_then(|s| s.terminating_signal()));
    reaper.say(&ReaperReport::Ended { code, signal }).ok();
    Ok(())
}

struct Reaper {
    owner: UnixStream,
    signals: ShimSignals,
    pid: u32,
    status: Option<WaitStatus>,
    grace: Duration,
}

impl Reaper {
    /// A relative directory begins at `here`.
    fn start(
        &mut self,
        attachment: Attachment,
        core: Rlimit,
        here: Option<OwnedFd>,
    ) -> Result<(Option<Group>, memory::CreatedFiles), ReaperReport> {
        let Attachment { cwd, mark, mut program, .. } = attachment;
        let failed = |e: io::Error| ReaperReport::NotStarted(WireError::from(e));
        platform::mark(mark);
        let files = create_passed_files(&program.files).map_err(failed)?;
        if let Some(here) = here {
            fchdir(here).map_err(|e| failed(e.into()))?;
        }
        match std::fs::metadata(&cwd) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(ReaperReport::Cwd(WireError::Number(rustix::io::Errno::NOTDIR.raw_os_error()))),
            Err(e) => return Err(ReaperReport::Cwd(e.into())),
        }
        let named = memory::CreatedFiles::make(&program.named_files).map_err(failed)?;
        // Limits that cannot be enforced are ignored: there is no record to say so in.
        let (group, _) = Group::create(aiw_core::ProcessId::from_number(random() >> 2), program.limits);
        let entrance = group.as_ref().and_then(Group::procs_fd);
        let started = spawn_inherited(
            &program,
            InheritStdioOptions {
                marker_variables: crate::attached::attached_env(mark),
                cwd: &cwd,
                files: &files,
                core,
                cgroup: entrance,
            },
        );
        program.wipe();
        // It holds no directory while it waits.
        let _ = std::env::set_current_dir("/");
        match started {
            Ok(pid) => {
                self.pid = pid;
                Ok((group, named))
            }
            Err(error) => {
                if let Some(group) = group {
                    group.kill_and_remove();
                }
                Err(failed(error))
            }
        }
    }

    /// Watches until the process has ended, by itself or because it was told to.
    fn watch(&mut self) {
        let mut kill_at: Option<Instant> = None;
        let mut listens = true;
        loop {
            self.signals.clear();
            self.reap();
            if self.status.is_some() {
                return;
            }
            let now = Instant::now();
            let told = self.signals.is_termination_requested() || !listens;
            if told && kill_at.is_none() {
                signal_group_of_child(self.pid, Signal::TERM);
                kill_at = now.checked_add(self.grace);
            }
            if kill_at.is_some_and(|at| now >= at) {
                signal_group_of_child(self.pid, Signal::KILL);
                kill_at = now.checked_add(Duration::from_secs(5));
            }
            let limit =
                kill_at.map_or(MAX_POLL_INTERVAL, |at| at.saturating_duration_since(now) + Duration::from_millis(1));
            let mut fds = vec![PollFd::new(self.signals.pipe(), PollFlags::IN)];
            if listens {
                fds.push(PollFd::new(&self.owner, PollFlags::IN));
            }
            let _ = poll(&mut fds, Some(&timespec(limit)));
            // Data from the owner means the same as the end of the stream.
            if listens && fds.get(1).is_some_and(|fd| !fd.revents().is_empty()) {
                let _ = (&self.owner).read(&mut [0; 64]);
                listens = false;
            }
        }
    }

    /// Reaps children that have ended, including adopted ones. Returns whether any child is left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if u32::try_from(pid.as_raw_nonzero().get()) == Ok(self.pid) {
                        self.status = Some(status);
                    }
                }
                Ok(None) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    fn say(&self, report: &ReaperReport) -> io::Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        (&self.owner).write_all(&line)
    }
}
