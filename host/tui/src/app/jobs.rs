//! The work that keys and changes ask for, on threads.

use std::sync::Arc;

use crate::browse;
use crate::context::AppContext;
use crate::page::{Detail, ListContent, Outcome, Page};
use crate::prompter::TuiPrompter;
use crate::screen::JobHandle;

/// Work for a thread. A number is the place of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    /// Read a list; with what is searched for.
    List(usize, String),
    /// Look at a thing.
    Inspect(usize, String),
    /// Do what a key says with a thing.
    RunAction(usize, char, String),
    Browse(browse::Job),
}

/// The result of a job.
pub(crate) enum Reply {
    List(usize, Result<ListContent, String>),
    Detail(usize, String, Detail),
    Action(usize, char, Result<Outcome, String>),
    Browse(browse::Reply),
}

/// Does a job. `pages` are those of the screens, in their places.
pub(super) fn perform(ground: &AppContext, pages: &[Option<Arc<dyn Page>>], job: Job, way: &JobHandle) -> Reply {
    let page = |at: usize| pages.get(at).and_then(Option::as_ref);
    let gone = || "there is no such screen".to_owned();
    match job {
        Job::List(at, query) => Reply::List(at, page(at).map_or_else(|| Err(gone()), |page| page.list(ground, &query))),
        Job::Inspect(at, id) => {
            let detail = page(at).map_or_else(|| Detail::from_error(gone()), |page| page.detail(ground, &id));
            Reply::Detail(at, id, detail)
        }
        Job::RunAction(at, key, id) => {
            let person = TuiPrompter::new(way);
            Reply::Action(
                at,
                key,
                page(at).map_or_else(|| Err(gone()), |page| page.run_action(ground, key, &id, &person)),
            )
        }
        Job::Browse(job) => Reply::Browse(match ground.plugins() {
            Ok(backend) => browse::perform(&*backend, job, &*way.report),
            Err(why) => browse::failure_reply(job, &why),
        }),
    }
}
