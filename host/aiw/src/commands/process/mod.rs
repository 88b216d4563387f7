//! `aiw up`, `down`, `ps`, `restart` and `aiw process …`. Neither components nor a runtime are set up for them.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aiw_core::{EnvName, ErrorKind, SecretName, did_you_mean, one_line, shell_word};
use aiw_home::Home;
use aiw_processes::{
    CheckOf, Definition, EnvValue, Loaded, Manager, NeedOf, ProbeOf, ProcessError, ProcessSummary, Project,
    RestartWhen, Run, Source, StartResult, Started, State, Status, Until, WaitFor, Waited, signal_number,
};
use clap::builder::styling::{AnsiColor, Style};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::cli::process::{ExecArgs, InputArgs, NewProcessArgs, ProcessCommand, PsArgs, SignalArgs, StartArgs};
use crate::commands::each::{FailedName, Failures};
use crate::editor::Editor;
use crate::failure::Failure;
use crate::output::Output;
use crate::times::{since_rfc3339, took};
use crate::{runtime, terminal};

mod log;
mod up;

pub use log::{ProcessLine, ProcessLog, logs};
pub use up::up;

/// `aiw ps`, `up -d`, `start`, `restart`
#[derive(Serialize, JsonSchema)]
pub struct Processes {
    /// The processes
    pub processes: Vec<ProcessSummary>,
}

/// `aiw down`, `stop`
#[derive(Serialize, JsonSchema)]
pub struct StoppedProcesses {
    /// The ids of those that were stopped
    pub stopped: Vec<String>,
}

pub fn run(command: &ProcessCommand, output: &Output) -> Result<(), Failure> {
    match command {
        ProcessCommand::Add(args) => add(args, output),
        ProcessCommand::Edit => edit(output),
        ProcessCommand::Rm(args) => rm(&args.ids, output),
        ProcessCommand::Start(args) => start(args, output),
        ProcessCommand::Exec(args) => exec(args),
        ProcessCommand::Signal(args) => signal(args, output),
        ProcessCommand::Input(args) => input(args, output),
    }
}

/// The processes of the project that the current directory belongs to.
pub fn manager() -> Result<Manager, Failure> {
    let home = Home::find()?;
    home.recover()?;
    let cwd = std::env::current_dir().map_err(|e| Failure::user(format!("the current directory is gone: {e}")))?;
    Ok(Manager::open(&home, Project::find(&cwd)?)?)
}

fn own() -> Result<PathBuf, Failure> {
    Ok(aiw_app::own_executable().map_err(aiw_app::AppError::from)?)
}

/// The project's processes, after what dead shims left behind was ended, or started again.
fn looked_after() -> Result<Manager, Failure> {
    let manager = manager()?;
    manager.look_after(&own()?)?;
    Ok(manager)
}

/// How many processes of this project run.
pub fn running() -> Result<usize, Failure> {
    let manager = looked_after()?;
    Ok(manager.list_running()?.iter().filter(|status| status.state.is_alive()).count())
}

/// Whether a word is the id of a process of this project. Tasks have the same commands.
pub fn is_process(word: &str) -> bool {
    aiw_processes::is_id(word) && manager().is_ok_and(|manager| manager.get(word).is_ok())
}

/// Returns the failure for a word that is neither the id of a process nor of a task. `None` if this project has no processes.
pub fn neither(word: &str) -> Option<Failure> {
    let loaded = manager().ok()?.load().ok()?;
    let meant = did_you_mean(word, loaded.definitions.keys().map(String::as_str), "this project's processes")?;
    Some(Failure::user(format!("there is no process or task `{}`", one_line(word, 60))).with_hint(meant))
}

