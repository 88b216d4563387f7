//! What went wrong, as the command line says it: one line, a hint, an exit code.

use std::error::Error;
use std::fmt;

use aiw_app::RecoverableError;
use aiw_core::{Diagnostic, ErrorKind, PromptError};
use serde::Serialize;
use serde_json::{Value, json};

/// Why a command failed: what the user reads, and the exit code.
#[derive(Debug)]
pub struct CliError {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    /// The exit code of a signal; else the kind's.
    code: Option<u8>,
    /// The answer of a command that failed in part: printed instead of `{"error":…}`.
    partial: Option<Box<Value>>,
    declined: bool,
    /// The domain's error with its sources. They are not printed: the message has what matters, and a library's own
    /// text may hold a URL with a key.
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CliError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl CliError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (hint, code, partial, source) = (None, None, None, None);
        Self { kind, message: message.into(), hint, code, partial, declined: false, source }
    }

    /// The user said no. That isn't an error, and yet the request was not carried out.
    pub fn declined(message: impl Into<String>) -> Self {
        Self { declined: true, ..Self::user(message) }
    }

    /// Whether the user said no.
    pub fn is_declined(&self) -> bool {
        self.declined
    }

    /// Whether the user or the system stopped the command.
    pub fn is_interrupted(&self) -> bool {
        self.kind == ErrorKind::Interrupted
    }

    pub fn user(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message)
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the same failure in other words, which need no hint.
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, ..self }
    }

    /// Returns the failure, in other words if the user said no.
    pub fn with_declined_message(self, message: &str) -> Self {
        if self.declined { self.with_message(message) } else { self }
    }

    /// Prints this instead of `{"error":…}`.
    pub fn with_json_output(mut self, answer: impl Serialize) -> Self {
        self.partial = Some(Box::new(to_json_value(answer)));
        self
    }

    /// A question without a terminal to ask on, and the flag that answers it.
    pub fn not_interactive(question: &str, flag: &str) -> Self {
        Self::user(format!("{question}, and there is no terminal to ask on")).with_hint(format!("answer with `{flag}`"))
    }

    /// Another exit code than that of its kind.
    pub fn with_code(mut self, code: u8) -> Self {
        self.code = Some(code);
        self
    }

    pub fn interrupted(code: u8) -> Self {
        Self { code: Some(code), ..Self::new(ErrorKind::Interrupted, "stopped") }
    }

    pub fn code(&self) -> u8 {
        self.code.unwrap_or(self.kind.exit_code())
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// For programs: the command's own shape where it has one, else `{"error":…}`.
    pub fn to_json(&self) -> Value {
        if let Some(answer) = &self.partial {
            return (**answer).clone();
        }
        json!({"error": {"kind": self.kind.as_str(), "message": self.message, "hint": self.hint}})
    }
}

impl RecoverableError for CliError {
    fn prompt_error_and_hint(&self) -> (Option<&PromptError>, Option<String>) {
        (self.declined.then_some(&PromptError::Declined), self.hint.clone())
    }
}

/// An answer as JSON. Answers have text for keys, so this can't fail.
pub fn to_json_value(answer: impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}

impl<E: Diagnostic> From<E> for CliError {
    fn from(e: E) -> Self {
        let (kind, hint, code) = (e.kind(), e.hint(), e.exit_code());
        let declined = matches!(e.prompt_error(), Some(PromptError::Declined));
        let code = (code != kind.exit_code()).then_some(code);
        let message = e.to_string();
        Self { hint, code, declined, source: Some(Box::new(e)), ..Self::new(kind, message) }
    }
}
