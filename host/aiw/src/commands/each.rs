//! A command over several names.

use crate::answers::FailedName;
use crate::failure::Failure;
use crate::output::Output;

/// Removes one after the other, and goes on after a failure. Returns what was removed, what was not, and the failure that
/// the command ends with; the others are said at once.
pub fn remove_each<T>(
    names: &[String],
    output: &Output,
    remove: impl Fn(&str) -> Result<T, Failure>,
) -> (Vec<T>, Vec<FailedName>, Option<Failure>) {
    let (mut removed, mut failed, mut first) = (Vec::new(), Vec::new(), None::<Failure>);
    for name in names {
        match remove(name) {
            Ok(gone) => removed.push(gone),
            Err(failure) => {
                failed.push(FailedName::of(name, &failure));
                if first.is_some() {
                    output.note(format!("error: {}", failure.message()));
                }
                first.get_or_insert(failure);
            }
        }
    }
    (removed, failed, first)
}
