//! Waiting for the end of a run.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::error::CiError;
use crate::runs::{Ci, CiRunRequest, MAX_OTHER_FAILED_RUNS, failed_names, truncate_names};
use crate::shapes::{CiJob, CiRun};

/// The longest pause between two questions, as a multiple of the first.
const MAX_INTERVAL_FACTOR: u32 = 5;

/// How often in a row a host may fail to answer.
const MAX_CONSECUTIVE_FAILURES: u32 = 5;

/// A run that was waited for
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CiWait {
    /// Whether it has ended, with all other runs of the commit if no run was named
    pub done: bool,
    /// The run, null if the commit has none yet; of several runs, one that failed, else one that has not ended
    pub run: Option<CiRun>,
    /// The newest runs of the other workflows of the commit, if no run was named
    pub others: Vec<CiRun>,
    /// The jobs that have failed
    pub failed: Vec<String>,
    /// The reason for waiting, if that is not the run itself
    pub waits: Option<String>,
    /// Notes for you
    pub notes: Vec<String>,
}

impl Ci {
    /// Waits until a run has ended: without an id, all workflows' runs of the commit that is checked out, which may begin
    /// meanwhile. `tell` gets a run that has not ended, and its jobs, each time that something has changed, `say` why nothing
    /// is known of it.
    ///
    /// # Errors
    ///
    /// There is no such run, or the host fails to answer several times.
    pub async fn wait(
        &self,
        request: impl Into<CiRunRequest>,
        until: Option<Instant>,
        tell: &mut (dyn FnMut(&CiRun, &[CiJob]) + Send),
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<CiWait, CiError> {
        let (request, mut etag, mut pause, mut failures) = (request.into(), None::<String>, self.poll_interval, 0);
        let mut has_answered = false;
        let mut now =
            CiWait { done: false, run: None, others: Vec::new(), failed: Vec::new(), waits: None, notes: Vec::new() };
        loop {
            let mut next = pause;
            let looked = async {
                let found = self.find_runs(&request, etag.as_deref()).await?;
                let Some(found) = found else { return Ok(None) };
                etag = found.etag;
                let mut runs = Vec::new();
                for (place, run) in found.value.into_iter().enumerate() {
                    let is_asked = place == 0 || place <= MAX_OTHER_FAILED_RUNS && !run.has_succeeded();
                    let jobs = if is_asked { self.jobs(run.id).await.unwrap_or_default() } else { Vec::new() };
                    runs.push((run, jobs));
                }
                Ok(Some(runs).filter(|runs| !runs.is_empty()))
            };
            let Some(looked) = by(until, looked).await else {
                // What is known by then is the answer.
                let silent = || format!("`{}` has not answered yet", self.location.repository.host);
                now.waits = now.waits.or_else(|| (!has_answered).then(silent));
                return Ok(now);
            };
            let waited = now.waits.take();
            has_answered |= looked.is_ok();
            match looked {
                Ok(None) => {
                    failures = 0;
                    pause = (pause * 3 / 2).min(self.poll_interval * MAX_INTERVAL_FACTOR);
                }
                Ok(Some(runs)) => {
                    if let Some((run, jobs)) = runs.iter().find(|(run, _)| !run.is_over()).or(runs.first()) {
                        tell(run, jobs);
                    }
                    let is_one = runs.len() == 1;
                    let name = |run: &CiRun, job: String| if is_one { job } else { format!("{}: {job}", run.name) };
                    let failed = runs
                        .iter()
                        .flat_map(|(run, jobs)| failed_names(jobs).into_iter().map(move |job| name(run, job)));
                    (now.failed, failures) = (truncate_names(failed.collect()), 0);
                    now.done = runs.iter().all(|(run, _)| run.is_over());
                    let mut runs = runs.into_iter().map(|(run, _)| run);
                    now.run = runs.next();
                    now.others = runs.collect();
                    pause = self.poll_interval;
                }
                Err(error @ CiError::RateLimited { seconds, .. }) => {
                    next = Duration::from_secs(seconds);
                    now.waits = Some(error.to_string());
                }
                Err(error) if failures < MAX_CONSECUTIVE_FAILURES && is_transient(&error) => {
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
}

/// Returns what is done by a time, if there is one.
async fn by<T>(until: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => tokio::time::timeout_at(until, work).await.ok(),
        None => Some(work.await),
    }
}

/// Whether the same question may be answered later.
pub(crate) fn is_transient(error: &CiError) -> bool {
    use aiw_core::{Diagnostic, ErrorKind};
    error.kind() == ErrorKind::Unavailable
}
