//! `cargo xtask setup --peers`: the programs that `cargo xtask bench` measures beside aiw.

use std::fs;
use std::process::Command;

use aiw_tests::command::{self, root};
use anyhow::Result;

/// Installs the peers below `target/peers`.
pub fn install() -> Result<()> {
    let peers = root().join("target/peers");
    fs::create_dir_all(&peers)?;
    let mut npm = Command::new("npm");
    // Of the router, 3.1.1 needs a package that is not published.
    let router = "@musistudio/claude-code-router@2.0.0";
    command::run(npm.args(["install", "--no-audit", "--no-fund", "--silent", "pm2", router, "--prefix"]).arg(&peers))?;
    // It wants other versions of what circus uses.
    command::run(Command::new("python3").args(["-m", "venv"]).arg(peers.join("litellm")))?;
    command::run(Command::new(peers.join("litellm/bin/pip")).args(["install", "--quiet", "litellm[proxy]"]))?;
    command::run(Command::new("python3").args(["-m", "venv"]).arg(peers.join("python")))?;
    command::run(Command::new(peers.join("python/bin/pip")).args(["install", "--quiet", "supervisor", "circus"]))?;
    let mut cargo = Command::new("cargo");
    command::run(cargo.args(["install", "--quiet", "pitchfork-cli", "--root"]).arg(&peers))
}
