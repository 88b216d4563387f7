//! A task while its CLI runs.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitOptions, WaitStatus, wait};

use super::LOOK_AGAIN;
use super::child::{Started, spawn};
use super::enter::Starter;
use super::supervisor::Supervisor;
use crate::files::create_private;
use crate::platform::{self, Group, Signal, timespec};
use crate::record::{Pid, is_asked_to_stop};
use crate::request::Answer;
use crate::signal::signal_group_of_child;
use crate::{NamedFile, Outcome, State, Stream};

/// Why a CLI is being ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Requested,
    Timeout,
}

/// A CLI that runs.
pub(super) struct Running {
    pub started: Started,
    pub group: Option<Group>,
    /// Locked, so that nobody sweeps them away.
    pub named: Vec<File>,
    pub stop: Option<Stop>,
    pub status: Option<WaitStatus>,
    /// When it must have ended by itself.
    deadline: Option<Instant>,
    /// When it is killed.
    kill_at: Option<Instant>,
    stdout_open: bool,
    stderr_open: bool,
}

impl Supervisor {
    /// Runs the CLI and sees it to its end.
    pub fn live(mut self, starter: &mut Starter) {
        let (group, unlimited) = Group::create(self.record.id, self.program.limits);
        if let Some(sentence) = unlimited {
            self.record.note(&sentence);
        }
        let prompt = self.directory.join("prompt");
        let named: std::io::Result<Vec<_>> = self.program.named_files.iter().map(make).collect();
        let (named, made) = match named {
            Ok(named) => (named, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        let started =
            made.and_then(|()| spawn(&self.record, &self.program, &self.files, &prompt, self.core, group.as_ref()));
        self.files.clear();
        let path = self.program.path.display().to_string();
        self.program.wipe();
        let started = match started {
            Ok(started) => started,
            Err(error) => {
                let reason = format!("`{path}` could not be started: {error}");
                self.streams.say(&reason);
                self.record.note(&reason);
                if let Some(group) = group {
                    group.end();
                }
                drop(named);
                self.close(Outcome::Failed);
                return starter.answer(&Answer::NotStarted(error.to_string()));
            }
        };
        let pid = started.pid;
        self.record.child = Some(Pid { pid, start: platform::start_of(pid).unwrap_or(0) });
        self.record.state = State::Running;
        self.record.running_since = Some(aiw_home::now_millis());
        // First, so that who is told that it runs finds it so.
        self.publish();
        starter.answer(&Answer::Started(Box::new(self.record.clone())));
        self.streams.say(&format!("started: process {pid}"));

        let timeout = self.record.timeout.and_then(|t| Instant::now().checked_add(Duration::from_millis(t)));
        let mut running = Running {
            started,
            group,
            named,
            stop: None,
            status: None,
            deadline: timeout,
            kill_at: None,
            stdout_open: true,
            stderr_open: true,
        };
        self.watch(&mut running);
        self.finish(running);
    }

    /// Until the CLI has ended.
    fn watch(&mut self, running: &mut Running) {
        let mut looked = Instant::now();
        loop {
            self.signals.clear();
            self.reap(running);
            if running.status.is_some() {
                return;
            }
            let time = Instant::now();
            if self.signals.terminate() && running.stop.is_none() {
                self.stop(running, Stop::Requested);
            }
            if running.deadline.is_some_and(|at| time >= at) && running.stop.is_none() {
                self.stop(running, Stop::Timeout);
            }
            if running.kill_at.is_some_and(|at| time >= at) {
                self.kill(running);
            }
            if looked.elapsed() >= LOOK_AGAIN {
                looked = time;
                self.stay_attached();
                if running.stop.is_none() && is_asked_to_stop(&self.directory) {
                    self.stop(running, Stop::Requested);
                }
            }
            self.streams.release_due(time);
            let deadline = running.deadline.filter(|_| running.stop.is_none());
            let next = [deadline, running.kill_at, self.streams.due(), Some(looked + LOOK_AGAIN)];
            let until = next.into_iter().flatten().min().unwrap_or(time);
            self.poll(running, until.saturating_duration_since(Instant::now()));
        }
    }

    /// Sleeps until there is something to read or a signal, and reads.
    fn poll(&mut self, running: &mut Running, limit: Duration) {
        let Running { started, stdout_open, stderr_open, .. } = running;
        let mut fds = vec![PollFd::new(self.signals.pipe(), PollFlags::IN)];
        if *stdout_open {
            fds.push(PollFd::new(&started.stdout, PollFlags::IN));
        }
        if *stderr_open {
            fds.push(PollFd::new(&started.stderr, PollFlags::IN));
        }
        // Rounded up: a remainder of microseconds must not become a busy loop.
        if poll(&mut fds, Some(&timespec(limit + Duration::from_millis(1)))).is_err() {
            return;
        }
        let ready: Vec<i32> =
            fds.iter().filter(|fd| !fd.revents().is_empty()).map(|fd| fd.as_fd().as_raw_fd()).collect();
        drop(fds);
        if *stdout_open && ready.contains(&started.stdout.as_raw_fd()) {
            *stdout_open = self.streams.read(Stream::Stdout, &mut started.stdout) != Some(0);
            self.learn_session();
        }
        if *stderr_open && ready.contains(&started.stderr.as_raw_fd()) {
            *stderr_open = self.streams.read(Stream::Stderr, &mut started.stderr) != Some(0);
        }
    }

    /// The CLI's session is worth knowing while it runs.
    fn learn_session(&mut self) {
        if self.record.session.is_none()
            && let Some(session) = self.streams.facts().session
        {
            self.record.session = Some(aiw_core::one_line(&session, 200));
            self.publish();
        }
    }

    /// Reads what the pipes hold, and does not wait for more: somebody who left may keep them open.
    pub fn drain(&mut self, running: &mut Running) {
        // Somebody may also write without end.
        let limit = Instant::now() + Duration::from_secs(2);
        while running.stdout_open && Instant::now() < limit {
            match self.streams.read(Stream::Stdout, &mut running.started.stdout) {
                None => break,
                Some(length) => running.stdout_open = length > 0,
            }
        }
        while running.stderr_open && Instant::now() < limit {
            match self.streams.read(Stream::Stderr, &mut running.started.stderr) {
                None => break,
                Some(length) => running.stderr_open = length > 0,
            }
        }
    }

    /// Takes notice of children that ended, adopted ones too; whether any child is left.
    pub fn reap(&mut self, running: &mut Running) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if u32::try_from(pid.as_raw_nonzero().get()) == Ok(running.started.pid) {
                        running.status = Some(status);
                    }
                }
                Ok(None) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    fn stop(&mut self, running: &mut Running, why: Stop) {
        self.streams.say(match why {
            Stop::Requested => "stop requested: SIGTERM",
            Stop::Timeout => "time is over: SIGTERM",
        });
        running.stop = Some(why);
        running.kill_at = Instant::now().checked_add(self.grace);
        self.record.state = State::Stopping;
        self.publish();
        signal_group(running, Signal::TERM);
    }

    fn kill(&mut self, running: &mut Running) {
        self.streams.say("it did not end: SIGKILL");
        signal_group(running, Signal::KILL);
        // It is dead then, or in the hands of the kernel.
        running.kill_at = Instant::now().checked_add(Duration::from_secs(5));
    }
}

/// Makes a named file.
fn make(file: &NamedFile) -> std::io::Result<File> {
    let mut made = create_private(&file.path)?;
    crate::program::hold(&made);
    made.write_all(&file.bytes)?;
    Ok(made)
}

/// Signals the CLI's group, as long as its leader was not waited for.
fn signal_group(running: &Running, signal: Signal) {
    if running.status.is_none() {
        signal_group_of_child(running.started.pid, signal);
    }
}
