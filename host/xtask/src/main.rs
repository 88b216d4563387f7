//! The chores of this repository: `cargo xtask setup`, `plugins`, `test`, `check`, …
//!
//! Nothing here is part of the product's binary. Each chore is one module. `aiw_tests::command` runs other programs, and
//! [`component`] turns core modules into components.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a chore says, it says to a terminal")]

mod check;
mod component;
mod conformance;
mod dependencies;
mod dist;
mod docs;
mod guests;
mod peers;
mod picture;
mod plugins;
mod shots;
mod systems;
mod test;
mod tools;
mod tour;
mod web;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use aiw_tests::command;
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
    /// Install what tests use, and nothing else
    #[command(hide = true)]
    Tools,
    /// Build what the tests need, install their tools, and run them
    Test(test::TestOptions),
    /// Check the house rules: rooms, contract, retired names, commit subjects, documents, versions
    Check {
        /// Check only what needs no build: not whether the generated documents are current
        #[arg(long)]
        text: bool,
    },
    /// Check that the crates with code of one system compile for macOS and Windows; the whole workspace, if it changed
    Systems {
        /// Check the whole workspace for macOS, and record that
        #[arg(long)]
        all: bool,
    },
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
    /// Build and run the reproductions of docs/dependencies.md, which are no part of CI: minutes for each package
    Dependencies {
        /// Only the one of this package
        name: Option<String>,
    },
    /// Measure a release build beside yardsticks of the same run; `cargo xtask bench --help` lists what is measured
    #[command(disable_help_flag = true)]
    Bench {
        /// Arguments of the crate `aiw-bench`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
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
                peers::install()?;
            }
            if tests {
                tools::install()?;
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
        Chore::Tools => tools::install()?,
        Chore::Test(options) => return test::run(&options),
        Chore::Check { text } => return check::run(text),
        Chore::Systems { all } => return systems::run(all),
        Chore::Docs => docs::write()?,
        Chore::Picture => picture::draw()?,
        Chore::Soak { minutes } => return test::soak(minutes),
        Chore::Conformance => return conformance::run(),
        Chore::Dependencies { name } => dependencies::run(name.as_deref())?,
        Chore::Bench { arguments } => return bench(&arguments),
    }
    Ok(true)
}

/// Builds and runs the bench crate. Returns `true` if it succeeded.
fn bench(arguments: &[OsString]) -> Result<bool> {
    let mut bench = command::host_cargo();
    bench.args(["run", "--quiet", "-p", "aiw-bench", "--"]).args(arguments);
    Ok(command::status(&mut bench)?.success())
}
