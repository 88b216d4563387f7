//! `aiw task …`, `aiw status`, `aiw wait`. They read files and shared memory: neither components
//! nor a runtime are set up for them.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use aiw_app::accounts;
use aiw_app::overview::{TaskCounts, session_scope};
use aiw_core::{ErrorKind, ProcessId, one_line};
use aiw_home::{Home, rfc3339};
use aiw_launch::{
    Continuation, LogLine, Place, TaskDetails, TaskSummary, Text, TextLine, WaitedTask, duration, resume, standing,
    tail,
};
use aiw_tasks::{FollowFrom, Keep, Outcome, Scope, State, Stopped, Stream, Task, TaskError, Tasks, WaitMode};
use aiw_usage::Sum;
use clap::builder::styling::{AnsiColor, Style};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::run::RunArgs;
use crate::cli::task::{LogArgs, PruneArgs, TaskCommand, WaitArgs};
use crate::commands::follow::{Step, follow};
use crate::commands::usage::tokens as tokens_of;
use crate::failure::Failure;
use crate::layout;
use crate::output::{Output, under};
use crate::terminal::{self, Size};
use crate::times::{ago, since, took};

/// `aiw status`
#[derive(Serialize, JsonSchema)]
pub struct Status {
    /// The tasks that are queued or running, and those that finished since you last looked
    pub tasks: Vec<TaskSummary>,
    /// How many there are in each state
    #[serde(flatten)]
    pub counts: TaskCounts,
    /// How many processes of this project run, if any
    #[serde(skip_serializing_if = "is_zero")]
    pub processes: usize,
    /// What was used today, in UTC, if anything was booked
    pub today: Option<Sum>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// `aiw wait`
#[derive(Serialize, JsonSchema)]
pub struct Wait {
    /// The tasks that were waited for
    pub tasks: Vec<WaitedTask>,
    /// Whether all of them have ended; with `--any`, whether one has
    pub done: bool,
}

/// `aiw logs`
#[derive(Serialize, JsonSchema)]
pub struct TaskLog {
    /// The task's id
    pub id: String,
    /// The log file
    pub log: String,
    /// Its lines
    pub lines: Vec<LogLine>,
}

/// `aiw task remove`, `prune`
#[derive(Serialize, JsonSchema)]
pub struct TaskRemove {
    /// The ids of the tasks that were removed
    pub removed: Vec<String>,
    /// Whether they would have been removed, but were not
    pub dry_run: bool,
}

pub fn run(command: TaskCommand, home: &Home, output: &Output) -> Result<(), Failure> {
    match command {
        TaskCommand::List(scope) => list(&tasks(home, scope.all_namespaces)?, output),
        TaskCommand::Show { id } => show(&tasks(home, true)?, &id, output),
        TaskCommand::Resume { id, prompt, arguments } => {
            go_on(&tasks(home, true)?, &id, prompt, arguments, home, output)
        }
        TaskCommand::Remove { ids } => remove(&tasks(home, true)?, &ids, output),
        TaskCommand::Prune(args) => prune(&tasks(home, true)?, &args, output),
    }
}

/// The tasks of this session; outside of an AI CLI, and with `all`, those of all sessions.
fn tasks(home: &Home, all: bool) -> Result<Tasks, Failure> {
    Ok(Tasks::open(home, if all { Scope::All } else { session_scope() })?)
}

/// The task that this command runs in, and those above it: they end after it.
fn own(tasks: &Tasks) -> Vec<ProcessId> {
    let mut own = Vec::new();
    let mut next = aiw_launch::session().task;
    while let Some(id) = next.filter(|id| !own.contains(id)) {
        own.push(id);
        next = tasks.get(id).ok().and_then(|task| task.parent);
    }
    own
}

fn rows(tasks: &[Task]) -> Vec<Vec<String>> {
    let row = |task: &Task| {
        vec![
            task.id.to_string(),
            standing(task),
            task.about.cli.to_string(),
            one_line(task.about.provider.as_deref().unwrap_or("-"), 24),
            took(duration(task)),
            format!("{}{}", if task.about.private { "(private) " } else { "" }, one_line(&task.about.prompt, 60)),
        ]
    };
    tasks.iter().map(row).collect()
}

/// A list of tasks: the same, with when and where each was started, and a mark where a task has ended unseen.
fn show_list(tasks: &[Task], output: &Output) {
    let headers = ["ID", "STATE", "CLI", "PROVIDER", "TIME", "STARTED", "DIRECTORY", "PROMPT"];
    let with_place = |(mut row, task): (Vec<String>, &Task)| {
        let prompt = row.pop().unwrap_or_default();
        if let Some(state) = row.get_mut(1).filter(|_| task.unread) {
            state.push('*');
        }
        row.extend([ago(since(task.started)), directory(task), prompt]);
        row
    };
    let rows: Vec<Vec<String>> = rows(tasks).into_iter().zip(tasks).map(with_place).collect();
    let style = |row: usize, column: usize| match tasks.get(row).map(|task| (task.state, task.outcome)) {
        Some((State::Ended, Some(Outcome::Succeeded))) if column == 1 => AnsiColor::Green.on_default(),
        Some((State::Ended, _)) if column == 1 => AnsiColor::Red.on_default(),
        Some(_) if column == 1 => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    };
    output.painted_table(&headers, &rows, style);
    if tasks.iter().any(|task| task.unread) {
        output.note("*: it has ended since you last looked");
    }
    if tasks.iter().any(|task| task.outcome == Some(Outcome::Lost)) {
        output.note("lost: what supervised it was killed, so nobody saw how it ended");
    }
}

/// Where a task runs, with `~` for your home.
fn directory(task: &Task) -> String {
    let home = std::env::home_dir().filter(|home| home.parent().is_some());
    let below = home.and_then(|home| Some(task.cwd.strip_prefix(home).ok()?.to_owned()));
    let shown = match below {
        Some(below) if below.as_os_str().is_empty() => "~".into(),
        Some(below) => Path::new("~").join(below),
        None => task.cwd.clone(),
    };
    one_line(&shown.to_string_lossy(), 200)
}

fn list(tasks: &Tasks, output: &Output) -> Result<(), Failure> {
    tasks.sweep()?;
    let (all, problems) = tasks.list_with_problems()?;
    show_list(&all, output);
    say(&problems, output);
    if all.is_empty() && problems.is_empty() {
        output.line("no tasks: `aiw claude \"…\"` starts one");
    }
    output.answer(under("tasks", all.iter().map(TaskSummary::of).collect::<Vec<_>>()));
    Ok(())
}

/// Tasks that lists can't show.
fn say(problems: &[TaskError], output: &Output) {
    for problem in problems {
        let hint = problem.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        output.note(format!("{problem}{hint}"));
    }
}

/// `aiw status`: what is running, and what finished since you last looked.
pub fn status(all_namespaces: bool, home: &Home, output: &Output) -> Result<(), Failure> {
    let tasks = tasks(home, all_namespaces)?;
    tasks.sweep()?;
    let (all, problems) = tasks.list_with_problems()?;
    say(&problems, output);
    let shown: Vec<Task> = all.into_iter().filter(|task| task.state != State::Ended || task.unread).collect();
    let counts = TaskCounts::of(&shown);
    let TaskCounts { running, queued, unread } = counts;
    show_list(&shown, output);
    output.line(format!("{running} running, {queued} queued, {unread} finished since you last looked"));
    // What stands in the way of processes is said by `aiw ps`.
    let processes = super::process::running(home).unwrap_or_default();
    if processes > 0 {
        output.line(format!("{processes} processes of this project run: `aiw ps`"));
    }
    // A book that can't be read is what `aiw usage` says.
    let today = accounts::today(home).ok().filter(|sum| sum.bookings() > 0);
    if let Some(sum) = &today {
        let (read, written) = (tokens_of(sum.read()), tokens_of(sum.output));
        output.line(format!("today: {read} tokens read, {written} written, {}: `aiw usage`", sum.cost()));
    }
    let tasks = shown.iter().map(TaskSummary::of).collect();
    output.answer(Status { tasks, counts, processes, today });
    Ok(())
}

fn show(tasks: &Tasks, id: &str, output: &Output) -> Result<(), Failure> {
    let task = tasks.find(id)?;
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            output.line(format!("  {name}: {}", one_line(&value, 400)));
        }
    };
    output.line(format!("{} {}, {} after {}", task.id, task.about.cli, standing(&task), took(duration(&task))));
    line("prompt", Some(task.about.prompt.clone()));
    line("provider", task.about.provider.clone());
    line("model", task.about.model.clone());
    line("role", task.about.role.clone());
    line("permission", Some(task.about.permission.clone()));
    line("guards lifted by", task.about.bypass.clone());
    line("private", task.about.private.then(|| "kept out of the history".to_owned()));
    line("tag", task.about.tag.clone());
    line("in", Some(task.cwd.display().to_string()));
    line("started", Some(rfc3339(task.started)));
    line("ended", task.ended.map(rfc3339));
    line("process", task.pid.map(|pid| pid.to_string()));
    line("tokens", task.about.usage.map(|usage| format!("{} read, {} written", usage.input, usage.output)));
    line("cost", task.about.cost_usd.map(|cost| format!("${cost:.4}")));
    line("note", task.note.clone());
    line("log", Some(task.log.display().to_string()));
    if let Some(command) = resume(&task) {
        output.line(format!("  resume with: {command}"));
    }
    if let Some(message) = &task.about.final_message {
        output.line("");
        output.line(message);
    }
    output.answer(under("task", TaskDetails::of(&task)));
    if task.unread {
        tasks.mark_read(&[task.id])?;
    }
    Ok(())
}

