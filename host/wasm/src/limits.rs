//! What a component may use. Each number has its reason.

use std::time::Duration;

/// What one call of a component may use. Each world has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time in guest code for one call. The slowest honest call seen (a JavaScript guest that
    /// parses an index of 8 MiB) needs a tenth of it.
    pub guest_cpu: Duration,
    /// One call as a whole, with what it waits for.
    pub whole_call: Duration,
    /// One call of a function that answers without the host: `describe`, `claim`, `plan`. It may sleep in
    /// WASI, and a person waits.
    pub pure_call: Duration,
    /// Bytes of linear memories and tables, all together: an 8 MiB document several times over.
    pub memory: usize,
    /// Entries of one table; a JavaScript guest has about 6,000.
    pub table_elements: usize,
    /// Core instances, tables and memories inside one component; JavaScript and Python guests
    /// have a dozen.
    pub instances: usize,
    /// Bytes that may cross from the guest to the host: a document of 8 MiB and its neighbors. Without it
    /// a guest could hand the host strings until memory ends.
    pub hostcall_bytes: usize,
    /// Handles (trees) that a guest may hold at once.
    pub handles: usize,
    /// Requests and trees that one call may ask for: more is a loop.
    pub requests: u32,
    /// Reads and lists of trees: each is cheap, a million are not.
    pub reads: u32,
    /// A file that a component reads from a tree, and a body that it reads over HTTP: the
    /// longest document that the host parses.
    pub read_bytes: u64,
    /// Tasks that one call may start: more is a loop.
    pub task_starts: u32,
    /// One wait for a task: as long as an MCP client's tool call may take.
    pub task_wait: Duration,
    /// Longest line of the log.
    pub log_line: usize,
    /// Bytes that one call may log.
    pub log_bytes: usize,
}

impl Limits {
    /// A source of marketplaces. The whole call allows for the 10 minutes that fetching a tree may take.
    pub const MARKET_SOURCE: Self = Self {
        guest_cpu: Duration::from_secs(2),
        whole_call: Duration::from_secs(12 * 60),
        pure_call: Duration::from_secs(5),
        memory: MEMORY,
        table_elements: 20_000,
        instances: 64,
        hostcall_bytes: 20 << 20,
        handles: 256,
        requests: 200,
        reads: 20_000,
        read_bytes: 8 << 20,
        task_starts: 0,
        task_wait: Duration::ZERO,
        log_line: 2_000,
        log_bytes: 64 << 10,
    };

    /// A provider: it asks for lists of models, and may wait for tasks.
    pub const PROVIDER: Self = Self { task_starts: 8, task_wait: Duration::from_secs(45), ..Self::MARKET_SOURCE };
}

/// The largest [`Limits::memory`]: address space that is reserved for a memory.
pub const MEMORY: usize = 64 << 20;

/// The epoch's step: fine enough for a deadline of seconds, and one wake-up in 10 ms costs
/// nothing that could be measured.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);

/// All calls for the entries of one marketplace: guest code, and the whole with what it waits for.
pub const COMMAND_CPU: Duration = Duration::from_secs(10);
/// See [`COMMAND_CPU`].
pub const COMMAND_WALL: Duration = Duration::from_secs(5 * 60);

/// The native stack of a guest; wasmtime's own default is 512 KiB as well, said here because
/// recursion in a guest must end in its own trap.
pub const STACK: usize = 512 << 10;

/// What a component may keep in its cache.
pub const CACHE_QUOTA: u64 = 16 << 20;

/// Compiling a component in a process of its own: a JavaScript guest takes 12 s on an idle machine, 41 s on
/// a busy one, and 380 MB.
pub const COMPILE_TIME: Duration = Duration::from_secs(180);
/// See [`COMPILE_TIME`].
pub const COMPILE_MEMORY: u64 = 2 << 30;

/// Compiled code on disk: some dozen JavaScript guests (37 MB each), or hundreds in Rust.
pub const COMPILED_CACHE: u64 = 512 << 20;
