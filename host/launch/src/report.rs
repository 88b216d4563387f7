//! Tasks as they are shown: to programs as JSON, to people in a few words. The command line and
//! the MCP server show the same.

use std::time::Duration;

use aiw_core::shell_quote_printable;
use aiw_home::{now_millis, rfc3339};
use aiw_tasks::{Outcome, Stream, Task};
use schemars::JsonSchema;
use serde::Serialize;

use crate::TextLine;
use crate::resume::{ResumeCommand, shell_join};

/// A task as lists show it to programs.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TaskSummary {
    /// Its id
    pub id: String,
    /// The AI CLI's process
    pub pid: Option<u32>,
    /// The process at the root of its session
    pub root_pid: u32,
    /// Which AI CLI
    pub cli: &'static str,
    /// The API provider; null for the CLI's own login
    pub provider: Option<String>,
    /// The role's name, or names
    pub role: Option<String>,
    /// Its state
    #[schemars(extend("enum" = ["queued", "starting", "running", "stopping", "ended"]))]
    pub state: &'static str,
    /// succeeded, failed, signalled, timeout or lost; null until it has ended
    pub outcome: Option<&'static str>,
    /// The CLI's exit code, if it exited
    pub exit_code: Option<i32>,
    /// The signal that ended it
    pub signal: Option<i32>,
    /// When it was started, in RFC 3339 format
    pub started: String,
    /// When it ended
    pub ended: Option<String>,
    /// Whether it has ended and no report has shown that yet
    pub unseen: bool,
    /// The beginning of the task's text
    pub prompt: String,
    /// The directory that it works in
    pub cwd: String,
    /// The log file
    pub log: String,
    /// The CLI's own session
    pub session: Option<String>,
}

impl TaskSummary {
    /// Returns the fields of lists for a task.
    pub fn new(task: &Task) -> Self {
        Self {
            id: task.id.to_string(),
            pid: task.pid,
            root_pid: task.root_pid,
            cli: task.about.cli.as_str(),
            provider: task.about.provider.clone(),
            role: task.about.role.clone(),
            state: task.state.as_str(),
            outcome: task.outcome.map(Outcome::as_str),
            exit_code: task.exit_code,
            signal: task.signal,
            started: rfc3339(task.started),
            ended: task.ended.map(rfc3339),
            unseen: task.unread,
            prompt: task.about.prompt.clone(),
            cwd: task.cwd.to_string_lossy().into_owned(),
            log: task.log.to_string_lossy().into_owned(),
            session: task.about.session.clone(),
        }
    }
}

/// The tokens that a task used.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TokenUsage {
    /// Read by the model, including cached ones if the CLI counts them
    pub input: u64,
    /// Written by the model
    pub output: u64,
    /// Read from the cache
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Spent on reasoning
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

/// A task with everything known about it.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TaskDetails {
    /// The fields of lists.
    #[serde(flatten)]
    pub summary: TaskSummary,
    /// The requested model
    pub model: Option<String>,
    /// The actions that the CLI takes without asking
    pub permission: String,
    /// A flag that was passed through and lifts the CLI's own guards
    pub bypass: Option<String>,
    /// Whether its session is kept out of the history
    pub private: bool,
    /// The user's own label for it
    pub tag: Option<String>,
    /// How many tasks are above it
    pub depth: u8,
    /// How long it has run, or ran
    pub duration_ms: u64,
    /// The AI CLI's final message: its answer
    pub final_message: Option<String>,
    /// The tokens that it used
    pub usage: Option<TokenUsage>,
    /// Its cost in US dollars
    pub cost_usd: Option<f64>,
    /// Anything else worth knowing
    pub note: Option<String>,
    /// The command line that resumes the CLI's session
    pub resume: Option<String>,
}

impl TaskDetails {
    /// All that is known of a task.
    pub fn new(task: &Task) -> Self {
        let usage = |usage: aiw_tasks::TaskUsage| TokenUsage {
            input: usage.input,
            output: usage.output,
            cached: usage.cached,
            reasoning: usage.reasoning,
        };
        Self {
            summary: TaskSummary::new(task),
            model: task.about.model.clone(),
            permission: task.about.permission.clone(),
            bypass: task.about.bypass.clone(),
            private: task.about.private,
            tag: task.about.tag.clone(),
            depth: task.depth,
            duration_ms: u64::try_from(duration(task).as_millis()).unwrap_or(u64::MAX),
            final_message: task.about.final_message.clone(),
            usage: task.about.usage.map(usage),
            cost_usd: task.about.cost_usd,
            note: task.note.clone(),
            resume: resume_line(task),
        }
    }
}

/// A task that was waited for.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TaskWaitResult {
    /// The task.
    #[serde(flatten)]
    pub task: TaskDetails,
    /// The last lines of its log
    pub last_lines: Vec<String>,
}

/// `aiw logs`
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TaskLog {
    /// The task's id
    pub id: String,
    /// The log file
    pub log: String,
    /// Its lines
    pub lines: Vec<TaskLogLine>,
}

/// A line of a task's log.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TaskLogLine {
    /// When it was received, in RFC 3339 format
    pub time: String,
    /// Where it comes from
    #[schemars(with = "String", extend("enum" = ["stdout", "stderr", "aiw"]))]
    pub stream: Stream,
    /// Its text
    pub text: String,
}

impl TaskLog {
    /// Lines of a task's log as they are shown.
    pub fn new(task: &Task, lines: &[TextLine]) -> Self {
        let (id, log) = (task.id.to_string(), task.log.to_string_lossy().into_owned());
        Self { id, log, lines: lines.iter().map(TaskLogLine::new).collect() }
    }
}

impl TaskLogLine {
    /// A line as it is shown.
    pub fn new(line: &TextLine) -> Self {
        Self { time: rfc3339(line.time), stream: line.stream, text: line.text.clone() }
    }
}

/// How long it has run, or ran.
pub fn duration(task: &Task) -> Duration {
    Duration::from_millis(
        task.ended.unwrap_or_else(now_millis).saturating_sub(task.running_since.unwrap_or(task.started)),
    )
}

/// How a task stands, in a few words: `succeeded`, `failed (exit code 1)`, `stopped`, `running`.
pub fn describe_state(task: &Task) -> String {
    match (task.outcome, task.exit_code, task.signal) {
        (None, ..) => task.state.to_string(),
        (Some(Outcome::Failed), Some(code), _) => format!("failed (exit code {code})"),
        (Some(Outcome::Signalled), ..) if task.stopped => "stopped".into(),
        (Some(Outcome::Signalled), _, Some(signal)) => format!("signalled ({signal})"),
        (Some(outcome), ..) => outcome.to_string(),
    }
}

/// The line that goes on with the CLI's own session.
pub fn resume_line(task: &Task) -> Option<String> {
    Some(format!(
        "cd {} && {}",
        shell_quote_printable(&task.cwd.to_string_lossy()),
        shell_join(&ResumeCommand::from_task(task)?.to_argv())
    ))
}
