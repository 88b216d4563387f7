//! `cargo xtask try`: what aiw does, seen in a minute and without a trace.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::command::{self, root};
use crate::plugins;

const STEPS: [&[&str]; 5] = [
    &["plugin", "marketplace", "add", "./examples/marketplace"],
    &["plugin", "search"],
    &["plugin", "install", "text-tools@aiw-examples", "--yes"],
    &["cat", "mcp.json"],
    &["plugin", "list"],
];

/// Builds aiw and runs it in a home of its own, which is removed afterwards.
pub fn run() -> Result<()> {
    plugins::setup()?;
    let aiw = build_aiw()?;
    let home = tempfile::Builder::new().prefix("aiw-try-").tempdir()?;
    for step in STEPS {
        // Nothing of the user's own: no settings, no marketplaces of Claude Code, no git configuration.
        let mut command = match step {
            ["cat", file] => {
                println!("$ cat ~/.aiw/{file}");
                let text = std::fs::read(home.path().join(".aiw").join(file))?;
                // On one line: it is the content that matters here.
                println!("{}", serde_json::from_slice::<serde_json::Value>(&text)?);
                continue;
            }
            _ => {
                println!("$ aiw {}", step.join(" "));
                let mut aiw = Command::new(&aiw);
                aiw.args(step).env_clear();
                for name in ["PATH", "TERM", "LANG", "NO_COLOR"] {
                    aiw.envs(std::env::var_os(name).map(|value| (name, value)));
                }
                aiw.env("HOME", home.path()).env("AIW_HOME", home.path().join(".aiw"));
                aiw
            }
        };
        command::run(command.current_dir(root()))?;
    }
    Ok(())
}

/// Builds the binary and says where it is.
pub fn build_aiw() -> Result<std::path::PathBuf> {
    command::run(command::host_cargo().args(["build", "--quiet", "--package", "agentic-warden"]))?;
    let metadata = command::output(command::host_cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata["target_directory"].as_str().unwrap_or("target");
    let aiw = Path::new(target).join("debug").join("aiw");
    ensure!(aiw.is_file(), "cargo left no binary at `{}`", aiw.display());
    Ok(aiw)
}
