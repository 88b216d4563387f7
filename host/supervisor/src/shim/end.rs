//! The end of a process: nothing is left behind, and the record says what happened.

use std::time::{Duration, Instant};

use aiw_core::ProcessOutcome as Outcome;

use super::run::{RunningProcess, StopCause};
use super::supervisor::Supervisor;
use crate::new::RestartCondition;
use crate::platform::{self, Signal};
use crate::signal::{Descendants, end_descendants, end_orphans};

/// The time between SIGTERM and SIGKILL for processes that were left behind.
const EXIT_GRACE_PERIOD: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Cleans up after the end of the process. Returns the outcome.
    pub fn finish(&mut self, running: &mut RunningProcess) -> Outcome {
        self.drain(running);
        let left = self.end_leftovers(running);
        self.drain(running);
        self.streams.finish();
        if let Some(group) = &running.group {
            group.kill_and_remove();
        }
        if left > 0 {
            self.streams.write_message(&format!("processes that it left and that were ended: {left}"));
        }
        self.log_remarks();
        let findings = self.streams.findings();
        let outcome = self.judge(running, findings.failure_reason);
        if left > 0
            && running.stop_cause.is_none()
            && self.record.exit_code == Some(0)
            && self.new_process.restart.when != RestartCondition::Never
        {
            // Such a program would be started again and again, and never be found running.
            self.record.add_note(
                "it went into the background, and what ran there was ended: leave out its flag for that, such as `-d`",
            );
        }
        self.record.labels.extend(findings.labels);
        if let Some(note) = findings.note {
            self.record.add_note(&note);
        }
        let how = match (self.record.exit_code, self.record.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no status".into(),
        };
        self.streams.write_message(&format!("ended: {outcome}, {how}"));
        running.named_files = None;
        outcome
    }

    /// Returns the outcome of the process, and stores the exit code and the signal in the record.
    fn judge(&mut self, running: &RunningProcess, doubt: Option<String>) -> Outcome {
        let status = running.status;
        self.record.exit_code = status.and_then(|s| s.exit_status());
        self.record.signal = status.and_then(|s| s.terminating_signal());
        match &running.stop_cause {
            Some(StopCause::Timeout) => return Outcome::Timeout,
            Some(StopCause::Failure(_)) => return Outcome::Failed,
            Some(StopCause::Restart) => return Outcome::Signalled,
            Some(StopCause::Requested) => {
                self.record.stopped = true;
                self.record.signal.get_or_insert(Signal::TERM.as_raw());
                return Outcome::Signalled;
            }
            None => {}
        }
        // A shell tells a signal this way.
        let code = self.record.exit_code.or(self.record.signal.map(|signal| 128 + signal));
        let is_success = code.is_some_and(|code| self.new_process.success.contains(&code));
        if self.record.signal.is_some() && !is_success {
            return Outcome::Signalled;
        }
        if !is_success {
            return Outcome::Failed;
        }
        // Some programs also exit with 0 when they are interrupted, so their output must agree.
        match doubt {
            None => Outcome::Succeeded,
            Some(doubt) => {
                self.record.add_note(&doubt);
                Outcome::Failed
            }
        }
    }

    /// Ends all descendants of the process, wherever they went: orphans become our children, or else show their marks.
    /// Other shims are descendants too, but are left alone. Returns the number of descendants.
    fn end_leftovers(&mut self, running: &mut RunningProcess) -> usize {
        let below = if self.reap(running) { self.end_below(running) } else { 0 };
        if platform::is_subreaper() { below } else { below + end_orphans(&self.record, self.records.names()) }
    }

    fn end_below(&mut self, running: &mut RunningProcess) -> usize {
        let segment = self.slot.as_ref().map(|slot| slot.segment().clone());
        let is_shim = |pid: u32, start: u64| {
            platform::is_shim(pid)
                || segment.as_ref().is_some_and(|s| s.scan().any(|o| (o.shim().pid, o.shim().start) == (pid, start)))
        };
        let kill_at = Instant::now() + EXIT_GRACE_PERIOD.min(self.grace);
        // The descendants' last output belongs in the log, and a full pipe would block them.
        let ended = end_descendants(&is_shim, kill_at, &mut || {
            self.drain(running);
            self.reap(running)
        });
        match ended {
            Descendants::Ended(count) => count,
            Descendants::StillRunning(count) => {
                self.record.add_note("processes that it left behind could not be ended");
                count
            }
        }
    }
}
