//! Runs scripts, in the component `orchestrator`: a JavaScript engine that has nothing but the calls of its contract.
//!
//! It is not an extension: both sides are of one aiw, and it has an engine of its own, because its parser needs a deeper
//! stack than extensions get. A runtime runs one script and is thrown away, whatever came of it.

use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_home::now_millis;
use async_trait::async_trait;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Store, Trap, UpdateDeadline};

use self::generated::aiw::orchestrator::calls;
use crate::budget::LimitExceeded;
use crate::compute::run_on_thread;
use crate::error::one_line;
use crate::limits::{self, CallLimits};
use crate::usage::Usage;
use crate::{CompiledCache, Engine, LoadError, compile};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/orchestrator",
        world: "orchestrator",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

/// A tool that a script may call. Its number is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptTool {
    /// The name of its server.
    pub server: String,
    /// Its name at the server.
    pub name: String,
    /// Its name among all tools.
    pub qualified_name: String,
}

/// The host's side of a running script. Results, logs and calls are the script's own words, and are bounded by those
/// who implement this.
#[async_trait]
pub trait ScriptCalls: Send {
    /// Starts a call of a tool, with arguments as JSON. Returns its number, or why it may not start.
    fn start(&mut self, tool: u32, arguments: String) -> Result<u32, String>;

    /// Waits for the end of a call, at most so long. Returns its number and its result as JSON, or the sentence with
    /// which it failed.
    async fn next(&mut self, patience: Option<Duration>) -> Option<(u32, Result<String, String>)>;

    /// Takes a line of the script's log.
    fn log(&mut self, level: LogLevel, line: String);
}

/// How important a line of a script's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// `console.log`, `info`, `debug`.
    Log,
    /// `console.warn`, and what the runtime noticed.
    Warn,
    /// `console.error`.
    Error,
}

/// Why a script is not run, or did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScriptFailure {
    /// The kind of the failure.
    pub kind: ScriptFailureKind,
    /// The problem, as a sentence. Much of it may be the script's own words.
    pub message: String,
    /// The line of the script, from 1.
    pub line: Option<u32>,
    /// The number of the tool whose failed call ended the script.
    pub tool: Option<u32>,
}

/// The kinds of failures of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptFailureKind {
    /// It makes no sense.
    Syntax,
    /// It names a tool that is not there.
    UnknownTool,
    /// It threw an error.
    Thrown,
    /// It waits for what never comes.
    Deadlock,
    /// It reached a limit, and was ended.
    LimitExceeded,
    /// It can't be run now.
    Unavailable,
}

impl ScriptFailure {
    /// A failure that no line and no call is to blame for.
    pub fn new(kind: ScriptFailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), line: None, tool: None }
    }

    fn limit(message: impl Into<String>) -> Self {
        Self::new(ScriptFailureKind::LimitExceeded, message)
    }
}

/// The limits of one run.
#[derive(Debug, Clone, Copy)]
pub struct ScriptLimits {
    /// Time in the script itself. Waiting for calls does not count.
    pub cpu: Duration,
    /// Bytes of its result.
    pub output: usize,
}

impl ScriptLimits {
    /// The limits of every run.
    pub const DEFAULT: Self = Self { cpu: Duration::from_secs(10), output: 4 << 20 };
}

/// The memory of one runtime, and of what crosses its border at once.
static LIMITS: CallLimits = CallLimits { hostcall_bytes: 64 << 20, ..CallLimits::DEFAULT };

/// The stack of the engine's own code. Its parser keeps the deep part in the memory of the component, and this much
/// here.
const STACK_SIZE: usize = 6 << 20;

/// How many runtimes wait for a script.
const MAX_IDLE_RUNTIMES: usize = 5;

/// The component that runs scripts, as this program carries it.
#[derive(Debug, Clone, Copy)]
pub struct BundledScripts {
    /// The component, compressed with xz.
    pub component: &'static [u8],
    /// Its code for this system, compressed with xz.
    pub code: &'static [u8],
    /// The digest of the code.
    pub sha256: &'static str,
}