/// `aiw logs`, of a task
pub fn logs(args: &LogArgs, home: &Home, output: &Output) -> Result<(), Failure> {
    let tasks = &tasks(home, true)?;
    let [id] = args.ids.as_slice() else {
        return Err(Failure::user("one task has one log: name one").with_hint("`aiw task list` lists them"));
    };
    let task = named_task(home, tasks, id)?;
    if output.is_json() && args.follow {
        return Err(Failure::user("`--json` prints one object, which has no end with `--follow`")
            .with_hint("use only one of them"));
    }
    if args.raw {
        if output.is_json() {
            return Err(Failure::user("`--raw` prints the CLI's own stream, and `--json` one object of aiw's")
                .with_hint("use only one of them"));
        }
        return raw(tasks, &task, args);
    }
    let matches = |line: &TextLine| args.grep.as_ref().is_none_or(|pattern| pattern.is_match(&line.text));
    let old = |line: &TextLine| args.since.is_some_and(|since| line.time < since);
    if let (Some(wanted), None, false) = (args.tail, &args.grep, args.follow) {
        let lines: Vec<TextLine> = tail(tasks, &task, wanted)?.into_iter().filter(|line| !old(line)).collect();
        return print_lines(&task, &lines, output);
    }
    let from = args.since.map_or(FollowFrom::Start, FollowFrom::Since);
    let mut text = Text::new(&task);
    let (mut lines, mut live) = (VecDeque::new(), false);
    follow(tasks, &task, from, args.follow, |step| {
        match step {
            Step::Entry(entry) => {
                for line in text.lines(entry).into_iter().filter(matches) {
                    if live {
                        write_line(&line.text)?;
                        continue;
                    }
                    lines.push_back(line);
                    if args.tail.is_some_and(|tail| lines.len() > tail) {
                        lines.pop_front();
                    }
                }
            }
            Step::CaughtUp if args.follow => {
                live = true;
                lines.drain(..).try_for_each(|line| write_line(&line.text))?;
            }
            Step::CaughtUp | Step::Looked(_) => {}
        }
        Ok(())
    })?;
    match args.follow {
        true => Ok(()),
        false => print_lines(&task, &Vec::from(lines), output),
    }
}

