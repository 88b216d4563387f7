//! The work that keys and changes ask for, on threads.

use std::sync::Arc;

use crate::page::{Detail, ListContent, LogHandle, LogUpdate, Outcome, Page};
use crate::prompter::TuiPrompter;
use crate::screen::JobHandle;

/// Work for a thread. A number is the index of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    /// Read a list; with what is searched for.
    List(usize, String),
    /// Look at a thing.
    Inspect(usize, String),
    /// Do what a key says with things, or with none.
    RunAction(usize, char, Vec<String>),
    /// Read the new lines of a log, and of the logs of programs that have started if some may have.
    ReadLog(usize, LogHandle, bool),
}

/// The result of a job.
pub(crate) enum Reply {
    List(usize, Result<ListContent, String>),
    Detail(usize, String, Detail),
    Action(usize, char, Result<Outcome, String>),
    Log(usize, LogHandle, Result<LogUpdate, String>),
}

/// A function that does jobs.
pub(crate) type Worker = Arc<dyn Fn(Job, &JobHandle) -> Reply + Send + Sync>;

/// Returns what does the jobs of these pages.
pub(super) fn worker(pages: Vec<Arc<dyn Page>>) -> Worker {
    Arc::new(move |job, handle| {
        let (Job::List(at, _) | Job::Inspect(at, _) | Job::RunAction(at, ..) | Job::ReadLog(at, ..)) = &job;
        match pages.get(*at) {
            Some(page) => perform(&**page, job, handle),
            None => Reply::from_failure(job, "there is no such screen"),
        }
    })
}

fn perform(page: &dyn Page, job: Job, handle: &JobHandle) -> Reply {
    match job {
        Job::List(at, query) => Reply::List(at, page.list(&query)),
        Job::Inspect(at, id) => {
            let detail = page.detail(&id);
            Reply::Detail(at, id, detail)
        }
        Job::RunAction(at, key, ids) => {
            Reply::Action(at, key, page.run_action_on(key, &ids, &TuiPrompter::new(handle)))
        }
        Job::ReadLog(at, log, has_changed) => {
            let update = log.0.lock().read(has_changed);
            Reply::Log(at, log, update)
        }
    }
}

impl Reply {
    /// Returns the reply to a job that could not be done at all.
    pub(crate) fn from_failure(job: Job, why: &str) -> Self {
        match job {
            Job::List(at, _) => Self::List(at, Err(why.to_owned())),
            Job::Inspect(at, id) => Self::Detail(at, id, Detail::from_error(why)),
            Job::RunAction(at, key, _) => Self::Action(at, key, Err(why.to_owned())),
            Job::ReadLog(at, log, _) => Self::Log(at, log, Err(why.to_owned())),
        }
    }
}
