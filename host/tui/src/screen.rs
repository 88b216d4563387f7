//! What a full-screen view is: state, keys, drawing, and the work that it gives away.

use std::io;

use crossterm::event::KeyEvent;
use ratatui::Frame;

/// A step of work under way.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The step, in a few words.
    pub what: String,
    /// How much of it is done, in any unit.
    pub done: u64,
    /// Of how much, where that is known.
    pub total: Option<u64>,
}

/// What a key or an ended job asks of the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect<J> {
    Start(J),
    Suspend,
    Quit,
    /// Leave although work that changes something is under way.
    Abandon,
}

/// One full-screen view. The loop gives it keys and time, and its jobs to a thread.
pub(crate) trait Screen {
    /// Work that may block.
    type Job: Clone + Send + 'static;
    /// What came of a job.
    type Reply: Send + 'static;

    /// What is to be done first.
    fn begin(&mut self) -> Option<Self::Job>;

    /// Does a job, on a thread of its own.
    fn worker(&self) -> Worker<Self::Job, Self::Reply>;

    /// The reply where a job could not be done at all.
    fn failed(job: Self::Job, why: &str) -> Self::Reply;

    /// A key was pressed.
    fn key(&mut self, key: KeyEvent) -> Option<Effect<Self::Job>>;

    /// Text was pasted.
    fn paste(&mut self, text: &str);

    /// A job has ended.
    fn reply(&mut self, reply: Self::Reply) -> Option<Effect<Self::Job>>;

    /// Whether a job is under way: then time is told.
    fn is_working(&self) -> bool;

    /// Time has passed, and perhaps a step.
    fn tick(&mut self, progress: Option<Progress>);

    /// Draws it.
    fn draw(&mut self, frame: &mut Frame<'_>);
}

/// Does a screen's jobs; it tells of steps.
pub(crate) type Worker<J, R> = std::sync::Arc<dyn Fn(J, &dyn Fn(Progress)) -> R + Send + Sync>;

/// Why a screen ended otherwise than by leaving.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// The terminal cannot be used, or has gone.
    #[error("the terminal cannot be used: {source}")]
    Terminal {
        /// What it said.
        #[from]
        source: io::Error,
    },
    /// A signal asked the process to end (2 also where Ctrl-C abandoned work under way). The
    /// terminal has been given back; ending with 128 + the number is left to the caller.
    #[error("stopped by signal {0}")]
    Signal(i32),
}
