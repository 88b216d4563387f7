//! `aiw up`, `down`, `ps`, `restart` and `aiw process …`. Neither components nor a runtime are set up for them.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::{ErrorKind, NonInteractive, did_you_mean, one_line, quoted_list};
use aiw_home::Home;
use aiw_processes::{
    AddedProcess, Author, DefineRequest, ExportFormat, ExportRequest, MAX_INPUT_BYTES, Manager, ProcessError,
    ProcessStatus, ProcessSummaries, ProcessSummary, ProcessTemplate, RunState, StoppedProcesses, TemplateRequest,
    TemplateValue, WaitFor, WaitOutcome, Watch,
};
use clap::builder::styling::{AnsiColor, Style};

use self::opened::open_reconciled;
use self::started::report;
use crate::ask::TerminalPrompter;
use crate::cli::process::{
    AutostartCommand, ExecArgs, ExportProcessesArgs, InputArgs, NewProcessArgs, ProcessCommand, PsArgs, StartArgs,
};
use crate::commands::each::{CommandFailures, FailedName};
use crate::editor::Editor;
use crate::failure::CliError;
use crate::output::Output;
use crate::runtime::{self, Signals};
use crate::terminal;
use aiw_app::phrases::{elapsed_since_rfc3339, format_duration, format_time_until};

mod attach;
mod log;
mod opened;
mod snapshot;
mod started;
mod suggest;
mod up;

pub use attach::attach;
pub use log::logs;
pub use opened::manager;
pub use up::up;

pub fn run(command: &ProcessCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    match command {
        ProcessCommand::Add(args) => add(args, home, output),
        ProcessCommand::Edit => edit(home, output),
        ProcessCommand::Export(args) => export(args, home, output),
        ProcessCommand::Snapshot(command) => snapshot::run(command, home, output),
        ProcessCommand::Remove(args) => {
            output.set_json(open_reconciled(home)?.remove(&args.ids, Author::User, output)?);
            Ok(())
        }
        ProcessCommand::Start(args) => start(args, home, output),
        ProcessCommand::Exec(args) => exec(args, home, output),
        ProcessCommand::Signal(args) => {
            output.set_json(open_reconciled(home)?.signal_each(&args.ids, &args.signal, output)?);
            Ok(())
        }
        ProcessCommand::Input(args) => input(args, home, output),
        ProcessCommand::Graph(args) => {
            let graph = manager(home)?.graph()?;
            let drawn = if args.dot { graph.dot() } else { graph.tree() };
            if drawn.is_empty() {
                output.line("no processes: `aiw process add ID -- COMMAND` defines one");
            }
            drawn.lines().for_each(|line| output.line(line));
            output.set_json(graph);
            Ok(())
        }
        ProcessCommand::Autostart(command) => autostart(command, home, output),
        ProcessCommand::Attach(args) => attach(args, home, output),
        ProcessCommand::Suggest(args) => suggest::suggest(args, home, output),
    }
}

/// Whether a word is the id of a process of this project. Tasks have the same commands.
pub fn is_process(home: &Home, word: &str) -> bool {
    (aiw_processes::is_id(word) || word.starts_with(aiw_processes::EventHook::PREFIX))
        && manager(home).is_ok_and(|manager| {
            let ids = manager.expand_replica_ids(&[word.to_owned()]);
            ids.first().is_some_and(|id| manager.get(id).is_ok())
        })
}

/// Returns the failure for a word that is neither the id of a process nor of a task. Where the definitions make no sense,
/// nobody knows whether it is one of a process, and the failure says what is wrong with them. `None` if this project has
/// no processes.
pub fn unknown_id_error(home: &Home, word: &str) -> Option<CliError> {
    let loaded = match manager(home).ok()?.load() {
        Ok(loaded) => loaded,
        Err(error) => return Some(error.into()),
    };
    let meant = did_you_mean(word, loaded.definitions.keys().map(String::as_str), "this project's processes")?;
    Some(CliError::user(format!("there is no process or task `{}`", one_line(word, 60))).with_hint(meant))
}

