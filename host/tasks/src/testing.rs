//! What tests look into. It is not a part of the product.

use std::path::Path;

pub use aiw_supervisor::testing::{be_newer, masked};
use aiw_supervisor::{Root, SupervisorError, testing};

use crate::names::NAMES;

/// How many slots of a session are taken by tasks.
pub fn taken(runtime: &Path, root: Root) -> usize {
    testing::taken(runtime, &NAMES, root)
}

/// Fills a session's table with slots that this process owns, until there is no room; how many those were.
pub fn fill(runtime: &Path, root: Root) -> Result<usize, SupervisorError> {
    testing::fill(runtime, &NAMES, root)
}

/// Makes or finds a session's segment as starters do, its link gone or not, again and again.
pub fn attach_forever(runtime: &Path, root: Root) -> Result<(), SupervisorError> {
    testing::attach_forever(runtime, &NAMES, root)
}

/// The name of a session's segment, made if it has none.
pub fn attach(runtime: &Path, root: Root) -> Result<String, SupervisorError> {
    testing::attach(runtime, &NAMES, root)
}
