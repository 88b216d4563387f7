//! A process while it runs.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitOptions, WaitStatus, wait};
use rustix::termios::tcsetwinsize;

use aiw_core::{ProcessOutcome as Outcome, ProcessState as State};
use aiw_events::{EventKind, HomeEvent};

use super::child::{ChildSetting, StartedChild, spawn, spawn_probe_command, winsize};
use super::control::ControlSocket;
use super::input::Stdin;
use super::probes::{ProbeTarget, Probes, Verdict, port_conflict};
use super::starter::Starter;
use super::supervisor::Supervisor;
use super::watched::WatchedLimits;
use crate::directory::{DIRECTORY_POLL_INTERVAL, PROMPT};
use crate::log::Stream;
use crate::memory::CreatedFiles;
use crate::new::{RestartCondition, Terminal};
use crate::platform::{self, Group, Signal, timespec};
use crate::record::{MAX_CAUSES, Pid, RestartRecord};
use crate::request::ShimResponse;
use crate::signal::{marker_variables, signal_group_of_child};

/// Why a process is being ended.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum StopCause {
    Requested,
    Timeout,
    /// It does not do what it should, and why.
    Failure(String),
    /// Somebody wants it to begin anew.
    Restart,
}

/// The result of starting the process.
enum StartResult {
    Started(Box<RunningProcess>),
    /// It could not be started, and why. The policy says whether it is tried again.
    Failed(String),
    /// It could not be started and never will be. The end is recorded.
    Fatal,
}

/// The step after the end of a process.
enum AfterEnd {
    /// It is started again.
    Restart,
    /// It was to end.
    End,
    /// It is not started again: that happened too often.
    RestartLimitReached,
}

/// A running process.
pub(super) struct RunningProcess {
    pub child: StartedChild,
    pub group: Option<Group>,
    pub named_files: Option<CreatedFiles>,
    pub stop_cause: Option<StopCause>,
    pub status: Option<WaitStatus>,
    pub started_at: Instant,
    probes: Probes,
    watched: WatchedLimits,
    input: Option<Stdin>,
    /// When the process has to have ended by itself.
    deadline: Option<Instant>,
    /// When the process is killed.
    kill_at: Option<Instant>,
    stdout_open: bool,
    stderr_open: bool,
}

impl Supervisor {
    /// Waits for a turn and for what the process needs, runs it as often as it is to run, and handles each end.
    pub fn run_lifecycle(mut self, starter: &mut Starter) {
        if !self.wait_for_permit(starter) || !self.wait_for_needs(starter) {
            return;
        }
        let again = self.new_process.restart.when != RestartCondition::Never || self.new_process.restart_on_request;
        let mut streak = 0;
        loop {
            let (outcome, told, why, lived) = match self.begin(starter, again) {
                StartResult::Fatal => return,
                StartResult::Failed(why) => (Outcome::Failed, false, why, Duration::ZERO),
                StartResult::Started(mut running) => {
                    self.watch(&mut running);
                    let lived = running.started_at.elapsed();
                    if running.stop_cause == Some(StopCause::Restart) && self.is_stop_requested() {
                        running.stop_cause = Some(StopCause::Requested);
                    }
                    let outcome = self.finish(&mut running);
                    if running.stop_cause == Some(StopCause::Restart) {
                        // It counts against no limit: nothing has failed.
                        streak = 0;
                        self.begin_anew();
                        self.restart_requested = true;
                        continue;
                    }
                    let (exit_code, signal) = (self.record.exit_code, self.record.signal);
                    self.log_event(EventKind::Exited, |event| HomeEvent { exit_code, signal, ..event });
                    let told = matches!(running.stop_cause, Some(StopCause::Requested | StopCause::Timeout));
                    let mut why = self.cause(&running);
                    if outcome != Outcome::Succeeded
                        && running.stop_cause.is_none()
                        && let Some(taken) =
                            port_conflict([self.new_process.ready.as_ref(), self.new_process.live.as_ref()])
                    {
                        why = format!("{why}: {taken}");
                        self.streams.write_message(&taken);
                        self.record.add_note(&why);
                    }
                    (outcome, told, why, lived)
                }
            };
            match self.next(outcome, told, &why) {
                AfterEnd::Restart => {}
                AfterEnd::End => return self.close(outcome),
                // Whatever succeeds so often does not do what it is to do.
                AfterEnd::RestartLimitReached if outcome == Outcome::Succeeded => return self.close(Outcome::Failed),
                AfterEnd::RestartLimitReached => return self.close(outcome),
            }
            // One that has lived for long begins anew.
            streak =
                if lived > self.new_process.restart.within.unwrap_or(BACKOFF_RESET_WINDOW) { 0 } else { streak + 1 };
            self.note_cause(why);
            if !self.pause(streak) {
                self.streams.write_message("stopped before it was started again");
                self.record.stopped = true;
                return self.close(outcome);
            }
        }
    }

