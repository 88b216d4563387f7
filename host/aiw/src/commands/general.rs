//! `aiw` alone, `help`, `completions` and the manual pages: what aiw says about itself.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use aiw_app::directory;
use aiw_app::overview::Overview;
use aiw_core::{ErrorKind, one_line, shell_quote};
use aiw_home::Home;
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};
use clap_complete::env::{CompleteEnv, Shells};

use crate::cli::{Cli, Shell, groups};
use crate::failure::CliError;
use crate::output::{self, Output};

/// Does as `aiw COMMAND --help`.
pub fn help(command: &[String], output: &Output) -> ExitCode {
    let words = ["aiw"].into_iter().chain(command.iter().map(String::as_str)).chain(["--help"]);
    let parsed = if command.is_empty() { groups::parse(words) } else { Cli::try_parse_from(words) };
    match parsed {
        Err(e) if e.use_stderr() => output.report_usage_error(&e, None),
        Err(e) => output::write(&output::render_styled(&e.render(), &std::io::stdout())),
        Ok(_) => ExitCode::SUCCESS,
    }
}

/// `aiw` alone: what needs you, the state in five lines, and the next step.
pub fn overview(home: &Home, output: &Output) -> Result<(), CliError> {
    let seen = Overview::collect(home, directory(home)?);
    super::attention::print(&seen.attention, output);
    for (name, state) in seen.lines() {
        output.line(format!("{name:<10} {state}"));
    }
    if let Some(next) = &seen.next {
        output.wrapped_line("next: ", &format!("{next}; `aiw --help` lists all commands"));
    }
    output.set_json(seen);
    Ok(())
}

/// The script that calls aiw with it asks what to offer, and names the shell in it.
pub const COMPLETE_ENV: &str = "AIW_COMPLETE";

/// Answers the shell that asks.
pub fn complete() {
    CompleteEnv::with_factory(Cli::command).var(COMPLETE_ENV).bin("aiw").complete();
}

/// The script that makes a shell ask. It is for the shell, with `--json` too.
pub fn completions(shell: Shell) -> Result<(), CliError> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Zsh => "zsh",
    };
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(name) {
        let written = shell.write_registration(COMPLETE_ENV, "aiw", "aiw", "aiw", &mut script);
        written.map_err(|e| unavailable("the script", &e))?;
    }
    // It isn't a failure if the reader goes away.
    output::write(&String::from_utf8_lossy(&script));
    Ok(())
}

/// Writes a manual page for each command.
pub fn write_man_pages(directory: &Path) -> Result<(), CliError> {
    let write = || {
        std::fs::create_dir_all(directory)?;
        clap_mangen::generate_to(Cli::command(), directory)
    };
    write().map_err(|e| unavailable(&directory.display().to_string(), &e))
}

fn unavailable(what: &str, error: &std::io::Error) -> CliError {
    CliError::new(ErrorKind::Unavailable, format!("cannot write `{what}`: {error}"))
}

/// Names that other programs have for commands of ours.
const COMMAND_SUGGESTIONS: [(&str, &str); 8] = [
    ("run", "aiw claude \"PROMPT\""),
    ("find", "aiw mcp search WORDS"),
    ("search", "aiw history search WORDS"),
    ("version", "aiw --version"),
    ("tasks", "aiw task list"),
    ("config", "aiw setup"),
    ("kill", "aiw stop"),
    ("serve", "aiw mcp serve"),
];

/// Returns the command that was meant by an unknown word: `aiw add ID` is `aiw process add ID`, and `aiw process logs ID` is
/// `aiw logs ID`.
pub fn suggest_command(words: &[OsString], error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let mut words = words.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    let first = words.by_ref().find(|word| !word.starts_with('-'))?;
    let root = Cli::command();
    let with_rest = |command: &str, words: &mut dyn Iterator<Item = String>| {
        let rest: String = words.map(|word| format!(" {}", shell_quote(&one_line(&word, 60)))).collect();
        Some(format!("did you mean `aiw {command}{rest}`?"))
    };
    if first != *word {
        // Verbs of processes and tasks stand alone.
        words.by_ref().find(|next| next == word).filter(|_| ["process", "proc", "task"].contains(&first.as_str()))?;
        let shown = |command: &clap::Command| !command.is_hide_set();
        let command = match word.as_str() {
            "list" | "ls" => "ps",
            "kill" => "stop",
            word => root.find_subcommand(word).filter(|found| shown(found))?.get_name(),
        };
        return with_rest(command, &mut words);
    }
    if let Some((_, ours)) = COMMAND_SUGGESTIONS.iter().find(|(name, _)| *name == first) {
        return Some(format!("did you mean `{ours}`?"));
    }
    let has = |group: &&clap::Command| {
        !group.is_hide_set() && group.find_subcommand(&first).is_some_and(|found| !found.is_hide_set())
    };
    let groups: Vec<&str> = root.get_subcommands().filter(has).map(clap::Command::get_name).collect();
    // Processes and tasks have the verbs that people type without their noun.
    let group = ["process", "task"].into_iter().find(|name| groups.contains(name));
    if let Some(group) = group.or_else(|| <[&str; 1]>::try_from(groups.as_slice()).ok().map(|[only]| only)) {
        return with_rest(&format!("{group} {first}"), &mut words);
    }
    let named: Vec<String> = groups.iter().take(4).map(|group| format!("`aiw {group} {first}`")).collect();
    (!named.is_empty()).then(|| format!("did you mean {}?", named.join(", ")))
}
