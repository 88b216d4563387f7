//! What runtimes of scripts cost. Prints rows of `what, measured, unit` for `cargo xtask bench`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench says what it measured, or ends")]

use std::time::{Duration, Instant};

use aiw_tests::scripts_part;
use aiw_wasm::{BundledScripts, CompiledCache, ScriptRunner};

const RUNS: usize = 15;

/// How many runtimes are made at once.
const POOL: u32 = 5;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sha256 = std::str::from_utf8(scripts_part("sha256")).unwrap();
    let bundled = BundledScripts { component: scripts_part("wasm.xz"), code: scripts_part("code.xz"), sha256 };
    let dir = tempfile::tempdir().unwrap();
    let (mut prepared, mut loaded, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        let cache = CompiledCache::new(dir.path().join(run.to_string()));
        let start = Instant::now();
        ScriptRunner::populate_cache(cache.clone(), bundled);
        prepared.push(start.elapsed());
        runtime.block_on(async {
            let start = Instant::now();
            let scripts = ScriptRunner::load(cache, bundled).await.unwrap();
            loaded.push(start.elapsed());
            let start = Instant::now();
            scripts.prewarm().await;
            fresh.push(start.elapsed() / POOL);
        });
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    println!("script: a fresh runtime\t{:.2}\tms", median(fresh));
    println!("script: load its engine\t{:.1}\tms", median(loaded));
    // Once on a machine, beside the start of a session.
    println!("script: put its engine into the cache\t{:.1}\tms", median(prepared));
}
