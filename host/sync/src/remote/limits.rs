//! How much is read of remotes, and how long they are waited for.

use std::time::Duration;

/// How long a remote may bring no answer before aiw gives up, in all attempts together.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest object.
pub const MAX_OBJECT_BYTES: u64 = 32 << 20;

/// The most objects of a remote. A machine keeps some 50.
pub const MAX_OBJECTS: usize = 20_000;

/// The most names that are read to find them. What is not an object is ignored, up to a point.
pub const MAX_NAMES: usize = 50_000;

/// Consecutive pages of a listing without a name. Servers send a few.
pub(super) const MAX_EMPTY_PAGES: usize = 100;

/// Reads of an object before its bytes count as damaged at the remote, and not in transit.
pub(super) const READ_ATTEMPTS: usize = 2;

/// Objects of one name that are read to find the one whose digest fits.
pub(super) const MAX_REPLICAS: usize = 16;
