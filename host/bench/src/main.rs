//! Measures a release build of aiw: `cargo xtask bench`.
//!
//! Nothing here is part of the product's binary. Each subject is one module.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]

mod commands;
mod compare;
mod daemon;
mod dashboard;
mod exits;
mod figures;
mod gateway;
mod instructions;
mod pairs;
mod planning;
mod processes;
mod programs;
mod quality;
mod ratios;
mod registries;
mod report;
mod row;
mod screens;
mod scripts;
mod sync;
mod yardstick;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::figures::resolve_binary;
use crate::programs::PROGRAMS;
use crate::report::BenchReport;

/// Measure a release build beside yardsticks of the same run; a row fails by its ratio
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", disable_help_subcommand = true)]
struct BenchArguments {
    /// Build this tree and another revision, and compare the commands of both
    #[arg(long, value_name = "REV")]
    compare: Option<String>,
    #[command(subcommand)]
    what: Option<Measure>,
}

#[derive(Args)]
struct MeasuredBinary {
    /// The binary to measure [default: the release build]
    #[arg(long, value_name = "FILE")]
    aiw: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Measure {
    /// The yardsticks themselves, to calibrate `host/bench/ratios.toml`
    Yardsticks,
    /// The instructions of `--version`, `status` and `mcp serve` to its first answer, under callgrind
    Instructions {
        #[command(flatten)]
        binary: MeasuredBinary,
        /// Build this tree and another revision, and compare both
        #[arg(long, value_name = "REV", conflicts_with = "aiw")]
        compare: Option<String>,
    },
    /// Start-up and commands of the binary
    Commands(MeasuredBinary),
    /// How often the right tools are found in a set of tools and requests, by words alone and with a model
    Routing {
        #[command(flatten)]
        set: quality::ToolSet,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// How often the right message of past sessions is found: by FTS5 alone, by aiw, by aiw with a model
    History {
        /// Measure size, time and memory instead, with this many messages
        #[arg(long, value_name = "MESSAGES")]
        figures: Option<usize>,
    },
    /// The cost of a search of registries with a copy of 50,000 servers, and how often it finds the right one
    Registries {
        #[command(flatten)]
        binary: MeasuredBinary,
        /// Ask the real registries instead, over the network
        #[arg(long)]
        live: bool,
    },
    /// The cost to start, restart, watch, log and list processes, beside pm2, supervisor, circus and pitchfork
    Processes(MeasuredBinary),
    /// The gateway's cost on a request and a stream, and what it keeps, beside claude-code-router and LiteLLM
    Gateway(MeasuredBinary),
    /// The cost of a planning model beside its own time, its prompts, and how many of forty jobs it carries out
    Planning(MeasuredBinary),
    /// The cost of a script over tools, and of a session of the real Claude Code with one and without
    Scripts(MeasuredBinary),
    /// The cost of the terminal view on a real terminal
    Screens(MeasuredBinary),
    /// The cost of the dashboard: its page in a real browser, and its server
    Web(MeasuredBinary),
    /// The cost of configuration that travels, beside restic and a plain `git push`
    Sync(MeasuredBinary),
    /// How much longer the real Claude Code takes with our hooks, from its start to its end
    Hooks {
        #[command(flatten)]
        binary: MeasuredBinary,
        /// How often each way is run
        #[arg(long, default_value_t = 31)]
        rounds: usize,
    },
}

/// A subject with rows of its own.
type Subject = fn(&mut BenchReport, &Path) -> Result<()>;

/// The subjects of a whole run, after the commands and the programs.
const SUBJECTS: [Subject; 7] =
    [registries::run, processes::run, scripts::run, planning::run, sync::run, screens::run, dashboard::run];

fn main() -> ExitCode {
    match run(BenchArguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        // The rows that are over their limits are marked.
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures a subject, or all of them. Returns `true` if no row is over its limit.
fn run(arguments: BenchArguments) -> Result<bool> {
    if let Some(revision) = arguments.compare {
        return compare::run(&revision).map(|()| true);
    }
    let subject = |chosen: MeasuredBinary, subject: Subject| -> Result<bool> {
        let aiw = resolve_binary(chosen.aiw)?;
        let mut report = BenchReport::new()?;
        subject(&mut report, &aiw)?;
        Ok(report.is_within_limits())
    };
    match arguments.what {
        None => all(),
        Some(Measure::Instructions { compare: Some(revision), .. }) => instructions::compare(&revision).map(|()| true),
        Some(Measure::Instructions { binary: chosen, .. }) => {
            instructions::run(&resolve_binary(chosen.aiw)?).map(|()| true)
        }
        Some(Measure::Yardsticks) => yardstick::print().map(|()| true),
        Some(Measure::Routing { set, json }) => quality::routing(&set, json).map(|()| true),
        Some(Measure::History { figures: None }) => quality::history().map(|()| true),
        Some(Measure::History { figures: Some(messages) }) => {
            let aiw = resolve_binary(None)?;
            let mut report = BenchReport::new()?;
            let messages = messages.to_string();
            programs::run(&mut report, &aiw, &[("aiw-history", "figures", &["--messages", &messages])])?;
            Ok(report.is_within_limits())
        }
        Some(Measure::Registries { binary: chosen, live: true }) => {
            registries::check_live_registries(&resolve_binary(chosen.aiw)?)
        }
        Some(Measure::Registries { binary, .. }) => subject(binary, registries::run),
        Some(Measure::Commands(binary)) => subject(binary, commands::run),
        Some(Measure::Processes(binary)) => subject(binary, processes::run),
        Some(Measure::Gateway(binary)) => subject(binary, gateway::run),
        Some(Measure::Planning(binary)) => subject(binary, planning::run),
        Some(Measure::Scripts(binary)) => subject(binary, scripts::run),
        Some(Measure::Screens(binary)) => subject(binary, screens::run),
        Some(Measure::Web(binary)) => subject(binary, dashboard::run),
        Some(Measure::Sync(binary)) => subject(binary, sync::run),
        Some(Measure::Hooks { binary: chosen, rounds }) => {
            let aiw = resolve_binary(chosen.aiw)?;
            let mut report = BenchReport::new()?;
            exits::run(&mut report, &aiw, rounds)?;
            Ok(report.is_within_limits())
        }
    }
}

/// Measures the commands, the programs and all subjects of a whole run.
fn all() -> Result<bool> {
    let aiw = resolve_binary(None)?;
    let mut report = BenchReport::new()?;
    commands::run(&mut report, &aiw)?;
    programs::run(&mut report, &aiw, &PROGRAMS)?;
    for subject in SUBJECTS {
        subject(&mut report, &aiw)?;
    }
    println!("the search of a million messages: `cargo xtask bench history --figures 1000000`");
    Ok(report.is_within_limits())
}
