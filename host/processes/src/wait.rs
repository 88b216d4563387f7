//! Waiting for a process.

use std::time::{Duration, Instant};

use aiw_core::star_matches;
use aiw_supervisor::{FollowFrom, LogEntry, Stream};

use crate::error::ProcessError;
use crate::manager::Manager;
use crate::state::{State, Status};

/// How often the state is looked at.
const ROUND: Duration = Duration::from_millis(100);

/// How long a process lives at least that has no probe to say that it is ready: many end at once.
const SETTLES: u64 = 1000;

/// The end of a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitFor {
    /// It runs, and is ready if it has a probe for that; without one, it has run for a second.
    Ready,
    /// It is ready, or has done the work that it was started for.
    Up,
    /// It has ended.
    Ended,
    /// It writes a line that is like this pattern, in this life; `*` stands for any text.
    Line(String),
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Waited {
    /// The process.
    pub status: Status,
    /// Whether what was waited for is so.
    pub done: bool,
    /// The line that was waited for.
    pub line: Option<LogEntry>,
}

impl Manager {
    /// Waits until what is waited for is so, or can't become so any more: what has ended neither becomes ready nor writes.
    /// Without an `end`, it waits for ever.
    ///
    /// # Errors
    ///
    /// There is no such process, or its log can't be read.
    pub fn wait(
        &self,
        id: &str,
        what: &WaitFor,
        end: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Waited, ProcessError> {
        let is_late = || end.is_some_and(|end| Instant::now() >= end) || cancelled();
        let mut log = None;
        loop {
            let status = self.get(id)?;
            let mut line = None;
            if let WaitFor::Line(pattern) = what {
                if let (None, Some(record)) = (&log, &status.record) {
                    log = Some(self.log(id)?.follow(FollowFrom::Since(record.started))?);
                }
                if let Some(log) = &mut log {
                    let entries = log.next(ROUND)?;
                    let has_more = !entries.is_empty();
                    let is_it = |entry: &LogEntry| entry.stream != Stream::Aiw && star_matches(pattern, &entry.text());
                    line = entries.into_iter().find(is_it);
                    if line.is_none() && has_more && !is_late() {
                        continue;
                    }
                }
            }
            let is_over = !status.state.is_alive();
            let done = match what {
                WaitFor::Line(_) => line.is_some(),
                WaitFor::Up if status.state == State::Stopped => true,
                WaitFor::Ready | WaitFor::Up => {
                    status.state == State::Running && (status.definition.ready.is_some() || has_settled(&status))
                }
                WaitFor::Ended => is_over,
            };
            if done || is_over || is_late() {
                return Ok(Waited { status, done, line });
            }
            std::thread::sleep(ROUND);
        }
    }
}

fn has_settled(status: &Status) -> bool {
    let since = status.record.as_ref().and_then(|record| record.running_since.or(Some(record.started)));
    since.is_some_and(|since| aiw_home::now_millis().saturating_sub(since) >= SETTLES)
}