    /// Returns why the process has ended, as a phrase.
    fn cause(&self, running: &RunningProcess) -> String {
        match (&running.stop_cause, self.record.exit_code, self.record.signal) {
            (Some(StopCause::Failure(why)), _, _) => why.clone(),
            (_, Some(code), _) => format!("exit code {code}"),
            (_, None, Some(signal)) => format!("signal {signal}"),
            (_, None, None) => "no status".into(),
        }
    }

    /// Records why the process is started again.
    fn note_cause(&mut self, why: String) {
        let causes = &mut self.record.causes;
        if causes.len() >= MAX_CAUSES {
            causes.remove(0);
        }
        causes.push(RestartRecord { time: aiw_home::now_millis(), why });
    }

    /// Runs the process.
    fn begin(&mut self, starter: &mut Starter, again: bool) -> StartResult {
        let (group, unlimited) = Group::create(self.record.id, self.program.limits);
        if let Some(sentence) = unlimited {
            self.record.add_note(&sentence);
        }
        self.record.limits = self.program.limits.enforcers(group.is_some());
        let named = CreatedFiles::make(&self.program.named_files);
        let setting = ChildSetting {
            marker_variables: marker_variables(&self.record, self.records.names()),
            cwd: &self.record.cwd,
            files: &self.files,
            prompt: &self.directory.join(PROMPT),
            terminal: self.size(),
            takes_input: self.new_process.takes_input,
            listener: self.listener.as_ref(),
            core: self.core,
            cgroup: group.as_ref().and_then(Group::procs_fd),
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
                let reason = not_started(&path, &self.record.cwd, &error);
                self.streams.write_message(&reason);
                self.record.add_note(&reason);
                self.record.exit_code = None;
                if let Some(group) = group {
                    group.kill_and_remove();
                }
                // Trying again helps only against what passes, such as a lack of memory.
                if again && !is_final(&error) {
                    starter.respond(&ShimResponse::Started(Box::new(self.record.clone())));
                    return StartResult::Failed(reason);
                }
                self.close(Outcome::Failed);
                starter.respond(&ShimResponse::NotStarted(error.into()));
                return StartResult::Fatal;
            }
        };
        let (pid, mut started) = (started.pid, started);
        self.record.child = Some(Pid { pid, start: platform::start_time(pid).unwrap_or(0) });
        self.record.state = State::Running;
        let is_again = self.record.running_since.is_some();
        self.record.running_since = Some(aiw_home::now_millis());
        (self.record.exit_code, self.record.signal, self.record.last_error) = (None, None, None);
        self.record.ready = self.new_process.ready.is_some().then_some(false);
        let now = Instant::now();
        let is_reachable = (self.new_process.restart_on_request || started.stdin.is_some()) && self.is_reachable();
        let input = started.stdin.take().filter(|_| is_reachable).map(Stdin::new);
        let watched = WatchedLimits::new(self.program.limits, &self.record.limits, now);
        let probes = Probes::new(self.new_process.ready.as_ref(), self.new_process.live.as_ref(), now);
        // Published first, so that a starter that gets the answer finds the process running.
        self.publish();
        starter.respond(&ShimResponse::Started(Box::new(self.record.clone())));
        self.streams.write_message(&format!("started: process {pid}"));
        self.tell_begun(pid, is_again);
        let timeout = self.new_process.timeout.and_then(|limit| Instant::now().checked_add(limit));
        let has_stderr = started.stderr.is_some();
        StartResult::Started(Box::new(RunningProcess {
            child: started,
            group,
            named_files: Some(named),
            stop_cause: None,
            status: None,
            started_at: now,
            probes,
            watched,
            input,
            deadline: timeout,
            kill_at: None,
            stdout_open: true,
            stderr_open: has_stderr,
        }))
    }

    fn tell_begun(&mut self, pid: u32, is_again: bool) {
        let kind = if is_again { EventKind::Restarted } else { EventKind::Started };
        let by = match (is_again, std::mem::take(&mut self.restart_requested)) {
            (false, _) => Some(self.new_process.by.clone()),
            (true, was_asked) => was_asked.then(|| WATCH_ACTOR.to_owned()),
        };
        self.log_event(kind, |event| HomeEvent { pid: Some(pid), actor: by, ..event });
    }

    /// Returns what is to be done after an end.
    fn next(&mut self, outcome: Outcome, told: bool, why: &str) -> AfterEnd {
        let restart = self.new_process.restart;
        let wanted = match restart.when {
            RestartCondition::Never => false,
            RestartCondition::Failed => outcome != Outcome::Succeeded,
            RestartCondition::Ended => true,
        };
        if !wanted || told || self.is_stop_requested() {
            return AfterEnd::End;
        }
        let Some(limit) = restart.limit else { return AfterEnd::Restart };
        let count = restart.count_in_window(&self.record.causes, aiw_home::now_millis());
        if count < limit {
            return AfterEnd::Restart;
        }
        if limit == 0 {
            return AfterEnd::End;
        }
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times in a row") };
        let sentence = format!("it was started again {times}, and that is the limit: {why}");
        self.streams.write_message(&sentence);
        self.record.add_note(&sentence);
        AfterEnd::RestartLimitReached
    }

    /// Makes everything ready for another life.
    fn begin_anew(&mut self) {
        self.record.restarts += 1;
        self.record.state = State::Starting;
        self.record.child = None;
        self.record.ready = self.new_process.ready.is_some().then_some(false);
        self.publish();
        self.streams.reset((self.interpreter)(&self.record));
    }

    /// Waits between an end and the next start. Returns whether the process is to be started.
    fn pause(&mut self, streak: u32) -> bool {
        self.begin_anew();
        let restart = self.new_process.restart;
        let until = Instant::now().checked_add(restart.restart_delay(streak));
        loop {
            self.signals.clear();
            if self.is_stop_requested() {
                return false;
            }
            let left = until.map_or(DIRECTORY_POLL_INTERVAL, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return true;
            }
            let mut fds = vec![PollFd::new(self.signals.pipe(), PollFlags::IN)];
            let awaited = self.control.iter().flat_map(ControlSocket::poll_fds);
            fds.extend(awaited.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            let _ = poll(&mut fds, Some(&timespec(left.min(DIRECTORY_POLL_INTERVAL))));
            drop(fds);
            // Who types now waits for the next life.
            if self.serve(None, None) {
                self.restart_requested = true;
                return true;
            }
        }
    }

    /// Watches until the process has ended.
    fn watch(&mut self, running: &mut RunningProcess) {
        let mut looked = Instant::now();
        let mut is_new = true;
        loop {
            self.signals.clear();
            self.reap(running);
            if running.status.is_some() {
                return;
            }
            let time = Instant::now();
            if self.signals.is_termination_requested() && matches!(running.stop_cause, None | Some(StopCause::Restart))
            {
                self.stop(running, StopCause::Requested);
            }
            if running.deadline.is_some_and(|at| time >= at) && running.stop_cause.is_none() {
                self.stop(running, StopCause::Timeout);
            }
            if running.kill_at.is_some_and(|at| time >= at) {
                self.kill(running);
            }
            if looked.elapsed() >= DIRECTORY_POLL_INTERVAL {
                looked = time;
                if std::mem::take(&mut is_new) {
                    platform::release_code_pages();
                }
                self.reattach_segment();
                self.log_remarks();
                if matches!(running.stop_cause, None | Some(StopCause::Restart)) && self.is_stop_requested() {
                    self.stop(running, StopCause::Requested);
                }
            }
            self.streams.release_due(time);
            if running.stop_cause.is_none() {
                self.look(running, time);
            }
            let deadline = running.deadline.filter(|_| running.stop_cause.is_none());
            let checks = running.probes.next_deadline().into_iter().chain(running.watched.next_deadline()).min();
            let checks = checks.filter(|_| running.stop_cause.is_none());
            let next = [
                deadline,
                running.kill_at,
                self.streams.next_deadline(),
                checks,
                Some(looked + DIRECTORY_POLL_INTERVAL),
            ];
            let until = next.into_iter().flatten().min().unwrap_or(time);
            self.poll(running, until.saturating_duration_since(Instant::now()));
        }
    }

    /// Looks at what the process does and uses.
    fn look(&mut self, running: &mut RunningProcess, now: Instant) {
        if let Some(why) = running.watched.check(now) {
            // It is taking what others need, so it gets no time.
            self.streams.write_message(&format!("{why}: SIGKILL"));
            self.record.add_note(&why);
            self.record.state = State::Stopping;
            self.publish();
            self.log_event(EventKind::LimitReached, |event| HomeEvent { reason: Some(why.clone()), ..event });
            running.stop_cause = Some(StopCause::Failure(why));
            running.kill_at = Instant::now().checked_add(Duration::from_secs(5));
            signal_group(running, Signal::KILL);
            return;
        }
        let beside = ProbedSupervisor { supervisor: self };
        let Some(verdict) = running.probes.step(now, &beside) else { return };
        self.log_event(verdict.event(), |event| event);
        match verdict {
            Verdict::Ready => {
                self.streams.write_message("ready");
                self.record.ready = Some(true);
                self.record.last_error = None;
            }
            Verdict::Recovered => {
                self.streams.write_message("works again");
                self.record.last_error = None;
            }
            // Without a policy that starts it again, it is not ended either.
            Verdict::Failed(why) if self.new_process.restart.when == RestartCondition::Never => {
                self.streams.write_message(&why);
                self.record.last_error = Some(why);
            }
            Verdict::Failed(why) => {
                self.streams.write_message(&why);
                self.record.last_error = Some(why.clone());
                return self.stop(running, StopCause::Failure(why));
            }
        }
        self.publish();
    }

    /// Sleeps until there is output or a signal, and reads the output.
    fn poll(&mut self, running: &mut RunningProcess, limit: Duration) {
        let RunningProcess { child: started, stdout_open, stderr_open, probes, input, stop_cause: stop, .. } = running;
        let mut fds = vec![PollFd::new(self.signals.pipe(), PollFlags::IN)];
        if *stdout_open {
            fds.push(PollFd::new(&started.stdout, PollFlags::IN));
        }
        if let Some(stderr) = started.stderr.as_ref().filter(|_| *stderr_open) {
            fds.push(PollFd::new(stderr, PollFlags::IN));
        }
        if let Some((terminal, _)) = &started.pending_input {
            fds.push(PollFd::new(terminal, PollFlags::OUT));
        }
        fds.extend(
            self.control.iter().flat_map(ControlSocket::poll_fds).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        fds.extend(input.iter().flat_map(Stdin::poll_fd).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)));
        if stop.is_none() {
            fds.extend(probes.fds().map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        }
        // Rounded up: a remainder of microseconds must not cause a busy loop.
        if poll(&mut fds, Some(&timespec(limit + Duration::from_millis(1)))).is_err() {
            return;
        }
        let ready: Vec<i32> =
            fds.iter().filter(|fd| !fd.revents().is_empty()).map(|fd| fd.as_fd().as_raw_fd()).collect();
        drop(fds);
        if *stdout_open && ready.contains(&started.stdout.as_raw_fd()) {
            *stdout_open = self.streams.read(Stream::Stdout, &started.stdout) != Some(0);
            self.learn();
        }
        if let Some(stderr) =
            started.stderr.as_mut().filter(|stderr| *stderr_open && ready.contains(&stderr.as_raw_fd()))
        {
            *stderr_open = self.streams.read(Stream::Stderr, stderr) != Some(0);
        }
        if started.pending_input.as_ref().is_some_and(|(terminal, _)| ready.contains(&terminal.as_raw_fd())) {
            started.write_pending_input();
        }
        let before = self.size();
        let is_to_restart = self.serve(input.as_mut(), Some(&started.stdout));
        // Who has left has a size no more.
        if let Some(size) = self.size().filter(|size| Some(*size) != before) {
            resize(&started.stdout, size);
        }
        match running.stop_cause {
            None if is_to_restart => self.stop(running, StopCause::Restart),
            // It is ended for a failure, and begins anew all the same.
            Some(StopCause::Failure(_)) if is_to_restart => running.stop_cause = Some(StopCause::Restart),
            _ => {}
        }
    }

    /// Serves those who are connected. Returns whether one of them wants this life to end and another one to begin.
    fn serve(&mut self, input: Option<&mut Stdin>, stdout: Option<&File>) -> bool {
        let (terminal, life) = (self.size(), self.record.running_since.filter(|_| self.new_process.restart_on_request));
        let stdout = stdout.filter(|_| terminal.is_some());
        let resize = |size| stdout.into_iter().for_each(|stdout| resize(stdout, size));
        self.control.as_mut().is_some_and(|control| control.serve(input, terminal, life, resize))
    }

    /// Makes the socket through which others reach the process, if it isn't there yet. Returns whether there is one.
    fn is_reachable(&mut self) -> bool {
        if self.control.is_none() {
            match ControlSocket::open(self.runtime.path(), self.record.id) {
                Ok(control) => self.control = Some(control),
                Err(error) => self.streams.write_message(&format!("it takes no input: {error}")),
            }
        }
        self.control.is_some()
    }

    /// Returns the size of the process's terminal: as large as that of who looks at it, else as it is defined.
    fn size(&self) -> Option<Terminal> {
        let defined = self.new_process.terminal?;
        Some(self.control.as_ref().and_then(ControlSocket::size).unwrap_or(defined))
    }

    /// Records labels that are worth knowing while the process runs.
    fn learn(&mut self) {
        if let Some(labels) = self.streams.early_labels() {
            self.record.labels.extend(labels);
            self.publish();
        }
    }

    /// Reads what the pipes hold without waiting for more: a process that was left behind may keep them open.
    pub fn drain(&mut self, running: &mut RunningProcess) {
        // Such a process may also write without end.
        let limit = Instant::now() + Duration::from_secs(2);
        while running.stdout_open && Instant::now() < limit {
            match self.streams.read(Stream::Stdout, &running.child.stdout) {
                None => break,
                Some(length) => running.stdout_open = length > 0,
            }
        }
        while let Some(stderr) = running.child.stderr.as_mut().filter(|_| running.stderr_open && Instant::now() < limit)
        {
            match self.streams.read(Stream::Stderr, stderr) {
                None => break,
                Some(length) => running.stderr_open = length > 0,
            }
        }
    }

    /// Reaps children that have ended, including adopted ones. Returns whether any child is left.
    pub fn reap(&mut self, running: &mut RunningProcess) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let pid = u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0);
                    if pid == running.child.pid {
                        running.status = Some(status);
                    } else {
                        running.probes.handle_child_exit(pid, status);
                    }
                }
                Ok(None) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    fn stop(&mut self, running: &mut RunningProcess, why: StopCause) {
        let signal = Signal::from_named_raw(self.new_process.stop_signal).unwrap_or(Signal::TERM);
        let name = signal_name(signal);
        self.streams.write_message(&match &why {
            StopCause::Requested => format!("stop requested: {name}"),
            StopCause::Timeout => format!("time is over: {name}"),
            StopCause::Failure(why) => format!("{why}: {name}"),
            StopCause::Restart => format!("a file has changed, so it is started again: {name}"),
        });
        running.stop_cause = Some(why);
        running.kill_at = Instant::now().checked_add(self.grace);
        self.record.state = State::Stopping;
        self.publish();
        signal_group(running, signal);
    }

    fn kill(&mut self, running: &mut RunningProcess) {
        self.streams.write_message("it did not end: SIGKILL");
        signal_group(running, Signal::KILL);
        // After that the process is dead, or stuck in the kernel.
        running.kill_at = Instant::now().checked_add(Duration::from_secs(5));
    }
}