fn print_lines(task: &Task, lines: &[TextLine], output: &Output) -> Result<(), Failure> {
    lines.iter().for_each(|line| output.line(&line.text));
    let (id, log) = (task.id.to_string(), task.log.to_string_lossy().into_owned());
    output.answer(TaskLog { id, log, lines: lines.iter().map(LogLine::of).collect() });
    Ok(())
}

/// Writes at once; a reader that went away ends the command, and is not a failure.
fn write_line(text: &str) -> Result<(), Failure> {
    write_bytes(format!("{text}\n").as_bytes())
}

fn write_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => Err(Failure::new(ErrorKind::Unavailable, format!("cannot write to standard output: {e}"))),
    }
}

/// Standard output and standard error of the CLI, as they were.
fn raw(tasks: &Tasks, task: &Task, args: &LogArgs) -> Result<(), Failure> {
    let from = match (args.tail, args.since) {
        (Some(lines), _) => FollowFrom::Tail(lines),
        (None, Some(since)) => FollowFrom::Since(since),
        (None, None) => FollowFrom::Start,
    };
    let write = |step: Step<'_>| match step {
        Step::Entry(entry) if entry.stream != Stream::Aiw => {
            write_bytes(&entry.bytes)?;
            if entry.whole { write_bytes(b"\n") } else { Ok(()) }
        }
        _ => Ok(()),
    };
    follow(tasks, task, from, args.follow, write).map(drop)
}

