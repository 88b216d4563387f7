//! Compiles components.
//!
//! Cranelift cannot be interrupted, and a few kilobytes can be crafted to cost it gigabytes. So foreign components
//! are compiled in a separate process with hard limits.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use wasmtime::component::Component;

use crate::error::one_line;
use crate::limits::CompileLimits;
use crate::{Engine, LoadError, limits};

/// The provider of a component.
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
pub(crate) async fn load_or_compile(
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
    let on_compile = engine.on_compile.clone();
    let mut compiled = tokio::task::spawn_blocking(move || {
        // Another process may be at it: a component in JavaScript takes all processors for a minute.
        let patience = CompileLimits::new(bytes.len() as u64).time * BUSY_TIMEOUT_FACTOR;
        let _turn = engine.cache.lock_compile(&key, patience);
        if let Some(component) = engine.cache.load(&engine.inner, &key) {
            return Ok(component);
        }
        match (origin, &engine.compiler) {
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
        }
    });
    let start = Instant::now();
    let compiled = loop {
        match tokio::time::timeout(Duration::from_secs(1), &mut compiled).await {
            Ok(compiled) => break compiled,
            Err(_) => on_compile.iter().for_each(|on_compile| on_compile(&name, start.elapsed())),
        }
    };
    compiled.unwrap_or_else(|e| Err(fail(&name, e.to_string())))
}

/// Compiles in a process with limited memory and time. The error is a sentence.
fn in_child(program: &Path, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let limits = CompileLimits::new(bytes.len() as u64);
    let mut command = Command::new(program);
    command.arg(COMPILE_ARGUMENT).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The compiler starts a thread for each processor, and each thread uses memory of its own.
    command.env("RAYON_NUM_THREADS", std::thread::available_parallelism().map_or(2, |n| n.get().min(8)).to_string());
    let mut child = command.spawn().map_err(|e| format!("the compiler failed to start: {e}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // The child limits itself by the size of what it reads, so it is told first.
    let mut input = (bytes.len() as u64).to_le_bytes().to_vec();
    input.extend_from_slice(bytes);
    let feed = std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let read = |pipe: Option<Box<dyn Read + Send>>, limit: u64| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // The pipe closes at the limit, which ends the writer.
            let _ = pipe.map(|pipe| pipe.take(limit).read_to_end(&mut bytes));
            bytes
        })
    };
    let code = read(stdout.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>), limits::MAX_COMPILED_CODE_BYTES + 1);
    let words = read(stderr.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>), 4096);
    let ended = watch(&mut child, limits);
    let _ = feed.join();
    let (code, words) = (code.join().unwrap_or_default(), words.join().unwrap_or_default());
    if code.len() as u64 > limits::MAX_COMPILED_CODE_BYTES {
        return Err(format!("its compiled code is larger than {} MiB", limits::MAX_COMPILED_CODE_BYTES >> 20));
    }
    let size = bytes.len().div_ceil(1 << 10);
    let memory = limits.memory >> 20;
    match ended {
        CompilerEnd::Timeout(time) => {
            Err(format!("it takes longer than {} s, the limit for its {size} KiB", time.as_secs()))
        }
        CompilerEnd::OutOfMemory => {
            Err(format!("it needs more than {memory} MiB of memory, the limit for its {size} KiB"))
        }
        CompilerEnd::Exited(Some(0)) => Ok(code),
        // The compiler explained the failure. A process that runs out of memory cannot.
        CompilerEnd::Exited(Some(1)) => Err(aiw_core::one_line(&String::from_utf8_lossy(&words), 400)),
        CompilerEnd::Exited(_) => Err(format!(
            "it needs more than {memory} MiB of memory, the limit for its {size} KiB, or crashes the compiler"
        )),
    }
}

/// How the child ended.
enum CompilerEnd {
    /// By itself, with this code, or by a signal.
    Exited(Option<i32>),
    /// After more than this time.
    Timeout(Duration),
    /// By using too much memory.
    OutOfMemory,
}

/// On a busy machine, the clock runs so much faster than the compiler.
const BUSY_TIMEOUT_FACTOR: u32 = 4;

/// Waits for the child, and kills it at its limits. The limits that the system sets count address space and the time of
/// all threads together; what counts is the memory in use and the time of one thread, which are read here.
fn watch(child: &mut Child, limits: CompileLimits) -> CompilerEnd {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => return CompilerEnd::Exited(status.code()),
            Ok(None) if memory_of(child.id()).is_some_and(|used| used > limits.memory) => {
                break CompilerEnd::OutOfMemory;
            }
            Ok(None) if start.elapsed() > limits.time && time_of(child.id()).is_some_and(|time| time > limits.time) => {
                break CompilerEnd::Timeout(limits.time);
            }
            Ok(None) if start.elapsed() < limits.time * BUSY_TIMEOUT_FACTOR => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(10));
            }
            _ => break CompilerEnd::Timeout(limits.time * BUSY_TIMEOUT_FACTOR),
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    ended
}

