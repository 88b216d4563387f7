//! What a process waits for before it starts. Its own shim waits, so the order holds even if the starter dies.

use std::time::{Duration, Instant};

use aiw_core::{ProcessOutcome as Outcome, ProcessState as State};
use aiw_events::{EventKind, HomeEvent};

use super::starter::Starter;
use super::supervisor::Supervisor;
use crate::directory::DIRECTORY_POLL_INTERVAL;
use crate::new::{DependencyCondition, ProcessDependency};
use crate::record::ProcessRecord;
use crate::request::ShimResponse;

/// The longest sleep: a stop is noticed within it, whatever signals do.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How far a need is.
enum NeedState {
    Satisfied,
    /// Not yet, and what it waits for.
    Pending(String),
    /// It never will be, and why.
    Unsatisfiable(String),
}

impl Supervisor {
    /// Waits until the needs are met. Returns whether the process is to run. Otherwise it has ended.
    pub fn wait_for_needs(&mut self, starter: &mut Starter) -> bool {
        if self.new_process.needs.is_empty() {
            return true;
        }
        self.record.state = State::Starting;
        let mut looked = Instant::now();
        loop {
            self.signals.clear();
            if self.is_stop_requested() {
                self.streams.write_message("stopped while it waited");
                self.record.stopped = true;
                self.record.last_error = None;
                self.close(Outcome::Signalled);
                return false;
            }
            // Read before the records, so that no change is missed.
            let segment = self.slot.as_ref().map(|slot| slot.segment().clone());
            let seen = segment.as_ref().map_or(0, |segment| segment.generation());
            let mut waits = None;
            for need in &self.new_process.needs {
                match self.met(need) {
                    NeedState::Satisfied => {}
                    NeedState::Pending(what) => waits = waits.or(Some(what)),
                    NeedState::Unsatisfiable(why) => {
                        let why = format!("held back by {why}");
                        self.streams.write_message(&why);
                        self.record.last_error = None;
                        self.record.add_note(&why);
                        starter.respond(&ShimResponse::Started(Box::new(self.record.clone())));
                        // The reason may name what the other process runs.
                        let why = Some(format!("held back by `{}`", need.name));
                        self.log_event(EventKind::StartSkipped, |event| HomeEvent { reason: why, ..event });
                        self.close(Outcome::Failed);
                        return false;
                    }
                }
            }
            if self.record.last_error != waits {
                if let Some(what) = &waits {
                    self.streams.write_message(what);
                }
                self.record.last_error.clone_from(&waits);
                self.publish();
                starter.respond(&ShimResponse::Started(Box::new(self.record.clone())));
            }
            if waits.is_none() {
                return true;
            }
            match segment {
                Some(segment) => segment.sleep(seen, MAX_POLL_INTERVAL),
                None => std::thread::sleep(MAX_POLL_INTERVAL),
            }
            if looked.elapsed() >= DIRECTORY_POLL_INTERVAL {
                looked = Instant::now();
                self.reattach_segment();
            }
        }
    }

    fn met(&self, need: &ProcessDependency) -> NeedState {
        match self.records.read(need.id) {
            Some(other) => met(&other, need),
            None => NeedState::Unsatisfiable(format!("`{}`, which is not there", need.name)),
        }
    }
}

/// Judges the present state of another process. One that is between two lives, or was lost and may be found again, is
/// waited for: only when its policy gives up does it end.
fn met(other: &ProcessRecord, need: &ProcessDependency) -> NeedState {
    let name = &need.name;
    let not_yet = |what: &str| NeedState::Pending(format!("waits until `{name}` {what}"));
    let has_succeeded = other.state == State::Ended && other.outcome == Some(Outcome::Succeeded);
    let has_ended = other.state == State::Ended && other.outcome != Some(Outcome::Lost);
    if has_ended && need.until == DependencyCondition::Ended {
        return NeedState::Satisfied;
    }
    if other.state == State::Ended && !has_succeeded {
        return match other.outcome {
            Some(Outcome::Lost) => not_yet("runs again"),
            _ if other.stopped => NeedState::Unsatisfiable(format!("`{name}`, which was stopped")),
            _ => NeedState::Unsatisfiable(match (other.exit_code, other.signal, &other.note) {
                (Some(code), _, _) if code != 0 => format!("`{name}`: exit code {code}"),
                (None, Some(signal), _) => format!("`{name}`: signal {signal}"),
                (_, _, Some(note)) => format!("`{name}`: {note}"),
                _ => format!("`{name}`, which has failed"),
            }),
        };
    }
    match need.until {
        DependencyCondition::Ready
            if has_succeeded || (other.state == State::Running && other.ready != Some(false)) =>
        {
            NeedState::Satisfied
        }
        DependencyCondition::Ready => not_yet("is ready"),
        DependencyCondition::Started if has_succeeded || other.state == State::Running => NeedState::Satisfied,
        DependencyCondition::Started => not_yet("runs"),
        DependencyCondition::Healthy if has_succeeded => NeedState::Unsatisfiable(format!("`{name}`, which has ended")),
        DependencyCondition::Healthy
            if other.state == State::Running && other.ready != Some(false) && other.last_error.is_none() =>
        {
            NeedState::Satisfied
        }
        DependencyCondition::Healthy => not_yet("is healthy"),
        DependencyCondition::Completed if has_succeeded => NeedState::Satisfied,
        DependencyCondition::Completed | DependencyCondition::Ended => not_yet("has ended"),
    }
}
