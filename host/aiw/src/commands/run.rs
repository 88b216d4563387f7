//! `aiw claude`, `aiw codex`, `aiw gemini`

pub mod line;
mod progress;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};

use aiw_app::directory;
use aiw_app::runs::{self, StopReason, TaskProblem, TaskWatcher};
use aiw_core::{CliKind, ErrorKind, shell_quote};
use aiw_home::Home;
use aiw_launch::{LogRenderer, MAX_PROMPT_BYTES, OutputTarget, PreparedRun, RunRequest, TaskDetails};
use aiw_providers::SelectionSource;
use aiw_tasks::{FollowFrom, LogEntry, NOTE_PREFIX, Outcome, ResourceLimits, State, Stream, Task, Tasks};

use self::progress::LiveLine;
use crate::ask::{StderrReporter, TerminalPrompter};
use crate::cli::run::{RunArgs, RunOutput};
use crate::commands::follow::{FollowStep, follow};
use crate::commands::secret::variable;
use crate::components::session;
use crate::failure::CliError;
use crate::output::{Output, single_entry_map};
use crate::runtime::{self, Signals};
use crate::terminal;

pub fn run(cli: CliKind, args: RunArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let prompt = prompt(cli, &args)?;
    let is_task = prompt.is_some();
    if !is_task && !args.explain {
        let unfit = [
            ("--detach", args.detach),
            ("--timeout", args.timeout.is_some()),
            ("--no-queue", args.no_queue),
            ("--memory", args.memory.is_some()),
            ("--cpu", args.cpu.is_some()),
            ("--output", args.output != RunOutput::default()),
            ("--json", output.is_json()),
        ];
        if let Some((flag, _)) = unfit.iter().find(|(_, given)| *given) {
            let failure = CliError::user(format!("`{flag}` is for tasks, but there is no prompt"));
            return Err(line::add_prompt_hint(cli, &args, home, failure));
        }
        if !std::io::stdin().is_terminal() {
            return Err(line::add_prompt_hint(cli, &args, home, no_terminal()));
        }
    }
    let request = request(home, cli, &args, prompt)?;
    let client = session(home, output)?;
    let runtime = runtime::new_runtime()?;
    if !args.explain && terminal::is_interactive() {
        let mut person = TerminalPrompter::new(output, false);
        person.prompt_on_stderr = true;
        runtime.block_on(runs::ask_for_trust(home, &request, &person, &StderrReporter(output)))?;
    }
    let prepared = runtime.block_on(runs::prepare(&client, request));
    client.notes().iter().for_each(|note| output.note(note));
    let prepared = prepared.map_err(|e| line::add_provider_hint(cli, &args, e))?;
    for note in &prepared.notes {
        output.note(format!("note: {note}"));
    }
    if args.explain {
        explain(&prepared, output);
        return Ok(());
    }
    if !is_task {
        let resume = prepared.resume_line(home.context());
        let code = runs::interact(home, prepared)?;
        if let Some(line) = resume {
            output.note(format!("resume with: {line}"));
            output.note(format!("A line of {cli}'s own above would go on with its own login."));
        }
        // Its exit code is ours, whatever it is.
        std::process::exit(code);
    }
    // Before the start: a Ctrl-C right after it stops the task, and not this process alone.
    let signals = Signals::listen()?;
    let (provider, model) = progress::describe(&prepared);
    let attendance = TaskWatcher::new(prepared.unreachable_reason.clone());
    let task = runs::start(&client, prepared, !args.no_queue)?;
    let ended = if args.detach {
        output.line(task.id.as_str());
        output.set_json(single_entry_map("task", TaskDetails::new(&task)));
        Ok(())
    } else {
        output.note(progress::format_started(task.id.as_str(), cli.as_str(), provider.as_deref(), model.as_deref()));
        attend(client.all_tasks()?, &task, args.output, attendance, &signals, output)
    };
    runs::prune_tasks(home);
    ended
}

/// The failure of a run that has nothing to do and nobody to ask.
pub(super) fn no_terminal() -> CliError {
    CliError::user("there is no prompt, and no terminal for the interactive mode")
}

/// The prompt's bytes; none for the interactive mode.
fn prompt(cli: CliKind, args: &RunArgs) -> Result<Option<Vec<u8>>, CliError> {
    match args.prompt.as_slice() {
        [] => Ok(None),
        [dash] if dash == "-" => {
            let mut bytes = Vec::new();
            let mut stdin = std::io::stdin().lock().take(MAX_PROMPT_BYTES as u64 + 1);
            stdin
                .read_to_end(&mut bytes)
                .map_err(|e| CliError::new(ErrorKind::Unavailable, format!("cannot read standard input: {e}")))?;
            Ok(Some(bytes))
        }
        [dash, ..] if dash == "-" => {
            let failure =
                CliError::new(ErrorKind::Usage, "`-` reads the prompt from standard input, but other words follow it");
            Err(failure.with_hint("use only one of them"))
        }
        words => {
            let mut texts = words.iter().skip(1).map(|word| word.to_string_lossy());
            if let Some(flag) = texts.find(|word| line::is_flag(word)) {
                let message = format!("`{}` comes after the prompt's first word", line::redact_flag(&flag));
                return Err(CliError::new(ErrorKind::Usage, message).with_hint(line::misplaced_flag_hint(cli)));
            }
            Ok(Some(words.join(&OsString::from(" ")).into_encoded_bytes()))
        }
    }
}