/// `aiw ps`
pub fn ps(args: &PsArgs, output: &Output) -> Result<(), Failure> {
    let (manager, own) = (manager()?, own()?);
    crate::commands::usable_settings(&Home::find()?, output)?;
    // What runs is shown even if the file makes no sense.
    let (loaded, problem) = match manager.load() {
        Ok(loaded) => (loaded, None),
        Err(error) => (Loaded::default(), Some(error).filter(|_| !args.all)),
    };
    let own_project = manager.looked_after(&own, &loaded)?;
    let all = if args.all { Manager::list_all(&Home::find()?)? } else { own_project };
    let used = if args.stats { manager.usage(&all) } else { Vec::new() };
    let used = used.into_iter().chain(std::iter::repeat(None));
    let of = |((status, used), ports)| ProcessSummary::of(status).with_usage(used).with_ports(ports);
    let processes: Vec<ProcessSummary> = all.iter().zip(used).zip(manager.ports(&all)).map(of).collect();
    if all.is_empty() && problem.is_none() {
        output.line("no processes: `aiw process add ID -- COMMAND` defines one in `.ichimi/processes.kdl`, the project's file for them");
    }
    table(&processes, args, problem.is_some(), output);
    output.conclude(Processes { processes }, problem.map(Failure::from))
}

fn table(processes: &[ProcessSummary], args: &PsArgs, is_unread: bool, output: &Output) {
    if processes.is_empty() {
        return;
    }
    let mut headers = vec!["ID", "STATE", "PID", "UPTIME"];
    if processes.iter().any(|process| !process.ports.is_empty()) {
        headers.push("PORTS");
    }
    headers.push("RESTARTS");
    if args.stats {
        headers.extend(["MEMORY", "CPU"]);
    }
    if args.all {
        headers.push("PROJECT");
    }
    if processes.iter().any(|process| !process.limits.is_empty()) {
        headers.push("LIMITS");
    }
    headers.extend(["COMMAND", "WHY"]);
    let row = |process: &ProcessSummary| -> Vec<String> {
        let cell = |header: &&str| match *header {
            "ID" => process.id.clone(),
            "STATE" => process.state.replace('_', " "),
            "PID" => process.pid.map_or_else(|| "-".into(), |pid| pid.to_string()),
            "UPTIME" => process.running_since.as_deref().and_then(since_rfc3339).map_or_else(|| "-".into(), took),
            "PORTS" => process.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" "),
            "RESTARTS" => process.restarts.to_string(),
            "MEMORY" => process.usage.as_ref().map_or_else(|| "-".into(), |used| format!("{} MB", used.memory >> 20)),
            "CPU" => process.usage.as_ref().map_or_else(|| "-".into(), |used| format!("{:.1}s", seconds(used.cpu_ms))),
            "PROJECT" => process.project.clone(),
            "LIMITS" => {
                let each = process.limits.iter().map(|(resource, by)| format!("{resource} {by}"));
                each.collect::<Vec<_>>().join(", ")
            }
            "COMMAND" => {
                let mark = if process.shell { "shell: " } else { "" };
                format!("{mark}{}", one_line(&process.command, 60))
            }
            // A list of all projects does not read their files.
            _ if process.source.is_none() && !args.all && !is_unread => {
                let why = Some(process.why()).filter(|why| !why.is_empty()).map(|why| format!(": {why}"));
                format!("no longer defined{}", why.unwrap_or_default())
            }
            _ => process.why(),
        };
        headers.iter().map(cell).collect()
    };
    let rows: Vec<Vec<String>> = processes.iter().map(row).collect();
    let style = |row: usize, column: usize| match processes.get(row).map(|process| process.state) {
        Some("running") if column == 1 => AnsiColor::Green.on_default(),
        Some("failed" | "unhealthy" | "crash_looping") if column == 1 => AnsiColor::Red.on_default(),
        Some("starting" | "stopping") if column == 1 => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    };
    output.painted_table(&headers, &rows, style);
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// Loads the definitions, and asks whether the file may start what it says, if that is new.
fn allowed(manager: &Manager, yes: bool, output: &Output) -> Result<Loaded, Failure> {
    let mut loaded = manager.load()?;
    if loaded.definitions.is_empty() {
        return Err(ProcessError::Empty { project: manager.project().directory().to_owned() }.into());
    }
    if !loaded.is_to_be_allowed() {
        return Ok(loaded);
    }
    output.before_question(format!("`{}` defines:", path(&manager.project().file())));
    for (id, (definition, _)) in &loaded.definitions {
        for line in described(id, definition) {
            // All of it is shown, with its line breaks: what is cut off or folded could be what matters.
            output.before_question(format!("  {}", aiw_servers::visible(&line)));
        }
    }
    for status in manager.list_running()?.iter().filter(|status| status.state.is_alive()) {
        let is_same = loaded.definitions.get(&status.id).is_some_and(|(now, _)| *now == status.definition);
        if !is_same {
            output.before_question(format!("`{}` runs as it was defined before, until you restart it", status.id));
        }
    }
    output.flush();
    let question = "Allow this file to start these processes?";
    terminal::forget_typed();
    if !runtime::blocking()?.block_on(terminal::confirm(question, "--yes", yes))? {
        return Err(Failure::declined("nothing was started"));
    }
    manager.allow(&mut loaded)?;
    Ok(loaded)
}

