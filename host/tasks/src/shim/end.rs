//! How a task ends: nothing is left behind, and the record says what happened.

use std::time::{Duration, Instant};

use super::run::{Running, Stop};
use super::supervisor::Supervisor;
use crate::platform::{self, Signal};
use crate::record::FINAL_MESSAGE;
use crate::signal::{Proof, Target};
use crate::tasks::QUIET;
use crate::{Facts, Outcome};

/// How long what the CLI left behind has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// After the CLI's end.
    pub fn finish(mut self, mut running: Running) {
        self.drain(&mut running);
        let left = self.end_leftovers(&mut running);
        self.drain(&mut running);
        self.streams.finish();
        if let Some(group) = &running.group {
            group.end();
        }
        if left > 0 {
            self.streams.say(&format!("processes that it left and that were ended: {left}"));
        }
        let facts = self.streams.facts();
        let outcome = self.judge(&running, &facts);
        let Facts { session, final_message, usage, cost_usd, .. } = facts;
        if let Some(session) = session {
            self.record.session = Some(aiw_core::one_line(&session, 200));
        }
        self.record.final_message = final_message.map(|message| cut(message, FINAL_MESSAGE));
        self.record.usage = usage;
        self.record.cost_usd = cost_usd.filter(|cost| cost.is_finite());
        let how = match (self.record.exit_code, self.record.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no status".into(),
        };
        self.streams.say(&format!("ended: {outcome}, {how}"));
        running.named.clear();
        self.close(outcome);
    }

    /// What the end means; the exit code and the signal go to the record.
    fn judge(&mut self, running: &Running, facts: &Facts) -> Outcome {
        let status = running.status;
        self.record.exit_code = status.and_then(|s| s.exit_status());
        self.record.signal = status.and_then(|s| s.terminating_signal());
        match running.stop {
            Some(Stop::Timeout) => return Outcome::Timeout,
            Some(Stop::Requested) => {
                self.record.signal.get_or_insert(Signal::TERM.as_raw());
                return Outcome::Signalled;
            }
            None => {}
        }
        if self.record.signal.is_some() {
            return Outcome::Signalled;
        }
        if self.record.exit_code != Some(0) {
            return Outcome::Failed;
        }
        // CLIs end with 0 when they are interrupted, too: what they wrote must agree.
        let doubt = if facts.failed == Some(true) {
            "it ended with exit code 0, but its own last record says that it failed"
        } else if facts.structured && !facts.complete {
            "it ended with exit code 0, but without its last record"
        } else if !facts.structured && self.streams.expects_structure() {
            "it ended with exit code 0, but wrote nothing that can be understood"
        } else {
            return Outcome::Succeeded;
        };
        self.record.note(doubt);
        Outcome::Failed
    }

    /// Ends all that descends from the CLI, wherever it went: orphans become our children. Other
    /// tasks' shims do too, and are left alone. How many there were.
    fn end_leftovers(&mut self, running: &mut Running) -> usize {
        if !self.reap(running) {
            return 0;
        }
        let kill_at = Instant::now() + GRACE.min(self.grace);
        let give_up = kill_at + Duration::from_secs(5);
        let mut told = Vec::new();
        // Who has just started another and ended hides it from one look.
        let mut quiet = 0;
        loop {
            let left = self.leftovers();
            let Some(first) = left.first().copied() else {
                quiet += 1;
                if !self.reap(running) || quiet == QUIET {
                    return told.len();
                }
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            quiet = 0;
            let kill = Instant::now() >= kill_at;
            for process in left {
                if !kill && told.contains(&process) {
                    continue;
                }
                if !told.contains(&process) {
                    told.push(process);
                }
                if let Ok(Some(handle)) = Target::of(process.0, process.1, Proof::Descendant) {
                    let _ = handle.signal(if kill { Signal::KILL } else { Signal::TERM });
                }
            }
            if Instant::now() >= give_up {
                self.record.note("processes that it left behind could not be ended");
                return told.len();
            }
            if let Ok(Some(handle)) = Target::of(first.0, first.1, Proof::Descendant) {
                handle.wait(Duration::from_millis(50));
            }
            // What they say last is part of the log, and a full pipe would hold them.
            self.drain(running);
            self.reap(running);
        }
    }

    fn leftovers(&self) -> Vec<(u32, u64)> {
        let segment = self.slot.as_ref().map(|slot| slot.segment().clone());
        let is_shim = |pid: u32, start: u64| {
            platform::is_shim(pid)
                || segment.as_ref().is_some_and(|s| s.scan().any(|o| (o.shim().pid, o.shim().start) == (pid, start)))
        };
        platform::descendants(std::process::id(), &is_shim)
    }
}

fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}
