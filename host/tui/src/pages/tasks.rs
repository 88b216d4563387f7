//! Tasks of all sessions: how they stand, what they say, stopping and going on with them.

use std::sync::Arc;
use std::time::Duration;

use aiw_app::feed::Topic;
use aiw_app::phrases::{abbreviate_home, elapsed_since, format_ago, format_duration};
use aiw_app::tasks::{self, TaskList};
use aiw_core::{ProcessId, pluralize};
use aiw_home::rfc3339;
use aiw_launch::{LogRenderer, TextLine, describe_state, duration, resume_line, tail};
use aiw_tasks::{FollowFrom, LogFollower, Outcome as TaskOutcome, RetentionPolicy, State, Task};

use super::new_task;
use crate::context::AppContext;
use crate::output::{Origin, OutputLine};
use crate::page::{
    Action, Column, Detail, ListContent, LogHandle, LogReader, LogUpdate, Outcome, Page, PageDescriptor, Row,
};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;
use crate::screen::TerminalProgram;

/// How many lines of a log are shown beside the list.
const MAX_LINES: usize = 300;

/// How many entries of a log are read for the whole screen. Most make at least one line.
const MAX_ENTRIES: usize = 10_000;

/// The page of tasks.
pub(crate) struct TasksPage(pub(crate) Arc<AppContext>);

fn everywhere(ground: &AppContext) -> Result<&aiw_tasks::Tasks, String> {
    ground.client.all_tasks().map_err(|e| error_line(&e))
}

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "Tasks",
    slug: "tasks",
    cli_command: "aiw task list",
    topics: &[Topic::Tasks],
    columns: &[
        Column::new("ID"),
        Column::state("STATE"),
        Column::optional("CLI"),
        Column::optional("PROVIDER"),
        Column::optional("TOOK"),
        Column::optional("STARTED"),
        Column::new("PROMPT"),
    ],
    empty_message: "no tasks: `aiw claude \"PROMPT\"` starts one, and so does n",
    actions: &[
        Action::new('x', "stop", "stop it with all its processes: asks").with_confirmation("Stop task {}? (y/N)"),
        Action::single('r', "resume", "go on with its session in this terminal"),
        Action::single('L', "log", "its log on the whole screen: it is read then"),
        Action::new('d', "remove", "remove it, with its log: asks")
            .with_confirmation("Remove task {} with its log? (y/N)"),
        Action::global('n', "new", "start a task: its CLI and provider are chosen, its prompt is typed"),
        Action::global('P', "prune", "remove the ended tasks that are not to be kept: asks")
            .with_confirmation("Remove the ended tasks that are not to be kept? (y/N)"),
    ],
    ..PageDescriptor::EMPTY
};

impl Page for TasksPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let ground = &*self.0;
        let TaskList { tasks, problems, .. } = tasks::list(everywhere(ground)?).map_err(|e| error_line(&e))?;
        // The newest first.
        let rows = tasks.iter().rev().map(row).collect();
        let has_ended = tasks.iter().any(|task| task.state == State::Ended);
        Ok(ListContent::new(rows, problems.iter().map(|problem| error_line(problem))).disable_key_if('P', !has_ended))
    }

    fn detail(&self, id: &str) -> Detail {
        let ground = &*self.0;
        let looked = everywhere(ground).and_then(|tasks| {
            let task = tasks.find(id).map_err(|e| error_line(&e))?;
            let lines = tail(tasks, &task, MAX_LINES).map_err(|e| error_line(&e))?;
            let logs = tasks.log(task.id).map_err(|e| error_line(&e))?.directory().to_owned();
            let detail = detail(&task).with_lines(lines.iter().map(|line| line.text.as_str()));
            Ok(Detail { log_dir: Some(logs), ..detail })
        });
        looked.unwrap_or_else(Detail::from_error)
    }

    fn run_action(&self, key: char, id: &str, person: &TuiPrompter) -> Result<Outcome, String> {
        let ground = &*self.0;
        let tasks = everywhere(ground)?;
        match key {
            'x' => {
                let task = tasks.find(id).map_err(|e| error_line(&e))?;
                let stopped = tasks::stop(tasks, &[task.id]).map_err(|e| error_line(&e))?;
                let lines = stopped.iter().map(|one| format!("{} {}", one.task.id, one.result));
                Ok(Outcome::Message(lines.collect::<Vec<_>>().join(", ")))
            }
            'r' => {
                tasks::resume(tasks, id).map_err(|e| error_line(&e))?;
                Ok(Outcome::Run(TerminalProgram::from_aiw_args(["task", "resume", id])?))
            }
            'd' => {
                tasks::remove(tasks, &[id.to_owned()], person).map_err(|e| error_line(&e))?;
                person.finish(|| format!("removed {id}")).map(Outcome::Message)
            }
            'n' => new_task::start(ground, person).map(Outcome::Message),
            'P' => {
                let gone = tasks::prune(tasks, RetentionPolicy::default(), false).map_err(|e| error_line(&e))?;
                Ok(Outcome::Message(format!("removed {}", pluralize(gone.removed.len(), "task"))))
            }
            _ => {
                let task = tasks.find(id).map_err(|e| error_line(&e))?;
                let log = tasks.log(task.id).map_err(|e| error_line(&e))?;
                let log = log.follow(FollowFrom::Tail(MAX_ENTRIES)).map_err(|e| e.to_string())?;
                // What only stood beside a list was not read.
                tasks.mark_read(&[task.id]).map_err(|e| error_line(&e))?;
                let title = format!("{} {id}: its last lines; `aiw logs {id}` prints all", task.about.cli);
                let (ground, renderer) = (self.0.clone(), LogRenderer::new(&task));
                let reader = TaskLogReader { ground, id: task.id, renderer, log: Some(log) };
                Ok(Outcome::Log(title, LogHandle::new(reader)))
            }
        }
    }
}

