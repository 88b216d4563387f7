//! How fast transcripts are taken in: `cargo bench -p aiw-history --bench import -- [MEGABYTES]`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints its figures")]

mod transcripts;

use std::time::Instant;

use aiw_core::CliKind;
use aiw_history::{Import, Indexer};
use aiw_home::{CliPaths, Home};

/// How often everything is imported. The median counts.
const ROUNDS: usize = 3;

fn main() {
    let megabytes: u64 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(200);
    let dir = tempfile::tempdir().unwrap();
    let places = CliPaths::from_variables(|name| (name == "HOME").then(|| dir.path().to_owned())).unwrap();
    let project = places.directory(CliKind::Claude).join("projects/-srv-project");
    std::fs::create_dir_all(&project).unwrap();
    let (mut written, mut number) = (0, 0);
    while written < megabytes * 1_000_000 {
        let session = format!("{number:08}-0000-4000-8000-000000000000");
        let path = project.join(format!("{session}.jsonl"));
        transcripts::wrapped(&path, &session, 60, number);
        written += std::fs::metadata(&path).unwrap().len();
        number += 1;
    }
    let found = Import::find_all(&places);
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let indexer = Indexer::new(Home::from_root(dir.path().join(format!("aiw-{round}"))));
        let start = Instant::now();
        let report = indexer.import(&found, &places, &mut |_, _| {}).unwrap();
        assert!(report.new_messages > 0);
        // An import has one thread, and so one core.
        first.push(report.bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
        let start = Instant::now();
        let report = indexer.import(&found, &places, &mut |_, _| {}).unwrap();
        assert_eq!(report.new_messages, 0);
        again.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    first.sort_by(f64::total_cmp);
    again.sort_by(f64::total_cmp);
    println!("import, {megabytes} MB of transcripts, one core\t{:.0}\tMB/s", first[ROUNDS / 2]);
    println!("import again, nothing new, {number} transcripts\t{:.1}\tms", again[ROUNDS / 2]);
}
