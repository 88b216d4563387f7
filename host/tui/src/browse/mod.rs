//! `aiw plugin browse`: a list, details, search as you type, and work with progress.

mod app;
#[doc(hidden)]
pub mod bench;
mod markets;
mod model;
mod row;
mod search;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use aiw_app::ClientSession;
use aiw_markets::Markets;
use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tokio::runtime::Runtime;

use crate::event_loop::show;
use crate::paint::format_progress;
use crate::progress::ScreenProgress;
use crate::screen::{Effect, Screen, ScreenError, StepProgress, Worker};
use app::{BrowseApp, LoadedList};
pub(crate) use app::{Job, Reply};
pub(crate) use markets::MarketBackend;
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
    show(Browse { browser: Browser::new(options), backend })
}

/// Lets the user browse the marketplaces of a client, as [`browse`] does. `progress` is what its application tells.
///
/// # Errors
///
/// As [`browse`].
pub fn browse_markets(
    client: Arc<ClientSession>,
    markets: Markets,
    progress: Arc<ScreenProgress>,
    runtime: Runtime,
    options: BrowserOptions,
) -> Result<(), ScreenError> {
    browse(Arc::new(MarketBackend::new(client, markets, progress, runtime)), options)
}

/// The browser: a screen of its own, or one among others.
pub(crate) struct Browser {
    app: BrowseApp,
    first: Option<Job>,
}

impl Browser {
    pub(crate) fn new(options: BrowserOptions) -> Self {
        let (app, first) = BrowseApp::new(options);
        Self { app, first: Some(first) }
    }

    /// Returns the job that reads the list, once.
    pub(crate) fn initial_job(&mut self) -> Option<Job> {
        self.first.take()
    }

    /// Returns whether keys move in the list, and none is a letter of a text.
    pub(crate) fn is_listing(&self) -> bool {
        matches!(self.app.mode, app::Mode::List)
    }

    /// Returns whether there is nothing to go back from.
    pub(crate) fn is_outermost(&self) -> bool {
        self.is_listing() && self.app.focus == app::Focus::List && self.app.query.is_empty()
    }

    pub(crate) fn handle_key(&mut self, key: KeyEvent) -> Option<Effect<Job>> {
        self.app.handle_key(key)
    }

    pub(crate) fn handle_paste(&mut self, text: &str) {
        self.app.handle_paste(text);
    }

    pub(crate) fn handle_reply(&mut self, reply: Reply) -> Option<Effect<Job>> {
        self.app.handle_reply(reply)
    }

    /// Returns whether a job is under way.
    pub(crate) fn is_working(&self) -> bool {
        self.first.is_none() && self.app.running_job.is_some()
    }

    /// Returns the line that says how far it has come.
    pub(crate) fn progress(&self) -> Option<String> {
        let work = self.app.running_job.as_ref().filter(|_| self.is_working())?;
        Some(format_progress(&work.title, work.ticks, &work.step, work.done, work.total))
    }

    /// Returns whether a change is under way.
    pub(crate) fn is_changing(&self) -> bool {
        self.app.running_job.as_ref().is_some_and(|work| work.is_mutating)
    }

    pub(crate) fn tick(&mut self, progress: Option<StepProgress>) {
        self.app.tick(progress);
    }
}

/// Draws the browser into an area. Returns the position of the cursor, if there is one.
pub(crate) fn draw_in(buffer: &mut Buffer, area: Rect, browser: &mut Browser) -> Option<Position> {
    view::draw_in(buffer, area, &mut browser.app)
}

/// Returns the reply for a job that could not be done at all.
pub(crate) fn failure_reply(job: Job, why: &str) -> Reply {
    match job {
        Job::Load => Reply::Loaded(Err(why.to_owned())),
        Job::Preview(id) => Reply::Previewed(id, Err(why.to_owned())),
        Job::Install(..) | Job::Remove(_) | Job::Enable(..) => Reply::Done(Err(why.to_owned())),
    }
}

/// The browser as a screen of its own.
struct Browse {
    browser: Browser,
    backend: Arc<dyn Backend>,
}

impl Screen for Browse {
    type Job = Job;
    type Reply = Reply;

    fn initial_job(&mut self) -> Option<Job> {
        self.browser.initial_job()
    }

    fn worker(&self) -> Worker<Job, Reply> {
        let backend = Arc::clone(&self.backend);
        Arc::new(move |job, way| perform(&*backend, job, &*way.report))
    }

    fn failure_reply(job: Job, why: &str) -> Reply {
        failure_reply(job, why)
    }

    fn handle_key(&mut self, key: KeyEvent) -> Option<Effect<Job>> {
        self.browser.handle_key(key)
    }

    fn handle_paste(&mut self, text: &str) -> Option<Effect<Job>> {
        self.browser.handle_paste(text);
        None
    }

    fn handle_reply(&mut self, reply: Reply) -> Option<Effect<Job>> {
        self.browser.handle_reply(reply)
    }

    fn is_working(&self) -> bool {
        self.browser.is_working()
    }

    fn tick(&mut self, progress: Option<StepProgress>) {
        self.browser.tick(progress);
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        view::draw(frame, &mut self.browser.app);
    }
}

/// Does a job of the browser.
pub(crate) fn perform(backend: &dyn Backend, job: Job, report: &(dyn Fn(StepProgress) + Send + Sync)) -> Reply {
    fn text<T>(result: Result<T, BackendError>) -> Result<T, String> {
        result.map_err(|error| error.to_string())
    }
    match job {
        Job::Load => Reply::Loaded(text(backend.plugins()).map(|plugins| Box::new(LoadedList::new(plugins)))),
        Job::Preview(id) => {
            let preview = text(backend.preview(&id, report));
            Reply::Previewed(id, preview)
        }
        Job::Install(id, values) => Reply::Done(text(backend.install(&id, values, report))),
        Job::Remove(id) => Reply::Done(text(backend.remove(&id, report))),
        Job::Enable(id, enabled) => Reply::Done(text(backend.set_enabled(&id, enabled))),
    }
}
