//! How another room interprets the output of a process.

use crate::log::Stream;
use crate::record::Labels;

/// What the output of a process has revealed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// Labels to add to the record, next to those from the start.
    pub labels: Labels,
    /// Why a process that exited with 0 has failed nevertheless, as a sentence.
    pub doubt: Option<String>,
}

/// Interprets what a process writes. It runs in the shim; if it fails, only its own findings are lost.
pub trait Interpreter {
    /// Takes one line, without its line break.
    fn line(&mut self, stream: Stream, line: &[u8]);

    /// Returns labels that are worth knowing while the process runs, once they are available; after that it is not
    /// called again. `mask` removes secrets from a text that was put together from several lines.
    fn early(&self, _mask: &dyn Fn(&str) -> String) -> Option<Labels> {
        None
    }

    /// Returns what all lines together mean, once the output has ended.
    fn findings(&self, mask: &dyn Fn(&str) -> String) -> Findings;
}
