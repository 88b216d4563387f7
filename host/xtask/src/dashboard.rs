//! `cargo xtask bench web`: what the dashboard costs: its page in a real browser, and its server.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use aiw_tests::Environment;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::command::root;
use crate::figures::{binary, figures, memory_of, share_of};

/// How long the server is watched while nothing changes.
const WATCHED: Duration = Duration::from_secs(20);

/// Measures a binary, by default the release build, which is made first.
pub fn bench(aiw: Option<PathBuf>) -> Result<bool> {
    run(&binary(aiw)?)
}

/// Prints one row for each figure. Returns whether all are within their limits.
pub fn run(aiw: &Path) -> Result<bool> {
    let page = root().join("host/web/page");
    if !page.join("node_modules/playwright-core").is_dir() {
        println!("\nthe dashboard is not measured: `cargo xtask setup --tests` installs what drives a browser");
        return Ok(true);
    }
    let env = Environment::cold();
    let run = |arguments: &[&str]| -> Result<String> {
        let output = env.program(aiw).args(arguments).output()?;
        ensure!(output.status.success(), "`aiw {arguments:?}` failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let good = measure(&env, &page, || run(&["web", "-d"]));
    run(&["web", "stop"])?;
    good
}

fn measure(env: &Environment, page: &Path, address: impl Fn() -> Result<String>) -> Result<bool> {
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
    let mut good = true;
    println!("\n{:<46} {:>9} {:>9}", "", "aiw", "limit");
    for line in BufReader::new(node.stdout.take().context("its output")?).lines() {
        let memory = |with: &str, limit: u32| -> Result<bool> {
            let megabytes = memory_of(server).context("the server's memory")?;
            figures(&format!("web: memory of the server, {with}\t{megabytes:.1}\t{limit}\tMB"))
        };
        match line.as_deref() {
            Ok("@one page") => {
                good &= memory("one page", 30)?;
                let share = share_of(&[server], WATCHED);
                good &= figures(&format!("web: processor while nothing changes\t{share:.2}\t0.05\t%"))?;
            }
            Ok("@code") => {
                writeln!(go_on, "{}", address()?)?;
                continue;
            }
            Ok("@streams") => good &= memory("100 streams", 45)?,
            Ok(row) => {
                good &= figures(row)?;
                continue;
            }
            Err(e) => bail!("the browser's output: {e}"),
        }
        writeln!(go_on)?;
    }
    ensure!(node.wait()?.success(), "the browser could not be measured");
    Ok(good)
}

/// Returns the process that serves the dashboard.
fn server(env: &Environment) -> Result<u32> {
    let of = |entry: fs::DirEntry| fs::read(entry.path().join("web.json")).ok();
    let record = fs::read_dir(env.home().join("web"))?.flatten().find_map(of).context("no dashboard runs")?;
    let record: Value = serde_json::from_slice(&record)?;
    Ok(u32::try_from(record["child"]["pid"].as_u64().context("no process serves")?)?)
}
