//! The definition of a full-screen view: state, keys, drawing, and the work that it delegates.

use std::io;

use aiw_core::{ErrorKind, Fault};
use crossterm::event::KeyEvent;
use ratatui::Frame;

/// A step of work that is under way.
#[derive(Debug, Clone, Default)]
pub struct StepProgress {
    /// The step, in a few words.
    pub what: String,
    /// How much of the step is done, in any unit.
    pub done: u64,
    /// The total amount, if it is known.
    pub total: Option<u64>,
}

/// The request of a key or an ended job to the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect<J> {
    Start(J),
    Suspend,
    Quit,
    /// Leave although work that changes something is under way.
    Abandon,
}

/// A full-screen view. The loop passes it keys and time, and runs its jobs on threads.
pub(crate) trait Screen {
    /// Work that may block.
    type Job: Clone + Send + 'static;
    /// The result of a job.
    type Reply: Send + 'static;

    /// Returns the first job.
    fn begin(&mut self) -> Option<Self::Job>;

    /// Returns the function that does jobs, on a thread of its own.
    fn worker(&self) -> Worker<Self::Job, Self::Reply>;

    /// Returns the reply for a job that could not be done at all.
    fn failed(job: Self::Job, why: &str) -> Self::Reply;

    /// Handles a key press.
    fn key(&mut self, key: KeyEvent) -> Option<Effect<Self::Job>>;

    /// Handles pasted text.
    fn paste(&mut self, text: &str);

    /// Handles the end of a job.
    fn reply(&mut self, reply: Self::Reply) -> Option<Effect<Self::Job>>;

    /// Returns whether a job is under way. If so, the loop calls `tick`.
    fn is_working(&self) -> bool;

    /// Handles the passage of time, and a step of the work if there is one.
    fn tick(&mut self, progress: Option<StepProgress>);

    /// Draws the screen.
    fn draw(&mut self, frame: &mut Frame<'_>);
}

/// A function that does a screen's jobs and reports their steps.
pub(crate) type Worker<J, R> = std::sync::Arc<dyn Fn(J, &dyn Fn(StepProgress)) -> R + Send + Sync>;

/// Why a screen ended other than by the user leaving.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// The terminal cannot be used, or no longer exists.
    #[error("the terminal cannot be used: {source}")]
    Terminal {
        /// The error of the terminal.
        #[from]
        source: io::Error,
    },
    /// A signal asked the process to end (2 also if Ctrl-C abandoned work under way). The terminal has been restored;
    /// exiting with 128 + the number is up to the caller.
    #[error("stopped")]
    Signal(i32),
}

impl Fault for ScreenError {
    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::Terminal { .. } => ErrorKind::Unavailable,
            Self::Signal(_) => ErrorKind::Interrupted,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Terminal { .. } => self.kind().exit_code(),
            Self::Signal(signal) => 128 + u8::try_from(*signal).unwrap_or(0),
        }
    }
}