/// The starter of a life that begins because a file has changed, as events say it.
const WATCH_ACTOR: &str = "watch";

/// A life longer than this, without a window, makes the pauses short again.
const BACKOFF_RESET_WINDOW: Duration = Duration::from_secs(60);

/// Why a program could not be started. The system says of it and of its directory alike that something is not there.
fn not_started(path: &str, cwd: &Path, error: &io::Error) -> String {
    match cwd.is_dir() {
        true => format!("`{path}` could not be started: {error}"),
        false => format!("`{path}` could not be started: the directory `{}` in which it runs is gone", cwd.display()),
    }
}

/// Whether a start that failed with this will fail again.
fn is_final(error: &io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::InvalidInput)
        || error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error())
}

/// The name of a signal, for messages.
fn signal_name(signal: Signal) -> String {
    let names = [
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
    ];
    let name = names.into_iter().find(|(known, _)| *known == signal);
    name.map_or_else(|| format!("signal {}", signal.as_raw()), |(_, name)| name.to_owned())
}

/// The part of the supervisor that probes reach.
struct ProbedSupervisor<'a> {
    supervisor: &'a Supervisor,
}

impl ProbeTarget for ProbedSupervisor<'_> {
    fn run(&self, command: &[String]) -> io::Result<u32> {
        let Supervisor { record, records, program, core, .. } = self.supervisor;
        spawn_probe_command(command, program, marker_variables(record, records.names()), &record.cwd, *core)
    }

    fn has_seen_line(&self) -> bool {
        self.supervisor.streams.has_seen_ready_line()
    }
}

/// Signals the process's group, as long as its leader has not been reaped.
fn signal_group(running: &RunningProcess, signal: Signal) {
    if running.status.is_none() {
        signal_group_of_child(running.child.pid, signal);
    }
}

/// Changes the size of a process's terminal.
fn resize(terminal: &File, size: Terminal) {
    let _ = tcsetwinsize(terminal, winsize(size));
}
