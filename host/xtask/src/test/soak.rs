//! `cargo xtask soak`: crash tests with many rounds, then property tests with one seed after the other.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aiw_tests::command;
use anyhow::{Result, ensure};

use super::programs::Program;
use super::{build, count, run_programs};

/// A part of the tests with a raised load.
struct Step {
    title: &'static str,
    programs: &'static [&'static str],
    filters: &'static [&'static str],
    /// The variable that raises the load, and its value.
    load: (&'static str, &'static str),
}

const fn step(
    title: &'static str,
    programs: &'static [&'static str],
    filters: &'static [&'static str],
    load: (&'static str, &'static str),
) -> Step {
    Step { title, programs, filters, load }
}

const STEPS: [Step; 6] = [
    step(
        "killed tasks, supervisors and usage logs",
        &["aiw-tasks", "aiw-supervisor", "aiw-usage"],
        &["killed"],
        ROUNDS,
    ),
    step("many clients, servers and calls", &["aiw-tests::e2e"], &["servers::many"], ROUNDS),
    step("the real binary, killed", &["aiw-tests::e2e"], &["killed", "processes::crash", "sync::race"], ROUNDS),
    // Twenty in each of its own rounds.
    step(
        "logs that rotate while they are read",
        &["aiw-tests::e2e"],
        &["processes::rotation"],
        ("AIW_SOAK_ROUNDS", "4000"),
    ),
    step("10,000 scripts", &["aiw-orchestrator::it"], &["many_runs"], ROUNDS),
    step(
        "a transcript and a line of 2 GB",
        &["aiw-tests::e2e"],
        &["intake::large", "a_line_without_end"],
        ("AIW_SOAK_MEGABYTES", "2048"),
    ),
];

/// The longest time without a test that ends: some have 200 rounds, or 2 GB.
const HANG_TIMEOUT: Duration = Duration::from_secs(7200);

const ROUNDS: (&str, &str) = ("AIW_SOAK_ROUNDS", "200");

/// Runs the tests that kill processes with many rounds and those with many calls at once, then property tests for the
/// given time. Returns `true` if all passed.
///
/// Each round of property tests has its own seed, which is printed and stored in `target/soak-seeds.txt`.
/// `PROPTEST_RNG_SEED=SEED PROPTEST_CASES=2000 cargo xtask test fuzz::` repeats a round. proptest adds failures to
/// `proptest-regressions`, and every later run of the tests begins with them.
pub fn soak(minutes: u64) -> Result<bool> {
    let programs = build()?;
    let (mut passed, mut failed) = (0, 0);
    let mut run =
        |title: &str, programs: Vec<Program>, filters: &[&str], environment: &[(&str, &str)]| -> Result<u64> {
            println!("\n# {title}");
            let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
            let results = run_programs(programs, &filters, environment, HANG_TIMEOUT)?;
            ensure!(!results.is_empty(), "no test has such a name");
            results.iter().for_each(|(_, result)| print!("{}", result.output));
            let counted = count(results.iter().map(|(_, result)| result));
            passed += counted.0;
            failed += counted.1;
            Ok(counted.1)
        };
    let mut step_failures = 0;
    let path = crate::tools::path()?;
    for Step { title, programs: names, filters, load } in STEPS {
        // `aiw-tasks` stands for its library and for its integration tests.
        let is_meant = |program: &&Program| {
            names.iter().any(|name| program.name == *name || program.name.starts_with(&format!("{name}::")))
        };
        let programs = programs.iter().filter(is_meant).cloned().collect();
        step_failures += run(title, programs, filters, &[load, ("PATH", &path)])?;
    }
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let seeds = command::root().join("target/soak-seeds.txt");
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    loop {
        let text = seed.to_string();
        let environment = [("PROPTEST_RNG_SEED", &*text), ("PROPTEST_CASES", "2000"), ("PATH", &path)];
        let failures = run(&format!("property tests, seed {seed}"), programs.clone(), &["fuzz::"], &environment)?;
        let verdict = if failures == 0 { "passed" } else { "failed" };
        writeln!(OpenOptions::new().create(true).append(true).open(&seeds)?, "{seed} {verdict}")?;
        seed += 1;
        // From here on, a failed case would fail in every round.
        if Instant::now() >= end || failures + step_failures > 0 {
            break;
        }
    }
    println!("the seeds are in {}", seeds.display());
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}
