//! The failures of a verb over several things, which goes on with the others.

use std::fmt::Display;

use aiw_core::{AskError, Sink, Told};
use aiw_markets::MarketError;
use aiw_setup::SetupError;
use schemars::JsonSchema;
use serde::Serialize;

use crate::AppError;
use crate::servers::ServerError;

/// One of several things for which a verb failed.
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

/// An error that a verb over several things can go on after.
pub(crate) trait Fails: Display {
    /// Returns what the person said, if that is why, and the next step.
    fn why(&self) -> (Option<&AskError>, Option<String>);
}

impl Fails for ServerError {
    fn why(&self) -> (Option<&AskError>, Option<String>) {
        (if let Self::App(AppError::Ask(e)) = self { Some(e) } else { None }, self.hint())
    }
}

impl Fails for MarketError {
    fn why(&self) -> (Option<&AskError>, Option<String>) {
        (if let Self::Ask(e) = self { Some(e) } else { None }, self.hint())
    }
}

impl Fails for SetupError {
    fn why(&self) -> (Option<&AskError>, Option<String>) {
        (None, self.hint())
    }
}

/// The failures of several. The verb ends with the first; the sink is told of the others at once.
pub(crate) struct Failures<E> {
    pub(crate) failed: Vec<FailedId>,
    pub(crate) first: Option<E>,
}

impl<E> Default for Failures<E> {
    fn default() -> Self {
        Self { failed: Vec::new(), first: None }
    }
}

impl<E: Fails> Failures<E> {
    /// Adds the failure about one thing. `shown` is its name for people.
    ///
    /// # Errors
    ///
    /// The person stops all of it.
    pub(crate) fn add(&mut self, id: &str, shown: &str, error: impl Into<E>, sink: &dyn Sink) -> Result<(), E> {
        let error = error.into();
        let (said, hint) = error.why();
        let is_declined = matches!(said, Some(AskError::Declined));
        if matches!(said, Some(AskError::Interrupted)) {
            return Err(error);
        }
        self.failed.push(FailedId { id: id.to_owned(), error: error.to_string(), hint });
        let line = format!("{shown}: {error}");
        match (&self.first, is_declined) {
            (None, _) => self.first = Some(error),
            (Some(_), true) => sink.note(line),
            (Some(_), false) => sink.tell(Told::Failed(line)),
        }
        Ok(())
    }
}
