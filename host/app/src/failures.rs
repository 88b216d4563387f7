//! The failures of a verb over several things, which goes on with the others.

use std::fmt::Display;

use aiw_core::{Diagnostic, PromptError, ReportEvent, Reporter};
use schemars::JsonSchema;
use serde::Serialize;

/// One of several things for which a verb failed.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FailedId {
    /// Its id, as you wrote it
    pub id: String,
    /// The error
    pub error: String,
    /// The next step
    pub hint: Option<String>,
}

/// One of several things for which a verb failed, by name.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FailedName {
    /// Its name
    pub name: String,
    /// The error
    pub error: String,
    /// The next step
    pub hint: Option<String>,
}

impl From<FailedId> for FailedName {
    fn from(FailedId { id: name, error, hint }: FailedId) -> Self {
        Self { name, error, hint }
    }
}

/// An error that a verb over several things can go on after: each [`Fault`], and the failure that a view makes of one.
pub trait RecoverableError: Display {
    /// Returns why a question has no answer, if that is what failed, and the next step.
    fn prompt_error_and_hint(&self) -> (Option<&PromptError>, Option<String>);
}

impl<E: Diagnostic> RecoverableError for E {
    fn prompt_error_and_hint(&self) -> (Option<&PromptError>, Option<String>) {
        (self.prompt_error(), self.hint())
    }
}

/// Passes on an error by which the person stops all of it.
pub(crate) fn propagate_interrupt<E: RecoverableError>(error: E) -> Result<E, E> {
    if matches!(error.prompt_error_and_hint().0, Some(PromptError::Interrupted)) { Err(error) } else { Ok(error) }
}

/// The failures of several. The verb ends with the first; the sink is told of the others at once.
pub struct Failures<F, E> {
    /// All of them.
    pub failed: Vec<F>,
    /// The first.
    pub first_error: Option<E>,
}

impl<F, E> Default for Failures<F, E> {
    fn default() -> Self {
        Self { failed: Vec::new(), first_error: None }
    }
}

impl<F: From<FailedId>, E: RecoverableError> Failures<F, E> {
    /// Adds the failure about one thing. `shown` is its name for people, if the message lacks it.
    pub fn add(&mut self, id: &str, shown: Option<&str>, error: impl Into<E>, sink: &dyn Reporter) {
        let error = error.into();
        let (said, hint) = error.prompt_error_and_hint();
        let is_declined = matches!(said, Some(PromptError::Declined));
        self.failed.push(FailedId { id: id.to_owned(), error: error.to_string(), hint }.into());
        let line = shown.map_or_else(|| error.to_string(), |shown| format!("{shown}: {error}"));
        match (&self.first_error, is_declined) {
            (None, _) => self.first_error = Some(error),
            (Some(_), true) => sink.step(line),
            (Some(_), false) => sink.report(ReportEvent::Failed(line)),
        }
    }
}