/// The task that is named. Processes have the same commands: a word that is neither is looked for in both.
fn named_task(home: &Home, tasks: &Tasks, name: &str) -> Result<Task, Failure> {
    tasks.find(name).map_err(|error| match error {
        TaskError::NoTask { .. } => super::process::neither(home, name).unwrap_or_else(|| error.into()),
        error => error.into(),
    })
}

/// The tasks that are named, each once however often and by whatever name.
fn named(home: &Home, tasks: &Tasks, names: &[String]) -> Result<Vec<Task>, Failure> {
    let mut found: Vec<Task> = Vec::new();
    for name in names {
        let task = named_task(home, tasks, name)?;
        if !found.iter().any(|other| other.id == task.id) {
            found.push(task);
        }
    }
    Ok(found)
}

/// `aiw stop`, of tasks
pub fn stop(ids: &[String], all: bool, home: &Home, output: &Output) -> Result<(), Failure> {
    let everywhere = tasks(home, true)?;
    let wanted: Vec<Task> = if all {
        let own = own(&everywhere);
        tasks(home, false)?
            .list_settled()?
            .into_iter()
            .filter(|t| t.state != State::Ended && !own.contains(&t.id))
            .collect()
    } else {
        named(home, &everywhere, ids)?
    };
    // All are told before any is waited for.
    for task in &wanted {
        everywhere.stop(task.id, false)?;
    }
    let mut shapes = Vec::new();
    for task in &wanted {
        let (task, word) = match everywhere.stop(task.id, true)? {
            Stopped::Ended(task) => (task, "stopped"),
            Stopped::Stopping(task) => (task, "still stopping"),
            Stopped::AlreadyEnded(task) => (task, "ended"),
        };
        let standing = standing(&task);
        let how = if standing == word { String::new() } else { format!(": {standing}") };
        output.line(format!("{} {word}{how}", task.id));
        shapes.push(TaskSummary::of(&task));
    }
    everywhere.mark_read(&wanted.iter().map(|task| task.id).collect::<Vec<_>>())?;
    if wanted.is_empty() {
        output.line("nothing is running");
    }
    output.answer(under("tasks", shapes));
    Ok(())
}

/// Runs what [`resume`] prints, with a prompt and more arguments for the CLI.
fn go_on(
    tasks: &Tasks,
    id: &str,
    prompt: Vec<OsString>,
    arguments: Vec<OsString>,
    home: &Home,
    output: &Output,
) -> Result<(), Failure> {
    let task = tasks.find(id)?;
    let Some(run) = Continuation::of(&task) else {
        let failure = Failure::user(format!("task {} has no session of {} to go on with", task.id, task.about.cli));
        return Err(failure.with_hint(format!("`aiw task show {}` shows what it did", task.id)));
    };
    if task.state != State::Ended {
        let failure = Failure::user(format!("task {} still runs", task.id));
        return Err(failure.with_hint(format!("`aiw wait {}` waits for it", task.id)));
    }
    let args = RunArgs {
        provider: run.provider,
        model: run.model,
        isolated: run.isolated,
        private: run.private,
        mcp: run.mcp.then_some(None),
        cwd: Some(task.cwd),
        prompt,
        arguments: run.arguments.into_iter().map(OsString::from).chain(arguments).collect(),
        ..RunArgs::default()
    };
    super::run::run(run.cli, args, home, output)
}

fn remove(tasks: &Tasks, ids: &[String], output: &Output) -> Result<(), Failure> {
    let mut removed = Vec::new();
    for name in ids {
        // A whole id names what stands in the task's place as well, whatever that is.
        let id = match name.parse() {
            Ok(id) => id,
            Err(_) => tasks.find(name)?.id,
        };
        if removed.contains(&id) {
            continue;
        }
        tasks.remove(id)?;
        output.line(format!("Removed {id}"));
        removed.push(id);
    }
    output.answer(TaskRemove { removed: removed.iter().map(ToString::to_string).collect(), dry_run: false });
    Ok(())
}

