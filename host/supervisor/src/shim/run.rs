//! A process while it runs.

use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitOptions, WaitStatus, wait};

use aiw_core::{ProcessOutcome as Outcome, ProcessState as State};

use super::child::{Setting, Started, spawn};
use super::starter::Starter;
use super::supervisor::Supervisor;
use crate::directory::{LOOK_AGAIN, PROMPT, is_asked_to_stop};
use crate::log::Stream;
use crate::memory::Named;
use crate::new::RestartWhen;
use crate::platform::{self, Group, Signal, timespec};
use crate::record::Pid;
use crate::request::Answer;
use crate::signal::{marks, signal_group_of_child};

/// Why a process is being ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Requested,
    Timeout,
}

/// A running process.
pub(super) struct Running {
    pub started: Started,
    pub group: Option<Group>,
    pub named: Option<Named>,
    pub stop: Option<Stop>,
    pub status: Option<WaitStatus>,
    /// When the process has to have ended by itself.
    deadline: Option<Instant>,
    /// When the process is killed.
    kill_at: Option<Instant>,
    stdout_open: bool,
    stderr_open: bool,
}

impl Supervisor {
    /// Waits for a turn, runs the process as often as it is to run, and handles each end.
    pub fn live(mut self, starter: &mut Starter) {
        if !self.wait_for_turn(starter) {
            return;
        }
        let again = self.new.restart.when != RestartWhen::Never;
        loop {
            let Some(mut running) = self.begin(starter, again) else { return };
            self.watch(&mut running);
            let outcome = self.finish(&mut running);
            if !self.goes_on(outcome, &running) {
                return self.close(outcome);
            }
            drop(running);
            if !self.pause() {
                self.streams.say("stopped before it was started again");
                return self.close(outcome);
            }
        }
    }

    /// Runs the process. If that fails, the failure has already been recorded and reported.
    fn begin(&mut self, starter: &mut Starter, again: bool) -> Option<Running> {
        let (group, unlimited) = Group::create(self.record.id, self.program.limits);
        if let Some(sentence) = unlimited {
            self.record.note(&sentence);
        }
        let named = Named::make(&self.program.named_files);
        let setting = Setting {
            marks: marks(&self.record, self.records.names()),
            cwd: &self.record.cwd,
            files: &self.files,
            prompt: &self.directory.join(PROMPT),
            terminal: self.new.terminal,
            core: self.core,
            cgroup: group.as_ref().and_then(Group::entrance),
        };
        let started = named.and_then(|named| Ok((spawn(&self.program, setting)?, named)));
        let path = self.program.path.display().to_string();
        if !again {
            self.files.clear();
            self.program.wipe();
        }
        let (started, named) = match started {
            Ok(started) => started,
            Err(error) => {
                let reason = format!("`{path}` could not be started: {error}");
                self.streams.say(&reason);
                self.record.note(&reason);
                if let Some(group) = group {
                    group.end();
                }
                self.close(Outcome::Failed);
                starter.answer(&Answer::NotStarted(error.into()));
                return None;
            }
        };
        let pid = started.pid;
        self.record.child = Some(Pid { pid, start: platform::start_of(pid).unwrap_or(0) });
        self.record.state = State::Running;
        self.record.running_since = Some(aiw_home::now_millis());
        // Published first, so that a starter that gets the answer finds the process running.
        self.publish();
        starter.answer(&Answer::Started(Box::new(self.record.clone())));
        self.streams.say(&format!("started: process {pid}"));
        let timeout = self.new.timeout.and_then(|limit| Instant::now().checked_add(limit));
        let has_stderr = started.stderr.is_some();
        Some(Running {
            started,
            group,
            named: Some(named),
            stop: None,
            status: None,
            deadline: timeout,
            kill_at: None,
            stdout_open: true,
            stderr_open: has_stderr,
        })
    }

    /// Returns whether a process that has ended is to be started again.
    fn goes_on(&self, outcome: Outcome, running: &Running) -> bool {
        let restart = self.new.restart;
        let wanted = match restart.when {
            RestartWhen::Never => false,
            RestartWhen::Failed => outcome != Outcome::Succeeded,
            RestartWhen::Ended => true,
        };
        let told = running.stop.is_some() || self.signals.terminate() || is_asked_to_stop(&self.directory);
        wanted && !told && restart.limit.is_none_or(|limit| self.record.restarts < limit)
    }