/// A path on one line.
fn path(path: &Path) -> String {
    one_line(&path.to_string_lossy(), 1000)
}

/// What a definition starts, a line each.
fn described(id: &str, definition: &Definition) -> Vec<String> {
    let mark = if matches!(definition.run, Run::Shell(_)) { " (shell)" } else { "" };
    let place = definition.cwd.as_ref().map(|cwd| format!(" in {cwd}")).unwrap_or_default();
    let mut lines = vec![format!("{id}{mark}: {}{place}", definition.run.line())];
    for (what, probe) in [("ready", &definition.ready), ("live", &definition.live)] {
        lines.extend(probe.as_ref().and_then(|probe| {
            Some(match &probe.check {
                CheckOf::Exec(command) => {
                    let words: Vec<_> = command.iter().map(|word| shell_word(word)).collect();
                    format!("  {what}: runs {}", words.join(" "))
                }
                CheckOf::Http(url) => format!("  {what}: asks {url}"),
                CheckOf::Tcp(at) => format!("  {what}: connects to {at}"),
                CheckOf::Line(_) => return None,
            })
        }));
    }
    let variable = |(name, value): (&String, &EnvValue)| match value {
        // What could name something that runs is shown, although it looks like a secret.
        EnvValue::Literal(text)
            if aiw_core::is_secret_name(name) && !aiw_core::names_code(name) && !text.contains(['/', ' ', '\n']) =>
        {
            format!("{name}=…")
        }
        EnvValue::Literal(text) => format!("{name}={text}"),
        EnvValue::Secret(secret) => format!("{name} from the secret {secret}"),
    };
    let variables: Vec<String> = definition.env.iter().map(variable).collect();
    if !variables.is_empty() {
        lines.push(format!("  with {}", variables.join(", ")));
    }
    let code: Vec<&str> = definition.env.keys().map(String::as_str).filter(|name| aiw_core::names_code(name)).collect();
    if !code.is_empty() {
        lines.push(format!("  decides by its variables which code runs: {}", code.join(", ")));
    }
    if let Some(file) = &definition.env_file {
        lines.push(format!("  with the variables of {file}"));
    }
    let needs: Vec<&str> = definition.needs.iter().map(|need| need.id.as_str()).collect();
    if !needs.is_empty() {
        lines.push(format!("  starts {} before it", needs.join(", ")));
    }
    // A line break would be shown as a space, and what is behind it could pass for a comment.
    lines.into_iter().map(|line| line.replace('\n', "\\n").replace('\r', "\\r")).collect()
}

/// Says what was started.
fn told(results: Vec<(String, StartResult)>, output: &Output) -> Result<(), Failure> {
    let (started, failures) = sorted(results, output);
    for Started { status, is_new, is_outdated } in &started {
        let word = match (is_new, status.state) {
            (false, _) if *is_outdated => "Runs already, as it was defined before (`aiw restart` starts it anew):",
            (false, _) => "Runs already",
            (true, State::Failed) => "Failed",
            (true, _) => "Started",
        };
        let pid = status.pid().map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let why = status.reason().map(|why| format!(": {}", one_line(&why, 200))).unwrap_or_default();
        output.line(format!("{word} `{}`{pid}{why}", status.id));
    }
    if started.is_empty() && failures.first.is_none() {
        output.line("nothing starts by itself: `aiw process start ID` starts a process");
    }
    let processes = started.iter().map(|started| ProcessSummary::of(&started.status)).collect();
    output.conclude(Processes { processes }, failures.first)
}

/// What was started, and why the rest was not, which is said but for the first.
fn sorted(results: Vec<(String, StartResult)>, output: &Output) -> (Vec<Started>, Failures<FailedName>) {
    let (mut started, mut failures) = (Vec::new(), Failures::default());
    for (id, result) in results {
        match result {
            Ok(one) => started.push(one),
            Err(error) => failures.add(&id, None, error, output),
        }
    }
    (started, failures)
}