/// `aiw ps`
pub fn ps(args: &PsArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let manager = manager(home)?;
    aiw_app::usable_settings(manager.home(), output)?;
    let (answer, problem) = manager.ps(args.all, args.stats)?;
    if answer.processes.is_empty() && problem.is_none() {
        output.line("no processes: `aiw process add ID -- COMMAND` defines one in `.ichimi/processes.kdl`, the project's file for them");
    }
    table(&answer.processes, args, output);
    output.set_json_or_error(answer, problem.map(CliError::from))
}

fn table(processes: &[ProcessSummary], args: &PsArgs, output: &Output) {
    if processes.is_empty() {
        return;
    }
    type PsColumn = (&'static str, bool, fn(&ProcessSummary) -> String);
    let all: [PsColumn; 13] = [
        ("ID", true, |process| process.id.clone()),
        ("STATE", true, |process| process.state.to_string()),
        ("PID", true, |process| or_dash(process.pid.map(|pid| pid.to_string()))),
        ("UPTIME", true, |process| {
            or_dash(process.started_at.as_deref().and_then(elapsed_since_rfc3339).map(format_duration))
        }),
        ("PORTS", processes.iter().any(|process| !process.ports.is_empty()), |process| {
            process.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
        }),
        ("RESTARTS", true, |process| process.restarts.to_string()),
        ("NEXT", processes.iter().any(|process| process.next_run_at.is_some()), |process| {
            or_dash(process.next_run_at.as_deref().and_then(format_time_until))
        }),
        ("MEMORY", args.stats, |process| {
            or_dash(process.usage.as_ref().map(|used| format!("{} MB", used.memory >> 20)))
        }),
        ("CPU", args.stats, |process| {
            or_dash(
                process.usage.as_ref().map(|used| format!("{:.1}s", Duration::from_millis(used.cpu_ms).as_secs_f64())),
            )
        }),
        ("PROJECT", args.all, |process| process.project.clone()),
        ("LIMITS", processes.iter().any(|process| !process.limits.is_empty()), |process| {
            let each = process.limits.iter().map(|(resource, by)| format!("{resource:?} {by:?}").to_lowercase());
            each.collect::<Vec<_>>().join(", ")
        }),
        ("COMMAND", true, |process| {
            let mark = if process.shell { "shell: " } else { "" };
            format!("{mark}{}", one_line(&process.command, 60))
        }),
        ("WHY", true, ProcessSummary::reason_text),
    ];
    let columns: Vec<PsColumn> = all.into_iter().filter(|(_, is_shown, _)| *is_shown).collect();
    let headers: Vec<&str> = columns.iter().map(|(header, ..)| *header).collect();
    let row = |process: &ProcessSummary| columns.iter().map(|(.., cell)| cell(process)).collect();
    let rows: Vec<Vec<String>> = processes.iter().map(row).collect();
    let style = |row: usize, column: usize| match processes.get(row).map(|process| process.state) {
        Some(RunState::Running) if column == 1 => AnsiColor::Green.on_default(),
        Some(RunState::Failed | RunState::Unhealthy | RunState::CrashLooping) if column == 1 => {
            AnsiColor::Red.on_default()
        }
        Some(RunState::Starting | RunState::Stopping) if column == 1 => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    };
    output.styled_table(&headers, &rows, style);
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".into())
}

/// `aiw wait` for processes
pub fn wait(
    ids: &[String],
    what: &WaitFor,
    timeout: Option<Duration>,
    home: &Home,
    output: &Output,
) -> Result<(), CliError> {
    let (processes, failure) = wait_each(ids, what, timeout, home, output)?;
    output.set_json_or_error(ProcessSummaries { processes }, failure)
}

/// Waits for one process after the other. Returns how they stand at the end, and the failure if not all are as wanted.
fn wait_each(
    ids: &[String],
    what: &WaitFor,
    timeout: Option<Duration>,
    home: &Home,
    output: &Output,
) -> Result<(Vec<ProcessSummary>, Option<CliError>), CliError> {
    let manager = open_reconciled(home)?;
    let ids = &manager.expand_replica_ids(ids);
    let end = timeout.map(|timeout| Instant::now() + timeout);
    let watch = Arc::new(Watch::new().map_err(ProcessError::from)?);
    let waker = watch.clone();
    let signals = Signals::listen_with_callback(move || waker.wake())?;
    let mut outcomes = Vec::new();
    for id in ids {
        let outcome = manager.wait(id, what, end, &watch, &|| signals.has_received())?;
        if signals.has_received() {
            let failure = CliError::new(ErrorKind::Interrupted, "no longer waiting");
            return Err(failure.with_code(signals.exit_code()).with_hint("the processes keep running"));
        }
        output.line(outcome_line(&outcome));
        outcomes.push(outcome);
    }
    if *what == WaitFor::Up {
        // While one is waited for, what was ready before may fail.
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.done) {
            let status = manager.get(&outcome.status.id)?;
            if matches!(status.state, RunState::Failed | RunState::CrashLooping) {
                *outcome = WaitOutcome { status, done: false, line: None };
                output.line(format!("{} after it was ready", outcome_line(outcome)));
            }
        }
    }
    let failure = wait_failure(&outcomes, what);
    Ok((outcomes.iter().map(|outcome| ProcessSummary::new(&outcome.status)).collect(), failure))
}

