//! `aiw help`, `version`, `completions` and the manual pages: what aiw says about itself.

use std::path::Path;
use std::process::ExitCode;

use aiw_core::{ErrorKind, one_line, shell_word};
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};
use clap_complete::env::{CompleteEnv, Shells};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::{Cli, Shell};
use crate::failure::Failure;
use crate::output::{self, Output};

/// `aiw version`
#[derive(Serialize, JsonSchema)]
pub struct Version {
    /// The version
    pub version: &'static str,
}

/// Does as `aiw COMMAND --help`.
pub fn help(command: &[String], output: &Output) -> ExitCode {
    let words = ["aiw"].into_iter().chain(command.iter().map(String::as_str)).chain(["--help"]);
    match Cli::try_parse_from(words) {
        Err(e) if e.use_stderr() => output.usage(&e, None),
        Err(e) => output::write(&output::rendered(&e.render(), &std::io::stdout())),
        Ok(_) => ExitCode::SUCCESS,
    }
}

pub fn version(output: &Output) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    output.line(format!("aiw {version}"));
    output.answer(Version { version });
    Ok(())
}

/// The script that calls aiw with it asks what to offer, and names the shell in it.
pub const COMPLETE: &str = "AIW_COMPLETE";

/// Answers the shell that asks.
pub fn complete() {
    CompleteEnv::with_factory(Cli::command).var(COMPLETE).bin("aiw").complete();
}

/// The script that makes a shell ask. It is for the shell, with `--json` too.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Zsh => "zsh",
    };
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(name) {
        let written = shell.write_registration(COMPLETE, "aiw", "aiw", "aiw", &mut script);
        written.map_err(|e| unavailable("the script", &e))?;
    }
    // A reader that goes away is no failure.
    output::write(&String::from_utf8_lossy(&script));
    Ok(())
}

/// Writes a manual page for each command.
pub fn manual(directory: &Path) -> Result<(), Failure> {
    let write = || {
        std::fs::create_dir_all(directory)?;
        clap_mangen::generate_to(Cli::command(), directory)
    };
    write().map_err(|e| unavailable(&directory.display().to_string(), &e))
}

fn unavailable(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(ErrorKind::Unavailable, format!("cannot write `{what}`: {error}"))
}

/// The command that was meant where somebody left out `task`: `aiw logs ID`.
pub fn task_form(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let mut words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    // Of aiw itself, not of one of its commands.
    let first = words.by_ref().find(|word| !word.starts_with('-'))?;
    Cli::command().find_subcommand("task")?.find_subcommand(&first).filter(|_| first == *word)?;
    let rest: String = words.map(|word| format!(" {}", shell_word(&one_line(&word, 60)))).collect();
    Some(format!("aiw task {first}{rest}"))
}