/// Says which limits nobody can enforce, before anything starts.
fn warn_of_limits(manager: &Manager, loaded: &Loaded, ids: &[String], output: &Output) {
    for sentence in manager.unkept_limits(loaded, ids) {
        output.note(format!("note: {sentence}"));
    }
}

/// The end of a wait for processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// They have ended.
    Ended,
    /// They are ready.
    Ready,
    /// They are ready, or have done the work that they were started for.
    Up,
}

/// `aiw wait` for processes, and `aiw up --wait`.
pub fn wait(ids: &[String], goal: Goal, timeout: Option<Duration>, output: &Output) -> Result<(), Failure> {
    let manager = looked_after()?;
    let end = timeout.map(|timeout| Instant::now() + timeout);
    let what = if goal == Goal::Ended { WaitFor::Ended } else { WaitFor::Ready };
    let cancelled = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        let _ = signal_hook::flag::register(signal, cancelled.clone());
    }
    let (mut processes, mut failed, mut idle, mut left) = (Vec::new(), 0, 0, 0);
    for id in ids {
        let Waited { status, done, .. } = manager.wait(id, &what, end, &cancelled)?;
        if cancelled.load(Ordering::Relaxed) {
            let failure = Failure::new(ErrorKind::Interrupted, "no longer waiting; the processes keep running");
            return Err(failure);
        }
        match status.state {
            State::Failed => failed += 1,
            _ if done => {}
            state if state.is_alive() => left += 1,
            State::Stopped if goal == Goal::Up => {}
            _ => idle += 1,
        }
        let is_ready = done && what == WaitFor::Ready && status.definition.ready.is_some();
        let word = if is_ready { "ready".into() } else { status.state.to_string() };
        let why = status.reason().map(|why| format!(": {}", one_line(&why, 200))).unwrap_or_default();
        output.line(format!("{id} {word}{why}"));
        processes.push(ProcessSummary::of(&status));
    }
    let count = ids.len();
    let problem = |count_of: usize, what: &str| Failure::user(format!("{count_of} of {count} {what}"));
    let failure = match (failed, idle, left) {
        (0, 0, 0) => None,
        (0, 0, left) => {
            let what = if goal == Goal::Ended { "not ended yet" } else { "not ready yet" };
            Some(problem(left, what).with_code(124))
        }
        (0, idle, _) => {
            let hint = format!("`aiw process start {}` starts it", ids.join(" "));
            Some(problem(idle, "not running").with_code(1).with_hint(hint))
        }
        (failed, idle, _) => {
            let hint = format!("`aiw logs {}` shows what it wrote", ids.join(" "));
            Some(problem(failed + idle, "failed").with_code(1).with_hint(hint))
        }
    };
    output.conclude(Processes { processes }, failure)
}

/// `aiw process start`
fn start(args: &StartArgs, output: &Output) -> Result<(), Failure> {
    let manager = looked_after()?;
    let loaded = allowed(&manager, args.yes, output)?;
    warn_of_limits(&manager, &loaded, &args.ids, output);
    told(manager.up(&own()?, &loaded, &args.ids)?, output)
}

/// `aiw restart`
pub fn restart(args: &StartArgs, output: &Output) -> Result<(), Failure> {
    let manager = looked_after()?;
    let loaded = match manager.load() {
        Err(error @ ProcessError::File { .. }) => {
            let Ok(running) = manager.as_running(&args.ids) else { return Err(error.into()) };
            output.note(format!("note: {error}; they are started again as they ran"));
            running
        }
        _ => allowed(&manager, args.yes, output)?,
    };
    warn_of_limits(&manager, &loaded, &args.ids, output);
    // What can't be started again is not stopped.
    manager.check_start(&loaded, &args.ids)?;
    for id in &args.ids {
        manager.stop(id)?;
    }
    told(manager.up(&own()?, &loaded, &args.ids)?, output)
}

