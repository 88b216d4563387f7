//! `aiw claude`, `aiw codex`, `aiw gemini`

pub mod line;
mod progress;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aiw_core::{CliKind, ErrorKind, shell_word};
use aiw_history::Launch;
use aiw_home::Home;
use aiw_launch::{
    Advice, MAX_PROMPT_BYTES, OwnServer, Place, Prepared, RunRequest, TaskDetails, Text, advice, standing,
};
use aiw_providers::Decision;
use aiw_tasks::{FollowFrom, Limits, LogEntry, Outcome, Queue, Scope, State, Stream, Task, Tasks};
use serde_json::json;

use self::progress::LiveLine;
use crate::cli::run::{RunArgs, RunOutput};
use crate::commands::follow::{Step, follow};
use crate::commands::task::write_piece;
use crate::executable::own_path;
use crate::failure::Failure;
use crate::output::Output;
use crate::starter::Starter;

pub fn run(cli: CliKind, args: RunArgs, output: &Output) -> Result<(), Failure> {
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
            let failure = Failure::user(format!("`{flag}` is for tasks, but there is no prompt"));
            return Err(line::without_prompt(cli, &args, failure));
        }
        if !std::io::stdin().is_terminal() {
            let failure = Failure::user("there is no prompt, and no terminal for the interactive mode");
            return Err(line::without_prompt(cli, &args, failure));
        }
    }
    let request = request(cli, &args, prompt)?;
    let is_private = is_off(&request);
    let starter = Starter::open(output)?;
    let prepared = starter.prepare(&request).map_err(|e| line::misused_p(cli, &args, e))?;
    for note in &prepared.notes {
        output.note(format!("note: {note}"));
    }
    if args.explain {
        explain(&prepared, output);
        return Ok(());
    }
    if !is_task {
        let resume = prepared.resume_line();
        let launch = Launch { provider: prepared.provider.as_ref().map(ToString::to_string), isolated: args.isolated };
        let (code, sessions) = prepared.exec(&starter.home)?;
        for session in sessions.iter().filter(|_| !is_private) {
            if let Err(e) = aiw_history::note_launch(&starter.home, session, &launch) {
                aiw_history::log(&starter.home, &format!("the provider of a session can't be noted: {e}"));
            }
        }
        if let Some(line) = resume {
            output.note(format!("resume with: {line}"));
        }
        // Its exit code is ours, whatever it is.
        std::process::exit(code);
    }
    let queue = Queue { may_queue: !args.no_queue, ..starter.queue()? };
    // Before the start: a Ctrl-C right after it stops the task, and not this process alone.
    let signals = Signals::listen();
    let (provider, model) = progress::describe(&prepared);
    let unreachable = prepared.unreachable.clone();
    let task = starter.start(prepared, queue)?;
    let ended = if args.detach {
        output.line(task.id.as_str());
        output.answer(json!({"task": TaskDetails::of(&task)}));
        Ok(())
    } else {
        output.note(progress::started(task.id.as_str(), cli.as_str(), provider.as_deref(), model.as_deref()));
        attend(&starter.home, &task, args.output, unreachable, is_private, &signals, output)
    };
    starter.make_room();
    ended
}

/// Whether the session is not to be kept in the history.
fn is_off(request: &RunRequest) -> bool {
    let given = request.env.iter().rev().find(|(name, _)| name.as_str() == "AIW_HISTORY");
    given.map_or_else(aiw_history::is_off, |(_, value)| aiw_history::is_word_for_off(value))
}

/// The prompt's bytes; none for the interactive mode.
fn prompt(cli: CliKind, args: &RunArgs) -> Result<Option<Vec<u8>>, Failure> {
    match args.prompt.as_slice() {
        [] => Ok(None),
        [dash] if dash == "-" => {
            let mut bytes = Vec::new();
            let mut stdin = std::io::stdin().lock().take(MAX_PROMPT_BYTES as u64 + 1);
            stdin
                .read_to_end(&mut bytes)
                .map_err(|e| Failure::new(ErrorKind::Unavailable, format!("cannot read standard input: {e}")))?;
            Ok(Some(bytes))
        }
        [dash, ..] if dash == "-" => {
            let failure =
                Failure::new(ErrorKind::Usage, "`-` reads the prompt from standard input, but other words follow it");
            Err(failure.with_hint("use only one of them"))
        }
        words => {
            let mut texts = words.iter().skip(1).map(|word| word.to_string_lossy());
            if let Some(flag) = texts.find(|word| line::is_flag(word)) {
                let message = format!("`{}` comes after the prompt's first word", line::shown(&flag));
                return Err(Failure::new(ErrorKind::Usage, message).with_hint(line::right_line(cli)));
            }
            Ok(Some(words.join(&OsString::from(" ")).into_encoded_bytes()))
        }
    }
}

