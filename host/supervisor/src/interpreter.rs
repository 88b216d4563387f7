//! What somebody else understands of a process' output.

use crate::log::Stream;
use crate::record::Labels;

/// What the output of a process has told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// What goes into the record, beside the labels of the start.
    pub labels: Labels,
    /// Why a process that exited with 0 has not succeeded all the same, as a sentence.
    pub doubt: Option<String>,
}

/// Understands what a process writes. It is asked in the shim, and what it does wrong costs what it would
/// have found, and nothing else.
pub trait Interpreter {
    /// Takes one line, without its line break.
    fn line(&mut self, stream: Stream, line: &[u8]);

    /// What is worth knowing while the process runs, once there is such; then it isn't asked again. `mask` takes
    /// secrets out of a text that was put together from several lines.
    fn early(&self, _mask: &dyn Fn(&str) -> String) -> Option<Labels> {
        None
    }

    /// What all lines together say, at the end.
    fn findings(&self, mask: &dyn Fn(&str) -> String) -> Findings;
}