/// `aiw down`, and `aiw stop` for processes
pub fn down(ids: &[String], output: &Output) -> Result<(), Failure> {
    let manager = manager()?;
    // What can't be started again keeps nothing from being stopped.
    let _ = manager.look_after(&own()?);
    let (mut stopped, mut failure) = (Vec::new(), None);
    for (id, result) in manager.down(ids)? {
        match result {
            Ok(true) => {
                output.line(format!("Stopped `{id}`"));
                stopped.push(id);
            }
            Ok(false) => {}
            Err(error) => {
                let failed = Failure::from(error);
                output.failed_one(&id, &failed);
                failure = failure.or(Some(failed));
            }
        }
    }
    if stopped.is_empty() && failure.is_none() {
        output.line("nothing runs");
    }
    output.conclude(StoppedProcesses { stopped }, failure)
}

/// Counts the signals that end this command from now on.
fn counted() -> Result<Arc<AtomicUsize>, Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let count = Arc::new(AtomicUsize::new(0));
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])
        .map_err(|e| Failure::user(format!("signals can't be handled: {e}")))?;
    let counting = count.clone();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            counting.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(count)
}

/// `aiw process exec`
fn exec(args: &ExecArgs) -> Result<(), Failure> {
    let manager = looked_after()?;
    let (program, rest) = args.command.split_first().ok_or_else(|| Failure::user("no command was given"))?;
    let (cwd, variables) = manager.surroundings(&args.id)?;
    let status = Command::new(program)
        .args(rest)
        .env_clear()
        .envs(variables)
        .current_dir(cwd)
        .status()
        .map_err(|e| Failure::user(format!("cannot start `{}`: {e}", Path::new(program).display())))?;
    match status.code() {
        Some(0) => Ok(()),
        code => {
            let code =
                code.or_else(|| Some(128 + status.signal()?)).and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            Err(Failure::user(format!("`{}` ended with {status}", Path::new(program).display())).with_code(code))
        }
    }
}

/// `aiw process signal`
fn signal(args: &SignalArgs, output: &Output) -> Result<(), Failure> {
    let number = signal_number(&args.signal).ok_or_else(|| {
        Failure::user(format!("`{}` is not a signal: HUP, INT, QUIT, KILL, TERM, USR1, USR2, or a number", args.signal))
    })?;
    let manager = looked_after()?;
    for id in &args.ids {
        manager.signal(id, number)?;
        output.line(format!("Signalled `{id}`"));
    }
    output.answer(json!({"signal": number, "processes": args.ids}));
    Ok(())
}

/// `aiw process input`
fn input(args: &InputArgs, output: &Output) -> Result<(), Failure> {
    /// More than a person or a script types at once.
    const MOST: u64 = 1 << 20;
    let manager = looked_after()?;
    let bytes = match &args.line {
        Some(line) => format!("{line}\n").into_bytes(),
        None => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes);
            let read = read.map_err(|e| Failure::user(format!("standard input can't be read: {e}")))?;
            if read as u64 > MOST {
                return Err(Failure::user("there is more than 1 MB of input, and nothing was written"));
            }
            bytes
        }
    };
    manager.write_input(&args.id, &bytes)?;
    output.answer(json!({"id": args.id, "bytes": bytes.len()}));
    Ok(())
}

/// `aiw process add`
fn add(args: &NewProcessArgs, output: &Output) -> Result<(), Failure> {
    let manager = manager()?;
    let id = &args.id;
    if !aiw_processes::is_id(id) {
        return Err(Failure::user("an id is letters, digits, `-`, `_` and `.`, at most 64"));
    }
    crate::commands::usable_settings(&Home::find()?, output)?;
    let loaded = manager.load()?;
    if loaded.definitions.contains_key(id) {
        return Err(ProcessError::Taken { id: id.clone() }.into());
    }
    for need in &args.needs {
        manager.get(need)?;
    }
    // The file's own defaults count.
    let base = manager.file_defaults()?;
    let definition = definition(args, base)?;
    manager.check_cwd(id, &definition)?;
    manager.edit_file(|text| aiw_processes::add_to_file(text, id, &definition))?;
    let file = path(&manager.project().file());
    output.line(format!("Added `{id}` to `{file}`, which defines this project's processes"));
    output.line(format!("`aiw up` starts all of them, `aiw process start {id}` this one"));
    output.answer(json!({"added": id, "file": manager.project().file().to_string_lossy()}));
    Ok(())
}