    /// Waits between an end and the next start. Returns whether the process is to be started.
    fn pause(&mut self) -> bool {
        self.record.restarts += 1;
        self.record.state = State::Starting;
        self.record.child = None;
        self.publish();
        self.streams.begin_again((self.interpreter)(&self.record.labels));
        let until = Instant::now().checked_add(self.new.restart.delay);
        loop {
            self.signals.clear();
            if self.signals.terminate() || is_asked_to_stop(&self.directory) {
                return false;
            }
            let left = until.map_or(LOOK_AGAIN, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return true;
            }
            let mut fds = [PollFd::new(self.signals.pipe(), PollFlags::IN)];
            let _ = poll(&mut fds, Some(&timespec(left.min(LOOK_AGAIN))));
        }
    }

    /// Watches until the process has ended.
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

    /// Sleeps until there is output or a signal, and reads the output.
    fn poll(&mut self, running: &mut Running, limit: Duration) {
        let Running { started, stdout_open, stderr_open, .. } = running;
        let mut fds = vec![PollFd::new(self.signals.pipe(), PollFlags::IN)];
        if *stdout_open {
            fds.push(PollFd::new(&started.stdout, PollFlags::IN));
        }
        if let Some(stderr) = started.stderr.as_ref().filter(|_| *stderr_open) {
            fds.push(PollFd::new(stderr, PollFlags::IN));
        }
        if let Some((terminal, _)) = &started.typed {
            fds.push(PollFd::new(terminal, PollFlags::OUT));
        }
        // Rounded up: a remainder of microseconds must not cause a busy loop.
        if poll(&mut fds, Some(&timespec(limit + Duration::from_millis(1)))).is_err() {
            return;
        }
        let ready: Vec<i32> =
            fds.iter().filter(|fd| !fd.revents().is_empty()).map(|fd| fd.as_fd().as_raw_fd()).collect();
        drop(fds);
        if *stdout_open && ready.contains(&started.stdout.as_raw_fd()) {
            *stdout_open = self.streams.read(Stream::Stdout, &mut started.stdout) != Some(0);
            self.learn();
        }
        if let Some(stderr) =
            started.stderr.as_mut().filter(|stderr| *stderr_open && ready.contains(&stderr.as_raw_fd()))
        {
            *stderr_open = self.streams.read(Stream::Stderr, stderr) != Some(0);
        }
        if started.typed.as_ref().is_some_and(|(terminal, _)| ready.contains(&terminal.as_raw_fd())) {
            started.type_on();
        }
    }

    /// Records labels that are worth knowing while the process runs.
    fn learn(&mut self) {
        if let Some(labels) = self.streams.early() {
            self.record.labels.extend(labels);
            self.publish();
        }
    }

    /// Reads what the pipes hold without waiting for more: a process that was left behind may keep them open.
    pub fn drain(&mut self, running: &mut Running) {
        // Such a process may also write without end.
        let limit = Instant::now() + Duration::from_secs(2);
        while running.stdout_open && Instant::now() < limit {
            match self.streams.read(Stream::Stdout, &mut running.started.stdout) {
                None => break,
                Some(length) => running.stdout_open = length > 0,
            }
        }
        while let Some(stderr) =
            running.started.stderr.as_mut().filter(|_| running.stderr_open && Instant::now() < limit)
        {
            match self.streams.read(Stream::Stderr, stderr) {
                None => break,
                Some(length) => running.stderr_open = length > 0,
            }
        }
    }

    /// Reaps children that have ended, including adopted ones. Returns whether any child is left.
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
        // After that the process is dead, or stuck in the kernel.
        running.kill_at = Instant::now().checked_add(Duration::from_secs(5));
    }
}

/// Signals the process's group, as long as its leader has not been reaped.
fn signal_group(running: &Running, signal: Signal) {
    if running.status.is_none() {
        signal_group_of_child(running.started.pid, signal);
    }
}
