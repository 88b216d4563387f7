//! The one that has started a shim, and waits for a word from it.

use std::fs::File;
use std::io::Write;

use aiw_core::TaskId;

use crate::request::Answer;
use crate::root::Root;

/// What a shim was started for.
pub(super) struct Identity {
    pub id: TaskId,
    /// Tells it from any other that may have its id.
    pub instance: u64,
    pub root: Root,
}

/// Where the starter listens; gone once it was told.
pub(super) struct Starter {
    pipe: Option<File>,
}

impl Starter {
    pub fn at(pipe: File) -> Self {
        Self { pipe: Some(pipe) }
    }

    /// Answers, once. That the starter is dead is fine: the process lives without it.
    pub fn answer(&mut self, answer: &Answer) {
        if let Some(mut pipe) = self.pipe.take()
            && let Ok(bytes) = serde_json::to_vec(answer)
        {
            let _ = pipe.write_all(&bytes);
        }
    }
}