fn definition(args: &NewProcessArgs, base: Definition) -> Result<Definition, Failure> {
    let run = match (args.shell, args.command.as_slice()) {
        (true, [line]) => Run::Shell(line.clone()),
        (true, _) => return Err(Failure::user("with `--shell`, the command is one word: put it in quotes")),
        (false, argv) => Run::Command(argv.to_vec()),
    };
    let mut definition = Definition { run, cwd: args.cwd.clone(), auto_start: !args.no_auto_start, ..base };
    for (name, value) in &args.env {
        let name: EnvName = name.parse().map_err(|_| Failure::user(format!("`{name}` is not a name of a variable")))?;
        let value = match value.strip_prefix("secret:") {
            Some(secret) => EnvValue::Secret(
                secret
                    .parse::<SecretName>()
                    .map_err(|_| Failure::user(format!("`{secret}` is not a name of a secret")))?,
            ),
            None => EnvValue::Literal(value.clone()),
        };
        definition.env.insert(name.to_string(), value);
    }
    if let Some(when) = &args.restart {
        definition.restart.when = RestartWhen::named(when).ok_or_else(|| {
            Failure::user(format!("`{when}` is not a policy: no, on-failure, always, unless-stopped"))
        })?;
    }
    if let Some(ready) = &args.ready {
        let check = if ready.contains("://") { CheckOf::Http(ready.clone()) } else { CheckOf::Tcp(ready.clone()) };
        definition.ready = Some(ProbeOf { check, ..ProbeOf::default() });
    }
    definition.needs = args.needs.iter().map(|id| NeedOf { id: id.clone(), until: Until::Ready }).collect();
    definition.check().map_err(|problem| Failure::user(format!("process `{}` {problem}", args.id)))?;
    Ok(definition)
}

/// `aiw process edit`: the editor gets a copy, so that what others write into the file meanwhile isn't taken for the user's.
fn edit(output: &Output) -> Result<(), Failure> {
    let manager = manager()?;
    let file = manager.project().file();
    let before = manager.before_edit()?;
    let failed = |e: std::io::Error| Failure::new(ErrorKind::Unavailable, format!("can't make a copy to edit: {e}"));
    let directory = tempfile::Builder::new().prefix("aiw-edit-").tempdir().map_err(failed)?;
    let copy = directory.path().join(file.file_name().unwrap_or_default());
    std::fs::write(&copy, before.bytes.as_deref().unwrap_or_default()).map_err(failed)?;
    let status = Editor::find()?.open(&copy)?;
    if !status.success() {
        return Err(Failure::user(format!("the editor ended with {status}, and nothing was changed")));
    }
    let edited = std::fs::read(&copy).map_err(failed)?;
    let is_changed = manager.after_edit(&before, &edited).map_err(|error| {
        let kept = directory.keep().join(copy.file_name().unwrap_or_default());
        Failure::from(error).with_hint(format!("your version is in `{}`", path(&kept)))
    })?;
    let mut loaded = manager.load()?;
    if is_changed && loaded.is_to_be_allowed() {
        match terminal::can_ask() {
            true => loaded = allowed(&manager, false, output)?,
            false => output.note("it was not allowed before: `aiw up` shows what it starts, and asks"),
        }
    }
    let count = loaded.definitions.len();
    let said = if is_changed { "" } else { ", and you changed nothing" };
    output.line(format!("`{}` defines {count} processes{said}", path(&file)));
    output.answer(json!({"file": file.to_string_lossy(), "processes": count, "changed": is_changed}));
    Ok(())
}

/// `aiw process rm`
fn rm(ids: &[String], output: &Output) -> Result<(), Failure> {
    let manager = looked_after()?;
    for id in ids {
        let status: Status = manager.get(id)?;
        if status.state.is_alive() {
            return Err(
                Failure::user(format!("process `{id}` runs")).with_hint(format!("stop it first: `aiw stop {id}`"))
            );
        }
        manager.check_unneeded(id)?;
        manager.undefine(id)?;
        if status.source == Some(Source::File) {
            manager.edit_file(|text| aiw_processes::remove_from_file(text, id))?;
        }
        manager.forget(id)?;
        output.line(format!("Removed `{id}`"));
    }
    output.answer(json!({"removed": ids}));
    Ok(())
}