fn request(home: &Home, cli: CliKind, args: &RunArgs, prompt: Option<Vec<u8>>) -> Result<RunRequest, CliError> {
    let cwd = match &args.cwd {
        Some(dir) if dir.is_absolute() => dir.clone(),
        Some(dir) => directory(home)?.join(dir),
        None => directory(home)?.to_owned(),
    };
    let mut env = Vec::new();
    for (name, value) in &args.env {
        let value = match value {
            Some(value) => value.clone(),
            None => variable(home, name)?.to_owned(),
        };
        env.push((name.clone(), value));
    }
    let mcp = args.mcp.as_ref().map(|profile| runs::own_server(home, profile.clone())).transpose()?;
    Ok(RunRequest {
        provider: args.provider.clone(),
        roles: args.role.clone(),
        prompt,
        env,
        timeout: args.timeout,
        limits: ResourceLimits { memory: args.memory, cpu_percent: args.cpu, ..ResourceLimits::default() },
        model: args.model.clone(),
        permission: args.permission,
        // `--explain` starts nothing.
        should_check_connection: !args.no_check && !args.explain,
        should_start: !args.explain,
        gateway: args.gateway,
        mcp,
        isolated: args.isolated,
        private: args.private,
        trust: args.trust,
        has_terminal: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
        arguments: args.arguments.clone(),
        ..RunRequest::new(cli, cwd)
    })
}

fn explain(prepared: &PreparedRun, output: &Output) {
    let plan = prepared.explain();
    let source = match &prepared.decision {
        SelectionSource::Explicit => "named by `-p`".to_owned(),
        SelectionSource::Project(root) => format!("named by `{}`", root.join(".aiw.json").display()),
        SelectionSource::Default => "the default".to_owned(),
        SelectionSource::CliLogin => "nothing names one".to_owned(),
    };
    output.line(match &plan.provider {
        Some(name) => format!("provider: {name} ({source})"),
        None => format!("provider: none, the CLI's own configuration ({source})"),
    });
    output.line(format!("starts: {} {}", plan.path, plan.version.as_deref().unwrap_or("")));
    output.line(format!(
        "as: {}",
        if plan.task { "a task, the prompt on standard input" } else { "this terminal's foreground" }
    ));
    output.line(format!(
        "arguments: {}",
        plan.arguments.iter().map(|a| shell_quote(a).into_owned()).collect::<Vec<_>>().join(" ")
    ));
    if let Some(translation) = &plan.gateway {
        if !translation.members.is_empty() {
            output.line(format!("pool of: {}", translation.members.join(", ")));
        }
        output.line(match translation.from == translation.to {
            true => format!("through: aiw's gateway, which keeps the key; {} passes as it is", translation.to),
            false => format!("through: aiw's gateway, from {} to {}", translation.from, translation.to),
        });
        translation.losses.iter().for_each(|loss| output.line(format!("  lost: {loss}")));
    }
    output.line(format!("permission: {}", plan.permission));
    if let Some(bypass) = &plan.bypass {
        output.line(format!("guards lifted by: {bypass}"));
    }
    for (word, names) in [("sets", &plan.sets), ("removes", &plan.unsets)] {
        groups(word, names, output);
    }
    if !plan.scrub_env.is_empty() {
        output.line(format!("withholds, because they hold keys of providers: {}", plan.scrub_env.join(" ")));
    }
    // Claude Code's own settings hold variables too, and they beat the environment.
    let (variables, settings): (Vec<String>, Vec<String>) =
        plan.settings.iter().cloned().partition(|key| key.starts_with("env."));
    groups("settings over yours", &settings, output);
    let named: Vec<String> = variables.iter().map(|key| key.trim_start_matches("env.").to_owned()).collect();
    let (same, other): (Vec<String>, Vec<String>) =
        named.into_iter().partition(|name| plan.sets.contains(name) || plan.unsets.contains(name));
    if !same.is_empty() {
        output.line(format!("settings over yours, in env: {} of the variables above", same.len()));
    }
    groups("settings over yours, in env", &other, output);
    output.set_json(single_entry_map("explain", plan));
}

