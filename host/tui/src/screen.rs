//! The definition of a full-screen view: state, keys, drawing, and the work that it delegates.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use aiw_app::feed::Topic;
use aiw_core::{Diagnostic, ErrorKind};
use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::Frame;

use crate::prompt::Prompt;
use crate::watch::Subscription;

/// A step of work that is under way.
#[derive(Debug, Clone, Default)]
pub struct StepProgress {
    /// The step, in a few words.
    pub label: String,
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
    /// Lend the terminal to a program.
    Run(TerminalProgram),
}

/// A program that gets the terminal for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TerminalProgram {
    words: Vec<OsString>,
    directory: Option<PathBuf>,
}

impl TerminalProgram {
    pub(crate) fn from_command(command: &Command) -> Self {
        let words = [command.get_program()].into_iter().chain(command.get_args()).map(Into::into).collect();
        Self { words, directory: command.get_current_dir().map(Into::into) }
    }

    /// Returns aiw itself with arguments.
    pub(crate) fn from_aiw_args<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let aiw = aiw_app::own_executable().map_err(|e| e.to_string())?;
        Ok(Self::from_command(Command::new(aiw).args(arguments)))
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.words.first().cloned().unwrap_or_default());
        command.args(self.words.iter().skip(1));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }
}

/// A full-screen view. The loop passes it keys and time, and runs its jobs on threads.
pub(crate) trait Screen {
    /// Work that may block.
    type Job: Clone + Send + 'static;
    /// The result of a job.
    type Reply: Send + 'static;

    /// Returns the first job.
    fn initial_job(&mut self) -> Option<Self::Job>;

    /// Returns the function that does jobs, on a thread of its own.
    fn worker(&self) -> Worker<Self::Job, Self::Reply>;

    /// Returns the reply for a job that could not be done at all.
    fn failure_reply(job: Self::Job, why: &str) -> Self::Reply;

    /// Handles a key press.
    fn handle_key(&mut self, key: KeyEvent) -> Option<Effect<Self::Job>>;

    /// Handles pasted text.
    fn handle_paste(&mut self, text: &str) -> Option<Effect<Self::Job>>;

    /// Handles the end of a job.
    fn handle_reply(&mut self, reply: Self::Reply) -> Option<Effect<Self::Job>>;

    /// Returns whether a job is under way. If so, the loop calls `tick`.
    fn is_working(&self) -> bool;

    /// Handles the passage of time, and a step of the work if there is one.
    fn tick(&mut self, progress: Option<StepProgress>);

    /// Draws the screen.
    fn draw(&mut self, frame: &mut Frame<'_>);

    /// Returns the changes that it wants to hear of now.
    fn subscription(&self) -> Option<Subscription> {
        None
    }

    /// Handles changes of what it heeds.
    fn handle_changes(&mut self, _topics: &BTreeSet<Topic>) -> Option<Effect<Self::Job>> {
        None
    }

    /// Handles time in which nothing happened.
    fn handle_idle(&mut self) -> Option<Effect<Self::Job>> {
        None
    }

    /// Handles a question of a job.
    fn handle_prompt(&mut self, _prompt: Prompt) {}

    /// Handles the mouse.
    fn handle_mouse(&mut self, _event: MouseEvent) -> Option<Effect<Self::Job>> {
        None
    }

    /// Returns whether it wants the mouse, which then selects no text.
    fn has_mouse(&self) -> bool {
        false
    }

    /// Handles the end of a program that had the terminal.
    fn handle_program_exit(&mut self, _ended: Result<(), String>) -> Option<Effect<Self::Job>> {
        None
    }

    /// Returns whether there is something new to draw since it was asked last.
    fn needs_redraw(&mut self) -> bool {
        true
    }
}

/// The way from a job to its screen while it works.
#[derive(Clone)]
pub(crate) struct JobHandle {
    /// Takes a step.
    pub(crate) report: Arc<dyn Fn(StepProgress) + Send + Sync>,
    /// Takes a question.
    pub(crate) prompt: Arc<dyn Fn(Prompt) + Send + Sync>,
}

/// A function that does a screen's jobs.
pub(crate) type Worker<J, R> = Arc<dyn Fn(J, &JobHandle) -> R + Send + Sync>;

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

impl Diagnostic for ScreenError {
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
