//! `cargo xtask bench web`: what the dashboard costs: its page in a real browser, and its server.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aiw_tests::Environment;
use aiw_tests::command::root;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::figures::{cpu_share, memory_usage};
use crate::programs::PrintedRow;
use crate::report::BenchReport;

/// How long the server is watched while nothing changes.
const WATCH_TIME: Duration = Duration::from_secs(20);

/// Adds the rows of the dashboard.
pub fn run(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let page = root().join("host/web/page");
    if !page.join("node_modules/playwright-core").is_dir() {
        println!("the dashboard is not measured: `cargo xtask setup --tests` installs what drives a browser");
        return Ok(());
    }
    let env = Environment::cold();
    let run = |arguments: &[&str]| -> Result<String> {
        let output = env.program(aiw).args(arguments).output()?;
        ensure!(output.status.success(), "`aiw {arguments:?}` failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let measured = measure(report, &env, &page, || run(&["web", "-d"]));
    run(&["web", "stop"])?;
    measured
}

fn measure(
    report: &mut BenchReport,
    env: &Environment,
    page: &Path,
    address: impl Fn() -> Result<String>,
) -> Result<()> {
    let first = address()?;
    let events = env.home().join("events");
    fs::create_dir_all(&events)?;
    let server = server(env)?;
    let mut node = Command::new("node")
        .arg(page.join("test/figures.mjs"))
        .arg(events.join("events.jsonl"))
        .arg(first)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("node")?;
    let mut go_on = node.stdin.take().context("its input")?;
    let memory = || memory_usage(server).context("the server's memory");
    for line in BufReader::new(node.stdout.take().context("its output")?).lines() {
        match line.as_deref() {
            Ok("@one page") => {
                report.add_measurement("web: memory of the server, one page", "MB", memory()?)?;
                report.add_measurement(
                    "web: processor while nothing changes",
                    "%",
                    cpu_share(&[server], WATCH_TIME),
                )?;
            }
            Ok("@code") => {
                writeln!(go_on, "{}", address()?)?;
                continue;
            }
            Ok("@streams") => report.add_measurement("web: memory of the server, 100 streams", "MB", memory()?)?,
            Ok(line) => {
                if let Some(row) = PrintedRow::parse(line) {
                    report.add_measurement(&row.label, &row.unit, row.figure)?;
                }
                continue;
            }
            Err(e) => bail!("the browser's output: {e}"),
        }
        writeln!(go_on)?;
    }
    ensure!(node.wait()?.success(), "the browser could not be measured");
    Ok(())
}

/// Returns the process that serves the dashboard.
fn server(env: &Environment) -> Result<u32> {
    let of = |entry: fs::DirEntry| fs::read(entry.path().join("web.json")).ok();
    let record = fs::read_dir(env.home().join("web"))?.flatten().find_map(of).context("no dashboard runs")?;
    let record: Value = serde_json::from_slice(&record)?;
    Ok(u32::try_from(record["child"]["pid"].as_u64().context("no process serves")?)?)
}
