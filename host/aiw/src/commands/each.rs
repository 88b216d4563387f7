//! Commands over several names, which go on after a failure.

use std::path::PathBuf;

pub use aiw_app::{FailedId, FailedName};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::CliError;
use crate::output::Output;

/// The failures of a command over several things. The command ends with the first; the others are printed at once.
pub type CommandFailures<F> = aiw_app::Failures<F, CliError>;

/// Removes one after the other. Returns what was removed, and the failures.
pub fn remove_each<T>(
    names: &[String],
    output: &Output,
    remove: impl Fn(&str) -> Result<T, CliError>,
) -> (Vec<T>, CommandFailures<FailedName>) {
    let (mut removed, mut failures) = (Vec::new(), CommandFailures::default());
    for name in names {
        match remove(name) {
            Ok(gone) => removed.push(gone),
            Err(failure) => failures.add(name, None, failure, output),
        }
    }
    (removed, failures)
}

/// `aiw role remove`, `aiw workflow remove`
#[derive(Serialize, JsonSchema)]
pub struct RemovedFiles {
    /// The names of those that were removed
    pub removed: Vec<String>,
    /// The names that could not be removed
    pub failed: Vec<FailedName>,
}

/// Removes the file of each name.
pub fn remove_files(
    names: &[String],
    output: &Output,
    remove: impl Fn(&str) -> Result<PathBuf, CliError>,
) -> Result<(), CliError> {
    let (removed, CommandFailures { failed, first_error: first }) = remove_each(names, output, |name| {
        output.line(format!("Removed `{}`", remove(name)?.display()));
        Ok(name.to_owned())
    });
    output.set_json_or_error(RemovedFiles { removed, failed }, first)
}
