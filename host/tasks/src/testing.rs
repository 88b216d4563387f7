//! Code that tests inspect. It is not part of the product.

use std::path::Path;

pub use aiw_supervisor::testing::{HANG_TIMEOUT, is_running, program, signal, simulate_newer_version, wait_for};
use aiw_supervisor::{Root, SupervisorError, testing};

use crate::names::NAMESPACE;

/// Returns how many slots of a session are taken by tasks.
pub fn count_used_slots(runtime: &Path, root: Root) -> usize {
    testing::count_used_slots(runtime, &NAMESPACE, root)
}

/// Fills a session's table with slots that this process owns, until it is full. Returns how many those were.
pub fn fill(runtime: &Path, root: Root) -> Result<usize, SupervisorError> {
    testing::fill(runtime, &NAMESPACE, root)
}

/// Creates or finds a session's segment as starters do, whether or not its link exists, again and again.
pub fn attach_forever(runtime: &Path, root: Root) -> Result<(), SupervisorError> {
    testing::attach_forever(runtime, &NAMESPACE, root)
}

/// Returns the name of a session's segment, creating the segment if it does not exist.
pub fn attach(runtime: &Path, root: Root) -> Result<String, SupervisorError> {
    testing::attach(runtime, &NAMESPACE, root)
}
