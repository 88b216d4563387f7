//! Waiting for the end of a run.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::error::CiError;
use crate::runs::{Ci, failed_names};
use crate::shapes::{CiJob, CiRun};

/// The longest pause between two questions, as a multiple of the first.
const SLOWEST: u32 = 5;

/// How often in a row a host may fail to answer.
const FAILURES: u32 = 5;

/// A run that was waited for
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CiWait {
    /// Whether it has ended
    pub done: bool,
    /// The run; null if the commit has none yet
    pub run: Option<CiRun>,
    /// The jobs that have failed
    pub failed: Vec<String>,
    /// The reason for waiting, if that is not the run itself
    pub waits: Option<String>,
    /// Notes for you
    pub notes: Vec<String>,
}

impl Ci {
    /// Waits until a run has ended: without an id, the newest run of the commit that is checked out, which may begin meanwhile.
    /// `tell` gets the run and its jobs each time that it has changed, `say` why nothing is known of it.
    ///
    /// # Errors
    ///
    /// There is no such run, or the host fails to answer several times.
    pub async fn wait(
        &self,
        id: Option<u64>,
        until: Option<Instant>,
        tell: &mut (dyn FnMut(&CiRun, &[CiJob]) + Send),
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<CiWait, CiError> {
        let (mut id, mut etag, mut pause, mut failures) = (id, None::<String>, self.pace, 0);
        let mut has_answered = false;
        let mut now = CiWait { done: false, run: None, failed: Vec::new(), waits: None, notes: Vec::new() };
        loop {
            let mut next = pause;
            let looked = async {
                let found = self.look(&mut id, &mut etag, &mut now.notes).await?;
                Ok(match found {
                    Some(run) => Some((self.jobs(run.id).await.unwrap_or_default(), run)),
                    None => None,
                })
            };
            let Some(looked) = by(until, looked).await else {
                // What is known by then is the answer.
                let silent = || format!("`{}` has not answered yet", self.place.repository.host);
                now.waits = now.waits.or_else(|| (!has_answered).then(silent));
                return Ok(now);
            };
            let waited = now.waits.take();
            has_answered |= looked.is_ok();
            match looked {
                Ok(None) => {
                    failures = 0;
                    pause = (pause * 3 / 2).min(self.pace * SLOWEST);
                }
                Ok(Some((jobs, run))) => {
                    tell(&run, &jobs);
                    (now.failed, failures) = (failed_names(&jobs), 0);
                    now.done = run.is_over();
                    now.run = Some(run);
                    pause = self.pace;
                }
                Err(error @ CiError::Limited { seconds, .. }) => {
                    next = Duration::from_secs(seconds);
                    now.waits = Some(error.to_string());
                }
                Err(error) if failures < FAILURES && is_passing(&error) => {
                    failures += 1;
                    next = pause * 2u32.pow(failures.min(4));
                    now.waits = Some(error.to_string());
                }
                Err(error) => return Err(error),
            }
            if let Some(why) = now.waits.as_ref().filter(|_| now.waits != waited) {
                say(why);
            }
            if now.done || until.is_some_and(|until| Instant::now() >= until) {
                return Ok(now);
            }
            let at = Instant::now() + next;
            tokio::time::sleep_until(until.map_or(at, |until| until.min(at))).await;
        }
    }

    /// Returns the run, if it has changed.
    async fn look(
        &self,
        id: &mut Option<u64>,
        etag: &mut Option<String>,
        notes: &mut Vec<String>,
    ) -> Result<Option<CiRun>, CiError> {
        let Some(known) = *id else {
            let Some((run, note)) = self.newest().await? else { return Ok(None) };
            *id = Some(run.id);
            notes.extend(note);
            return Ok(Some(run));
        };
        let found = self.get::<CiRun>(&["runs", &known.to_string()], &[], etag.as_deref()).await?;
        Ok(found.map(|found| {
            *etag = found.etag;
            found.value
        }))
    }
}

/// Returns what is done by a time, if there is one.
async fn by<T>(until: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => tokio::time::timeout_at(until, work).await.ok(),
        None => Some(work.await),
    }
}

/// Whether the same question may be answered later.
pub(crate) fn is_passing(error: &CiError) -> bool {
    use aiw_core::{ErrorKind, Fault};
    error.kind() == ErrorKind::Unavailable
}
