//! `aiw task …`, `aiw status`, `aiw wait`. They read files and shared memory: neither components
//! nor a runtime are set up for them.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::time::Instant;

use aiw_app::daemon::DaemonState;
use aiw_app::tasks::{self, StoppedTask, TaskCounts, TaskList};
use aiw_core::{Diagnostic, ErrorKind, ProcessId, one_line, pluralize};
use aiw_home::{Home, rfc3339};
use aiw_launch::{
    LogRenderer, TaskDetails, TaskLog, TaskSummary, TaskWaitResult, TextLine, describe_state, duration, resume_line,
    tail,
};
use aiw_tasks::{FollowFrom, Outcome, RetentionPolicy, State, Stream, Task, TaskError, Tasks, WaitMode};
use clap::builder::styling::{AnsiColor, Style};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::run::RunArgs;
use crate::cli::task::{LogArgs, PruneArgs, TaskCommand, WaitArgs};
use crate::commands::follow::{FollowStep, follow};
use crate::failure::CliError;
use crate::layout;
use crate::output::{Output, single_entry_map};
use crate::runtime::Signals;
use crate::terminal::{self, Size};
use aiw_app::phrases::{abbreviate_home, elapsed_since, format_ago, format_duration, format_tokens as tokens_of};

/// `aiw wait`
#[derive(Serialize, JsonSchema)]
pub struct WaitResult {
    /// The tasks that were waited for
    pub tasks: Vec<TaskWaitResult>,
    /// Whether all of them have ended; with `--any`, whether one has
    pub done: bool,
}

pub fn run(command: TaskCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    match command {
        TaskCommand::List(scope) => list(&tasks::open(home, scope.all_namespaces)?, output),
        TaskCommand::Show { id } => show(&tasks::open(home, true)?, &id, output),
        TaskCommand::Resume { id, prompt, trust, arguments } => {
            let args = RunArgs { prompt, trust, arguments, ..RunArgs::default() };
            go_on(&tasks::open(home, true)?, &id, args, home, output)
        }
        TaskCommand::Remove { ids } => {
            output.set_json(tasks::remove(&tasks::open(home, true)?, &ids, output)?);
            Ok(())
        }
        TaskCommand::Prune(args) => prune(&tasks::open(home, true)?, &args, output),
    }
}

/// The first columns of tasks, of whose ids so many characters are shown.
fn rows(tasks: &[Task], id_len: usize) -> Vec<Vec<String>> {
    let row = |task: &Task| {
        vec![
            task.id.as_str().chars().take(id_len).collect(),
            describe_state(task),
            task.about.cli.to_string(),
            one_line(task.about.provider.as_deref().unwrap_or("-"), 24),
            format_duration(duration(task)),
            format!("{}{}", if task.about.private { "(private) " } else { "" }, one_line(&task.about.prompt, 60)),
        ]
    };
    tasks.iter().map(row).collect()
}

/// A list of tasks: the same, with when and where each was started, and a mark where a task has ended unseen.
fn show_list(tasks: &[Task], id_len: usize, output: &Output) {
    let headers = ["ID", "STATE", "CLI", "PROVIDER", "TIME", "STARTED", "DIRECTORY", "PROMPT"];
    let with_place = |(mut row, task): (Vec<String>, &Task)| {
        let prompt = row.pop().unwrap_or_default();
        if let Some(state) = row.get_mut(1).filter(|_| task.unread) {
            state.push('*');
        }
        row.extend([format_ago(elapsed_since(task.started)), abbreviate_home(&task.cwd), prompt]);
        row
    };
    let rows: Vec<Vec<String>> = rows(tasks, id_len).into_iter().zip(tasks).map(with_place).collect();
    let style = |row: usize, column: usize| match tasks.get(row).map(|task| (task.state, task.outcome)) {
        Some((State::Ended, Some(Outcome::Succeeded))) if column == 1 => AnsiColor::Green.on_default(),
        Some((State::Ended, _)) if column == 1 => AnsiColor::Red.on_default(),
        Some(_) if column == 1 => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    };
    output.styled_table(&headers, &rows, style);
    if tasks.iter().any(|task| task.unread) {
        output.note("*: it has ended since you last looked");
    }
    if tasks.iter().any(|task| task.outcome == Some(Outcome::Lost)) {
        output.note("lost: what supervised it was killed, so nobody saw how it ended");
    }
}