/// The longest that the code is.
const MAX_CODE_BYTES: u64 = 128 << 20;

fn decompress(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    lzma_rust2::XzReader::new(bytes, false).take(MAX_CODE_BYTES).read_to_end(&mut out).ok()?;
    Some(out)
}

/// Runs scripts. Clones share their runtimes.
#[derive(Clone)]
pub struct ScriptRunner {
    engine: Engine,
    pre: generated::OrchestratorPre<ScriptState>,
    /// Runtimes that are ready.
    pool: Arc<Mutex<Vec<ScriptRuntime>>>,
}

struct ScriptRuntime {
    store: Store<ScriptState>,
    guest: generated::Orchestrator,
}

struct ScriptState {
    usage: Usage,
    calls: Option<Box<dyn ScriptCalls>>,
    cpu: Duration,
    ticks: u32,
    /// How long the script has waited, as far as that was not taken off yet.
    waited: Duration,
}

impl ScriptState {
    fn charge_tick(&mut self) -> Result<(), LimitExceeded> {
        if let Some(left) = self.waited.checked_sub(limits::EPOCH_TICK) {
            self.waited = left;
            return Ok(());
        }
        self.ticks += 1;
        match limits::EPOCH_TICK * self.ticks > self.cpu {
            true => Err(LimitExceeded(format!(
                "the script ran for {} s without waiting, and was ended",
                self.cpu.as_secs()
            ))),
            false => Ok(()),
        }
    }
}

impl calls::Host for ScriptState {
    async fn start_call(&mut self, tool: u32, arguments: String) -> wasmtime::Result<Result<u32, String>> {
        let Some(calls) = &mut self.calls else { return Err(LimitExceeded("no script runs".into()).into()) };
        Ok(calls.start(tool, arguments))
    }

    async fn next_result(&mut self, patience: Option<u32>) -> wasmtime::Result<calls::Moment> {
        let Some(calls) = &mut self.calls else { return Err(LimitExceeded("no script runs".into()).into()) };
        let start = Instant::now();
        let ended = calls.next(patience.map(|ms| Duration::from_millis(ms.into()))).await;
        self.waited += start.elapsed();
        let ended = ended.map(|(call, outcome)| calls::Answer { call, outcome });
        Ok(calls::Moment { now: now_millis(), ended })
    }

    async fn log(&mut self, level: calls::Level, line: String) -> wasmtime::Result<()> {
        if let Some(calls) = &mut self.calls {
            calls.log(
                match level {
                    calls::Level::Log => LogLevel::Log,
                    calls::Level::Warn => LogLevel::Warn,
                    calls::Level::Error => LogLevel::Error,
                },
                line,
            );
        }
        Ok(())
    }
}

