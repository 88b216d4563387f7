//! Compiles components.
//!
//! Cranelift cannot be interrupted, and a few kilobytes can be crafted to cost it gigabytes. So foreign components
//! are compiled in a separate process with hard limits.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use wasmtime::component::Component;

use crate::error::one_line;
use crate::{Engine, LoadError, limits};

/// Who provides a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The component is part of aiw.
    Bundled,
    /// The component is from someone else.
    Foreign,
}

/// The first argument passed to the program given to [`Engine::compile_with`].
pub const COMPILE_ARGUMENT: &str = "__compile";

/// Returns a component ready for linking, from the cache if possible. Otherwise compiles and caches it.
pub(crate) async fn component(
    engine: &Engine,
    bytes: &[u8],
    sha256: &str,
    id: &str,
    origin: Origin,
) -> Result<Component, LoadError> {
    let key = format!("{sha256}-{}", &engine.fingerprint()[..32]);
    if let Some(component) = engine.cache.load(&engine.inner, &key) {
        return Ok(component);
    }
    // A JavaScript guest takes seconds to compile and cannot be interrupted, so use another thread.
    let (engine, bytes, id) = (engine.clone(), bytes.to_owned(), id.to_owned());
    let fail = |id: &str, reason: String| LoadError::Compile { id: id.to_owned(), reason };
    let name = id.clone();
    let compiled = tokio::task::spawn_blocking(move || match (origin, &engine.compiler) {
        (Origin::Foreign, Some(program)) => {
            let code = in_child(program, &bytes).map_err(|reason| fail(&id, reason))?;
            engine.cache.store(&key, &code);
            // Our own compiler made this code a moment ago for this engine.
            crate::cache::deserialize(&engine.inner, &code)
                .ok_or_else(|| fail(&id, "the compiled code does not load".into()))
        }
        _ => {
            let component = Component::new(&engine.inner, &bytes).map_err(|e| fail(&id, one_line(&e)))?;
            if let Ok(code) = component.serialize() {
                engine.cache.store(&key, &code);
            }
            Ok(component)
        }
    });
    compiled.await.unwrap_or_else(|e| Err(fail(&name, e.to_string())))
}

/// Compiles in a process with limited memory and time. The error is a sentence.
fn in_child(program: &Path, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command.arg(COMPILE_ARGUMENT).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The compiler starts a thread for each processor, and each thread uses memory of its own.
    command.env("RAYON_NUM_THREADS", std::thread::available_parallelism().map_or(2, |n| n.get().min(8)).to_string());
    let mut child = command.spawn().map_err(|e| format!("the compiler failed to start: {e}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = bytes.to_owned();
    let feed = std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let read = |pipe: Option<Box<dyn Read + Send>>, limit: u64| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.map(|pipe| pipe.take(limit).read_to_end(&mut bytes));
            bytes
        })
    };
    let code = read(stdout.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>), limits::COMPILE_MEMORY);
    let words = read(stderr.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>), 4096);
    let end = Instant::now() + limits::COMPILE_TIME;
    let mut pause = Duration::from_millis(1);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < end => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it takes longer than {} s", limits::COMPILE_TIME.as_secs()));
            }
        }
    };
    let _ = feed.join();
    let (code, words) = (code.join().unwrap_or_default(), words.join().unwrap_or_default());
    match status.code() {
        Some(0) => Ok(code),
        // The compiler explained the failure. A process that runs out of memory cannot.
        Some(1) => Err(aiw_core::one_line(&String::from_utf8_lossy(&words), 400)),
        _ => Err(format!("it needs more than {} GiB of memory, or crashes the compiler", limits::COMPILE_MEMORY >> 30)),
    }
}

/// The main function of a process that compiles one component, from standard input to standard output.
pub fn compile_main() -> ExitCode {
    match compile_here() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = writeln!(std::io::stderr().lock(), "{reason}");
            ExitCode::from(1)
        }
    }
}

fn compile_here() -> Result<(), String> {
    limit_this_process();
    let mut bytes = Vec::new();
    let limit = aiw_extensions::MAX_COMPONENT_BYTES;
    std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(|e| format!("cannot read it: {e}"))?;
    let engine = Engine::new(crate::CompiledCache::none()).map_err(|e| e.to_string())?;
    let code = engine.inner.precompile_component(&bytes).map_err(|e| one_line(&e))?;
    std::io::stdout().lock().write_all(&code).map_err(|e| format!("cannot write it: {e}"))
}

/// Limits the memory that is written to and the processor time, and disables core files. Limits that the system
/// does not know are not set, but the parent's timeout still applies.
fn limit_this_process() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let most = |limit: u64| Rlimit { current: Some(limit), maximum: Some(limit) };
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let _ = setrlimit(Resource::Data, most(limits::COMPILE_MEMORY));
    let _ = setrlimit(Resource::Cpu, most(limits::COMPILE_TIME.as_secs() * processors));
    let _ = setrlimit(Resource::Core, most(0));
}
