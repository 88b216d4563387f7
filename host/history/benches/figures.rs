//! What a large history costs: `cargo xtask bench history --figures`.
//!
//! Fills a store with a million messages (a directory given with `--store` is filled once and kept), then searches it in
//! fresh processes: this program, started anew for each request.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may fail")]

mod sessions;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use aiw_history::{Cli, Progress, Query, Store};
use sessions::{Random, Stream};

/// Requests that are timed.
const REQUESTS: usize = 100;

fn main() {
    let argument = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    if let Some(text) = argument("--search") {
        return search(Path::new(&argument("--store").unwrap()), &text);
    }
    let messages = argument("--messages").and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let kept = argument("--store").map(PathBuf::from);
    // `cargo bench` calls every bench; this one takes minutes.
    if kept.is_none() && argument("--messages").is_none() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let directory = kept.unwrap_or_else(|| temporary.path().to_owned());
    let mut stream = Stream::new(3);
    if !directory.join("history.db").exists() {
        fill(&directory, &mut stream, messages);
    } else {
        // The questions are about what is in it.
        (0..2000).for_each(|_| drop(stream.next()));
    }
    let size: u64 = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    row("index, MB", size as f64 / 1e6, 1200.0, "MB");
    let mut random = Random(5);
    let questions: Vec<String> = (0..REQUESTS).map(|_| stream.question(&mut random)).collect();
    let mut times = Vec::new();
    let mut resident = 0.0_f64;
    for text in &questions {
        let (ms, mb) = fresh(&directory, text);
        times.push(ms);
        resident = resident.max(mb);
    }
    // Nothing but words that most messages have.
    for text in ["error file test line fix", "the test", "passed failed function", "src user order token cache index"] {
        let (ms, mb) = fresh(&directory, text);
        row(&format!("  `{text}`"), ms, 150.0, "ms");
        times.push(ms);
        resident = resident.max(mb);
    }
    times.sort_by(f64::total_cmp);
    row("search as a fresh process, median", times[times.len() / 2], 50.0, "ms");
    row("search as a fresh process, 99 of 100", times[times.len() * 99 / 100], 150.0, "ms");
    row("search, resident", resident, 150.0, "MB");
    vectors(&directory);
}

/// The vectors are made up: a scan takes as long whatever they say.
fn vectors(directory: &Path) {
    let store = Store::open(directory).unwrap();
    let mut random = Random(9);
    let mut make = || -> Vec<f32> { (0..384).map(|_| (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect() };
    let query = make();
    if !store.has_vectors().unwrap() {
        aiw_history::bench::fill(&store, "bench", 384, make).unwrap();
    }
    let mut times = Vec::new();
    for _ in 0..15 {
        let begun = Instant::now();
        assert!(aiw_history::bench::scan(&store, "bench", &query).unwrap() > 0);
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    row("vector part, warm process", times[times.len() / 2], 150.0, "ms");
}

fn row(what: &str, measured: f64, limit: f64, unit: &str) {
    println!("{what}\t{measured:.1}\t{limit:.1}\t{unit}");
}

fn fill(directory: &Path, stream: &mut Stream, messages: usize) {
    let store = Store::open(directory).unwrap();
    let begun = Instant::now();
    let (mut stored, mut bytes, mut file) = (0, 0_usize, 0);
    while stored < messages {
        let mut batch = Vec::new();
        while batch.len() < 400 {
            batch.extend(stream.next());
        }
        bytes += batch.iter().map(|message| message.text.len()).sum::<usize>();
        let progress = Progress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 1, head: [0; 32] };
        stored += store.append(Cli::Claude, Path::new(&format!("/t/{file}.jsonl")), &batch, &progress).unwrap().stored;
        file += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{stored} messages, {:.0} MB of text, stored in {seconds:.0} s", bytes as f64 / 1e6);
}

/// Milliseconds and resident megabytes of a search, as a process of its own measures them.
fn fresh(directory: &Path, text: &str) -> (f64, f64) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("--store").arg(directory).args(["--search", text]);
    let begun = Instant::now();
    let output = command.output().unwrap();
    let ms = begun.elapsed().as_secs_f64() * 1000.0;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (ms, String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or_default())
}

/// Prints the most memory that the process had resident.
fn search(directory: &Path, text: &str) {
    let store = Store::open(directory).unwrap();
    let hits = store.search(&Query { text, ..Query::default() }, None).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|rest| rest.split_whitespace().next());
    let kilobytes: f64 = peak.and_then(|peak| peak.parse().ok()).unwrap_or_default();
    assert!(hits.len() <= 10);
    println!("{:.1}", kilobytes / 1024.0);
}
