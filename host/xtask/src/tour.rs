//! `cargo xtask try`: shows what aiw does, in a minute and without leaving a trace.

use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::{ModelApi, real_cli};
use anyhow::{Context, Result, ensure};

use crate::command::{self, root};
use crate::plugins;

const PLUGINS: [&[&str]; 5] = [
    &["plugin", "marketplace", "add", "./examples/marketplace"],
    &["plugin", "search"],
    &["plugin", "install", "text-tools@aiw-examples", "--yes"],
    &["cat", "mcp.json"],
    &["plugin", "list"],
];

const PROMPT: &str = "Greet whoever tries this";

/// Builds aiw and runs it in a temporary home, which is removed afterward.
pub fn run() -> Result<()> {
    plugins::setup()?;
    let tour = Tour { aiw: build_aiw()?, home: tempfile::Builder::new().prefix("aiw-try-").tempdir()? };
    tour.walk(&PLUGINS)?;
    tour.walk(&[&["cli", "list"]])?;
    // A scripted model on loopback, because a real one needs a key.
    let turns = serde_json::json!([{"match": PROMPT, "text": "Hello. This was a task of aiw's.", "repeat": true}]);
    let Some(cli) = ["claude", "codex", "gemini"].into_iter().find(|cli| real_cli(cli).is_some()) else {
        println!("To see one run as a task: npm install -g @anthropic-ai/claude-code");
        return Ok(());
    };
    let Some(api) = ModelApi::start(&turns) else {
        println!("To see `{cli}` run as a task, install python3: the model is a script");
        return Ok(());
    };
    let add = ["--preset", "litellm", "--base-url", api.url(), "--token-env", "TRY_KEY", "--model", "scripted"];
    tour.walk(&[
        &[&["provider", "add", "here"][..], &add].concat(),
        &["provider", "list"],
        &[cli, "-p", "here", PROMPT],
        &[cli, "-p", "here", "--detach", PROMPT],
        &["wait"],
        &["task", "list"],
    ])
}

/// Returns the content of the README's picture: each command and its output, line by line.
pub fn recorded() -> Result<Vec<String>> {
    plugins::setup()?;
    let tour = Tour { aiw: build_aiw()?, home: tempfile::Builder::new().prefix("aiw-picture-").tempdir()? };
    let prompt = "Fix the failing test";
    let turns =
        serde_json::json!([{"match": prompt, "text": "Fixed: the parser skipped the last line.", "repeat": true}]);
    let api = ModelApi::start(&turns).context("the scripted model needs python3")?;
    ensure!(["claude", "codex"].iter().all(|cli| real_cli(cli).is_some()), "the picture needs Claude Code and Codex");
    let unseen = ["--preset", "litellm", "--base-url", api.url(), "--token-env", "TRY_KEY", "--model", "scripted"];
    tour.output(&[&["provider", "add", "router"][..], &unseen].concat())?;
    tour.output(&["plugin", "marketplace", "add", "./examples/marketplace"])?;
    let mut lines = Vec::new();
    for step in [
        &["claude", "-p", "router", "--detach", prompt][..],
        &["codex", "-p", "router", "--detach", prompt],
        &["status"],
        &["wait"],
        &["plugin", "install", "text-tools@aiw-examples", "--yes"],
    ] {
        lines.push(shown(step));
        let said = tour.output(step)?;
        // Show the temporary home as the user's own.
        let home = tour.home.path().display().to_string();
        let said = said.replace(&home, "~").replace(&root().display().to_string(), "~/project");
        lines.extend(said.lines().map(str::to_owned));
    }
    Ok(lines)
}

fn shown(step: &[&str]) -> String {
    let quoted = |word: &&str| if word.contains(' ') { format!("\"{word}\"") } else { (*word).to_owned() };
    format!("$ aiw {}", step.iter().map(quoted).collect::<Vec<_>>().join(" "))
}

/// The binary and a temporary home for it.
struct Tour {
    aiw: PathBuf,
    home: tempfile::TempDir,
}

impl Tour {
    fn walk(&self, steps: &[&[&str]]) -> Result<()> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&self, step: &[&str]) -> Result<()> {
        let home = self.home.path();
        if let ["cat", file] = step {
            println!("$ cat ~/.aiw/{file}");
            let text = std::fs::read(home.join(".aiw").join(file))?;
            // On one line, because only the content matters here.
            println!("{}", serde_json::from_slice::<serde_json::Value>(&text)?);
            return Ok(());
        }
        println!("{}", shown(step));
        command::run(&mut self.command(step)?)
    }

    /// Returns the standard output of a command, followed by its standard error.
    fn output(&self, step: &[&str]) -> Result<String> {
        let done = self.command(step)?.output()?;
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(done.status.success(), "{}: {said}", shown(step));
        Ok(said)
    }

    fn command(&self, step: &[&str]) -> Result<Command> {
        let home = self.home.path();
        let mut aiw = Command::new(&self.aiw);
        // Use nothing of the user's own: no settings, no Claude Code marketplaces, no git configuration.
        aiw.args(step).env_clear().current_dir(root());
        for name in ["TERM", "LANG", "NO_COLOR"] {
            aiw.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        aiw.env("HOME", home).env("AIW_HOME", home.join(".aiw")).env("AIW_RUNTIME_DIR", home.join("run"));
        let clis = ["claude", "codex", "gemini"].into_iter().filter_map(real_cli);
        let clis: Vec<PathBuf> = clis.filter_map(|path| path.parent().map(Path::to_owned)).collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        aiw.env("PATH", std::env::join_paths(std::env::split_paths(&path).chain(clis))?);
        // Keep the CLIs from checking for updates.
        for name in ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "GEMINI_CLI_TRUST_WORKSPACE"] {
            aiw.env(name, "true");
        }
        aiw.env("TRY_KEY", "the key of a model that is none");
        Ok(aiw)
    }
}

/// Builds the binary, with cargo's progress on standard error, and returns its path.
pub fn build_aiw() -> Result<PathBuf> {
    command::run(command::host_cargo().args(["build", "--package", "agentic-warden"]))?;
    let metadata = command::output(command::host_cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata["target_directory"].as_str().unwrap_or("target");
    let aiw = Path::new(target).join("debug").join("aiw");
    ensure!(aiw.is_file(), "cargo left no binary at `{}`", aiw.display());
    Ok(aiw)
}
