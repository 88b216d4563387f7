//! `cargo xtask bench hooks`: what the hooks cost the real Claude Code, which waits for them before it ends.
//!
//! `claude -p` asks a scripted model, in turns without hooks, with a hook that does nothing, and with ours. Claude Code
//! takes some time to start any hook, so ours is compared with the one that does nothing.

use std::fs;
use std::process::Command;
use std::time::Instant;

use aiw_tests::{Environment, ModelApi, git, real_cli};
use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::command::{host_cargo, root, run as run_command};

/// How many milliseconds longer than the hook that does nothing ours may take.
const LIMIT: f64 = 30.0;

const WAYS: [&str; 3] = ["without hooks", "with a hook that does nothing", "with the hooks of aiw"];

/// Prints the medians. Returns whether ours is within its limit.
pub fn run(rounds: usize) -> Result<bool> {
    run_command(host_cargo().args(["build", "--release", "-p", "agentic-warden"]))?;
    let claude = real_cli("claude").context("Claude Code is not installed here (AIW_TEST_CLAUDE, target/clients)")?;
    let api = ModelApi::start(&json!([{"text": "done", "repeat": true}])).context("python3 is absent")?;
    let aiw = root().join("target/release/aiw");
    let mut environments = Vec::new();
    for way in 0..WAYS.len() {
        let mut env = Environment::cold();
        for (name, value) in [
            ("ANTHROPIC_BASE_URL", api.url()),
            ("ANTHROPIC_API_KEY", "the-key"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
        ] {
            env.set(name, value);
        }
        let project = env.path("project");
        fs::create_dir_all(&project)?;
        git(&project, &["init", "-q"]);
        match way {
            1 => {
                let hook = json!([{"hooks": [{"type": "command", "command": "true", "timeout": 10}]}]);
                fs::create_dir_all(env.user().join(".claude"))?;
                fs::write(
                    env.user().join(".claude/settings.json"),
                    json!({"hooks": {"SessionEnd": hook}}).to_string(),
                )?;
            }
            2 => {
                let installed = env.program(&aiw).args(["history", "hooks", "install"]).output()?;
                anyhow::ensure!(installed.status.success(), "the hooks can't be installed");
            }
            _ => {}
        }
        environments.push(env);
    }
    let mut times = vec![Vec::new(); WAYS.len()];
    // The first round is not counted: Claude Code sets itself up.
    for round in 0..=rounds {
        for place in 0..WAYS.len() {
            // Each comes first as often as the others.
            let way = (round + place) % WAYS.len();
            let env = &environments[way];
            let mut command: Command = env.program(&claude);
            command.args(["-p", "work"]).current_dir(env.path("project"));
            let begun = Instant::now();
            let ended = command.output()?;
            let took = begun.elapsed().as_secs_f64() * 1e3;
            if !ended.status.success() {
                bail!("claude failed: {}", String::from_utf8_lossy(&ended.stderr));
            }
            if round > 0 {
                times[way].push(took);
            }
        }
    }
    let indexed = environments[2].program(&aiw).args(["history", "stats", "--json"]).output()?;
    let indexed: serde_json::Value = serde_json::from_slice(&indexed.stdout).context("no figures")?;
    println!("claude -p, {rounds} rounds, {} sessions indexed meanwhile", indexed["sessions"]);
    for (way, times) in WAYS.iter().zip(&times) {
        println!("{way:<46} {:>9.1} ms", median(times.clone()));
    }
    let more = |with: usize, without: usize| {
        median(times[with].iter().zip(&times[without]).map(|(with, without)| with - without).collect())
    };
    println!("{:<46} {:>9.1} ms", "a hook that does nothing takes", more(1, 0));
    let ours = more(2, 1);
    println!(
        "{:<46} {ours:>9.1} ms, limit {LIMIT}{}",
        "ours takes more than that",
        if ours > LIMIT { "  OVER" } else { "" }
    );
    Ok(ours <= LIMIT)
}

/// Returns the middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
