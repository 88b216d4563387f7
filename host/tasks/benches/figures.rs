//! The table, waking, and shims against their limits: rows of what, measured, limit and unit, parted by
//! tabs, for `cargo xtask bench`. `AIW_BENCH_SHIM` names the binary that shims are started from.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench says what it measured, or ends")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aiw_core::CliKind;
use aiw_home::Home;
use aiw_tasks::{Limits, NewTask, Program, Queue, Root, Scope, Tasks};

const SHIMS: usize = 50;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let figures = aiw_tasks::bench::measure(&dir.path().join("table")).unwrap();
    let nanos = |time: Duration| time.as_nanos();
    println!("register a task\t{}\t1000\tns", nanos(figures.register));
    println!("update a slot\t{}\t50\tns", nanos(figures.update));
    println!("read a slot\t{}\t50\tns", nanos(figures.read));
    println!("list 1,000 tasks of the table\t{:.1}\t100\tus", figures.scan.as_secs_f64() * 1e6);
    println!("wake a waiter\t{:.1}\t100\tus", figures.wake.as_secs_f64() * 1e6);
    let (usual, suspicious) = aiw_tasks::bench::masking();
    println!("mask 1 MiB of a stream\t{:.1}\t20\tms", usual.as_secs_f64() * 1e3);
    println!("mask 1 MiB of suspicious lines\t{:.1}\t500\tms", suspicious.as_secs_f64() * 1e3);
    if let Some(shim) = std::env::var_os("AIW_BENCH_SHIM").map(PathBuf::from) {
        shims(dir.path(), &shim);
    }
}

fn shims(dir: &Path, aiw: &Path) {
    let tasks = Tasks::open(&Home::at(dir.join("home")), Scope::Session(Root::of(std::process::id()))).unwrap();
    let tasks = tasks.with_runtime(dir.join("run"));
    // What was built or run just now still writes, and ends.
    Command::new("sync").status().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    let mut started = Vec::new();
    for _ in 0..SHIMS {
        let program = Program {
            path: "/bin/sleep".into(),
            arguments: vec!["100".into()],
            environment: Vec::new(),
            stdin: Vec::new(),
            files: Vec::new(),
            named_files: Vec::new(),
            secrets: Vec::new(),
            limits: Limits::default(),
        };
        let start = Instant::now();
        started.push(tasks.start(aiw, task(), program, Queue::default()).unwrap().id);
        ours.push(start.elapsed());
        let start = Instant::now();
        let mut child = Command::new("/bin/true").stdin(Stdio::null()).spawn().unwrap();
        plain.push(start.elapsed());
        child.wait().unwrap();
    }
    ours.sort();
    plain.sort();
    let over = ours[SHIMS / 2].saturating_sub(plain[SHIMS / 2]);
    println!("start a task, over a plain spawn\t{:.2}\t5\tms", over.as_secs_f64() * 1e3);
    // Pages that were just written count as a process's own until then.
    Command::new("sync").status().unwrap();
    let pss: Vec<u64> = pids_of_shims().into_iter().filter_map(pss_kb).collect();
    let mean = pss.iter().sum::<u64>() / u64::try_from(pss.len().max(1)).unwrap();
    println!("memory of a shim of {} (PSS)\t{mean}\t1024\tkB", pss.len());
    for id in started {
        tasks.stop(id, false).unwrap();
    }
}

fn task() -> NewTask {
    NewTask {
        cli: CliKind::Claude,
        provider: None,
        role: None,
        tag: None,
        model: None,
        permission: "default".into(),
        bypass: None,
        prompt_preview: "sleep".into(),
        cwd: "/".into(),
        session: None,
        timeout: None,
        depth: 0,
        parent: None,
        isolated: false,
    }
}

/// Processes that are `… shim OURS ID`.
fn pids_of_shims() -> Vec<u32> {
    let own = std::process::id().to_string();
    let is_ours = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        words.get(1) == Some(&&b"shim"[..]) && words.get(2) == Some(&own.as_bytes())
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
}

fn pss_kb(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}
