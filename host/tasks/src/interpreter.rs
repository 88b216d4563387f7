//! The facts in the structured stream of a CLI, and which of them become part of the task.

use std::path::PathBuf;
use std::time::SystemTime;

use aiw_core::{CliKind, ProcessId, one_line};
use aiw_supervisor::{Findings, Labels, ProcessRecord, Stream};
use serde_json::{Value, json};

use crate::task::{TaskDescription, TaskUsage};

/// The maximum number of bytes of a final message in a record. The complete message is in the log.
const MAX_FINAL_MESSAGE_BYTES: usize = 32 << 10;
/// The maximum number of characters of a session's id.
const MAX_SESSION_ID_LEN: usize = 200;

/// The facts that a CLI's structured stream has told so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamSummary {
    /// Whether a structured stream was seen at all. If so, success requires `complete`.
    pub is_structured: bool,
    /// The CLI's own session id.
    pub session: Option<String>,
    /// The final message of the CLI.
    pub final_message: Option<String>,
    /// Whether the stream itself reports a failure.
    pub failed: Option<bool>,
    /// Whether the stream reached its final record.
    pub is_complete: bool,
    /// The model that answers.
    pub model: Option<String>,
    /// The tokens used.
    pub usage: Option<TaskUsage>,
    /// The cost in US dollars.
    pub cost_usd: Option<f64>,
}

impl StreamSummary {
    /// Returns why a CLI that exited with 0 has failed nevertheless.
    fn doubt(&self, expects_structure: bool) -> Option<String> {
        let doubt = if self.failed == Some(true) {
            "it ended with exit code 0, but its own last record says that it failed"
        } else if self.is_structured && !self.is_complete {
            "it ended with exit code 0, but without its last record"
        } else if !self.is_structured && expects_structure {
            "it ended with exit code 0, but wrote nothing that can be understood"
        } else {
            return None;
        };
        Some(doubt.to_owned())
    }
}

/// Interprets the structured stream of a CLI.
pub trait StreamInterpreter {
    /// Takes one line, without its line break.
    fn process_line(&mut self, stream: Stream, line: &[u8]);
    /// Returns the facts of the lines so far.
    fn summary(&self) -> StreamSummary;
    /// Returns whether this CLI, run as aiw runs it, always writes a structured stream. If so, silence is not a
    /// success.
    fn requires_structured_output(&self) -> bool {
        false
    }
}

/// A task whose CLI has ended.
#[derive(Debug, Clone)]
pub struct EndedTask {
    /// Its id.
    pub id: ProcessId,
    /// Its description.
    pub description: TaskDescription,
    /// The directory that it worked in.
    pub cwd: PathBuf,
    /// When its CLI was started.
    pub started_at: SystemTime,
    /// The facts of its stream.
    pub summary: StreamSummary,
}

/// The usage of a task, from a source that knows it better than its stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeasuredUsage {
    /// The tokens.
    pub usage: Option<TaskUsage>,
    /// The cost in US dollars.
    pub cost_usd: Option<f64>,
    /// Why it could not be counted, as a sentence.
    pub note: Option<String>,
}

/// Listeners that are told of a task while its shim interprets the stream.
#[derive(Clone, Copy)]
pub struct Listeners {
    /// Called before the CLI begins.
    pub on_begin: fn(&TaskDescription),
    /// Called once, when the CLI names its session, with when the CLI began.
    pub on_session: fn(&TaskDescription, &str, SystemTime),
    /// Called when the CLI has ended. Returns what it used.
    pub on_end: fn(&EndedTask) -> MeasuredUsage,
}

/// Turns the facts of a CLI into the labels of its task.
struct Labelled {
    id: ProcessId,
    about: TaskDescription,
    cwd: PathBuf,
    interpreter: Box<dyn StreamInterpreter>,
    listeners: Listeners,
    has_session: bool,
    /// When the CLI began.
    since: SystemTime,
}

impl aiw_supervisor::OutputInterpreter for Labelled {
    fn process_line(&mut self, stream: Stream, line: &[u8]) {
        self.interpreter.process_line(stream, line);
        if self.has_session {
            return;
        }
        if let Some(session) = self.interpreter.summary().session {
            self.has_session = true;
            (self.listeners.on_session)(&self.about, &session, self.since);
        }
    }

    fn early_labels(&self, mask: &dyn Fn(&str) -> String) -> Option<Labels> {
        let session = self.interpreter.summary().session?;
        Some(Labels::from_iter([("session".to_owned(), one_line(&mask(&session), MAX_SESSION_ID_LEN).into())]))
    }

    fn findings(&self, mask: &dyn Fn(&str) -> String) -> Findings {
        let facts = self.interpreter.summary();
        let doubt = facts.doubt(self.interpreter.requires_structured_output());
        let (about, cwd) = (self.about.clone(), self.cwd.clone());
        let ended = EndedTask { id: self.id, description: about, cwd, started_at: self.since, summary: facts.clone() };
        let counted = (self.listeners.on_end)(&ended);
        let mut labels = Labels::new();
        let mut add = |name: &str, value: Value| drop(labels.insert(name.to_owned(), value));
        if let Some(session) = facts.session {
            add("session", one_line(&mask(&session), MAX_SESSION_ID_LEN).into());
        }
        add("final_message", json!(facts.final_message.map(|message| cut(mask(&message), MAX_FINAL_MESSAGE_BYTES))));
        add("usage", json!(counted.usage));
        add("cost_usd", json!(counted.cost_usd.filter(|cost| cost.is_finite())));
        Findings { labels, failure_reason: doubt, note: counted.note }
    }
}

fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}

/// Returns the interpreter for a process with this record, if it is a task. `make` interprets the stream of a CLI.
pub fn interpreter(
    record: &ProcessRecord,
    make: fn(CliKind) -> Box<dyn StreamInterpreter>,
    listeners: Listeners,
) -> Option<Box<dyn aiw_supervisor::OutputInterpreter>> {
    let about = TaskDescription::from_labels(&record.labels).ok()?;
    (listeners.on_begin)(&about);
    Some(Box::new(Labelled {
        id: record.id,
        interpreter: make(about.cli),
        about,
        cwd: record.cwd.clone(),
        listeners,
        has_session: false,
        since: SystemTime::now(),
    }))
}
