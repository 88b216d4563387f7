//! `cargo xtask web --shots`: the screenshots of the documents, of a home with demo data in which nothing is of this
//! machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::command;
use anyhow::{Context, Result, bail, ensure};

/// Where the demo is: its paths are seen in the screenshots.
const DEMO: &str = "/tmp/aiw-demo";

/// The largest screenshot, in bytes.
const MAX_SCREENSHOT_BYTES: u64 = 150_000;

const PROCESSES: &str = r#"process "db" {
    shell "echo 'database is ready on 5432'; exec sleep 3600"
}
process "api" {
    shell "echo 'connected to the database'; for i in 1 2 3 4 5 6; do printf '\\033[32mGET\\033[0m /orders/%s 200\\n' $i; done; printf '\\033[33mwarning\\033[0m a slow query\\n'; exec sleep 3600"
    needs "db"
}
process "web" {
    shell "echo 'ready on http://localhost:3000'; exec sleep 3600"
    needs "api"
}
process "worker" {
    shell "echo 'no queue yet'; exit 1"
    restart "no"
}
"#;

const SERVERS: &str = r#"{"mcpServers": {
  "files": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "."]},
  "browser": {"command": "npx", "args": ["-y", "@playwright/mcp"]},
  "search": {"type": "http", "url": "https://mcp.example.com/search"}
}}"#;

/// A home with demo data.
struct Demo {
    aiw: PathBuf,
}

impl Drop for Demo {
    fn drop(&mut self) {
        for arguments in [&["web", "stop"][..], &["down"]] {
            // What is gone already needs no end.
            let _ = self.command(arguments).output();
        }
        let _ = fs::remove_dir_all(DEMO);
    }
}

impl Demo {
    fn begin() -> Result<Self> {
        let demo = Path::new(DEMO);
        ensure!(!demo.exists(), "`{DEMO}` exists: remove it first");
        fs::create_dir_all(demo.join("shop/.ichimi"))?;
        fs::create_dir_all(demo.join("home/.aiw"))?;
        fs::write(demo.join("shop/.ichimi/processes.kdl"), PROCESSES)?;
        fs::write(demo.join("home/.aiw/mcp.json"), SERVERS)?;
        let aiw = command::root().join("target/debug/aiw");
        ensure!(aiw.is_file(), "`target/debug/aiw` is not built: `cargo build` builds it");
        Ok(Self { aiw })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.aiw);
        command.args(arguments).current_dir(Path::new(DEMO).join("shop")).env_clear();
        command.env("HOME", Path::new(DEMO).join("home")).env("AIW_RUNTIME_DIR", Path::new(DEMO).join("run"));
        command.envs(["PATH", "TERM"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let run = self.command(arguments).output()?;
        let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
        ensure!(run.status.success(), "`aiw {}` ended with {}: {said}", arguments.join(" "), run.status);
        Ok(said)
    }
}

/// Takes them.
pub fn take() -> Result<()> {
    let (page, images) = (command::root().join("host/web/page"), command::root().join("docs/images"));
    let demo = Demo::begin()?;
    for (name, preset) in [("work", "anthropic"), ("spare", "deepseek")] {
        demo.run(&["provider", "add", name, "--preset", preset, "--token-env", "SHOP_KEY"])?;
    }
    demo.run(&["pool", "add", "team", "work", "spare"])?;
    demo.run(&["budget", "set", "daily", "--usd", "20", "--per", "day"])?;
    // One of them fails, as it should.
    let _ = demo.command(&["up", "-d", "--yes"]).output()?;
    let said = demo.run(&["web", "-d"])?;
    let address = said.split_whitespace().find(|word| word.contains("/#code=")).context("there is no address")?;
    fs::create_dir_all(&images)?;
    let shots = Command::new("node").arg(page.join("test/shots.mjs")).arg(address).arg(&images).status()?;
    ensure!(shots.success(), "the screenshots ended with {shots}");
    for image in fs::read_dir(&images)? {
        let image = image?;
        let length = image.metadata()?.len();
        if length > MAX_SCREENSHOT_BYTES {
            bail!("`{}` has {length} bytes, and at most {MAX_SCREENSHOT_BYTES} are allowed", image.path().display());
        }
    }
    Ok(())
}
