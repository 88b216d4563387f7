//! The bench programs of the rooms (`host/*/benches`): builds and runs them, and reads the rows that they print.
//!
//! A row is a line of three cells between tabs: name, figure, unit. Yardsticks are measured before and after each run of
//! a program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aiw_tests::command::{self, host_cargo};
use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::pairs::{Pair, PairBudget};
use crate::report::BenchReport;
use crate::yardstick::{Yardstick, YardstickFigure};

/// A program: its package, its name and its arguments.
pub type BenchProgram<'a> = (&'a str, &'a str, &'a [&'a str]);

/// All programs that print rows. A hundred thousand past messages are searched, because a million take minutes to store.
pub const PROGRAMS: [BenchProgram<'static>; 13] = [
    ("aiw-testkit", "calls", &[]),
    ("aiw-tui", "frame", &[]),
    ("aiw-supervisor", "figures", &[]),
    ("aiw-wasm", "scripts", &[]),
    ("aiw-routing", "proxied", &[]),
    ("aiw-routing", "finder", &[]),
    ("aiw-routing", "quality", &["--figures"]),
    ("aiw-vectors", "meaning", &[]),
    ("aiw-history", "hook", &[]),
    ("aiw-history", "import", &[]),
    ("aiw-redact", "figures", &[]),
    ("aiw-dialects", "figures", &[]),
    ("aiw-history", "figures", &["--messages", "100000"]),
];

/// The runs of a program: a longer one runs once.
const REPEAT_THRESHOLD: Duration = Duration::from_secs(5);
const REPEAT_BUDGET: PairBudget = PairBudget { min: 5, max: 11, timeout: Duration::from_secs(40) };

/// A row as a program prints it.
#[derive(Debug, PartialEq)]
pub struct PrintedRow {
    pub label: String,
    pub figure: f64,
    pub unit: String,
}

impl PrintedRow {
    /// Parses a line. Returns `None` if it is not a row.
    pub fn parse(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.split('\t').collect();
        let [what, figure, unit] = cells[..] else { return None };
        Some(Self { label: what.to_owned(), figure: figure.parse().ok()?, unit: unit.to_owned() })
    }
}

/// Builds programs, runs them, and adds their rows to a report.
pub fn run(report: &mut BenchReport, aiw: &Path, programs: &[BenchProgram<'_>]) -> Result<()> {
    for ((package, name, arguments), built) in programs.iter().zip(build(programs)?) {
        let run = || -> Result<Vec<PrintedRow>> {
            let output = built.command().args(*arguments).env("AIW_BENCH_SHIM", aiw).output()?;
            if !output.status.success() {
                bail!("the bench `{name}` of {package} failed");
            }
            Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(PrintedRow::parse).collect())
        };
        add(report, run).with_context(|| format!("the bench `{name}` of {package}"))?;
    }
    Ok(())
}

/// Runs a program until its rows are stable, and adds them.
fn add(report: &mut BenchReport, run: impl Fn() -> Result<Vec<PrintedRow>>) -> Result<()> {
    let begun = Instant::now();
    let mut rows: Vec<(PrintedRow, Vec<Pair>)> = Vec::new();
    let mut before = BasicYardsticks::measure(report)?;
    let mut is_first = true;
    loop {
        let printed = run()?;
        let is_short = begun.elapsed() < REPEAT_THRESHOLD;
        let after = BasicYardsticks::measure(report)?;
        for (at, row) in printed.into_iter().enumerate() {
            let pair = before.between(&after, report, &row)?.map(|yardstick| (row.figure, yardstick));
            if is_first {
                rows.push((row, pair.into_iter().collect()));
            } else if let Some((_, pairs)) = rows.get_mut(at) {
                pairs.extend(pair);
            }
        }
        before = after;
        let is_spent = |row: &(PrintedRow, Vec<Pair>)| -> Result<bool> {
            let is_limited = report.entry(&row.0.label)?.limit.is_some() && !row.1.is_empty();
            let ratios: Vec<f64> = row.1.iter().map(|(ours, yardstick)| ours / yardstick).collect();
            Ok(!is_limited || REPEAT_BUDGET.is_spent(&ratios, begun.elapsed()))
        };
        let all_spent = rows.iter().map(is_spent).collect::<Result<Vec<_>>>()?.into_iter().all(|is_spent| is_spent);
        if is_first && !is_short || all_spent {
            break;
        }
        is_first = false;
    }
    for (row, pairs) in rows {
        match pairs.is_empty() {
            true => report.add_measurement(&row.label, &row.unit, row.figure)?,
            false => report.add_pairs(&row.label, &row.unit, &pairs)?,
        }
    }
    Ok(())
}

/// Figures of the yardsticks that take milliseconds.
struct BasicYardsticks(Vec<(Yardstick, YardstickFigure)>);

impl BasicYardsticks {
    fn measure(report: &mut BenchReport) -> Result<Self> {
        let mut figures = Vec::new();
        for yardstick in [Yardstick::Spawn, Yardstick::Memcpy, Yardstick::Insert, Yardstick::Whole, Yardstick::One] {
            let figure = report.measure_yardstick(&yardstick)?.context("a yardstick that every machine has")?;
            figures.push((yardstick, figure));
        }
        Ok(Self(figures))
    }

    /// Returns the mean of two measurements of a row's yardstick. `None` for other yardsticks.
    fn between(&self, after: &Self, report: &BenchReport, row: &PrintedRow) -> Result<Option<f64>> {
        let yardstick = &report.entry(&row.label)?.yardstick;
        let Some(at) = self.0.iter().position(|(known, _)| known == yardstick) else { return Ok(None) };
        let [before, after] = [self, after].map(|figures| figures.0[at].1.to_unit(&row.unit));
        Ok(Some((before? + after?) / 2.0))
    }
}

/// A bench as cargo built it.
struct BuiltBench {
    package: String,
    name: String,
    file: PathBuf,
    /// The directory of its package, where it runs.
    directory: PathBuf,
}

impl BuiltBench {
    /// Parses a line of cargo's messages in JSON. Returns `None` if it is not about a bench.
    fn parse(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_bench = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "bench");
        // `path+file:///directory#name@version`
        let package = message["package_id"].as_str()?.rsplit_once('#')?.1;
        is_bench.then_some(Self {
            package: package.split('@').next()?.to_owned(),
            name: message["target"]["name"].as_str()?.to_owned(),
            file: message["executable"].as_str()?.into(),
            directory: Path::new(message["manifest_path"].as_str()?).parent()?.to_owned(),
        })
    }

    /// Returns a command that runs it as cargo would. Its errors go to standard error.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command.arg("--bench").current_dir(&self.directory).stderr(Stdio::inherit());
        command
    }
}