/// The processor time of the thread of a process that had most of it, where the system says so.
fn time_of(process: u32) -> Option<Duration> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let time = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    };
    threads.flatten().filter_map(time).max()
}

/// The bytes of memory that a process uses for itself, where the system says so.
fn memory_of(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let kib: u64 = field("RssAnon:").or_else(|| field("VmRSS:"))?.strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
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
    let (mut stdin, mut size) = (std::io::stdin().lock(), [0; 8]);
    let failed = |e: std::io::Error| format!("cannot read it: {e}");
    stdin.read_exact(&mut size).map_err(failed)?;
    let size = u64::from_le_bytes(size).min(aiw_extensions::MAX_COMPONENT_BYTES);
    limit_this_process(CompileLimits::new(size));
    let mut bytes = Vec::new();
    stdin.take(size).read_to_end(&mut bytes).map_err(failed)?;
    let engine = Engine::new(crate::CompiledCache::disabled()).map_err(|e| e.to_string())?;
    let code = engine.inner.precompile_component(&bytes).map_err(|e| one_line(&e))?;
    std::io::stdout().lock().write_all(&code).map_err(|e| format!("cannot write it: {e}"))
}

/// Address space that is reserved without being used: of the allocator for each thread, of their stacks, of the program.
const RESERVED_ADDRESS_BYTES: u64 = 2 << 30;

/// Limits memory and processor time, disables core files, and ends this process with its parent. Limits that the system
/// does not know are not set; the parent watches the memory in use and the time anyway.
fn limit_this_process(limits: CompileLimits) {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let most = |limit: u64| Rlimit { current: Some(limit), maximum: Some(limit) };
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let _ = setrlimit(Resource::As, most(limits.memory + RESERVED_ADDRESS_BYTES));
    let _ = setrlimit(Resource::Cpu, most((limits.time.as_secs() + 1) * processors));
    let _ = setrlimit(Resource::Core, most(0));
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_with_the_size() {
        let of = |mib: u64| {
            let limits = CompileLimits::new(mib << 20);
            (limits.time.as_secs(), limits.memory >> 20)
        };
        assert_eq!([of(0), of(1), of(12), of(32)], [(10, 512), (15, 576), (70, 1280), (170, 2560)]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_that_waits_or_grows_is_ended_at_its_limits() {
        let limits = |time, memory| CompileLimits { time: Duration::from_millis(time), memory };
        let start = |script: &str| Command::new("sh").args(["-c", script]).stdout(Stdio::null()).spawn().unwrap();
        assert!(
            matches!(watch(&mut start("exec sleep 100"), limits(100, u64::MAX)), CompilerEnd::Timeout(time) if time.as_millis() == 400)
        );
        // Its processor time is over first, or on a busy machine the time on the clock.
        let spins = "while :; do :; done";
        assert!(
            matches!(watch(&mut start(spins), limits(300, u64::MAX)), CompilerEnd::Timeout(time) if [300, 1200].contains(&time.as_millis()))
        );
        // It looks for the last line of an input without lines.
        let mut zeros = Command::new("cat").arg("/dev/zero").stdout(Stdio::piped()).spawn().unwrap();
        let mut grows = Command::new("tail");
        grows.args(["-n", "1"]).stdin(zeros.stdout.take().unwrap()).stdout(Stdio::null());
        assert!(matches!(watch(&mut grows.spawn().unwrap(), limits(60_000, 200 << 20)), CompilerEnd::OutOfMemory));
        drop(grows);
        zeros.wait().unwrap();
        assert!(matches!(watch(&mut start("exit 3"), limits(60_000, u64::MAX)), CompilerEnd::Exited(Some(3))));
    }

    #[test]
    #[cfg(unix)]
    fn code_that_is_too_long_is_not_taken() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let compiler = dir.path().join("compiler");
        let compiles_to = |bytes: u64| {
            std::fs::write(&compiler, format!("#!/bin/sh\ncat > /dev/null\nexec head -c {bytes} /dev/zero\n")).unwrap();
            std::fs::set_permissions(&compiler, std::fs::Permissions::from_mode(0o755)).unwrap();
            in_child(&compiler, b"a component").map(|code| code.len() as u64)
        };
        assert_eq!(compiles_to(limits::MAX_COMPILED_CODE_BYTES), Ok(limits::MAX_COMPILED_CODE_BYTES));
        for more in [1, 100 << 20] {
            assert!(compiles_to(limits::MAX_COMPILED_CODE_BYTES + more).unwrap_err().contains("larger than 64 MiB"));
        }
    }
}
