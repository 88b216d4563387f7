//! `aiw history hooks …`

use std::process::ExitCode;

use aiw_app::past::{self, tell};
use aiw_core::shell_word;
use aiw_history::{Handled, Hook, Indexer, Report};
use aiw_home::{CliPlaces, Home, HomeError};
use aiw_setup::{ClientPlaces, HookPlan, HookScope, HookStatus, HookSummary, Hooks};
use schemars::JsonSchema;
use serde::Serialize;

use super::setup::{check_lasting, ours};
use crate::cli::hooks::{HooksArgs, HooksCommand, SettingsScope};
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal;
use aiw_app::{current_dir, own_executable};

/// `aiw history hooks install`, `aiw history hooks uninstall`
#[derive(Serialize, JsonSchema)]
pub struct HooksAnswer {
    /// The settings, and what changes in them
    #[serde(flatten)]
    pub settings: HookSummary,
    /// Whether nothing was written because of `--dry-run`
    pub dry_run: bool,
}

/// `aiw history hooks status`
#[derive(Serialize, JsonSchema)]
pub struct HooksStatus {
    /// Whether they are installed anywhere
    pub installed: bool,
    /// Each settings file of Claude Code's
    pub settings: Vec<HookStatus>,
}

pub async fn run(home: &Home, command: HooksCommand, output: &Output) -> Result<(), Failure> {
    match command {
        HooksCommand::Install(args) => change(home, &args, false, output).await,
        HooksCommand::Uninstall(args) => change(home, &args, true, output).await,
        HooksCommand::Status { scope } => status(home, scope, output),
        HooksCommand::Handle { wait } => {
            handle(wait, output);
            Ok(())
        }
    }
}

fn hooks(home: &Home) -> Result<Hooks, Failure> {
    let places = ClientPlaces::from_environment().ok_or(HomeError::NoHome)?;
    let ours = ours(home)?;
    let variables = ours.env.iter().map(|(name, value)| format!("{name}={} ", shell_word(value)));
    let program = variables.collect::<String>() + &shell_word(&ours.command);
    Ok(Hooks::new(home.clone(), places, program))
}

fn scope(scope: SettingsScope) -> Result<HookScope, Failure> {
    Ok(match scope {
        SettingsScope::User => HookScope::User,
        SettingsScope::Project => HookScope::Project(current_dir()?),
        SettingsScope::Local => HookScope::Local(current_dir()?),
    })
}

/// The hooks in each settings file of Claude Code's.
pub fn statuses(home: &Home) -> Result<Vec<HookStatus>, Failure> {
    let hooks = hooks(home)?;
    let all = [SettingsScope::User, SettingsScope::Project, SettingsScope::Local];
    Ok(all.into_iter().filter_map(|name| scope(name).ok()).map(|scope| hooks.status(&scope)).collect())
}

async fn change(home: &Home, args: &HooksArgs, undo: bool, output: &Output) -> Result<(), Failure> {
    if !undo {
        check_lasting()?;
    }
    let hooks = hooks(home)?;
    let scope = scope(args.scope)?;
    let plan = |hooks: &Hooks| match undo {
        true => hooks.plan_undo(&scope),
        false => hooks.plan(&scope),
    };
    let planned: HookPlan = plan(&hooks)?;
    match (planned.is_empty(), undo) {
        (true, false) => output.line(format!("the hooks are in `{}` already", planned.path().display())),
        (true, true) => output.line(format!("no hooks of aiw's are in `{}`", planned.path().display())),
        _ => planned.changes().iter().for_each(|line| output.before_question(line)),
    }
    if !args.dry_run && !planned.is_empty() && terminal::can_ask() {
        output.flush();
        if !terminal::confirm("Write these changes?", "--yes", args.yes).await? {
            return Err(Failure::declined("nothing was written"));
        }
    }
    if !args.dry_run {
        hooks.apply(&planned)?;
        if !undo {
            aiw_history::Queue::of(home).prepare()?;
        }
        if !planned.is_empty() && !undo {
            output.line("sessions of Claude Code are read when they end, from the next one on");
            output.line("`aiw history import --all` takes in those that there are");
        }
    }
    output.answer(HooksAnswer { settings: planned.summary(), dry_run: args.dry_run });
    Ok(())
}

fn status(home: &Home, only: Option<SettingsScope>, output: &Output) -> Result<(), Failure> {
    let all = match only {
        Some(only) => vec![hooks(home)?.status(&scope(only)?)],
        None => statuses(home)?,
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
    output.answer(HooksStatus { installed: all.iter().any(|status| status.installed), settings: all });
    Ok(())
}

/// Whether these are the words by which Claude Code runs the hook. Nothing else is set up for it.
pub fn is_handle(arguments: &[std::ffi::OsString]) -> bool {
    arguments == ["history", "hooks", "handle"]
}

/// The hook itself: it succeeds whatever happens.
pub fn handle_at_once() -> ExitCode {
    let _ = queue();
    ExitCode::SUCCESS
}

/// Queues what the hook says, and says what became of it.
fn queue() -> Option<Handled> {
    let home = Home::find().ok()?;
    let log = |line: String| aiw_history::log(&home, &line);
    let Some(places) = CliPlaces::from_environment() else {
        log("hook: there is no home directory".into());
        return None;
    };
    let hook = match Hook::read(std::io::stdin().lock()) {
        Ok(hook) => hook,
        Err(problem) => {
            log(format!("hook: the input {problem}"));
            return None;
        }
    };
    let handled = hook.handle(&home, &places);
    match &handled {
        Ok(Handled::Refused(path, reason)) => log(format!("hook: `{}` {reason}", path.display())),
        Ok(_) => {}
        Err(e) => log(format!("hook: {e}")),
    }
    let handled = handled.ok()?;
    if !matches!(handled, Handled::Ignored(_)) {
        let started = own_executable().map_err(|e| e.to_string());
        let started = started.and_then(|aiw| Indexer::start(&home, &aiw).map_err(|e| e.to_string()));
        if let Err(problem) = started {
            log(format!("hook: the indexer can't be started: {problem}"));
        }
    }
    Some(handled)
}

/// Starts what hooks in a task could not start, from outside of it.
pub fn take_in_after_task() {
    if let Ok(home) = Home::find() {
        Indexer::start_if_asked(&home, None, own_executable);
    }
}

/// The hook for people and tests.
fn handle(wait: bool, output: &Output) {
    match queue() {
        None => output.line("nothing was queued; logs/history.log says why"),
        Some(Handled::Ignored(reason)) => output.line(format!("nothing was queued: {reason}")),
        Some(Handled::Refused(path, reason)) => output.line(format!("`{}` {reason}", path.display())),
        Some(Handled::Queued(path)) => output.line(format!("`{}` is queued", path.display())),
    }
    if !wait {
        return;
    }
    match waited() {
        Ok(report) => tell(&report, output),
        Err(failure) => output.note(format!("error: {}", failure.message())),
    }
}

/// Reads what is queued, after whatever another process reads.
fn waited() -> Result<Report, Failure> {
    let home = Home::find()?;
    Ok(past::indexer(home).run(&past::places()?, true)?)
}