/// Builds programs and returns them in their order. One call of cargo for all compiles once what they share: with a call
/// for each, every package chooses other features for it.
fn build(programs: &[BenchProgram<'_>]) -> Result<Vec<BuiltBench>> {
    let mut build = host_cargo();
    build.args(["bench", "--no-run", "--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    for (package, name, _) in programs {
        build.args(["-p", package, "--bench", name]);
    }
    let printed = command::output(&mut build)?;
    let mut built: Vec<BuiltBench> = printed.lines().filter_map(BuiltBench::parse).collect();
    let take = |(package, name, _): &BenchProgram<'_>| {
        let at = built.iter().position(|built| built.package == *package && built.name == *name);
        Ok(built.swap_remove(at.with_context(|| format!("cargo built no bench `{name}` of {package}"))?))
    };
    programs.iter().map(take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_name_a_figure_and_a_unit() {
        let row = PrintedRow { label: "a frame".into(), figure: 0.16, unit: "ms".into() };
        assert_eq!(PrintedRow::parse("a frame\t0.16\tms"), Some(row));
        assert_eq!(PrintedRow::parse("missed\t0.00\t").map(|row| row.unit), Some(String::new()));
        for line in ["", "100 messages stored", "a frame\tnot installed\tms", "a frame\t0.16\t2\tms"] {
            assert_eq!(PrintedRow::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_bench_is_found_among_the_messages_of_cargo() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///a/tui#aiw-tui@0.7.0","manifest_path":"/a/tui/Cargo.toml","target":{"kind":["bench"],"name":"frame"},"executable":"/a/target/frame-1"}"#;
        let built = BuiltBench::parse(line).unwrap();
        assert_eq!((built.package.as_str(), built.name.as_str()), ("aiw-tui", "frame"));
        assert_eq!(built.directory, Path::new("/a/tui"));
        assert!(BuiltBench::parse(&line.replace("[\"bench\"]", "[\"lib\"]")).is_none());
        assert!(BuiltBench::parse("Compiling").is_none());
    }
}
