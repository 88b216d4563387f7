//! Code that `cargo xtask bench` measures and that tests inspect. It is not part of the product.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aiw_core::{ProcessId, ProcessState as State};
use rustix::process::{Pid, Signal, kill_process};

use crate::error::SupervisorError;
use crate::files::random;
use crate::names::Namespace;
use crate::platform;
use crate::program::Program;
use crate::root::Root;
use crate::runtime::RuntimeDir;
use crate::segment::{Owner, Segment, SlotData, open};

/// The names of processes in tests and benches.
pub const NAMES: Namespace = Namespace::new("tested", "record.json", "test", ["AIW_TESTED_ID", "AIW_TESTED_INSTANCE"]);

/// How long the operations on a segment take, each as the mean of many.
#[derive(Debug, Clone, Copy)]
pub struct SegmentTimings {
    /// The time to take a slot and publish a process.
    pub register: Duration,
    /// The time to change a slot.
    pub update: Duration,
    /// The time to read a slot.
    pub read: Duration,
    /// The time to read a thousand slots and decode their states.
    pub scan: Duration,
    /// The time from one thread's wake until another thread is awake.
    pub wake: Duration,
}

/// Measures in a segment of its own, created in `directory`, which must not exist yet.
pub fn measure(directory: &Path) -> Result<SegmentTimings, SupervisorError> {
    const UPDATE_COUNT: u32 = 100_000;
    let pid = std::process::id();
    let root = Root::for_pid(pid);
    let segment = crate::segment::attach(&RuntimeDir::from_path(directory.to_owned(), NAMES.kind.clone()), root)?;
    let mut live = live(pid, platform::start_time(pid).unwrap_or(0));
    let start = Instant::now();
    for _ in 0..10_000 {
        drop(segment.claim(&live));
    }
    // Freeing includes a wake, which is a system call; registering is the claim alone.
    let with_wake = start.elapsed() / 10_000;
    let mut slots = Vec::with_capacity(1000);
    let start = Instant::now();
    for _ in 0..1000 {
        slots.extend(segment.claim(&live));
    }
    let register = (start.elapsed() / 1000).min(with_wake);
    let start = Instant::now();
    for i in 0..UPDATE_COUNT {
        live.started = i.into();
        slots[0].update(&live);
    }
    let update = start.elapsed() / UPDATE_COUNT;
    let start = Instant::now();
    for i in 0..UPDATE_COUNT {
        std::hint::black_box(segment.read(i as usize % 1000));
    }
    let read = start.elapsed() / UPDATE_COUNT;
    let start = Instant::now();
    for _ in 0..100 {
        let running = segment.scan().filter(|slot| slot.state() == Some(State::Running)).count();
        std::hint::black_box(running);
    }
    let scan = start.elapsed() / 100;
    drop(slots);
    Ok(SegmentTimings { register, update, read, scan, wake: wake(&segment) })
}

fn wake(segment: &Arc<Segment>) -> Duration {
    const ROUND_COUNT: u32 = 1000;
    let done = Arc::new(AtomicBool::new(false));
    let (there, is_done) = (segment.clone(), done.clone());
    let (tell, told) = std::sync::mpsc::channel();
    let mut seen = segment.generation();
    let sleeper = std::thread::spawn(move || {
        while !is_done.load(Ordering::Relaxed) {
            there.sleep(seen, Duration::from_secs(1));
            let now = there.generation();
            if now != seen {
                seen = now;
                let _ = tell.send(Instant::now());
            }
        }
    });
    let mut total = Duration::ZERO;
    for _ in 0..ROUND_COUNT {
        // Gives the sleeper time to fall asleep.
        std::thread::sleep(Duration::from_micros(200));
        let start = Instant::now();
        segment.wake();
        if let Ok(awake) = told.recv_timeout(Duration::from_secs(1)) {
            total += awake.saturating_duration_since(start);
        }
    }
    done.store(true, Ordering::Relaxed);
    segment.wake();
    let _ = sleeper.join();
    total / ROUND_COUNT
}

/// Returns how many slots of a root are taken.
pub fn count_used_slots(runtime: &Path, names: &Namespace, root: Root) -> usize {
    let segment = open(&at(runtime, names), root).ok().flatten();
    segment.map_or(0, |segment| segment.scan().filter_map(|slot| slot.decode()).count())
}

/// Fills a root's table with slots that this process owns, until it is full. Returns how many those were.
pub fn fill(runtime: &Path, names: &Namespace, root: Root) -> Result<usize, SupervisorError> {
    let segment = crate::segment::attach(&at(runtime, names), root)?;
    let pid = std::process::id();
    let live = live(pid, platform::start_time(pid).unwrap_or(0));
    let mut count = 0;
    while let Some(slot) = segment.claim(&live) {
        // The slot stays taken for as long as this process lives.
        std::mem::forget(slot);
        count += 1;
    }
    Ok(count)
}

fn live(pid: u32, start: u64) -> SlotData {
    SlotData {
        id: ProcessId::from_number(random() >> 2),
        shim: Owner { pid, start },
        instance: random() | 1,
        state: State::Running,
        depth: 0,
        pid: Some(pid),
        ticket: 1,
        limit: 64,
        ancestors: Vec::new(),
        started: 1,
        running_since: Some(1),
        label: b"claude openrouter reviewer: fix the failing test of the parser, and say what was wrong with it".into(),
    }
}

/// Creates or finds a root's segment as starters do, whether or not its link exists, again and again, for tests
/// that kill the process in between.
pub fn attach_forever(runtime: &Path, names: &Namespace, root: Root) -> Result<(), SupervisorError> {
    let runtime = at(runtime, names);
    loop {
        let segment = crate::segment::attach(&runtime, root)?;
        drop(segment.claim(&live(std::process::id(), 0)));
        segment.remove_link();
    }
}

/// Returns the name of a root's segment, creating the segment if it does not exist.
pub fn attach(runtime: &Path, names: &Namespace, root: Root) -> Result<String, SupervisorError> {
    let segment = crate::segment::attach(&at(runtime, names), root)?;
    Ok(segment.name().to_owned())
}

/// Makes only this process act as the next version of aiw, as far as segments are concerned.
pub fn simulate_newer_version() {
    crate::segment::TEST_VERSION_OFFSET.store(1, Ordering::Relaxed);
}

fn at(runtime: &Path, names: &Namespace) -> RuntimeDir {
    RuntimeDir::from_path(runtime.to_owned(), names.kind.clone())
}

/// A limit that no test reaches. It turns a hang into a failure.
pub const HANG_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns a program that runs a shell script.
pub fn program(script: &str) -> Program {
    Program {
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())],
        ..Program::new("/bin/sh")
    }
}

/// Waits until a value appears.
pub fn wait_for<T>(mut there: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = there() {
            return value;
        }
        assert!(start.elapsed() < HANG_TIMEOUT, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns whether a process exists and is not a zombie.
pub fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Sends a signal to a process that may be gone.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