/// Reads the log of a task as text.
struct TaskLogReader {
    ground: Arc<AppContext>,
    id: ProcessId,
    renderer: LogRenderer,
    /// None once the task has ended and all of it was read.
    log: Option<LogFollower>,
}

impl LogReader for TaskLogReader {
    fn read(&mut self, _: bool) -> Result<LogUpdate, String> {
        let Some(log) = &mut self.log else { return Ok(LogUpdate::default()) };
        let directories = vec![log.directory().to_owned()];
        let has_ended = everywhere(&self.ground)?.get(self.id).map_err(|e| error_line(&e))?.state == State::Ended;
        let (mut entries, mut has_more) = (Vec::new(), true);
        // What is written faster than it is read is read on with the next change.
        while has_more && entries.len() <= MAX_ENTRIES {
            let new = log.next(Duration::ZERO).map_err(|e| e.to_string())?;
            has_more = !new.is_empty();
            entries.extend(new);
        }
        if has_ended && !has_more {
            entries.extend(self.log.take().into_iter().flat_map(LogFollower::finish));
        }
        let line = |line: TextLine| OutputLine {
            origin: Some(Origin { time: line.time, stream: line.stream, source: 0 }),
            ..OutputLine::plain(line.text)
        };
        let lines = entries.iter().flat_map(|entry| self.renderer.lines(entry)).map(line).collect();
        Ok(LogUpdate { lines, names: Vec::new(), directories })
    }
}

fn tone(task: &Task) -> TextStyle {
    match (task.state, task.outcome) {
        (State::Ended, Some(TaskOutcome::Succeeded)) => TextStyle::Good,
        (State::Ended, _) => TextStyle::Bad,
        _ => TextStyle::Warn,
    }
}

/// Returns a task in the list. One that has ended unseen has a mark.
pub(crate) fn row(task: &Task) -> Row {
    let is_over = task.state == State::Ended;
    let keys = match (is_over, task.about.session.is_some()) {
        (false, _) => "xL",
        (true, true) => "rLd",
        (true, false) => "Ld",
    };
    // What runs is known by when it began: a clock would be drawn all the time.
    let time = if is_over { format_duration(duration(task)) } else { String::new() };
    let cells = [
        task.id.to_string(),
        format!("{}{}", describe_state(task), if task.unread { "*" } else { "" }),
        task.about.cli.to_string(),
        task.about.provider.clone().unwrap_or_default(),
        time,
        began(elapsed_since(task.started)),
        format!("{}{}", if task.about.private { "(private) " } else { "" }, task.about.prompt),
    ];
    Row::new(task.id.to_string(), tone(task), keys, cells)
}

fn began(time: Duration) -> String {
    if time.as_secs() < 60 { "just now".to_owned() } else { format_ago(time) }
}

/// Returns what is known of a task.
pub(super) fn detail(task: &Task) -> Detail {
    let about = &task.about;
    let mut facts = vec![Fact::title(format!("{} {}, {}", task.id, about.cli, describe_state(task)))];
    let mut fact = |label, text: Option<String>| facts.extend(text.map(|text| Fact::new(label, text)));
    fact("prompt", Some(about.prompt.clone()));
    fact("in", Some(abbreviate_home(&task.cwd)));
    fact("provider", about.provider.clone());
    fact("model", about.model.clone());
    fact("role", about.role.clone());
    fact("allowed", Some(about.permission.clone()));
    fact("unguarded", about.bypass.as_ref().map(|flag| format!("by {flag}")));
    fact("note", task.note.clone());
    fact("tokens", about.usage.map(|usage| format!("{} read, {} written", usage.input, usage.output)));
    fact("cost", about.cost_usd.map(|cost| format!("${cost:.4}")));
    fact("started", Some(rfc3339(task.started)));
    fact("ended", task.ended.map(rfc3339));
    fact("resume", resume_line(task));
    Detail::new(facts)
}