fn request(cli: CliKind, args: &RunArgs, prompt: Option<Vec<u8>>) -> Result<RunRequest, Failure> {
    let cwd = match &args.cwd {
        Some(dir) if dir.is_absolute() => dir.clone(),
        dir => {
            let here = std::env::current_dir()
                .map_err(|e| Failure::new(ErrorKind::Unavailable, format!("the current directory is gone: {e}")))?;
            dir.as_deref().map_or(here.clone(), |dir| here.join(dir))
        }
    };
    if !cwd.is_dir() {
        return Err(Failure::user(format!("there is no directory `{}`", cwd.display())));
    }
    let mut env = Vec::new();
    for (name, value) in &args.env {
        let value = match value {
            Some(value) => value.clone(),
            None => std::env::var(name.as_str())
                .map_err(|_| Failure::user(format!("the variable `{name}` is not set, or is not text")))?,
        };
        env.push((name.clone(), value));
    }
    let mcp = match &args.mcp {
        Some(profile) => Some(OwnServer { command: own_path()?, profile: profile.clone() }),
        None => None,
    };
    Ok(RunRequest {
        provider: args.provider.clone(),
        roles: args.role.clone(),
        prompt,
        env,
        timeout: args.timeout,
        limits: Limits { memory: args.memory, cpu_percent: args.cpu },
        model: args.model.clone(),
        permission: args.permission,
        // `--explain` starts nothing.
        check: !args.no_check && !args.explain,
        mcp,
        isolated: args.isolated,
        arguments: args.arguments.clone(),
        ..RunRequest::new(cli, cwd)
    })
}

fn explain(prepared: &Prepared, output: &Output) {
    let plan = prepared.explain();
    let source = match &prepared.decision {
        Decision::Named => "named by `-p`".to_owned(),
        Decision::Project(root) => format!("named by `{}`", root.join(".aiw.json").display()),
        Decision::Default => "the default".to_owned(),
        Decision::Own => "nothing names one".to_owned(),
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
        plan.arguments.iter().map(|a| shell_word(a).into_owned()).collect::<Vec<_>>().join(" ")
    ));
    output.line(format!("permission: {}", plan.permission));
    if let Some(bypass) = &plan.bypass {
        output.line(format!("guards lifted by: {bypass}"));
    }
    for (word, names) in [("sets", &plan.sets), ("removes", &plan.unsets)] {
        groups(word, names, output);
    }
    if !plan.withholds.is_empty() {
        output.line(format!("withholds, because they hold keys of providers: {}", plan.withholds.join(" ")));
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
    output.answer(json!({ "explain": plan }));
}

/// Names on one line, or, where there are many, a line for each beginning that several share.
fn groups(word: &str, names: &[String], output: &Output) {
    /// As many as are read at a glance.
    const FEW: usize = 8;

    if names.is_empty() {
        return;
    }
    if names.len() <= FEW {
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
            rests if rests.len() > FEW => {
                output.line(format!("  {beginning}…: {} names, which --json lists", rests.len()))
            }
            rests => output.line(format!("  {beginning}…: {}", rests.join(" "))),
        }
    }
    if !single.is_empty() {
        output.line(format!("  {}", single.join(" ")));
    }
}

/// Signals that came while a task was attended to.
struct Signals {
    stop: Arc<AtomicUsize>,
    hang_up: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> Self {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

        let signals = Self { stop: Arc::default(), hang_up: Arc::default() };
        let _ = signal_hook::flag::register(SIGHUP, signals.hang_up.clone());
        for signal in [SIGINT, SIGTERM] {
            let _ = signal_hook::flag::register_usize(signal, signals.stop.clone(), signal.unsigned_abs() as usize);
        }
        signals
    }
}

