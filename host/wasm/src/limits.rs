//! Limits on what a component may use, each with its reason.

use std::time::Duration;

use aiw_extensions::World;

/// The limits of one call of a component. Each kind of component has its own; the files of `host` have those of one
/// interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Time in guest code for one call. The slowest honest call seen so far (a JavaScript guest that parses an
    /// index of 8 MiB) needs a tenth of it.
    pub guest_cpu: Duration,
    /// Time for one call as a whole, including waiting.
    pub call_timeout: Duration,
    /// Time for one call of a function that answers without the host: `describe`, `claim`, `plan`. The function may
    /// sleep in WASI while a person waits.
    pub pure_call_timeout: Duration,
    /// Total bytes of linear memories and tables: an 8 MiB document several times over.
    pub memory: usize,
    /// Entries in one table. A JavaScript guest has about 6,000.
    pub table_elements: usize,
    /// Core instances, tables and memories inside one component. JavaScript and Python guests have a dozen.
    pub instances: usize,
    /// Bytes that may cross from the guest to the host: a document of 8 MiB and some more. Without this limit, a
    /// guest could pass strings to the host until memory runs out.
    pub hostcall_bytes: usize,
    /// Handles (trees) that a guest may hold at once.
    pub handles: usize,
    /// Requests and trees that one call may ask for. More indicate a loop.
    pub requests: u32,
    /// Reads and listings of trees. Each is cheap, but a million are not.
    pub reads: u32,
    /// Bytes of a file that a component reads from a tree, and of a body that it reads over HTTP: the longest
    /// document that the host parses.
    pub read_bytes: u64,
}

impl CallLimits {
    /// The usual limits. The time for a whole call includes the 10 minutes that fetching a tree may take.
    pub const DEFAULT: Self = Self {
        guest_cpu: Duration::from_secs(2),
        call_timeout: Duration::from_secs(12 * 60),
        pure_call_timeout: Duration::from_secs(5),
        memory: MAX_MEMORY_BYTES,
        table_elements: 20_000,
        instances: 64,
        hostcall_bytes: 20 << 20,
        handles: 256,
        requests: 200,
        reads: 20_000,
        read_bytes: 8 << 20,
    };

    /// The limits for a registry: somebody waits for its answer, and a page of it is one request or a few.
    pub const REGISTRY: Self = Self { call_timeout: Duration::from_secs(15), requests: 20, ..Self::DEFAULT };

    /// The limits of the calls of a kind of component.
    pub(crate) const fn for_kind(world: World) -> &'static Self {
        match world {
            World::MarketSource | World::Provider => &Self::DEFAULT,
            World::RegistrySource => &Self::REGISTRY,
        }
    }
}

/// The largest [`CallLimits::memory`]: the address space reserved for each memory.
pub const MAX_MEMORY_BYTES: usize = 64 << 20;

/// The interval of the epoch: fine enough for a deadline of seconds. One wake-up every 10 ms has no measurable
/// cost.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);

/// The resources that several calls share.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// The calls, as the end of a sentence: `over the entries of one marketplace`.
    pub scope: &'static str,
    /// Time in guest code.
    pub guest_time: Duration,
    /// Time in all.
    pub wall_time: Duration,
    /// Requests and trees.
    pub requests: u32,
    /// Bytes of answers over HTTP.
    pub bytes: u64,
}

/// The allowance of all calls for the entries of one marketplace.
pub const MARKETPLACE_ALLOWANCE: Allowance = Allowance {
    scope: "over the entries of one marketplace",
    guest_time: Duration::from_secs(10),
    wall_time: Duration::from_secs(5 * 60),
    requests: u32::MAX,
    bytes: u64::MAX,
};

/// The native stack of a guest. This is also wasmtime's default; it is set here because recursion in a guest must
/// end in the guest's own trap.
pub const MAX_STACK_BYTES: usize = 512 << 10;

/// The limits of compiling a component in a separate process. An honest component needs time and memory in proportion
/// to its size; a crafted one of 1.8 MB took 130 s and 2.9 GB. A JavaScript guest of 12 MB takes 60 s of processor
/// time, which all processors share, and 460 MB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// The processor time of the busiest thread. On a clock, a compiler that has to wait may take some times as long.
    pub time: Duration,
    /// The bytes of memory in use.
    pub memory: u64,
}

impl CompileLimits {
    /// The limits for a component of so many bytes: 10 s and 5 s a MiB, 512 MiB and 64 MiB a MiB.
    pub const fn new(bytes: u64) -> Self {
        let time = Duration::from_millis(10_000 + bytes.saturating_mul(5_000) / (1 << 20));
        Self { time, memory: (512 << 20) + bytes.saturating_mul(64) }
    }
}

/// The longest code that is read back from that process. That of a JavaScript guest has 46 MB.
pub const MAX_COMPILED_CODE_BYTES: u64 = 64 << 20;

/// The bytes of compiled code on disk: some dozen JavaScript guests (37 MB each), or hundreds in Rust.
pub const MAX_CACHE_BYTES: u64 = 512 << 20;
