//! Waiting for a process.

use std::time::{Duration, Instant};

use aiw_core::matches_wildcard;
use aiw_supervisor::{FollowFrom, LogEntry, Sources, Stream, Watch};

use crate::error::ProcessError;
use crate::manager::Manager;
use crate::state::{ProcessStatus, RunState};

/// How long changes are collected before they are looked at.
const COALESCE_WINDOW: Duration = Duration::from_millis(10);

/// How long a process lives at least that has no probe to say that it is ready: many end at once.
const MIN_UPTIME_MS: u64 = 1000;

/// The end of a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitFor {
    /// It runs, and is ready if it has a probe for that; without one, it has run for a second.
    Ready,
    /// It is ready, has done the work that it was started for, or is scheduled.
    Up,
    /// It has ended.
    Ended,
    /// It writes a line that is like this pattern, in this life; `*` stands for any text.
    Line(String),
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitOutcome {
    /// The process.
    pub status: ProcessStatus,
    /// Whether what was waited for is so.
    pub done: bool,
    /// The line that was waited for.
    pub line: Option<LogEntry>,
}

impl Manager {
    /// Waits until what is waited for is so, or can't become so any more: what has ended neither becomes ready nor writes.
    /// Without an `end`, it waits for ever. `watch` is what it sleeps on: who sets `cancelled` wakes it.
    ///
    /// # Errors
    ///
    /// There is no such process, or its log can't be read.
    pub fn wait(
        &self,
        id: &str,
        what: &WaitFor,
        end: Option<Instant>,
        watch: &Watch,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<WaitOutcome, ProcessError> {
        let is_late = || end.is_some_and(|end| Instant::now() >= end) || cancelled();
        let process = self.project.process_id(id);
        let mut log = None;
        loop {
            // Listening begins before looking, so that no change is missed.
            let mut sources = self.processes.sources(Some(&[process]));
            sources.directories.values_mut().for_each(|writes| *writes = matches!(what, WaitFor::Line(_)));
            let is_heard = watch.listen(sources).is_empty();
            let status = self.get(id)?;
            let mut line = None;
            if let WaitFor::Line(pattern) = what {
                if let (None, Some(record)) = (&log, &status.record) {
                    log = Some(self.log(id)?.follow(FollowFrom::Since(record.started))?);
                }
                if let Some(log) = &mut log {
                    let entries = log.next(Duration::ZERO)?;
                    let has_more = !entries.is_empty();
                    let is_it =
                        |entry: &LogEntry| entry.stream != Stream::Aiw && matches_wildcard(pattern, &entry.text());
                    line = entries.into_iter().find(is_it);
                    if line.is_none() && has_more && !is_late() {
                        continue;
                    }
                }
            }
            let is_over = !status.state.is_alive();
            let done = match what {
                WaitFor::Line(_) => line.is_some(),
                WaitFor::Up if status.state == RunState::Stopped => true,
                WaitFor::Up if is_over && status.state != RunState::Failed && status.next_run_at.is_some() => true,
                WaitFor::Ready | WaitFor::Up => {
                    status.state == RunState::Running
                        && (status.definition.ready.is_some() || settles(&status).is_zero())
                }
                WaitFor::Ended => is_over,
            };
            if done || is_over || is_late() {
                return Ok(WaitOutcome { status, done, line });
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let settles = Some(settles(&status)).filter(|left| !left.is_zero());
            let limits = [
                left,
                settles,
                Some(if is_heard { Sources::FULL_RESCAN_INTERVAL } else { Sources::FALLBACK_POLL_INTERVAL }),
            ];
            if !watch.wait(limits.into_iter().flatten().min()).is_empty() {
                std::thread::sleep(COALESCE_WINDOW);
            }
        }
    }
}

/// How long it is until a process that has no probe counts as ready.
fn settles(status: &ProcessStatus) -> Duration {
    let since = status.record.as_ref().and_then(|record| record.running_since.or(Some(record.started)));
    let age = since.map_or(0, |since| aiw_home::now_millis().saturating_sub(since));
    Duration::from_millis(MIN_UPTIME_MS.saturating_sub(age))
}