fn prune(tasks: &Tasks, args: &PruneArgs, output: &Output) -> Result<(), Failure> {
    let keep = Keep { count: args.keep, age: args.age };
    let removed = if args.dry_run { tasks.prunable(keep)? } else { tasks.prune(keep)? };
    if args.dry_run {
        removed.iter().for_each(|id| output.line(id.as_str()));
    }
    let verb = if args.dry_run { "Would remove" } else { "Removed" };
    output.line(match removed.len() {
        0 => "nothing to remove".into(),
        1 => format!("{verb} 1 task"),
        n => format!("{verb} {n} tasks"),
    });
    output.answer(TaskRemove { removed: removed.iter().map(ToString::to_string).collect(), dry_run: args.dry_run });
    Ok(())
}

/// The tasks that are waited for, on a terminal, drawn over.
struct Live {
    /// How many lines the last frame has.
    drawn: usize,
    shown: bool,
    /// The states that were seen last.
    states: BTreeMap<ProcessId, State>,
    /// The tasks, those that changed last first.
    order: Vec<ProcessId>,
}

impl Live {
    fn new(shown: bool) -> Self {
        Self { drawn: 0, shown, states: BTreeMap::new(), order: Vec::new() }
    }

    fn draw(&mut self, tasks: &[Task]) {
        if !self.shown {
            return;
        }
        let Size { rows, columns } = terminal::size();
        let frame = self.frame(tasks, rows, columns);
        let mut stderr = std::io::stderr().lock();
        if self.drawn > 0 {
            let _ = write!(stderr, "\x1b[{}A", self.drawn);
        }
        for line in &frame {
            let _ = writeln!(stderr, "\r\x1b[K{line}");
        }
        // The last frame may have been taller: the terminal was resized, or fewer tasks are left.
        let _ = write!(stderr, "\x1b[J");
        self.drawn = frame.len();
    }

    /// Returns lines that fit: more than a screen can't be drawn over. The tasks that changed last come first, and the
    /// rest are counted.
    fn frame(&mut self, tasks: &[Task], rows: usize, columns: usize) -> Vec<String> {
        for task in tasks {
            if self.states.insert(task.id, task.state) != Some(task.state) {
                self.order.retain(|id| *id != task.id);
                self.order.insert(0, task.id);
            }
        }
        // One line stays free for the cursor.
        let room = rows.saturating_sub(1).max(2);
        let all = if tasks.len() <= room { tasks.len() } else { room - 1 };
        let mut shown: Vec<&Task> =
            self.order.iter().filter_map(|id| tasks.iter().find(|task| task.id == *id)).take(all).collect();
        let place = |task: &Task| tasks.iter().position(|other| other.id == task.id);
        shown.sort_by_key(|task| place(task));
        let left: Vec<&Task> = tasks.iter().filter(|task| !shown.iter().any(|one| one.id == task.id)).collect();
        let shown: Vec<Task> = shown.into_iter().cloned().collect();
        let mut lines: Vec<String> = layout::columns(&self::rows(&shown))
            .iter()
            .map(|line| layout::cut(line, columns.saturating_sub(1).max(20)))
            .collect();
        if !left.is_empty() {
            let queued = left.iter().filter(|task| task.state == State::Queued).count();
            let ended = left.iter().filter(|task| task.state == State::Ended).count();
            let running = left.len() - queued - ended;
            lines.push(format!("… and {} more: {running} running, {queued} queued, {ended} ended", left.len()));
        }
        lines
    }
}

/// The number of log lines that a report shows of a task without a final message.
const LAST_LINES: usize = 5;