/// How long a CLI may try to reach a provider whose host name does not resolve. Codex alone would try for ten minutes.
const HOPELESS: Duration = Duration::from_secs(20);

/// Shows what a task does until it has ended. Ctrl-C stops it; a terminal that goes away leaves
/// it running.
fn attend(
    home: &Home,
    task: &Task,
    form: RunOutput,
    unreachable: Option<String>,
    is_private: bool,
    signals: &Signals,
    output: &Output,
) -> Result<(), Failure> {
    let form = if output.is_json() { RunOutput::Json } else { form };
    let tasks = Tasks::open(home, Scope::All)?;
    let (mut text, mut live) = (Text::new(task), LiveLine::new());
    // The end of what it said: it may tell why it failed.
    let said = RefCell::new(String::new());
    let show = |entry: &LogEntry, text: &mut Text, live: &mut LiveLine| {
        // What aiw itself notes is for the log.
        if entry.stream == Stream::Aiw {
            return;
        }
        let pieces = text.pieces(entry);
        pieces.iter().for_each(|(place, piece)| live.note(*place, piece));
        pieces.iter().for_each(|(_, piece)| keep_end(&mut said.borrow_mut(), piece));
        match form {
            RunOutput::Json => {}
            RunOutput::Text => {
                live.clear();
                for (place, piece) in &pieces {
                    write_piece(*place, piece);
                    live.wrote(piece.as_bytes());
                }
            }
            RunOutput::StreamJson => {
                live.clear();
                let end: &[u8] = if entry.whole { b"\n" } else { b"" };
                let bytes = [entry.bytes.as_slice(), end].concat();
                live.wrote(&bytes);
                let _ = match entry.stream {
                    Stream::Stdout => std::io::stdout().lock().write_all(&bytes),
                    Stream::Stderr => std::io::stderr().lock().write_all(&bytes),
                    Stream::Aiw => Ok(()),
                };
            }
        }
    };
    let (mut told, mut has_given_up) = (false, false);
    // As soon as it says which session it is: if it is killed, no hook notes it.
    let mut to_note = is_private;
    let mut note_private = |task: &Task| {
        let Some(session) = task.about.session.as_deref().filter(|_| to_note) else { return };
        to_note = false;
        if let Err(e) = aiw_history::keep_private(home, session) {
            aiw_history::log(home, &format!("a private session can't be noted: {e}"));
        }
    };
    let begun = Instant::now();
    let followed = follow(&tasks, task, FollowFrom::Start, true, |step| {
        match step {
            Step::Entry(entry) => show(entry, &mut text, &mut live),
            Step::CaughtUp => {}
            Step::Looked(now) => {
                note_private(now);
                if now.state != State::Ended {
                    live.draw(|| text.tokens());
                }
                if signals.hang_up.load(Ordering::Relaxed) {
                    live.clear();
                    let failure = Failure::new(ErrorKind::Interrupted, format!("task {} keeps running", now.id));
                    return Err(failure.with_code(129).with_hint(format!("`aiw wait {}` waits for it", now.id)));
                }
                let is_hopeless = unreachable.is_some() && !live.has_answered() && begun.elapsed() > HOPELESS;
                if is_hopeless && !told && now.state != State::Ended {
                    (told, has_given_up) = (true, true);
                    live.clear();
                    tasks.stop(now.id, false)?;
                }
                if signals.stop.load(Ordering::Relaxed) != 0 && !told && now.state != State::Ended {
                    told = true;
                    live.clear();
                    output.note(format!("stopping {}…", now.id));
                    tasks.stop(now.id, false)?;
                }
            }
        }
        Ok(())
    })?;
    live.clear();
    if followed.has_missed {
        output.note("note: some of its output is missing here: it was written faster than it could be shown");
    }
    let task = followed.task;
    note_private(&task);
    if form == RunOutput::Text {
        text.finish().iter().for_each(|end| write_piece(Place::Answer, end));
        if task.outcome == Some(Outcome::Succeeded) {
            text.untold(&task).iter().for_each(|answer| write_piece(Place::Answer, &format!("{answer}\n")));
        }
    }
    tasks.mark_read(&[task.id])?;
    // This is the report.
    let task = Task { unread: false, ..task };
    let answer = json!({"task": TaskDetails::of(&task)});
    let signal = signals.stop.load(Ordering::Relaxed);
    let code = match (task.outcome, task.exit_code) {
        (Some(Outcome::Succeeded), _) => 0,
        (Some(Outcome::Timeout), _) => 124,
        (Some(Outcome::Signalled), _) if signal != 0 => 128 + u8::try_from(signal).unwrap_or(0),
        (Some(Outcome::Signalled), _) => {
            128 + task.signal.and_then(|s| u8::try_from(s).ok()).filter(|s| *s < 128).unwrap_or(15)
        }
        (_, Some(code)) if code != 0 => u8::try_from(code).unwrap_or(1),
        _ => 1,
    };
    if form == RunOutput::Json {
        output.line(format!("{answer:#}"));
    }
    if code == 0 {
        task.note.iter().for_each(|note| output.note(format!("note: {note}")));
        output.answer(answer);
        return Ok(());
    }
    let how = match (task.outcome, task.signal) {
        (Some(Outcome::Timeout), _) => "timed out".to_owned(),
        (Some(Outcome::Lost), _) => "was lost".to_owned(),
        (Some(Outcome::Signalled), _) if signal != 0 || task.stopped => "was stopped".to_owned(),
        (Some(Outcome::Signalled), Some(number)) => format!("was ended by signal {number}"),
        _ => standing(&task),
    };
    if let Some(problem) = unreachable.filter(|_| has_given_up) {
        let failure = Failure::new(ErrorKind::Unavailable, format!("{problem}; task {} was stopped", task.id));
        let hint = "with `--no-check`, aiw lets the CLI try on".to_owned();
        return output.conclude(answer, Some(failure.with_hint(hint)));
    }
    text.untold(&task).iter().for_each(|answer| keep_end(&mut said.borrow_mut(), answer));
    let has_failed = task.outcome == Some(Outcome::Failed);
    let advice = advice(task.about.cli, task.about.provider.as_deref(), task.exit_code, &said.borrow());
    if let Some(Advice { why, hint }) = advice.filter(|_| has_failed) {
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let failure = Failure::new(ErrorKind::User, format!("task {} {how}{why}", task.id)).with_code(code);
        return output.conclude(answer, Some(failure.with_hint(hint)));
    }
    let failure = Failure::new(ErrorKind::User, format!("task {} {how}", task.id)).with_code(code);
    let hint = task.note.clone().unwrap_or_else(|| format!("`aiw task logs {}` shows what it wrote", task.id));
    output.conclude(answer, Some(failure.with_hint(hint)))
}