impl ScriptRunner {
    /// Loads the component: its code out of the cache, else as it was compiled ahead of time, else compiling it here,
    /// which takes seconds once. Nothing is loaded before this is called.
    pub fn load(cache: CompiledCache, bundled: BundledScripts) -> BoxFuture<'static, Result<Self, LoadError>> {
        Box::pin(async move {
            let engine = Self::engine(cache, None)?;
            let component = Self::component(&engine, bundled).await?;
            let mut linker = Linker::new(&engine.inner);
            let fail = |e: wasmtime::Error| not_compiled(one_line(&e));
            generated::Orchestrator::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut ScriptState| state)
                .map_err(fail)?;
            let pre = linker.instantiate_pre(&component).and_then(generated::OrchestratorPre::new).map_err(fail)?;
            engine.start_epoch_clock();
            Ok(Self { engine, pre, pool: Arc::default() })
        })
    }

    /// Puts the code into the cache, if it is not there, so that the first script finds it there. It takes half a second;
    /// nothing stays in memory.
    pub fn populate_cache(cache: CompiledCache, bundled: BundledScripts) {
        let Ok(engine) = Self::engine(cache, None) else { return };
        let key = Self::key(&engine, bundled);
        if !engine.cache.contains(&key)
            && let Some(code) = decompress(bundled.code)
        {
            engine.cache.store(&key, &code);
        }
    }

    fn key(engine: &Engine, bundled: BundledScripts) -> String {
        format!("{}-{}", &bundled.sha256[..32.min(bundled.sha256.len())], &engine.fingerprint()[..32])
    }

    async fn component(engine: &Engine, bundled: BundledScripts) -> Result<Component, LoadError> {
        let key = Self::key(engine, bundled);
        if let Some(component) = engine.cache.load(&engine.inner, &key) {
            return Ok(component);
        }
        let work = engine.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let code = decompress(bundled.code)?;
            // This program carries the code, and wasmtime refuses what was made for another engine or system.
            let component = crate::cache::deserialize(&work.inner, &code)?;
            work.cache.store(&key, &code);
            Some(component)
        });
        if let Ok(Some(component)) = loaded.await {
            return Ok(component);
        }
        let bytes = decompress(bundled.component).ok_or_else(|| not_compiled("it is damaged".into()))?;
        compile::load_or_compile(engine, &bytes, bundled.sha256, ORCHESTRATOR_ID, compile::Origin::Bundled).await
    }

    /// The engine of scripts. `target` is the system to compile for, with what its processors have in common; else this
    /// machine.
    fn engine(cache: CompiledCache, target: Option<&str>) -> Result<Engine, LoadError> {
        Engine::with_config(cache, |config: &mut Config| {
            config.max_wasm_stack(STACK_SIZE).async_stack_size(STACK_SIZE + (2 << 20));
            target.map_or(Ok(()), |target| config.target(target).map(drop))
        })
    }

    /// Compiles the component for a system, for later.
    pub fn compile_for(target: &str, component: &[u8]) -> Result<Vec<u8>, LoadError> {
        let engine = Self::engine(CompiledCache::disabled(), Some(target))?;
        engine.inner.precompile_component(component).map_err(|e| not_compiled(one_line(&e)))
    }

    /// Returns a runtime that is ready, or a new one.
    async fn runtime(&self) -> wasmtime::Result<ScriptRuntime> {
        let ready = self.pool.lock().pop();
        match ready {
            Some(ready) => Ok(ready),
            None => self.fresh().await,
        }
    }

    fn fresh(&self) -> BoxFuture<'_, wasmtime::Result<ScriptRuntime>> {
        Box::pin(async move {
            let state = ScriptState {
                usage: Usage::new(LIMITS),
                calls: None,
                cpu: ScriptLimits::DEFAULT.cpu,
                ticks: 0,
                waited: Duration::ZERO,
            };
            let mut store = Store::new(&self.engine.inner, state);
            store.limiter(|state| &mut state.usage);
            store.set_hostcall_fuel(LIMITS.hostcall_bytes);
            store.set_epoch_deadline(1);
            store.epoch_deadline_callback(|mut context| {
                context.data_mut().charge_tick()?;
                Ok(UpdateDeadline::Yield(1))
            });
            let guest = self.pre.instantiate_async(&mut store).await?;
            guest.call_warm(&mut store).await?;
            // Until here no script ran.
            store.data_mut().ticks = 0;
            Ok(ScriptRuntime { store, guest })
        })
    }

    /// Makes runtimes, so that the next scripts start at once.
    pub fn prewarm(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                if self.pool.lock().len() >= MAX_IDLE_RUNTIMES {
                    return;
                }
                let scripts = self.clone();
                let Some(Ok(fresh)) = run_on_thread(async move { scripts.fresh().await }).await else { return };
                self.pool.lock().push(fresh);
            }
        })
    }

    /// Looks whether a script makes sense, without running it. Returns the numbers of the tools that it names.
    pub fn check<'a>(
        &'a self,
        source: &'a str,
        tools: &'a [ScriptTool],
    ) -> BoxFuture<'a, Result<Vec<u32>, ScriptFailure>> {
        Box::pin(async move {
            let (scripts, source, tools) = (self.clone(), source.to_owned(), tools_of(tools));
            let check = run_on_thread(async move {
                let ScriptRuntime { mut store, guest } = scripts.runtime().await.map_err(|e| unavailable(&e))?;
                let checked = guest.call_check(&mut store, &source, &tools).await.map_err(|e| explain(&e))?;
                Ok(checked.map_err(ScriptFailure::from)?.tools)
            });
            check.await.unwrap_or_else(|| Err(no_thread()))
        })
    }

    /// Runs a script to its end. `input` is JSON. Returns its result as JSON.
    pub fn run<'a>(
        &'a self,
        source: &'a str,
        input: &'a str,
        tools: &'a [ScriptTool],
        limits: ScriptLimits,
        calls: Box<dyn ScriptCalls>,
    ) -> BoxFuture<'a, Result<String, ScriptFailure>> {
        Box::pin(async move {
            let scripts = self.clone();
            let mut start = generated::Start {
                source: source.to_owned(),
                input: input.to_owned(),
                tools: tools_of(tools),
                now: 0,
                seed: vec![0; 32],
            };
            getrandom::fill(&mut start.seed).map_err(|e| {
                ScriptFailure::new(ScriptFailureKind::Unavailable, format!("the system gives no random numbers: {e}"))
            })?;
            let run = run_on_thread(async move {
                let ScriptRuntime { mut store, guest } = scripts.runtime().await.map_err(|e| unavailable(&e))?;
                let state = store.data_mut();
                (state.calls, state.cpu) = (Some(calls), limits.cpu);
                start.now = now_millis();
                guest.call_run(&mut store, &start).await.map_err(|e| explain(&e))
            });
            let result = run.await.unwrap_or_else(|| Err(no_thread()))?;
            let result = result.map_err(ScriptFailure::from)?;
            match result.len() > limits.output {
                true => Err(ScriptFailure::limit(format!(
                    "the result has {} bytes, and at most {} go back: return less",
                    result.len(),
                    limits.output
                ))),
                false => Ok(result),
            }
        })
    }
}

