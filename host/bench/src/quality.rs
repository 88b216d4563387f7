//! How often searches find what is right: tools for a request, and messages of past sessions.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use aiw_tests::command::{self, host_cargo};
use anyhow::{Context, Result};
use serde_json::Value;

/// Measures how often the search of past sessions finds the right message. The model is the real one, where `.ci/run`
/// or `AIW_TEST_MODEL` puts it.
pub fn history() -> Result<()> {
    let mut command = host_cargo();
    command.args(["bench", "--quiet", "-p", "aiw-history", "--bench", "quality", "--", "--run"]);
    print!("{}", command::output(with_model(&mut command).stderr(Stdio::inherit()))?);
    Ok(())
}

fn with_model(command: &mut Command) -> &mut Command {
    if let (Some(model), Some(_)) = (aiw_tests::real_model("all-MiniLM-L6-v2"), aiw_tests::onnx_runtime()) {
        command.env("AIW_TEST_MODEL", model.parent().unwrap_or(&model));
    }
    command
}

/// Tools and requests for them.
#[derive(clap::Args)]
pub struct ToolSet {
    /// The directory with `tools.jsonl` and `queries.jsonl`
    #[arg(long, value_name = "DIR", required_unless_present = "apis")]
    set: Option<PathBuf>,
    /// Requests for the directory's tools in place of its own
    #[arg(long, value_name = "FILE", requires = "set")]
    requests: Option<PathBuf>,
    /// The tools of APIs that the bench makes itself, by a seed
    #[arg(long, value_name = "SEED", conflicts_with = "set")]
    apis: Option<u64>,
    /// With `--apis`: the loose requests, not the plain ones
    #[arg(long, requires = "apis")]
    loose: bool,
    /// A directory of which every fourth tool stands beside the set's
    #[arg(long, value_name = "DIR")]
    beside: Option<PathBuf>,
    /// Leave out what servers are called and what they say of themselves
    #[arg(long)]
    nameless: bool,
}

impl ToolSet {
    /// The arguments of the bench `quality`.
    fn arguments(&self) -> Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = Vec::new();
        for (name, path) in [("--set", &self.set), ("--requests", &self.requests), ("--beside", &self.beside)] {
            if let Some(path) = path {
                let path = path.canonicalize().with_context(|| format!("`{}`", path.display()))?;
                arguments.extend([name.into(), path.into()]);
            }
        }
        if let Some(seed) = self.apis {
            arguments.extend(["--apis".into(), seed.to_string().into()]);
        }
        let flags = [("--loose", self.loose), ("--nameless", self.nameless)];
        arguments.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name.into()));
        Ok(arguments)
    }
}

/// Measures how often routing finds the right tools in a set. The model is the real one, where `.ci/run` or
/// `AIW_TEST_MODEL` puts it.
pub fn routing(set: &ToolSet, json: bool) -> Result<()> {
    let mut command = host_cargo();
    command.args(["bench", "--quiet", "-p", "aiw-routing", "--bench", "quality", "--"]).args(set.arguments()?);
    let printed = command::output(with_model(&mut command).stderr(Stdio::inherit()))?;
    let figures: Value = serde_json::from_str(&printed).context("the bench printed no figures")?;
    if json {
        println!("{figures}");
        return Ok(());
    }
    println!(
        "{}: {} tools, {} requests",
        figures["set"].as_str().unwrap_or_default(),
        figures["tools"],
        figures["queries"]
    );
    println!(
        "{:<10} {:>9} {:>9} {:>10} {:>7} {:>12}",
        "", "recall@1", "recall@5", "recall@10", "ndcg@5", "us a request"
    );
    for (mode, f) in figures["modes"].as_object().into_iter().flatten() {
        let cell = |key: &str| f[key].to_string();
        println!(
            "{mode:<10} {:>9} {:>9} {:>10} {:>7} {:>12}",
            cell("recall@1"),
            cell("recall@5"),
            cell("recall@10"),
            cell("ndcg@5"),
            cell("us_per_query")
        );
    }
    Ok(())
}
