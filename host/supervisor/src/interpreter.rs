//! What other rooms have the shim do for their processes: interpreting the output, and what comes after the end.

use crate::log::Stream;
use crate::record::{Labels, ProcessRecord};

/// The work of a shim for the processes of one room, besides supervising them.
#[derive(Clone, Copy)]
pub struct ProcessKind {
    /// The word for one of the processes, as in their [`Names`](crate::Names).
    pub kind: &'static str,
    /// Returns the interpreter for the output of a process with this record, if it has one.
    pub interpreter: fn(&ProcessRecord) -> Option<Box<dyn OutputInterpreter>>,
    /// Called at the end of a process, once its record says so and nothing of it is left: what this starts outlives the
    /// process.
    pub on_exit: fn(),
}

#[cfg(unix)]
impl ProcessKind {
    /// Returns the kind with this noun. Processes that are of none of these are only supervised.
    pub(crate) fn find(kinds: &[Self], noun: &str) -> Self {
        let plain = Self { kind: "process", interpreter: |_| None, on_exit: || {} };
        kinds.iter().find(|kind| kind.kind == noun).copied().unwrap_or(plain)
    }
}

/// The facts that the output of a process has revealed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// Labels to add to the record, next to those from the start.
    pub labels: Labels,
    /// Why a process that exited with 0 has failed nevertheless, as a sentence.
    pub failure_reason: Option<String>,
    /// Something else that the record is to say, as a sentence.
    pub note: Option<String>,
}

/// Interprets what a process writes. It runs in the shim; if it fails, only its own findings are lost.
pub trait OutputInterpreter {
    /// Takes one line, without its line break.
    fn process_line(&mut self, stream: Stream, line: &[u8]);

    /// Returns labels that are worth knowing while the process runs, once they are available; after that it is not
    /// called again. `mask` removes secrets from a text that was put together from several lines.
    fn early_labels(&self, _mask: &dyn Fn(&str) -> String) -> Option<Labels> {
        None
    }

    /// Returns what all lines together mean, once the output has ended.
    fn findings(&self, mask: &dyn Fn(&str) -> String) -> Findings;
}
