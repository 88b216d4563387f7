//! Measures the table, waking, listing, shims and the queue. Prints rows of `what, measured, unit` for `cargo xtask bench`.
//! `AIW_BENCH_SHIM` names the binary that shims are started from.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench says what it measured, or ends")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_home::Home;
use aiw_supervisor::{
    NewProcess, ProcessScope, Processes, Program, QueueLimit, Root, State, SupervisedProcess, WaitMode, testing,
};

const SHIMS: usize = 50;
/// The queue: this many processes of this length, through this many places.
const QUEUED: u32 = 1000;
const LENGTH: Duration = Duration::from_millis(100);
const PLACES: u32 = 64;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let figures = testing::measure(&dir.path().join("table")).unwrap();
    let nanos = |time: Duration| time.as_nanos();
    println!("register a process\t{}\tns", nanos(figures.register));
    println!("update a slot\t{}\tns", nanos(figures.update));
    println!("read a slot\t{}\tns", nanos(figures.read));
    println!("list 1,000 processes of the table\t{:.1}\tus", figures.scan.as_secs_f64() * 1e6);
    println!("wake a waiter\t{:.1}\tus", figures.wake.as_secs_f64() * 1e6);
    if let Some(shim) = std::env::var_os("AIW_BENCH_SHIM").map(PathBuf::from) {
        shims(dir.path(), &shim);
        queue(dir.path(), &shim);
    }
}

fn processes(dir: &Path) -> Processes {
    let scope = ProcessScope::Root(Root::for_pid(std::process::id()));
    Processes::open(&Home::from_root(dir.join("home")), testing::NAMES, scope).unwrap().with_runtime(dir.join("run"))
}

fn sleep(seconds: &str) -> Program {
    Program { arguments: vec![seconds.into()], ..Program::new("/bin/sleep") }
}

fn shims(dir: &Path, aiw: &Path) {
    let processes = processes(&dir.join("shims"));
    // Lets the writes of preceding builds and runs finish.
    Command::new("sync").status().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    let mut started = Vec::new();
    for _ in 0..SHIMS {
        let start = Instant::now();
        started.push(processes.start(aiw, NewProcess::new("/"), sleep("100"), QueueLimit::default()).unwrap());
        ours.push(start.elapsed());
        let start = Instant::now();
        let mut child = Command::new("/bin/true").stdin(Stdio::null()).spawn().unwrap();
        plain.push(start.elapsed());
        child.wait().unwrap();
    }
    ours.sort();
    plain.sort();
    let over = ours[SHIMS / 2].saturating_sub(plain[SHIMS / 2]);
    println!("start a process, over a plain spawn\t{:.2}\tms", over.as_secs_f64() * 1e3);
    // Pages that were just written count as a process's own until they are synced.
    Command::new("sync").status().unwrap();
    let pss: Vec<u64> = started.iter().filter_map(|one| pss_kb(one.record.shim.pid)).collect();
    let mean = pss.iter().sum::<u64>() / u64::try_from(pss.len().max(1)).unwrap();
    println!("memory of a shim of {} (PSS)\t{mean}\tkB", pss.len());
    // A reader that polls each second. A listing right after a start is not kept, because a further start could
    // carry the same time stamp.
    std::thread::sleep(Duration::from_millis(200));
    processes.list().unwrap();
    const LOOKS: u32 = 200;
    let start = Instant::now();
    for _ in 0..LOOKS {
        assert_eq!(processes.list().unwrap().len(), SHIMS);
    }
    println!("look again at {SHIMS} that run\t{:.1}\tus", (start.elapsed() / LOOKS).as_secs_f64() * 1e6);
    for one in started {
        processes.stop(one.record.id, false).unwrap();
    }
}

/// Fills all places with processes that wait for a gate, queues the others behind them, measures the cost of waiting,
/// and opens the gate.
fn queue(dir: &Path, aiw: &Path) {
    let dir = dir.join("queue");
    fs::create_dir(&dir).unwrap();
    let processes = processes(&dir);
    let gate = dir.join("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let queue = QueueLimit { limit: PLACES, may_queue: true };
    let seconds = LENGTH.as_secs_f64().to_string();
    let start = |number: u32| -> SupervisedProcess {
        let program = if number < PLACES {
            let script = format!(": < {}; exec sleep {seconds}", gate.display());
            Program { arguments: vec!["-c".into(), script.into()], ..Program::new("/bin/sh") }
        } else {
            sleep(&seconds)
        };
        processes.start(aiw, NewProcess::new("/"), program, queue).unwrap()
    };
    let all: Vec<SupervisedProcess> = (0..QUEUED).map(start).collect();
    let waiting: Vec<u32> =
        all.iter().filter(|one| one.record.state == State::Queued).map(|one| one.record.shim.pid).collect();
    assert_eq!(waiting.len(), (QUEUED - PLACES) as usize);
    let used = || -> Duration { waiting.iter().map(|pid| processor_time(*pid)).sum() };
    let (before, since) = (used(), Instant::now());
    std::thread::sleep(Duration::from_secs(5));
    let cost = (used() - before).as_secs_f64() / since.elapsed().as_secs_f64() * 1e3;
    println!("processor time of {} that wait, a second\t{cost:.2}\tms", waiting.len());
    let ids: Vec<_> = all.iter().map(|one| one.record.id).collect();
    let start = Instant::now();
    drop(fs::File::options().write(true).open(&gate).unwrap());
    let deadline = Some(start + Duration::from_secs(120));
    let waited = processes.wait(&ids, WaitMode::All, deadline, &AtomicBool::new(false), &mut |_| {}).unwrap();
    let took = start.elapsed();
    assert!(waited.done);
    let ideal = LENGTH * QUEUED / PLACES;
    let what =
        format!("{QUEUED} of {} ms through {PLACES} places, of {:.2} s", LENGTH.as_millis(), ideal.as_secs_f64());
    println!("{what}\t{:.2}\ttimes", took.as_secs_f64() / ideal.as_secs_f64());
}

/// Returns the processor time that a process has used.
fn processor_time(pid: u32) -> Duration {
    let times = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    Duration::from_nanos(times.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0))
}

fn pss_kb(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}