/// The name of the component in errors.
const ORCHESTRATOR_ID: &str = "orchestrator";

fn not_compiled(reason: String) -> LoadError {
    LoadError::Compile { id: ORCHESTRATOR_ID.into(), reason }
}

fn tools_of(tools: &[ScriptTool]) -> Vec<generated::Tool> {
    let tool = |tool: &ScriptTool| generated::Tool {
        server: tool.server.clone(),
        name: tool.name.clone(),
        whole_name: tool.qualified_name.clone(),
    };
    tools.iter().map(tool).collect()
}

impl From<generated::Failure> for ScriptFailure {
    fn from(failure: generated::Failure) -> Self {
        let kind = match failure.kind {
            generated::FailureKind::Syntax => ScriptFailureKind::Syntax,
            generated::FailureKind::UnknownTool => ScriptFailureKind::UnknownTool,
            generated::FailureKind::Thrown => ScriptFailureKind::Thrown,
            generated::FailureKind::Stuck => ScriptFailureKind::Deadlock,
        };
        Self { kind, message: failure.message, line: failure.line, tool: failure.tool }
    }
}

fn no_thread() -> ScriptFailure {
    ScriptFailure::new(ScriptFailureKind::Unavailable, "the system gave no thread to run it on")
}

fn unavailable(error: &wasmtime::Error) -> ScriptFailure {
    ScriptFailure::new(ScriptFailureKind::Unavailable, format!("no runtime could be made: {}", one_line(error)))
}

/// Says what ended a runtime in the middle of a script.
fn explain(error: &wasmtime::Error) -> ScriptFailure {
    if let Some(over) = error.downcast_ref::<LimitExceeded>() {
        return ScriptFailure::limit(over.to_string());
    }
    ScriptFailure::limit(match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow | Trap::MemoryOutOfBounds) => "the script calls or nests too deeply".to_owned(),
        Some(Trap::UnreachableCodeReached) => {
            "the JavaScript engine gave up: the script needs more memory than there is, or met a defect of the engine"
                .to_owned()
        }
        Some(trap) => format!("the script ended with a trap: {trap}"),
        None => format!("the script was ended: {}", one_line(error)),
    })
}
