//! What a large history costs: `cargo xtask bench history --figures MESSAGES`.
//!
//! Fills a store with messages, and writes transcripts of them (a directory given with `--store` is filled once and
//! kept). Then it searches in fresh processes: the binary that `AIW_BENCH_SHIM` names, or this program if none is named;
//! and beside each, `rg` for the same words in the transcripts.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may fail")]

mod sessions;
mod transcripts;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use aiw_history::{Cli, HistoryQuery, ReadProgress, Store};
use sessions::{Random, Stream};
use wait4::Wait4;

/// Requests that are timed.
const REQUESTS: usize = 100;

/// Nothing but words that most messages have.
const COMMON: [&str; 4] =
    ["error file test line fix", "the test", "passed failed function", "src user order token cache index"];

/// The seed of the messages.
const SEED: u64 = 3;

fn main() {
    let argument = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let messages = argument("--messages").and_then(|count| count.parse().ok());
    if let Some(home) = argument("--fill").map(PathBuf::from) {
        return fill(&home.join("history"), &home.join("transcripts"), messages.unwrap());
    }
    if let Some(text) = argument("--search") {
        return search(Path::new(&argument("--store").unwrap()), &text);
    }
    let kept = argument("--store").map(PathBuf::from);
    // `cargo bench` calls every bench; this one takes minutes.
    if kept.is_none() && messages.is_none() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let home = kept.unwrap_or_else(|| temporary.path().to_owned());
    let (store, files) = (home.join("history"), home.join("transcripts"));
    if !store.join("history.db").exists() {
        // In a process of its own: what a child had resident is at least what its parent had.
        let mut filling = Command::new(std::env::current_exe().unwrap());
        filling.arg("--fill").arg(&home).args(["--messages", &messages.unwrap_or(1_000_000).to_string()]);
        assert!(filling.status().unwrap().success());
    }
    // The questions are about what is in it.
    let mut stream = Stream::new(SEED);
    let mut left = 10_000_usize.min(messages.unwrap_or(usize::MAX));
    while left > 0 {
        left = left.saturating_sub(stream.next().len());
    }
    let stored = Store::open(&store).unwrap().stats().unwrap().messages;
    let size: u64 = std::fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    row("index, a message", size as f64 / 1e3 / stored as f64, "kB");
    let mut random = Random(5);
    let mut questions: Vec<String> = (0..REQUESTS).map(|_| stream.question(&mut random)).collect();
    questions.extend(COMMON.map(str::to_owned));
    let aiw = std::env::var_os("AIW_BENCH_SHIM");
    let there = Command::new("rg").arg("--version").stdout(Stdio::null()).status().is_ok();
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for text in &questions {
        ours.run(&mut ours_of(aiw.as_ref(), &home, text));
        if there {
            theirs.run(&mut ripgrep(&files, text));
        }
    }
    let of = if aiw.is_some() { "`aiw history search`" } else { "search" };
    row(&format!("{of}, a fresh process, median"), ours.part(50), "ms");
    row(&format!("{of}, a fresh process, 99 of 100"), ours.part(99), "ms");
    row(&format!("{of}, resident"), ours.resident, "MB");
    if there {
        row("`rg` for the same words, median", theirs.part(50), "ms");
        row("`rg` for the same words, 99 of 100", theirs.part(99), "ms");
        row("`rg` for the same words, resident", theirs.resident, "MB");
    } else {
        println!("`rg` for the same words: not installed");
    }
    vectors(&store);
}

/// The times of fresh processes.
#[derive(Default)]
struct Times {
    millis: Vec<f64>,
    /// The most memory that one of them had, in MB.
    resident: f64,
}

impl Times {
    fn run(&mut self, command: &mut Command) {
        let begun = Instant::now();
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap().wait4().unwrap();
        self.millis.push(begun.elapsed().as_secs_f64() * 1000.0);
        // `rg` ends with 1 if nothing matches.
        assert!(ended.status.code().is_some_and(|code| code <= 1), "{command:?}");
        self.resident = self.resident.max(ended.rusage.maxrss as f64 / 1e6);
    }

    fn part(&self, percent: usize) -> f64 {
        let mut sorted = self.millis.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
    }
}

fn ours_of(aiw: Option<&OsString>, home: &Path, text: &str) -> Command {
    let Some(aiw) = aiw else {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--store").arg(home).args(["--search", text]);
        return command;
    };
    let mut command = Command::new(aiw);
    command
        .args(["--json", "history", "search", "--", text])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("AIW_HOME", home)
        .env("AIW_RUNTIME_DIR", home.join("run"));
    command
}

/// Counts the lines with any of the words: what there is to look through by hand.
fn ripgrep(files: &Path, text: &str) -> Command {
    let mut command = Command::new("rg");
    command.args(["--no-config", "--fixed-strings", "--ignore-case", "--count"]);
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
        command.args(["-e", word]);
    }
    command.arg(files);
    command
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
    row("vector part, warm process", times[times.len() / 2], "ms");
}

fn row(what: &str, measured: f64, unit: &str) {
    println!("{what}\t{measured:.2}\t{unit}");
}

fn fill(directory: &Path, files: &Path, messages: usize) {
    let mut stream = Stream::new(SEED);
    let store = Store::open(directory).unwrap();
    std::fs::create_dir_all(files).unwrap();
    let (mut stored, mut bytes, mut file) = (0, 0_usize, 0);
    let mut seconds = 0.0;
    while stored < messages {
        let mut batch = Vec::new();
        while batch.len() < 400 {
            let session = stream.next();
            transcripts::plain(&files.join(format!("{}.jsonl", session[0].session)), &session);
            batch.extend(session);
        }
        bytes += batch.iter().map(|message| message.text.len()).sum::<usize>();
        let progress =
            ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 1, prefix_digest: [0; 32] };
        let begun = Instant::now();
        stored +=
            store.append(Cli::Claude, Path::new(&format!("/t/{file}.jsonl")), &batch, &progress).unwrap().new_messages;
        seconds += begun.elapsed().as_secs_f64();
        file += 1;
    }
    println!("{stored} messages, {:.0} MB of text, stored in {seconds:.0} s", bytes as f64 / 1e6);
}

/// One search, for when there is no binary.
fn search(home: &Path, text: &str) {
    let store = Store::open(&home.join("history")).unwrap();
    let hits = store.search(&HistoryQuery { text, ..HistoryQuery::default() }, None).unwrap();
    assert!(hits.len() <= 10);
}
