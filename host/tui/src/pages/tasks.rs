//! Tasks of all sessions: how they stand, what they say, stopping and going on with them.

use std::time::Duration;

use aiw_app::feed::Topic;
use aiw_app::phrases::{abbreviate_home, elapsed_since, format_ago, format_duration};
use aiw_app::tasks::{self, TaskList};
use aiw_core::pluralize;
use aiw_home::rfc3339;
use aiw_launch::{describe_state, duration, resume_line, tail};
use aiw_tasks::{Outcome as TaskOutcome, RetentionPolicy, State, Task};

use crate::context::AppContext;
use crate::page::{Action, Column, Detail, ListContent, Outcome, Page, PageDescriptor, Row};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;
use crate::screen::TerminalProgram;

/// How many lines of a log are shown.
const MAX_LINES: usize = 300;

/// The page of tasks.
pub(crate) struct TasksPage;

fn everywhere(ground: &AppContext) -> Result<&aiw_tasks::Tasks, String> {
    ground.client.all_tasks().map_err(|e| error_line(&e))
}

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "Tasks",
    short_title: "Tas",
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
    empty_message: "no tasks: `aiw claude \"PROMPT\"` starts one",
    actions: &[
        Action::new('x', "stop", "stop it with all its processes: asks").with_confirmation("Stop task {}? (y/N)"),
        Action::new('r', "resume", "go on with its session in this terminal"),
        Action::new('L', "log", "the last 10000 lines of its log: it is read then"),
        Action::new('d', "remove", "remove it, with its log: asks")
            .with_confirmation("Remove task {} with its log? (y/N)"),
        Action::global('P', "prune", "remove the ended tasks that are not to be kept: asks")
            .with_confirmation("Remove the ended tasks that are not to be kept? (y/N)"),
    ],
    has_backend_search: false,
};

impl Page for TasksPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, ground: &AppContext, _: &str) -> Result<ListContent, String> {
        let TaskList { tasks, problems } = tasks::list(everywhere(ground)?).map_err(|e| error_line(&e))?;
        // The newest first.
        let rows = tasks.iter().rev().map(row).collect();
        let has_ended = tasks.iter().any(|task| task.state == State::Ended);
        Ok(ListContent::new(rows, problems.iter().map(|problem| error_line(problem))).disable_key_if('P', !has_ended))
    }

    fn detail(&self, ground: &AppContext, id: &str) -> Detail {
        let looked = everywhere(ground).and_then(|tasks| {
            let task = tasks.find(id).map_err(|e| error_line(&e))?;
            let lines = tail(tasks, &task, MAX_LINES).map_err(|e| error_line(&e))?;
            let logs = tasks.log(task.id).map_err(|e| error_line(&e))?.directory().to_owned();
            let detail = detail(&task).with_lines(lines.iter().map(|line| line.text.as_str()));
            Ok(Detail { log_dir: Some(logs), ..detail })
        });
        looked.unwrap_or_else(Detail::from_error)
    }

    fn run_action(&self, ground: &AppContext, key: char, id: &str, person: &TuiPrompter) -> Result<Outcome, String> {
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
            'P' => {
                let gone = tasks::prune(tasks, RetentionPolicy::default(), false).map_err(|e| error_line(&e))?;
                Ok(Outcome::Message(format!("removed {}", pluralize(gone.removed.len(), "task"))))
            }
            _ => {
                let task = tasks.find(id).map_err(|e| error_line(&e))?;
                const MAX_EXPANDED_LINES: usize = Detail::MAX_LINES * 20;

                let lines = tail(tasks, &task, MAX_EXPANDED_LINES).map_err(|e| error_line(&e))?;
                // What only stood beside a list was not read.
                tasks.mark_read(&[task.id]).map_err(|e| error_line(&e))?;
                let facts = match lines.len() {
                    MAX_EXPANDED_LINES => vec![
                        Fact::title(format!("the last {MAX_EXPANDED_LINES} lines of the log of {id}")),
                        Fact::new("all", format!("`aiw logs {id}`")),
                    ],
                    _ => vec![Fact::title(format!("the log of {id}"))],
                };
                Ok(Outcome::Details(Detail::new(facts).with_lines(lines.iter().map(|line| line.text.as_str()))))
            }
        }
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
