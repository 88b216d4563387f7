//! `cargo xtask bench hooks`: what the hooks cost the real Claude Code, which waits for them before it ends.
//!
//! `claude -p` asks a scripted model, in turns without hooks, with a hook that does nothing, and with ours. Claude Code
//! takes some time to start any hook, so ours is compared with the one that does nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use aiw_tests::{Environment, ModelApi, git, real_cli};
use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::pairs::{Pair, median};
use crate::report::BenchReport;

const HOOK_VARIANTS: [&str; 3] = ["without hooks", "with a hook that does nothing", "with the hooks of aiw"];

/// Adds the row of our hooks beside the hook that does nothing.
pub fn run(report: &mut BenchReport, aiw: &Path, rounds: usize) -> Result<()> {
    let claude = real_cli("claude").context("Claude Code is not installed here (AIW_TEST_CLAUDE, target/clients)")?;
    let api = ModelApi::start(&json!([{"text": "done", "repeat": true}])).context("python3 is absent")?;
    let mut environments = Vec::new();
    for way in 0..HOOK_VARIANTS.len() {
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
                let installed = env.program(aiw).args(["history", "hooks", "install"]).output()?;
                anyhow::ensure!(installed.status.success(), "the hooks can't be installed");
            }
            _ => {}
        }
        environments.push(env);
    }
    let mut times = vec![Vec::new(); HOOK_VARIANTS.len()];
    // The first round is not counted: Claude Code sets itself up.
    for round in 0..=rounds {
        for place in 0..HOOK_VARIANTS.len() {
            // Each comes first as often as the others.
            let way = (round + place) % HOOK_VARIANTS.len();
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
    let indexed = environments[2].program(aiw).args(["history", "stats", "--json"]).output()?;
    let indexed: serde_json::Value = serde_json::from_slice(&indexed.stdout).context("no figures")?;
    println!("claude -p, {rounds} rounds, {} sessions indexed meanwhile", indexed["sessions"]);
    for (way, times) in HOOK_VARIANTS.iter().zip(&times) {
        report.note(way, median(times.clone()), "ms");
    }
    let pairs: Vec<Pair> = times[2].iter().copied().zip(times[1].iter().copied()).collect();
    report.add_pairs("hooks: `claude -p` with those of aiw", "ms", &pairs)
}
