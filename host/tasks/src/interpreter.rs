//! The facts in the structured stream of a CLI, and which of them become part of the task.

use std::sync::OnceLock;

use aiw_core::{CliKind, one_line};
use aiw_supervisor::{Findings, Labels, Stream};
use serde_json::{Value, json};

use crate::task::{About, Usage};

/// The maximum number of bytes of a final message in a record. The complete message is in the log.
const FINAL_MESSAGE: usize = 32 << 10;
/// The maximum number of characters of a session's id.
const SESSION: usize = 200;

/// The facts that a CLI's structured stream has told so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Whether a structured stream was seen at all. If so, success requires `complete`.
    pub structured: bool,
    /// The CLI's own session id.
    pub session: Option<String>,
    /// The final message of the CLI.
    pub final_message: Option<String>,
    /// Whether the stream itself reports a failure.
    pub failed: Option<bool>,
    /// Whether the stream reached its final record.
    pub complete: bool,
    /// The tokens used.
    pub usage: Option<Usage>,
    /// The cost in US dollars.
    pub cost_usd: Option<f64>,
}

impl Facts {
    /// Returns why a CLI that exited with 0 has failed nevertheless.
    fn doubt(&self, expects_structure: bool) -> Option<String> {
        let doubt = if self.failed == Some(true) {
            "it ended with exit code 0, but its own last record says that it failed"
        } else if self.structured && !self.complete {
            "it ended with exit code 0, but without its last record"
        } else if !self.structured && expects_structure {
            "it ended with exit code 0, but wrote nothing that can be understood"
        } else {
            return None;
        };
        Some(doubt.to_owned())
    }
}

/// Interprets the structured stream of a CLI.
pub trait Interpreter {
    /// Takes one line, without its line break.
    fn line(&mut self, stream: Stream, line: &[u8]);
    /// Returns the facts of the lines so far.
    fn facts(&self) -> Facts;
    /// Returns whether this CLI, run as aiw runs it, always writes a structured stream. If so, silence is not a
    /// success.
    fn expects_structure(&self) -> bool {
        false
    }
}

/// Turns the facts of a CLI into the labels of its task.
struct Labelled(Box<dyn Interpreter>);

impl aiw_supervisor::Interpreter for Labelled {
    fn line(&mut self, stream: Stream, line: &[u8]) {
        self.0.line(stream, line);
    }

    fn early(&self, mask: &dyn Fn(&str) -> String) -> Option<Labels> {
        let session = self.0.facts().session?;
        Some(Labels::from_iter([("session".to_owned(), one_line(&mask(&session), SESSION).into())]))
    }

    fn findings(&self, mask: &dyn Fn(&str) -> String) -> Findings {
        let facts = self.0.facts();
        let doubt = facts.doubt(self.0.expects_structure());
        let mut labels = Labels::new();
        let mut add = |name: &str, value: Value| drop(labels.insert(name.to_owned(), value));
        if let Some(session) = facts.session {
            add("session", one_line(&mask(&session), SESSION).into());
        }
        add("final_message", json!(facts.final_message.map(|message| cut(mask(&message), FINAL_MESSAGE))));
        add("usage", json!(facts.usage));
        add("cost_usd", json!(facts.cost_usd.filter(|cost| cost.is_finite())));
        Findings { labels, doubt }
    }
}

fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}

/// The function that makes the interpreters of this process.
static MAKE: OnceLock<fn(CliKind) -> Box<dyn Interpreter>> = OnceLock::new();

/// Sets the function that makes the interpreters of this process. Only the first call counts.
pub(crate) fn use_for_all(make: fn(CliKind) -> Box<dyn Interpreter>) {
    let _ = MAKE.set(make);
}

/// Returns the interpreter for a process with these labels, if it is a task.
pub(crate) fn of(labels: &Labels) -> Option<Box<dyn aiw_supervisor::Interpreter>> {
    let about = About::of(labels).ok()?;
    let make = MAKE.get()?;
    Some(Box::new(Labelled(make(about.cli))))
}