fn outcome_line(WaitOutcome { status, done, .. }: &WaitOutcome) -> String {
    let next = status.next_run_at.as_deref().filter(|_| !status.state.is_alive()).and_then(format_time_until);
    let is_ready = *done && status.state == RunState::Running && status.definition.ready.is_some();
    let word = match next {
        Some(next) if *done => format!("scheduled, next run {next}"),
        _ if is_ready => "ready".into(),
        _ => status.state.to_string(),
    };
    let why = status.reason().map(|why| format!(": {}", one_line(&why, 200))).unwrap_or_default();
    format!("{} {word}{why}", status.id)
}

/// Returns the failure of a wait: how many are not as wanted, with a hint for those that failed, else for those that do not
/// run.
fn wait_failure(outcomes: &[WaitOutcome], what: &WaitFor) -> Option<CliError> {
    let (mut failed, mut idle, mut pending) = (Vec::new(), Vec::new(), 0);
    for WaitOutcome { status, done, .. } in outcomes {
        match status.state {
            RunState::Failed => failed.push(status),
            _ if *done => {}
            state if state.is_alive() => pending += 1,
            _ => idle.push(status),
        }
    }
    let yet = if *what == WaitFor::Ended { "not ended yet" } else { "not ready yet" };
    let counts = [(failed.len(), "failed"), (idle.len(), "not running"), (pending, yet)];
    let mut counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let (count, word) = counts.next()?;
    let others: String = counts.map(|(count, word)| format!(", {count} {word}")).collect();
    let failure = CliError::user(format!("{count} of {} {word}{others}", outcomes.len()));
    let names = |all: &[&ProcessStatus]| all.iter().map(|status| status.id.as_str()).collect::<Vec<_>>().join(" ");
    if !failed.is_empty() {
        let needed: String = failed.iter().filter_map(|status| needed_by(&status.id, outcomes)).collect();
        let hint = format!("`aiw logs {}` shows what it wrote{needed}", names(&failed));
        return Some(failure.with_code(1).with_hint(hint));
    }
    match idle.is_empty() {
        true => Some(failure.with_code(124)),
        false => Some(failure.with_code(1).with_hint(format!("`aiw process start {}` starts it", names(&idle)))),
    }
}

/// The end of a hint that names the processes which need a failed one.
fn needed_by(id: &str, outcomes: &[WaitOutcome]) -> Option<String> {
    let needs_it = |outcome: &&WaitOutcome| outcome.status.definition.needs.iter().any(|need| need.id == id);
    let dependents: Vec<&str> = outcomes.iter().filter(needs_it).map(|outcome| outcome.status.id.as_str()).collect();
    (!dependents.is_empty()).then(|| format!("; `{id}` is needed by {}", quoted_list(&dependents)))
}

/// `aiw process start`
fn start(args: &StartArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let (manager, person) = (open_reconciled(home)?, TerminalPrompter::new(output, args.yes));
    report(runtime::new_runtime()?.block_on(manager.start(&args.ids, &person, output))?, output)
}

/// `aiw restart`
pub fn restart(args: &StartArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let (manager, person) = (open_reconciled(home)?, TerminalPrompter::new(output, args.yes));
    report(runtime::new_runtime()?.block_on(manager.restart(&args.ids, &person, output))?, output)
}

