//! What a run did: for the result of the run, and for whoever looks at it later.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A call of a run. Its result is not kept.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallTrace {
    /// The tool
    pub tool: String,
    /// How long it took, in milliseconds
    pub duration_ms: u64,
    /// The length of its result as JSON, in bytes
    pub bytes: usize,
    /// Why it failed
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its arguments as JSON, cut, if it failed or they were asked for
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

/// A line that a script logged
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptLogLine {
    /// `log`, `warn` or `error`
    pub level: String,
    /// The line
    pub line: String,
}

/// The trace of a run.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// The calls that have ended, in the order of their ends
    pub calls: Vec<CallTrace>,
    /// The script's log
    pub logs: Vec<ScriptLogLine>,
    /// How many more lines were logged
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted_log_lines: usize,
    /// The tools of the calls that were still under way at the end, and were cancelled. They may have happened
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancelled: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The most lines of a log, and the most bytes of all of them.
const MAX_LOG_LINES: usize = 200;
const MAX_LOG_BYTES: usize = 16 << 10;

impl Trace {
    /// Adds a line of the log, if there is room.
    pub(crate) fn log(&mut self, level: &str, line: &str) {
        let used: usize = self.logs.iter().map(|line| line.line.len()).sum();
        if self.logs.len() >= MAX_LOG_LINES || used >= MAX_LOG_BYTES {
            self.omitted_log_lines += 1;
            return;
        }
        let line = aiw_core::one_line(line, (MAX_LOG_BYTES - used).min(2000));
        self.logs.push(ScriptLogLine { level: level.to_owned(), line });
    }
}
