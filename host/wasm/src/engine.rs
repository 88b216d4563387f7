//! The engine that all components share.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aiw_extensions::World;
use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, WasmBacktraceDetails};

use crate::error::one_line;
use crate::limits::CallLimits;
use crate::{CompiledCache, LoadError, limits};

/// Called with a component's id, and with how long it has been compiling.
pub type OnCompile = dyn Fn(&str, Duration) + Send + Sync;

/// The engine that all components share, with its cache of compiled code.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: wasmtime::Engine,
    pub(crate) cache: CompiledCache,
    /// The program that compiles foreign components.
    pub(crate) compiler: Option<PathBuf>,
    pub(crate) on_compile: Option<Arc<OnCompile>>,
    guest_cpu: Option<Duration>,
    ticker: Arc<OnceLock<()>>,
}

impl Engine {
    /// Creates an engine that stores its compiled code in `cache`.
    pub fn new(cache: CompiledCache) -> Result<Self, LoadError> {
        Self::with_config(cache, |_| Ok(()))
    }

    /// Creates an engine with a few other settings than most have.
    pub(crate) fn with_config(
        cache: CompiledCache,
        change: impl FnOnce(&mut Config) -> wasmtime::Result<()>,
    ) -> Result<Self, LoadError> {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .epoch_interruption(true)
            .cranelift_opt_level(OptLevel::Speed)
            .max_wasm_stack(limits::MAX_STACK_BYTES)
            // Small machines cannot map the default of 4 GiB for each memory.
            .memory_reservation(limits::MAX_MEMORY_BYTES as u64)
            .allocation_strategy(InstanceAllocationStrategy::OnDemand)
            .wasm_backtrace_details(WasmBacktraceDetails::Disable)
            // A fifth of the compiled code, for offsets in traces of a trap that nobody is shown.
            .generate_address_map(false)
            // Disable features that no guest needs, to reduce the attack surface.
            .wasm_relaxed_simd(false)
            .wasm_gc(false)
            .wasm_function_references(false)
            .wasm_exceptions(false)
            .wasm_memory64(false)
            .wasm_tail_call(false)
            .wasm_multi_memory(false)
            .wasm_threads(false);
        let inner = change(&mut config).and_then(|()| wasmtime::Engine::new(&config));
        let inner = inner.map_err(|e| LoadError::Engine { reason: one_line(&e) })?;
        Ok(Self { inner, cache, compiler: None, on_compile: None, guest_cpu: None, ticker: Arc::new(OnceLock::new()) })
    }

    /// Compiles foreign components in a separate process. `program` must call [`compile_main`](crate::compile_main)
    /// if its first argument is [`COMPILE_ARGUMENT`](crate::COMPILE_ARGUMENT). Without this, everything is compiled
    /// in this process.
    #[must_use]
    pub fn compile_with(self, program: PathBuf) -> Self {
        Self { compiler: Some(program), ..self }
    }

    /// Calls `on_compile` each second for as long as a component compiles.
    #[must_use]
    pub fn on_compile(self, on_compile: Arc<OnCompile>) -> Self {
        Self { on_compile: Some(on_compile), ..self }
    }

    /// Replaces the limit of guest time of each call, [`CallLimits::guest_cpu`]: for tests on a slow machine.
    #[must_use]
    pub fn with_guest_cpu(self, limit: Duration) -> Self {
        Self { guest_cpu: Some(limit), ..self }
    }

    /// Returns the limits of the calls of a kind of component.
    pub(crate) fn limits(&self, world: World) -> CallLimits {
        let limits = *CallLimits::for_kind(world);
        CallLimits { guest_cpu: self.guest_cpu.unwrap_or(limits.guest_cpu), ..limits }
    }

    /// Starts the epoch clock on the first call. It stops when the engine is dropped.
    pub(crate) fn start_epoch_clock(&self) {
        self.ticker.get_or_init(|| {
            let engine = self.inner.weak();
            std::thread::spawn(move || {
                while let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(limits::EPOCH_TICK);
                }
            });
        });
    }

    /// Returns the SHA-256 of everything that decides whether compiled code fits this engine.
    pub(crate) fn fingerprint(&self) -> String {
        use std::hash::Hash;

        struct Sha(sha2::Sha256);
        impl std::hash::Hasher for Sha {
            fn finish(&self) -> u64 {
                0
            }
            fn write(&mut self, bytes: &[u8]) {
                sha2::Digest::update(&mut self.0, bytes);
            }
        }
        // `DefaultHasher` may change with the Rust release, but this digest is stable.
        let mut hasher = Sha(<sha2::Sha256 as sha2::Digest>::new());
        self.inner.precompile_compatibility_hash().hash(&mut hasher);
        aiw_core::hex(&sha2::Digest::finalize(hasher.0))
    }
}
