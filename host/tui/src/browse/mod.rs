//! `aiw plugin browse`: a list, details, search as you type, and work with progress.

mod app;
#[doc(hidden)]
pub mod bench;
mod model;
mod row;
mod search;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;

use crate::event_loop::show;
use crate::screen::{Effect, Screen, ScreenError, StepProgress, Worker};
use app::{App, Job, Loaded, Reply};
pub use model::{Backend, BackendError, BrowserOptions, Plugin, PluginServer, Preview};

/// Lets the user browse until they leave. Standard output must be a terminal.
///
/// The terminal is restored on every way out, including panics. Signals that were caught stay caught (and unhandled)
/// after this function returns: the previous handlers cannot be restored, so this should be the last thing that a
/// process does.
///
/// # Errors
///
/// Returns [`ScreenError::Signal`] after SIGTERM, SIGHUP, SIGINT or SIGQUIT, and [`ScreenError::Terminal`] if the
/// terminal fails.
pub fn browse(backend: Arc<dyn Backend>, options: BrowserOptions) -> Result<(), ScreenError> {
    let (app, first) = App::new(options);
    show(Browse { app, first: Some(first), backend })
}

/// The browser as a screen.
struct Browse {
    app: App,
    first: Option<Job>,
    backend: Arc<dyn Backend>,
}

impl Screen for Browse {
    type Job = Job;
    type Reply = Reply;

    fn begin(&mut self) -> Option<Job> {
        self.first.take()
    }

    fn worker(&self) -> Worker<Job, Reply> {
        let backend = Arc::clone(&self.backend);
        Arc::new(move |job, report| perform(&*backend, job, report))
    }

    fn failed(job: Job, why: &str) -> Reply {
        match job {
            Job::Load => Reply::Loaded(Err(why.to_owned())),
            Job::Preview(id) => Reply::Previewed(id, Err(why.to_owned())),
            Job::Install(..) | Job::Remove(_) | Job::Enable(..) => Reply::Done(Err(why.to_owned())),
        }
    }

    fn key(&mut self, key: KeyEvent) -> Option<Effect<Job>> {
        self.app.key(key)
    }

    fn paste(&mut self, text: &str) {
        self.app.paste(text);
    }

    fn reply(&mut self, reply: Reply) -> Option<Effect<Job>> {
        self.app.reply(reply)
    }

    fn is_working(&self) -> bool {
        self.app.work.is_some()
    }

    fn tick(&mut self, progress: Option<StepProgress>) {
        self.app.tick(progress);
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        view::draw(frame, &mut self.app);
    }
}

fn perform(backend: &dyn Backend, job: Job, report: &dyn Fn(StepProgress)) -> Reply {
    fn text<T>(result: Result<T, BackendError>) -> Result<T, String> {
        result.map_err(|error| error.to_string())
    }
    match job {
        Job::Load => Reply::Loaded(text(backend.plugins()).map(|plugins| Box::new(Loaded::new(plugins)))),
        Job::Preview(id) => {
            let preview = text(backend.preview(&id, report));
            Reply::Previewed(id, preview)
        }
        Job::Install(id, values) => Reply::Done(text(backend.install(&id, &values, report))),
        Job::Remove(id) => Reply::Done(text(backend.remove(&id, report))),
        Job::Enable(id, enabled) => Reply::Done(text(backend.set_enabled(&id, enabled))),
    }
}