/// Keeps the last kilobytes of a text that grows.
fn keep_end(said: &mut String, more: &str) {
    const KEPT: usize = 8 << 10;

    said.push_str(more);
    if said.len() > 2 * KEPT {
        let from = said.ceil_char_boundary(said.len() - KEPT);
        said.drain(..from);
    }
}

/// Parts a command line for a CLI at its first `--`: what follows is the CLI's own.
pub fn part(arguments: impl Iterator<Item = OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let mut ours: Vec<OsString> = arguments.collect();
    let command = ours.iter().skip(1).find(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
    let runs = command.and_then(|word| word.to_str()).is_some_and(|word| word.parse::<CliKind>().is_ok());
    match ours.iter().position(|argument| argument == "--") {
        Some(at) if runs => {
            let theirs = ours.split_off(at + 1);
            ours.pop();
            (ours, theirs)
        }
        _ => (ours, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_that_run_a_cli_are_parted() {
        let parted = |line: &str| {
            let (ours, theirs) = part(line.split(' ').map(OsString::from));
            (ours.len(), theirs.len())
        };
        assert_eq!(parted("aiw codex -p x hello -- --color never"), (5, 2));
        assert_eq!(parted("aiw --json claude x -- -- y"), (4, 2));
        assert_eq!(parted("aiw claude --"), (2, 0));
        assert_eq!(parted("aiw plugin search -- x"), (5, 0));
    }
}