/// Names on one line, or, where there are many, a line for each beginning that several share.
fn groups(word: &str, names: &[String], output: &Output) {
    /// As many as are read at a glance.
    const MAX_NAMES: usize = 8;

    if names.is_empty() {
        return;
    }
    if names.len() <= MAX_NAMES {
        output.line(format!("{word}: {}", names.join(" ")));
        return;
    }
    output.line(format!("{word} {} names:", names.len()));
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        let (beginning, rest) = name.split_at(name.find(['_', '.']).map_or(name.len(), |at| at + 1));
        groups.entry(beginning).or_default().push(rest);
    }
    let mut single = Vec::new();
    for (beginning, rests) in groups {
        match rests.as_slice() {
            [rest] => single.push(format!("{beginning}{rest}")),
            rests if rests.len() > MAX_NAMES => {
                output.line(format!("  {beginning}…: {} names, which --json lists", rests.len()))
            }
            rests => output.line(format!("  {beginning}…: {}", rests.join(" "))),
        }
    }
    if !single.is_empty() {
        output.line(format!("  {}", single.join(" ")));
    }
}

/// Shows what a task does until it has ended. Ctrl-C stops it; a terminal that goes away leaves
/// it running.
// Long: one loop, whose steps share the state of the run.
fn attend(
    tasks: &Tasks,
    task: &Task,
    form: RunOutput,
    attendance: TaskWatcher,
    signals: &Signals,
    output: &Output,
) -> Result<(), CliError> {
    let form = if output.is_json() { RunOutput::Json } else { form };
    let attendance = RefCell::new(attendance);
    let (mut text, mut live) = (LogRenderer::new(task), LiveLine::new());
    let show = |entry: &LogEntry, text: &mut LogRenderer, live: &mut LiveLine| {
        // What aiw itself notes is for the log, but for what is said to whoever watches.
        if entry.stream == Stream::Aiw {
            let text = String::from_utf8_lossy(&entry.bytes);
            if text.starts_with(NOTE_PREFIX) {
                live.clear();
                output.note(text.trim_end());
            }
            return;
        }
        let pieces = text.render(entry);
        pieces.iter().for_each(|(place, piece)| live.note(*place, piece));
        pieces.iter().for_each(|(_, piece)| attendance.borrow_mut().push_output(piece));
        match form {
            RunOutput::Json => {}
            RunOutput::Text => {
                live.clear();
                for (place, piece) in &pieces {
                    write_piece(*place, piece);
                    live.track_line_end(piece.as_bytes());
                }
            }
            RunOutput::StreamJson => {
                live.clear();
                let end: &[u8] = if entry.is_complete { b"\n" } else { b"" };
                let bytes = [entry.bytes.as_slice(), end].concat();
                live.track_line_end(&bytes);
                let _ = match entry.stream {
                    Stream::Stdout => std::io::stdout().lock().write_all(&bytes),
                    Stream::Stderr => std::io::stderr().lock().write_all(&bytes),
                    Stream::Aiw => Ok(()),
                };
            }
        }
    };
    let followed = follow(tasks, task, FollowFrom::Start, true, |step| {
        match step {
            FollowStep::Entry(entry) => show(entry, &mut text, &mut live),
            FollowStep::CaughtUp => {}
            FollowStep::TaskPolled(now) => {
                if now.state != State::Ended {
                    live.draw(|| text.tokens());
                }
                if signals.has_hung_up() {
                    live.clear();
                    let hint = format!("task {0} keeps running: `aiw wait {0}` waits for it", now.id);
                    return Err(CliError::interrupted(129).with_hint(hint));
                }
                let is_asked = signals.last_signal() != 0;
                let stopping = attendance.borrow_mut().check(tasks, now, live.has_answered(), is_asked)?;
                if stopping.is_some() {
                    live.clear();
                }
                if stopping == Some(StopReason::Requested) {
                    output.note(format!("stopping {}…", now.id));
                }
            }
        }
        Ok(())
    })?;
    live.clear();
    if followed.has_missed_lines {
        output.note("note: some of its output is missing here: it was written faster than it could be shown");
    }
    let task = followed.task;
    if form == RunOutput::Text {
        text.finish().iter().for_each(|end| write_piece(OutputTarget::Answer, end));
        if task.outcome == Some(Outcome::Succeeded) {
            text.missing_final_message(&task)
                .iter()
                .for_each(|answer| write_piece(OutputTarget::Answer, &format!("{answer}\n")));
        }
    }
    tasks.mark_read(&[task.id])?;
    // This is the report.
    let task = Task { unread: false, ..task };
    let answer = single_entry_map("task", TaskDetails::new(&task));
    if form == RunOutput::Json {
        output.document(&answer);
    }
    text.missing_final_message(&task).iter().for_each(|answer| attendance.borrow_mut().push_output(answer));
    let ending = attendance.into_inner().outcome(&task, signals.last_signal());
    if let Some(line) = progress::format_usage(&task) {
        output.note(line);
    }
    let Some(TaskProblem { message, kind, hint }) = ending.problem else {
        task.note.iter().for_each(|note| output.note(format!("note: {note}")));
        output.set_json(answer);
        return Ok(());
    };
    let failure = CliError::new(kind, message).with_code(ending.code).with_hint(hint);
    output.set_json_or_error(answer, Some(failure))
}

/// Writes to standard output or standard error, by what it is.
fn write_piece(place: OutputTarget, text: &str) {
    match place {
        OutputTarget::Answer => {
            crate::output::write(text);
        }
        OutputTarget::Progress => {
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }
}
