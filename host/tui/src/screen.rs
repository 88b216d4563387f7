//! What a job has of its screen, the programs that get the terminal, and why a screen ends.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use aiw_core::{Diagnostic, ErrorKind};

use crate::prompt::Prompt;

/// A step of work that is under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct StepProgress {
    /// The step, in a few words.
    pub(crate) label: String,
    /// How much of the step is done, in any unit.
    pub(crate) done: u64,
    /// The total amount, if it is known.
    pub(crate) total: Option<u64>,
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

/// The way from a job to its screen while it works.
#[derive(Clone)]
pub(crate) struct JobHandle {
    /// Takes a step.
    pub(crate) report: Arc<dyn Fn(StepProgress) + Send + Sync>,
    /// Takes a question.
    pub(crate) prompt: Arc<dyn Fn(Prompt) + Send + Sync>,
}

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
