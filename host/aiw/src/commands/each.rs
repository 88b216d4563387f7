//! Commands over several names, which go on after a failure.

pub use aiw_app::{FailedId, FailedName};

use crate::failure::Failure;
use crate::output::Output;

/// The failures of a command over several things. The command ends with the first; the others are printed at once.
pub type Failures<F> = aiw_app::Failures<F, Failure>;

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
