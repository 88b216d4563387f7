use serde::{Deserialize, Serialize};

use crate::Stream;

/// Tokens that a CLI says it used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Read by the model, cached ones included where the CLI counts so.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
    /// Read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Spent on reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

/// What a CLI's structured stream has told so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// A structured stream was seen at all: then success needs `complete`.
    pub structured: bool,
    /// The CLI's own session id.
    pub session: Option<String>,
    /// Its last words.
    pub final_message: Option<String>,
    /// The stream's own verdict.
    pub failed: Option<bool>,
    /// The stream reached its final record.
    pub complete: bool,
    /// The tokens used.
    pub usage: Option<Usage>,
    /// The cost in US dollars.
    pub cost_usd: Option<f64>,
}

/// Understands the structured stream of a CLI.
pub trait Interpreter {
    /// Takes one line, without its line break.
    fn line(&mut self, stream: Stream, line: &[u8]);
    /// What the lines so far say.
    fn facts(&self) -> Facts;
    /// Whether this CLI, run as aiw runs it, always writes a structured stream. Then silence is no success.
    fn expects_structure(&self) -> bool {
        false
    }
}
