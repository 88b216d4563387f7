//! Commands over several names, which go on after a failure.

pub use aiw_app::{FailedId, FailedName};

use crate::failure::Failure;
use crate::output::Output;

/// A failure about one of several things, as JSON shows it.
pub trait Failed: Sized {
    fn new(name: String, error: String, hint: Option<String>) -> Self;

    fn of(name: &str, failure: &Failure) -> Self {
        Self::new(name.to_owned(), failure.message().to_owned(), failure.hint().map(str::to_owned))
    }
}

impl Failed for FailedId {
    fn new(id: String, error: String, hint: Option<String>) -> Self {
        Self { id, error, hint }
    }
}

impl Failed for FailedName {
    fn new(name: String, error: String, hint: Option<String>) -> Self {
        Self { name, error, hint }
    }
}

/// The failures of a command over several things. The command ends with the first; the others are printed at once.
pub struct Failures<F> {
    pub failed: Vec<F>,
    pub first: Option<Failure>,
}

impl<F> Default for Failures<F> {
    fn default() -> Self {
        Self { failed: Vec::new(), first: None }
    }
}

impl<F: Failed> Failures<F> {
    /// Adds the failure about one thing. `shown` is its name for people, if the message lacks it.
    pub fn add(&mut self, name: &str, shown: Option<&str>, failure: impl Into<Failure>, output: &Output) {
        let failure = failure.into();
        self.failed.push(F::of(name, &failure));
        match (&self.first, shown) {
            (None, _) => self.first = Some(failure),
            (Some(_), Some(shown)) => output.failed_one(shown, &failure),
            (Some(_), None) => output.note(format!("error: {}", failure.message())),
        }
    }
}

/// Removes one after the other. Returns what was removed, and the failures.
pub fn remove_each<T>(
    names: &[String],
    output: &Output,
    remove: impl Fn(&str) -> Result<T, Failure>,
) -> (Vec<T>, Failures<FailedName>) {
    let (mut removed, mut failures) = (Vec::new(), Failures::default());
    for name in names {
        match remove(name) {
            Ok(gone) => removed.push(gone),
            Err(failure) => failures.add(name, None, failure, output),
        }
    }
    (removed, failures)
}
