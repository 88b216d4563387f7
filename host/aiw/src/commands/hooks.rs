//! `aiw history hooks …`

use std::process::ExitCode;

use aiw_app::history::{self, report_import};
use aiw_app::setup::{change_hooks, hook_statuses, hooks};
use aiw_app::{directory, own_executable};
use aiw_history::{Hook, HookOutcome, Indexer, Report};
use aiw_home::Home;
use aiw_setup::{HookScope, HookStatus};
use schemars::JsonSchema;
use serde::Serialize;

use crate::ask::TerminalPrompter;
use crate::cli::hooks::{HooksArgs, HooksCommand, SettingsScope};
use crate::failure::CliError;
use crate::output::Output;

/// `aiw history hooks status`
#[derive(Serialize, JsonSchema)]
pub struct HooksStatus {
    /// Whether they are installed anywhere
    pub installed: bool,
    /// Each settings file of the AI CLIs
    pub settings: Vec<HookStatus>,
}

pub async fn run(home: &Home, command: HooksCommand, output: &Output) -> Result<(), CliError> {
    match command {
        HooksCommand::Install(args) => change(home, &args, false, output).await,
        HooksCommand::Uninstall(args) => change(home, &args, true, output).await,
        HooksCommand::Status { scope } => status(home, scope, output),
        HooksCommand::Handle { wait } => {
            handle(home, wait, output);
            Ok(())
        }
    }
}

fn scope(home: &Home, scope: SettingsScope) -> Result<HookScope, CliError> {
    Ok(match scope {
        SettingsScope::User => HookScope::User,
        SettingsScope::Project => HookScope::Project(directory(home)?.into()),
        SettingsScope::Local => HookScope::Local(directory(home)?.into()),
        SettingsScope::Codex => HookScope::Codex,
        SettingsScope::Gemini => HookScope::Gemini,
    })
}

async fn change(home: &Home, args: &HooksArgs, undo: bool, output: &Output) -> Result<(), CliError> {
    let (scope, person) = (scope(home, args.scope)?, TerminalPrompter::new(output, args.yes));
    let done = change_hooks(home, &hooks(home)?, &scope, undo, args.dry_run, &person, output).await;
    output.set_json(done.map_err(|e| CliError::from(e).with_declined_message("nothing was written"))?);
    Ok(())
}

fn status(home: &Home, only: Option<SettingsScope>, output: &Output) -> Result<(), CliError> {
    let all = match only {
        Some(only) => vec![hooks(home)?.status(&scope(home, only)?)],
        None => hook_statuses(home)?,
    };
    for status in &all {
        let state = match (&status.problem, status.installed, status.events.is_empty()) {
            (Some(problem), ..) => problem.clone(),
            (None, true, _) => "installed".to_owned(),
            (None, false, false) => format!("only for {}", status.events.join(", ")),
            (None, false, true) => "not installed".to_owned(),
        };
        let disabled = if status.disabled { "; `disableAllHooks` switches all hooks off" } else { "" };
        output.line(format!("{}: {}: {state}{disabled}", status.scope, status.path));
    }
    output.set_json(HooksStatus { installed: all.iter().any(|status| status.installed), settings: all });
    Ok(())
}

/// Whether these are the words by which Claude Code runs the hook, those of aiw 0.6 included. Nothing else is set up for it.
pub fn is_hook_invocation(arguments: &[std::ffi::OsString]) -> bool {
    arguments == ["history", "hooks", "handle"] || arguments == ["hooks", "handle"]
}

/// The hook itself: it succeeds whatever happens.
pub fn handle_hook() -> ExitCode {
    let _ = crate::runtime::home().ok().and_then(|home| queue(&home));
    ExitCode::SUCCESS
}

fn queue(home: &Home) -> Option<HookOutcome> {
    Hook::handle_input(home, std::io::stdin().lock(), own_executable)
}

/// Starts what hooks in a task could not start, from outside of it.
pub fn start_deferred_indexing() {
    if let Ok(home) = crate::runtime::home() {
        Indexer::start_if_needed(&home, None, own_executable);
    }
}

/// The hook for people and tests.
fn handle(home: &Home, wait: bool, output: &Output) {
    match queue(home) {
        None => output.line("nothing was queued; logs/history.log says why"),
        Some(HookOutcome::Ignored(reason)) => output.line(format!("nothing was queued: {reason}")),
        Some(HookOutcome::Refused(path, reason)) => output.line(format!("`{}` {reason}", path.display())),
        Some(HookOutcome::Queued(path)) => output.line(format!("`{}` is queued", path.display())),
    }
    if !wait {
        return;
    }
    match waited(home) {
        Ok(report) => report_import(&report, output),
        Err(failure) => output.note(format!("error: {}", failure.message())),
    }
}

/// Reads what is queued, after whatever another process reads.
fn waited(home: &Home) -> Result<Report, CliError> {
    Ok(history::indexer(home.clone()).run(&history::cli_paths(home)?, true)?)
}