/// `aiw wait`
pub fn wait(args: &WaitArgs, home: &Home, output: &Output) -> Result<(), Failure> {
    if args.ready {
        return Err(Failure::user("`--ready` is for processes, and a task ends"));
    }
    let tasks = tasks(home, args.all || !args.ids.is_empty())?;
    let wanted: Vec<Task> = if args.ids.is_empty() {
        let own = own(&tasks);
        let wanted = |task: &Task| (task.state != State::Ended || task.unread) && !own.contains(&task.id);
        tasks.sweep()?;
        tasks.list()?.into_iter().filter(wanted).collect()
    } else {
        named(home, &tasks, &args.ids)?
    };
    let ids: Vec<ProcessId> = wanted.iter().map(|task| task.id).collect();
    if ids.is_empty() {
        output.line("no tasks to wait for");
        output.answer(Wait { tasks: Vec::new(), done: true });
        return Ok(());
    }
    let (cancelled, signal) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    for number in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        let _ = signal_hook::flag::register_usize(number, signal.clone(), number.unsigned_abs() as usize);
        let _ = signal_hook::flag::register(number, cancelled.clone());
    }
    let mut live = Live::new(std::io::stderr().is_terminal() && !output.is_json());
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    let mode = if args.any { WaitMode::Any } else { WaitMode::All };
    let waited = tasks.wait(&ids, mode, deadline, &cancelled, &mut |tasks| live.draw(tasks))?;
    if waited.cancelled {
        let signal = u8::try_from(signal.load(Ordering::Relaxed)).unwrap_or(2);
        let failure = Failure::new(ErrorKind::Interrupted, "no longer waiting; the tasks keep running");
        return Err(failure.with_code(128 + signal));
    }
    let ended: Vec<&Task> = waited.all.iter().filter(|task| task.state == State::Ended).collect();
    let mut shapes = Vec::new();
    for task in &waited.all {
        let lines = tail(&tasks, task, LAST_LINES)?;
        let last_lines = lines.iter().map(|line| line.text.clone()).collect();
        shapes.push(WaitedTask { task: TaskDetails::of(task), last_lines });
        if task.state != State::Ended {
            continue;
        }
        output.line(format!(
            "{} {} {} after {}: {}",
            task.id,
            task.about.cli,
            standing(task),
            took(duration(task)),
            one_line(&task.about.prompt, 60)
        ));
        let said = match &task.about.final_message {
            Some(message) => message.lines().rev().take(LAST_LINES).map(str::to_owned).collect::<Vec<_>>(),
            None => lines.iter().rev().map(|line| line.text.clone()).collect(),
        };
        said.iter().rev().for_each(|line| output.line(format!("  {line}")));
        output.line(format!("  log: {}", task.log.display()));
    }
    tasks.mark_read(&ended.iter().map(|task| task.id).collect::<Vec<_>>())?;
    let answer = Wait { tasks: shapes, done: waited.done };
    if !waited.done {
        let left = waited.all.len() - ended.len();
        let failure = Failure::new(ErrorKind::User, format!("{left} not ended yet")).with_code(124);
        return output.conclude(answer, Some(failure.with_hint("`aiw status` shows them; `aiw wait` keeps waiting")));
    }
    let failed = ended.iter().filter(|task| task.outcome != Some(Outcome::Succeeded)).count();
    let failure = (failed > 0)
        .then(|| Failure::new(ErrorKind::User, format!("{failed} of {} did not succeed", ended.len())).with_code(1));
    output.conclude(answer, failure)
}

/// Writes to standard output or standard error, by what it is.
pub fn write_piece(place: Place, text: &str) {
    match place {
        Place::Answer => {
            crate::output::write(text);
        }
        Place::Progress => {
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: u64, state: State) -> Task {
        Task {
            id: ProcessId::from_number(number),
            about: aiw_tasks::About::new(aiw_core::CliKind::Codex, "default", format!("task {number}")),
            pid: None,
            root_pid: 1,
            state,
            outcome: None,
            exit_code: None,
            signal: None,
            stopped: false,
            started: number,
            running_since: None,
            ended: None,
            unread: false,
            cwd: "/".into(),
            log: "/log".into(),
            note: None,
            depth: 0,
            parent: None,
            timeout: None,
        }
    }

    #[test]
    fn more_tasks_than_rows_are_counted_and_those_that_change_are_shown() {
        let mut live = Live::new(true);
        let mut tasks: Vec<Task> = (0..30).map(|number| task(number, State::Queued)).collect();
        assert_eq!(live.frame(&tasks, 8, 80).len(), 7);
        tasks[3].state = State::Running;
        tasks[20].state = State::Ended;
        let frame = live.frame(&tasks, 8, 80);
        assert_eq!(frame.len(), 7);
        assert!(frame.iter().any(|line| line.contains("task 3")) && frame.iter().any(|line| line.contains("task 20")));
        assert_eq!(frame[6], "… and 24 more: 0 running, 24 queued, 0 ended");
        assert!(live.frame(&tasks, 8, 30).iter().all(|line| line.chars().count() < 60));
        // All that fit are shown as they are.
        assert_eq!(live.frame(&tasks[..5], 8, 80).len(), 5);
    }
}
