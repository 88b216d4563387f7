//! The process that started a shim and waits for its answer.

use std::fs::File;
use std::io::Write;

use aiw_core::ProcessId;

use crate::request::ShimResponse;
use crate::root::Root;

/// The identity of the process that a shim was started for.
pub(super) struct Identity {
    pub id: ProcessId,
    /// Distinguishes the process from any other with the same id.
    pub instance: u64,
    pub root: Root,
}

/// The pipe to the starter, which is closed after the answer.
pub(super) struct Starter {
    pipe: Option<File>,
}

impl Starter {
    pub fn new(pipe: File) -> Self {
        Self { pipe: Some(pipe) }
    }

    /// Answers once. It is not an error if the starter is dead: the process lives without it.
    pub fn respond(&mut self, answer: &ShimResponse) {
        if let Some(mut pipe) = self.pipe.take()
            && let Ok(bytes) = serde_json::to_vec(answer)
        {
            let _ = pipe.write_all(&bytes);
        }
    }
}