fn list(tasks: &Tasks, output: &Output) -> Result<(), CliError> {
    let TaskList { tasks: all, problems, id_len } = tasks::list(tasks)?;
    show_list(&all, id_len, output);
    say(&problems, output);
    if all.is_empty() && problems.is_empty() {
        output.line("no tasks: `aiw claude \"…\"` starts one");
    }
    output.set_json(single_entry_map("tasks", all.iter().map(TaskSummary::new).collect::<Vec<_>>()));
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
pub fn status(all_namespaces: bool, home: &Home, output: &Output) -> Result<(), CliError> {
    super::provider::schedule_health_checks(home, output);
    let (status, TaskList { tasks: shown, problems, id_len }) = aiw_app::status::status(home, all_namespaces)?;
    say(&problems, output);
    super::attention::print(&status.attention, output);
    show_list(&shown, id_len, output);
    let TaskCounts { running, queued, unseen: unread } = status.counts;
    output.line(format!("{running} running, {queued} queued, {unread} finished since you last looked"));
    if status.processes > 0 {
        let run = if status.processes == 1 { "process of this project runs" } else { "processes of this project run" };
        output.line(format!("{} {run}: `aiw ps`", status.processes));
    }
    if let Some(line) = status.daemon.as_ref().and_then(DaemonState::line) {
        output.line(line);
    }
    if let Some(count) = status.unpushed {
        output.line(format!("{} not pushed: `aiw sync push`", pluralize(count, "change")));
    }
    if let Some(sum) = &status.today {
        let (read, written) = (tokens_of(sum.total_input()), tokens_of(sum.output));
        output.line(format!("today: {read} tokens read, {written} written, {}: `aiw usage`", sum.cost()));
    }
    output.set_json(status);
    Ok(())
}

fn show(tasks: &Tasks, id: &str, output: &Output) -> Result<(), CliError> {
    let task = tasks.find(id)?;
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            output.line(format!("  {name}: {}", one_line(&value, 400)));
        }
    };
    output.line(format!(
        "{} {}, {} after {}",
        task.id,
        task.about.cli,
        describe_state(&task),
        format_duration(duration(&task))
    ));
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
    if let Some(command) = resume_line(&task) {
        output.line(format!("  resume with: {command}"));
    }
    if let Some(message) = &task.about.final_message {
        output.line("");
        output.line(message);
    }
    output.set_json(single_entry_map("task", TaskDetails::new(&task)));
    if task.unread {
        tasks.mark_read(&[task.id])?;
    }
    Ok(())
}

