//! The chores of this repository: `cargo xtask setup`, `plugins`, `test`, `check`, …
//!
//! Nothing here is part of the product's binary. Each chore is one module. [`command`] runs other programs, and
//! [`component`] turns core modules into components.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a chore says, it says to a terminal")]

mod bench;
mod check;
mod command;
mod component;
mod conformance;
mod dashboard;
mod dist;
mod docs;
mod exits;
mod figures;
mod gateway;
mod guests;
mod picture;
mod planning;
mod plugins;
mod processes;
mod registries;
mod resident;
mod screens;
mod scripts;
mod shots;
mod sync;
mod systems;
mod test;
mod tour;
mod web;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The chores of this repository
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct ChoreArguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what the build needs (Rust's wasm targets), then build the components
    Setup {
        /// Install also what tests use: AI CLIs, MCP servers, a sentence model
        #[arg(long)]
        tests: bool,
        /// Install also what `cargo xtask bench processes` and `bench gateway` measure beside aiw
        #[arg(long)]
        peers: bool,
    },
    /// Set up, then build aiw and install it with `cargo install`
    Install,
    /// Build the components that are part of the binary
    Plugins,
    /// Build the components that only tests need
    Guests,
    /// Try aiw in a throw-away home; fetches an AI CLI with npm if there is none
    Try {
        /// Use this binary, and build nothing
        #[arg(long, value_name = "FILE")]
        aiw: Option<PathBuf>,
    },
    /// Build a release for one or more systems, and make every package of it
    Dist(dist::Wanted),
    /// Lint the workflows with actionlint and zizmor, offline
    Workflows,
    /// Build the page of the dashboard with npm; with `--check`, compare it with the one in the repository
    Web {
        /// Write the screenshots of `docs/images` of a home with demo data, instead of building
        #[arg(long, conflicts_with = "check")]
        shots: bool,
        /// Fail if the repository has another page
        #[arg(long)]
        check: bool,
    },
    /// Build what the tests need and run all of them
    Test,
    /// Check the house rules: rooms, contract, documents, versions
    Check,
    /// Check that the code compiles for macOS, and the rooms that are meant to for Windows
    Systems,
    /// Write the documents that are generated
    Docs,
    /// Draw the terminal picture of the README from what aiw prints
    Picture,
    /// Kill tasks, their starters and their supervisors at random, many times over; then run the
    /// property tests with one seed after the other
    Soak {
        /// How long the property tests run
        #[arg(long, default_value_t = 10)]
        minutes: u64,
    },
    /// Run the official conformance suite of MCP and write docs/conformance.md; installs it with npm
    Conformance,
    /// Measure a release build against its limits and its peer
    Bench {
        #[command(subcommand)]
        what: Option<Measure>,
    },
}

#[derive(Subcommand)]
enum Measure {
    /// How often the right tools are found in a set of tools and requests, by words alone and with a model
    Routing {
        #[command(flatten)]
        set: bench::ToolSet,
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
        /// The binary to measure [default: the release build]
        #[arg(long, value_name = "FILE")]
        aiw: Option<PathBuf>,
        /// Ask the real registries instead, over the network
        #[arg(long)]
        live: bool,
    },
    /// The cost to start, restart, watch, log and list processes, beside pm2, supervisor, circus and pitchfork
    Processes {
        /// The binary to measure [default: the release build]
        #[arg(long, value_name = "FILE")]
        aiw: Option<PathBuf>,
    },
    /// The gateway's cost on a request and a stream, and what it keeps, beside claude-code-router and LiteLLM
    Gateway {
        /// The binary to measure [default: the release build]
        #[arg(long, value_name = "FILE")]
        aiw: Option<PathBuf>,
    },
    /// The cost of a planning model beside its own time, its prompts, and how many of forty jobs it carries out
    Planning {
        /// The binary to measure [default: the release build]
        #[arg(long, value_name = "FILE")]
        aiw: Option<PathBuf>,
    },
    /// The cost of a script over tools, and of a session of the real Claude Code with one and without
    Scripts {
        /// The binary to measure [default: the release build]
        #[arg(long, value_name = "FILE")]
        aiw: Option<PathBuf>,
    },
    /// The cost of the terminal view on a real terminal
    Screens {
        /// The binary to measure [default: the release build]
        #[arg(long, value_name = "FILE")]
        aiw: Option<PathBuf>,
    },
    /// The cost of the dashboard: its page in a real browser, and its server
    Web {
        /// The binary to measure [default: the release build]
        #[arg(long, value_name = "FILE")]
        aiw: Option<PathBuf>,
    },
    /// The cost of configuration that travels, beside restic and a plain `git push`
    Sync {
        /// The binary to measure [default: the release build]
        #[arg(long, value_name = "FILE")]
        aiw: Option<PathBuf>,
    },
    /// How much longer the real Claude Code takes with our hooks, from its start to its end
    Hooks {
        /// How often each way is run
        #[arg(long, default_value_t = 31)]
        rounds: usize,
    },
}

fn main() -> ExitCode {
    match run(ChoreArguments::parse().chore) {
        Ok(true) => ExitCode::SUCCESS,
        // The chore has already said what is wrong.
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a chore. Returns whether all is well.
fn run(chore: Chore) -> Result<bool> {
    match chore {
        Chore::Setup { tests, peers } => {
            plugins::setup()?;
            if peers {
                processes::install_peers()?;
            }
            if tests {
                test::install_tools()?;
            }
        }
        Chore::Install => plugins::install()?,
        Chore::Plugins => plugins::build()?,
        Chore::Guests => guests::build()?,
        Chore::Try { aiw } => tour::run(aiw)?,
        Chore::Dist(wanted) => return dist::run(&wanted),
        Chore::Workflows => return dist::lint(),
        Chore::Web { shots: true, .. } => shots::take()?,
        Chore::Web { check, .. } => return web::build(check),
        Chore::Test => return test::run(),
        Chore::Check => return check::run(),
        Chore::Systems => return systems::run(),
        Chore::Docs => docs::write()?,
        Chore::Picture => picture::draw()?,
        Chore::Soak { minutes } => return test::soak(minutes),
        Chore::Conformance => return conformance::run(),
        Chore::Bench { what: None } => return bench::run(),
        Chore::Bench { what: Some(Measure::Routing { set, json }) } => bench::routing(&set, json)?,
        Chore::Bench { what: Some(Measure::History { figures }) } => return bench::history(figures),
        Chore::Bench { what: Some(Measure::Registries { aiw, live }) } => return registries::bench(aiw, live),
        Chore::Bench { what: Some(Measure::Processes { aiw }) } => return processes::bench(aiw),
        Chore::Bench { what: Some(Measure::Gateway { aiw }) } => return gateway::bench(aiw),
        Chore::Bench { what: Some(Measure::Planning { aiw }) } => return planning::bench(aiw),
        Chore::Bench { what: Some(Measure::Scripts { aiw }) } => return scripts::bench(aiw),
        Chore::Bench { what: Some(Measure::Screens { aiw }) } => return screens::bench(aiw),
        Chore::Bench { what: Some(Measure::Web { aiw }) } => return dashboard::bench(aiw),
        Chore::Bench { what: Some(Measure::Sync { aiw }) } => return sync::bench(aiw),
        Chore::Bench { what: Some(Measure::Hooks { rounds }) } => return exits::run(rounds),
    }
    Ok(true)
}
