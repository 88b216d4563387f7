//! What a component may use. Each number has its reason.

use std::time::Duration;

/// The epoch's step: fine enough for a deadline of seconds, and one wake-up in 10 ms costs
/// nothing that could be measured.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Time in guest code for one call. The slowest honest call seen (a JavaScript guest that
/// parses an index of 8 MiB) needs a tenth of it.
pub const GUEST_CPU: Duration = Duration::from_secs(2);

/// One call as a whole: the 10 minutes that fetching a tree may take, and some.
pub const WHOLE_CALL: Duration = Duration::from_secs(12 * 60);

/// Linear memory: an 8 MiB document several times over.
pub const MEMORY: usize = 64 << 20;

/// Table elements; a JavaScript guest has about 6,000.
pub const TABLE_ELEMENTS: usize = 20_000;

/// Core instances, tables and memories inside one component; JavaScript and Python guests
/// have a dozen.
pub const INSTANCES: usize = 64;

/// The native stack of a guest; wasmtime's own default is 512 KiB as well, said here because
/// recursion in a guest must end in its own trap.
pub const STACK: usize = 512 << 10;

/// Bytes that may cross from a guest to the host in one call: a document of 8 MiB and its
/// neighbours. Without it a guest could hand the host strings until memory ends.
pub const HOSTCALL_BYTES: usize = 20 << 20;

/// Handles (trees) that a guest may hold at once.
pub const HANDLES: usize = 256;

/// Requests and trees that one call may ask for: more is a loop.
pub const HOST_REQUESTS: u32 = 200;

/// Reads and lists of trees in one call: each is cheap, a million are not.
pub const TREE_READS: u32 = 20_000;

/// One wait for a task: as long as an MCP client's tool call may take.
pub const TASK_WAIT: Duration = Duration::from_secs(45);

/// Tasks that one call may start: more is a loop.
pub const TASK_STARTS: u32 = 8;

/// Longest line of a component's log, and how many bytes one call may log.
pub const LOG_LINE: usize = 2_000;
/// See [`LOG_LINE`].
pub const LOG_BYTES: usize = 64 << 10;

/// What a component may keep in its cache.
pub const CACHE_QUOTA: u64 = 16 << 20;

/// A file that a component reads from a tree, and a body that it reads over HTTP: the
/// longest document that the host parses.
pub const READ_BYTES: u64 = 8 << 20;

/// Compiled code on disk: some dozen JavaScript guests (37 MB each), or hundreds in Rust.
pub const COMPILED_CACHE: u64 = 512 << 20;