/// `aiw down`, and `aiw stop` for processes
pub fn down(ids: &[String], home: &Home, output: &Output) -> Result<(), CliError> {
    let manager = manager(home)?;
    // What can't be started again keeps nothing from being stopped.
    let _ = manager.reconcile();
    let (mut stopped, mut failures) = (Vec::new(), CommandFailures::<FailedName>::default());
    for (id, result) in manager.down(ids)? {
        match result {
            Ok(false) => {}
            Ok(true) => {
                output.line(format!("Stopped `{id}`"));
                stopped.push(id);
            }
            Err(error) => failures.add(&id, Some(&id), error, output),
        }
    }
    if stopped.is_empty() && failures.first_error.is_none() {
        output.line("nothing runs");
    }
    output.set_json_or_error(StoppedProcesses { stopped }, failures.first_error)
}

/// `aiw process exec`
fn exec(args: &ExecArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    if output.is_json() {
        let failure = CliError::new(ErrorKind::Usage, "`aiw process exec` has no JSON output");
        return Err(failure.with_hint("leave out `--json`: standard output is that of the command"));
    }
    let manager = open_reconciled(home)?;
    let (program, rest) = args.command.split_first().ok_or_else(|| CliError::user("no command was given"))?;
    let (cwd, variables) = manager.context(&args.id)?;
    let status = Command::new(program)
        .args(rest)
        .env_clear()
        .envs(variables)
        .current_dir(cwd)
        .status()
        .map_err(|e| CliError::user(format!("cannot start `{}`: {e}", Path::new(program).display())))?;
    match status.code() {
        Some(0) => Ok(()),
        code => {
            let code =
                code.or_else(|| Some(128 + status.signal()?)).and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            Err(CliError::user(format!("`{}` ended with {status}", Path::new(program).display())).with_code(code))
        }
    }
}

/// `aiw process input`
fn input(args: &InputArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let manager = open_reconciled(home)?;
    let bytes = match &args.line {
        Some(line) => format!("{line}\n").into_bytes(),
        None => super::given(Path::new("-"), MAX_INPUT_BYTES as u64)?,
    };
    output.set_json(manager.write_input(&args.id, &bytes)?);
    Ok(())
}

/// `aiw process add`
fn add(args: &NewProcessArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let manager = manager(home)?;
    aiw_app::usable_settings(manager.home(), output)?;
    if let Some(template) = &args.template {
        return from_template(&manager, template.as_deref(), args, output);
    }
    let Some(id) = &args.id else {
        return bring(&manager, args, home, output);
    };
    let mut words = args.command.iter().cloned();
    let request = DefineRequest {
        id: id.clone(),
        command: words.next().unwrap_or_default(),
        args: words.collect(),
        env: args.env.iter().cloned().collect(),
        cwd: args.cwd.clone(),
        auto_start_on_restore: !args.no_auto_start,
        restart: args.restart.clone(),
        needs: args.needs.clone(),
        author: Author::User,
        shell: args.shell,
        ready: args.ready.clone(),
        ..DefineRequest::default()
    };
    added(&manager, manager.define(&request)?, output);
    Ok(())
}

/// Says what was added.
fn added(manager: &Manager, answer: AddedProcess, output: &Output) {
    let (id, file) = (&answer.added, manager.project().display_file());
    output.line(format!("Added `{id}` to `{file}`, which defines this project's processes"));
    for secret in &answer.secrets {
        output.line(format!("  a key of it is in the vault: `{secret}`"));
    }
    output.line(format!("`aiw up` starts all of them, `aiw process start {id}` this one"));
    output.set_json(answer);
}

