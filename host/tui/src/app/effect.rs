//! What the state asks of the loop.

use super::jobs::Job;
use crate::screen::TerminalProgram;

/// The request of a key or an ended job to the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Start(Job),
    Suspend,
    Quit,
    /// Leave although work that changes something is under way.
    Abandon,
    /// Lend the terminal to a program.
    Run(TerminalProgram),
}
