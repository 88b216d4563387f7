//! `boa_engine` runs scripts in a component, since natively some of them end or hang the process that runs them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use boa_engine::{Context, Source};

const TIMEOUT: Duration = Duration::from_secs(10);
const LOOP_LIMIT: u64 = 1_000_000;

const SCRIPTS: [(&str, &str); 5] = [
    ("a loop without end", "while (true) {}"),
    ("a text of 1 GiB", "'x'.repeat(2 ** 30)"),
    ("a text that doubles", "let s = 'x'; while (true) s += s;"),
    ("a pattern", "/^(a+)+$/.test('a'.repeat(40) + 'b')"),
    ("an array", "new Array(2 ** 32 - 1).fill(0)"),
];

fn main() {
    if let Some(script) = std::env::args().nth(1) {
        let mut context = Context::default();
        context.runtime_limits_mut().set_loop_iteration_limit(LOOP_LIMIT);
        if let Err(e) = context.eval(Source::from_bytes(&script)) {
            println!("{e}");
        }
        return;
    }
    println!("native, with a limit of {LOOP_LIMIT} iterations, 2 GiB of address space and {} s:", TIMEOUT.as_secs());
    for (name, script) in SCRIPTS {
        println!("  {name}: {}", fate(script));
    }
}

/// Runs a script in a process of its own, and says how that ended.
fn fate(script: &str) -> String {
    let this = std::env::current_exe().unwrap();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v 2097152; exec \"$0\" \"$1\""]).arg(this).arg(script);
    let mut child = limited.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while start.elapsed() < TIMEOUT {
        if let Some(status) = child.try_wait().unwrap() {
            let said = child.wait_with_output().unwrap().stdout;
            let said = String::from_utf8_lossy(&said);
            return format!("{status} {}", said.lines().next().unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    "hangs".into()
}