/// `aiw process add --template`
fn from_template(
    manager: &Manager,
    template: Option<&str>,
    args: &NewProcessArgs,
    output: &Output,
) -> Result<(), CliError> {
    let Some(template) = template else {
        let answer = manager.templates(args.cwd.as_deref())?;
        let values = |template: &ProcessTemplate| {
            let value = |value: &TemplateValue| match (&value.usual, value.needed) {
                (Some(usual), _) => format!("{}={usual}", value.name),
                (None, true) => format!("{}=…", value.name),
                (None, false) => format!("[{}]", value.name),
            };
            template.values.iter().map(value).collect::<Vec<_>>().join(" ")
        };
        let row = |template: &ProcessTemplate| {
            vec![template.name.clone(), template.command.clone(), values(template), template.about.clone()]
        };
        let rows: Vec<Vec<String>> = answer.templates.iter().map(row).collect();
        output.table(&["TEMPLATE", "COMMAND", "VALUES", "ABOUT"], &rows);
        answer.problems.iter().for_each(|problem| output.note(problem));
        output.set_json(answer);
        return Ok(());
    };
    let request = TemplateRequest {
        template: template.to_owned(),
        id: args.id.clone(),
        values: args.set.iter().cloned().collect(),
        cwd: args.cwd.clone(),
        author: Author::User,
    };
    let person = TerminalPrompter::new(output, args.yes);
    added(manager, runtime::new_runtime()?.block_on(manager.instantiate(&request, &person))?, output);
    Ok(())
}

/// `aiw process add --from`
fn bring(manager: &Manager, args: &NewProcessArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let path = aiw_app::directory(home)?.join(args.from.as_deref().unwrap_or(Path::new("")));
    let answer =
        runtime::new_runtime()?.block_on(manager.import_foreign(&path, &TerminalPrompter::new(output, args.yes)))?;
    let file = manager.project().display_file();
    output.line(format!("Added {} to `{file}`; `aiw up` starts them", answer.added.join(", ")));
    output.set_json(answer);
    Ok(())
}

/// `aiw process export`
fn export(args: &ExportProcessesArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let file = args.file.as_ref().map(|file| Ok::<_, CliError>(aiw_app::directory(home)?.join(file))).transpose()?;
    let is_yaml =
        file.as_ref().and_then(|file| file.extension()).is_some_and(|ending| ending == "yaml" || ending == "yml");
    let named = if is_yaml { ExportFormat::Yaml } else { ExportFormat::Kdl };
    let request = ExportRequest { format: args.format.unwrap_or(named), file, force: args.force, author: Author::User };
    let answer = manager(home)?.export(&request)?;
    answer.text.iter().flat_map(|text| text.lines()).for_each(|line| output.line(line));
    if let Some(file) = &answer.file {
        output.line(format!("Wrote the definitions to `{}`", one_line(file, 1000)));
    }
    answer.redaction_note().iter().for_each(|missing| output.note(missing));
    output.set_json(answer);
    Ok(())
}

/// `aiw process autostart`
fn autostart(command: &AutostartCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    let manager = manager(home)?;
    let (answer, next) = match command {
        AutostartCommand::Enable { yes } => {
            let person = TerminalPrompter::new(output, *yes);
            let answer = runtime::new_runtime()?.block_on(manager.enable_autostart(&aiw_app::own_path()?, &person))?;
            (answer, "it counts from your next login on; `systemctl --user daemon-reload` makes it known now")
        }
        AutostartCommand::Disable => (manager.disable_autostart()?, "what runs goes on; `aiw down` stops it"),
        AutostartCommand::Status => (manager.autostart()?, ""),
    };
    let file = one_line(&answer.file, 1000);
    output.line(match answer.on {
        true => format!("this project's processes start when you log in: `{file}`"),
        false => "this project's processes do not start by themselves".to_owned(),
    });
    if let Some(problem) = answer.problem.as_ref().filter(|_| answer.on) {
        output.note(problem);
    }
    if !next.is_empty() && !cfg!(target_vendor = "apple") {
        output.note(next);
    }
    output.set_json(answer);
    Ok(())
}

/// `aiw process edit`
fn edit(home: &Home, output: &Output) -> Result<(), CliError> {
    let manager = manager(home)?;
    let open = |copy: &Path| match Editor::find()?.open(copy)? {
        status if status.success() => Ok(()),
        status => Err(CliError::user(format!("the editor ended with {status}, and nothing was changed"))),
    };
    let runtime = runtime::new_runtime()?;
    let answer = match terminal::is_interactive() {
        true => runtime.block_on(manager.edit(open, &TerminalPrompter::new(output, false), output))?,
        false => runtime.block_on(manager.edit(open, &NonInteractive, output))?,
    };
    let said = if answer.changed { "" } else { ", and you changed nothing" };
    output.line(format!("`{}` defines {} processes{said}", manager.project().display_file(), answer.processes));
    output.set_json(answer);
    Ok(())
}