/// `aiw logs`, of a task
pub fn logs(args: &LogArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let tasks = &tasks::open(home, true)?;
    let [id] = args.ids.as_slice() else {
        return Err(CliError::user("one task has one log: name one").with_hint("`aiw task list` lists them"));
    };
    let task = tasks.find(id).map_err(|e| unnamed(home, e))?;
    if output.is_json() && args.follow {
        return Err(CliError::user("`--json` prints one object, which has no end with `--follow`")
            .with_hint("use only one of them"));
    }
    if args.raw {
        if output.is_json() {
            return Err(CliError::user("`--raw` prints the CLI's own stream, and `--json` one object of aiw's")
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
    let mut text = LogRenderer::new(&task);
    let (mut lines, mut live) = (VecDeque::new(), false);
    follow(tasks, &task, from, args.follow, |step| {
        match step {
            FollowStep::Entry(entry) => {
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
            FollowStep::CaughtUp if args.follow => {
                live = true;
                lines.drain(..).try_for_each(|line| write_line(&line.text))?;
            }
            FollowStep::CaughtUp | FollowStep::TaskPolled(_) => {}
        }
        Ok(())
    })?;
    match args.follow {
        true => Ok(()),
        false => print_lines(&task, &Vec::from(lines), output),
    }
}

fn print_lines(task: &Task, lines: &[TextLine], output: &Output) -> Result<(), CliError> {
    lines.iter().for_each(|line| output.line(&line.text));
    output.set_json(TaskLog::new(task, lines));
    Ok(())
}

/// Writes at once; a reader that went away ends the command, and is not a failure.
fn write_line(text: &str) -> Result<(), CliError> {
    write_bytes(format!("{text}\n").as_bytes())
}

fn write_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => Err(CliError::new(ErrorKind::Unavailable, format!("cannot write to standard output: {e}"))),
    }
}

/// Standard output and standard error of the CLI, as they were.
fn raw(tasks: &Tasks, task: &Task, args: &LogArgs) -> Result<(), CliError> {
    let from = match (args.tail, args.since) {
        (Some(lines), _) => FollowFrom::Tail(lines),
        (None, Some(since)) => FollowFrom::Since(since),
        (None, None) => FollowFrom::Start,
    };
    let write = |step: FollowStep<'_>| match step {
        FollowStep::Entry(entry) if entry.stream != Stream::Aiw => {
            write_bytes(&entry.bytes)?;
            if entry.is_complete { write_bytes(b"\n") } else { Ok(()) }
        }
        _ => Ok(()),
    };
    follow(tasks, task, from, args.follow, write).map(drop)
}

/// Why no task is named so. Processes have the same commands: a word that is neither is looked for in both.
fn unnamed(home: &Home, error: TaskError) -> CliError {
    match &error {
        TaskError::TaskNotFound { id } => super::process::unknown_id_error(home, id).unwrap_or_else(|| error.into()),
        _ => error.into(),
    }
}

/// `aiw stop`, of tasks
pub fn stop(ids: &[String], all: bool, home: &Home, output: &Output) -> Result<(), CliError> {
    let everywhere = tasks::open(home, true)?;
    let wanted: Vec<Task> = match all {
        true => tasks::other_tasks(&tasks::open(home, false)?, aiw_launch::session().task)?
            .into_iter()
            .filter(|task| task.state != State::Ended)
            .collect(),
        false => everywhere.find_all(ids).map_err(|e| unnamed(home, e))?,
    };
    let wanted: Vec<ProcessId> = wanted.iter().map(|task| task.id).collect();
    let stopped = tasks::stop(&everywhere, &wanted)?;
    for StoppedTask { task, result } in &stopped {
        let standing = describe_state(task);
        let how = if standing == *result { String::new() } else { format!(": {standing}") };
        output.line(format!("{} {result}{how}", task.id));
    }
    if wanted.is_empty() {
        output.line("nothing is running");
    }
    output
        .set_json(single_entry_map("tasks", stopped.iter().map(|one| TaskSummary::new(&one.task)).collect::<Vec<_>>()));
    Ok(())
}

/// Runs what [`resume`] prints, with a prompt and more arguments for the CLI.
fn go_on(tasks: &Tasks, id: &str, more: RunArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let (task, run) = tasks::resume(tasks, id)?;
    if more.prompt.is_empty() && !std::io::stdin().is_terminal() {
        return Err(super::run::no_terminal().with_hint(format!("aiw task resume {} \"what to do\"", task.id)));
    }
    let args = RunArgs {
        provider: run.provider,
        model: run.model,
        isolated: run.isolated,
        private: run.private,
        mcp: run.mcp.then_some(None),
        cwd: Some(task.cwd),
        arguments: run.arguments.into_iter().map(OsString::from).chain(more.arguments).collect(),
        ..more
    };
    super::run::run(run.cli, args, home, output)
}

fn prune(tasks: &Tasks, args: &PruneArgs, output: &Output) -> Result<(), CliError> {
    let keep = RetentionPolicy { count: args.keep, age: args.age };
    let answer = tasks::prune(tasks, keep, args.dry_run)?;
    if args.dry_run {
        answer.removed.iter().for_each(|id| output.line(id));
    }
    let verb = if args.dry_run { "Would remove" } else { "Removed" };
    output.line(match answer.removed.len() {
        0 => "nothing to remove".into(),
        1 => format!("{verb} 1 task"),
        n => format!("{verb} {n} tasks"),
    });
    output.set_json(answer);
    Ok(())
}

/// The tasks that are waited for, on a terminal, drawn over.
struct LiveTasks {
    /// How many lines the last frame has.
    drawn: usize,
    is_printed: bool,
    /// How many characters of an id are shown.
    id_len: usize,
    /// The states that were seen last.
    states: BTreeMap<ProcessId, State>,
    /// The tasks, those that changed last first.
    order: Vec<ProcessId>,
}

impl LiveTasks {
    fn new(shown: bool, id_len: usize) -> Self {
        Self { drawn: 0, is_printed: shown, id_len, states: BTreeMap::new(), order: Vec::new() }
    }

    fn draw(&mut self, tasks: &[Task]) {
        if !self.is_printed {
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
        let mut lines: Vec<String> = layout::align_columns(&self::rows(&shown, self.id_len))
            .iter()
            .map(|line| layout::truncate_cell(line, columns.saturating_sub(1).max(20)))
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
const REPORT_LINE_COUNT: usize = 5;

/// `aiw wait`
pub fn wait(args: &WaitArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let tasks = tasks::open(home, args.all || !args.ids.is_empty())?;
    if args.ready {
        tasks.find_all(&args.ids).map_err(|e| unnamed(home, e))?;
        let failure = CliError::user("`--ready` is for processes, and a task ends");
        return Err(failure.with_hint("`aiw wait ID --ready` waits for a process that `aiw ps` shows"));
    }
    let wanted: Vec<Task> = match args.ids.is_empty() {
        true => tasks::other_tasks(&tasks, aiw_launch::session().task)?
            .into_iter()
            .filter(|task| task.state != State::Ended || task.unread)
            .collect(),
        false => tasks.find_all(&args.ids).map_err(|e| unnamed(home, e))?,
    };
    let ids: Vec<ProcessId> = wanted.iter().map(|task| task.id).collect();
    if ids.is_empty() {
        output.line("no tasks to wait for");
        output.set_json(WaitResult { tasks: Vec::new(), done: true });
        return Ok(());
    }
    let signals = Signals::listen()?;
    let is_live = std::io::stderr().is_terminal() && !output.is_json();
    let id_len = if is_live { tasks.unique_id_len(&tasks.list()?)? } else { 0 };
    let mut live = LiveTasks::new(is_live, id_len);
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    let mode = if args.any { WaitMode::Any } else { WaitMode::All };
    let waited = tasks.wait(&ids, mode, deadline, signals.received_flag(), &mut |tasks| live.draw(tasks))?;
    if waited.cancelled {
        let failure = CliError::new(ErrorKind::Interrupted, "no longer waiting");
        return Err(failure.with_code(signals.exit_code()).with_hint("the tasks keep running"));
    }
    let ended: Vec<&Task> = waited.processes.iter().filter(|task| task.state == State::Ended).collect();
    let (mut reports, mut unread) = (Vec::new(), None);
    for task in &waited.processes {
        // A log that can't be read hides no other task.
        let report = match tasks::report(&tasks, task, REPORT_LINE_COUNT) {
            Ok(report) => report,
            Err(e) => {
                unread = unread.or(Some(e));
                continue;
            }
        };
        let TaskWaitResult { last_lines, .. } = &report;
        if task.state != State::Ended {
            reports.push(report);
            continue;
        }
        output.line(format!(
            "{} {} {} after {}: {}",
            task.id,
            task.about.cli,
            describe_state(task),
            format_duration(duration(task)),
            one_line(&task.about.prompt, 60)
        ));
        let said = match &task.about.final_message {
            Some(message) => message.lines().rev().take(REPORT_LINE_COUNT).map(str::to_owned).collect::<Vec<_>>(),
            None => last_lines.iter().rev().cloned().collect(),
        };
        said.iter().rev().for_each(|line| output.line(format!("  {line}")));
        output.line(format!("  log: {}", task.log.display()));
        reports.push(report);
    }
    let answer = WaitResult { tasks: reports, done: waited.done };
    if let Some(e) = unread {
        return output.set_json_or_error(answer, Some(e.into()));
    }
    if !waited.done {
        let left = waited.processes.len() - ended.len();
        let failure = CliError::new(ErrorKind::User, format!("{left} not ended yet")).with_code(124);
        return output
            .set_json_or_error(answer, Some(failure.with_hint("`aiw status` shows them; `aiw wait` keeps waiting")));
    }
    let failed = ended.iter().filter(|task| task.outcome != Some(Outcome::Succeeded)).count();
    let failure = (failed > 0)
        .then(|| CliError::new(ErrorKind::User, format!("{failed} of {} did not succeed", ended.len())).with_code(1));
    output.set_json_or_error(answer, failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: u64, state: State) -> Task {
        Task {
            id: ProcessId::from_number(number),
            about: aiw_tasks::TaskDescription::new(aiw_core::CliKind::Codex, "default", format!("task {number}")),
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
        let mut live = LiveTasks::new(true, 12);
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
