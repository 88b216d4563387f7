//! The dashboard: what runs, what needs attention, and each part in a line. Each line leads to its screen.

use std::sync::Arc;

use aiw_app::attention::{ATTENTION_TOPICS, Attention, AttentionItem, Severity};
use aiw_app::overview::{INIT_HINT, Overview};
use aiw_app::phrases::format_tokens;
use aiw_app::{accounts, tasks};
use aiw_core::pluralize;
use aiw_launch::{SearchPath, describe_state, detect};
use aiw_processes::{ProcessSummary, RunState};
use aiw_tasks::{State, Task};

use super::mcp::McpServersPage;
use super::processes::{self, ProcessesPage};
use super::providers::ProvidersPage;
use super::tasks::{self as task_page, TasksPage};
use crate::context::AppContext;
use crate::page::{Action, Column, Detail, ListContent, Outcome, Page, PageDescriptor, Row};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;
use crate::screen::TerminalProgram;

/// The beginnings of the ids of rows.
const TASK_ID_PREFIX: &str = "task:";
const PROCESS_ID_PREFIX: &str = "process:";
const ATTENTION_ID_PREFIX: &str = "attention:";

/// The page of everything.
pub(crate) struct Dashboard(pub(crate) Arc<AppContext>);

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "Dashboard",
    slug: "dashboard",
    cli_command: "aiw status",
    topics: &ATTENTION_TOPICS,
    columns: &[Column::new("PART"), Column::state("STATE"), Column::new("NAME"), Column::new("ABOUT")],
    empty_message: "nothing is known",
    actions: &[
        Action::single('o', "open", "the screen of this part"),
        Action::new('m', "mute", "hide what needs you, until it changes"),
        Action::single('i', "set up", "`aiw init` in this terminal: it asks for what is missing, and sets it up"),
    ],
    ..PageDescriptor::EMPTY
};

impl Page for Dashboard {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let ground = &*self.0;
        let attention = Attention::collect(ground.home(), ground.client.cwd());
        let mut rows: Vec<Row> = attention.items.iter().map(attention_row).collect();
        rows.extend(task_rows(ground));
        rows.extend(process_rows(ground));
        rows.extend(parts(ground));
        Ok(ListContent::new(rows, []))
    }

    fn detail(&self, id: &str) -> Detail {
        let ground = &*self.0;
        if let Some(task) = id.strip_prefix(TASK_ID_PREFIX) {
            return TasksPage(self.0.clone()).detail(task);
        }
        if let Some(process) = id.strip_prefix(PROCESS_ID_PREFIX) {
            return ProcessesPage::new(self.0.clone()).detail(process);
        }
        if let Some(item) = id.strip_prefix(ATTENTION_ID_PREFIX) {
            return attention_detail(ground, item);
        }
        part_detail(&self.0, id)
    }

    fn run_action(&self, key: char, id: &str, _: &TuiPrompter) -> Result<Outcome, String> {
        let ground = &*self.0;
        if let Some(item) = id.strip_prefix(ATTENTION_ID_PREFIX) {
            return match key {
                'm' => {
                    let (home, cwd) = (ground.home(), ground.client.cwd());
                    Attention::set_muted(home, cwd, &[item.to_owned()], true).map_err(|e| error_line(&e))?;
                    Ok(Outcome::Message("muted, until it changes".to_owned()))
                }
                _ => Ok(open_source(item)),
            };
        }
        if key == 'i' {
            return Ok(Outcome::Run(TerminalProgram::from_aiw_args(["init"])?));
        }
        let (part, thing) = id.split_once(':').map_or((id, None), |(part, thing)| (part, Some(thing.to_owned())));
        Ok(match part {
            "task" => Outcome::Open("tasks", thing),
            "process" => Outcome::Open("processes", thing),
            "servers" => Outcome::Open("mcp", None),
            "providers" => Outcome::Open("providers", None),
            "history" => Outcome::Open("history", None),
            _ => Outcome::Open("status", None),
        })
    }
}

/// Returns the screen of what needs a person, by the id of its entry, which begins with its source.
fn open_source(id: &str) -> Outcome {
    let source = id.rsplit_once('-').map_or(id, |(source, _)| source);
    Outcome::Open(SCREENS.into_iter().find(|screen| *screen == source).unwrap_or("status"), None)
}

/// The screens that show what needs a person.
const SCREENS: [&str; 5] = ["tasks", "processes", "mcp", "providers", "sync"];

fn attention_row(item: &AttentionItem) -> Row {
    let (tone, state) = match item.severity {
        Severity::Error => (TextStyle::Bad, "error"),
        Severity::Warning => (TextStyle::Warn, "warning"),
    };
    let cells = ["needs you".to_owned(), state.to_owned(), item.source.clone(), item.problem.clone()];
    Row::new(format!("{ATTENTION_ID_PREFIX}{}", item.id), tone, "om", cells)
}

fn attention_detail(ground: &AppContext, id: &str) -> Detail {
    let listed = Attention::collect(ground.home(), ground.client.cwd()).items;
    let Some(item) = listed.into_iter().find(|item| item.id == id) else {
        return Detail::from_error("it needs you no more");
    };
    let facts = vec![Fact::title(item.source), Fact::new("problem", item.problem), Fact::new("next", item.next)];
    let found = item.checked_at.map(|time| Fact::new("found", format!("by `aiw doctor` at {time}")));
    Detail::new(facts.into_iter().chain(found).collect())
}

/// Returns a line for a part that can't be read.
fn unread(part: &'static str, why: String) -> Row {
    Row::new(part, TextStyle::Bad, "o", [part.to_owned(), "unreadable".to_owned(), String::new(), why])
}

/// Returns the tasks that run, wait, or have ended unseen, the newest first.
fn task_rows(ground: &AppContext) -> Vec<Row> {
    let listed = ground
        .client
        .all_tasks()
        .map_err(|e| error_line(&e))
        .and_then(|all| tasks::list(all).map_err(|e| error_line(&e)));
    match listed {
        Err(why) => vec![unread("task", why)],
        Ok(listed) => {
            let is_news = |task: &&Task| task.state != State::Ended || task.unread;
            listed.tasks.iter().rev().filter(is_news).map(task_row).collect()
        }
    }
}

pub(super) fn task_row(task: &Task) -> Row {
    let Row { tone, .. } = task_page::row(task);
    let name = format!("{} {}", task.about.cli, task.id);
    let cells = ["task".to_owned(), describe_state(task), name, task.about.prompt.clone()];
    Row::new(format!("{TASK_ID_PREFIX}{}", task.id), tone, "o", cells)
}

/// Returns the processes of the project that run or have failed.
fn process_rows(ground: &AppContext) -> Vec<Row> {
    let listed = processes::manager(ground).and_then(|manager| manager.ps(false, false).map_err(|e| error_line(&e)));
    match listed {
        Err(why) => vec![unread("process", why)],
        Ok((answer, problem)) => {
            let is_news = |one: &&ProcessSummary| one.state.is_alive() || one.state == RunState::Failed;
            let rows = answer.processes.iter().filter(is_news).map(process_row);
            rows.chain(problem.map(|problem| unread("process", error_line(&problem)))).collect()
        }
    }
}

pub(super) fn process_row(process: &ProcessSummary) -> Row {
    let Row { tone, cells, .. } = processes::row(process, None);
    let about = cells.last().cloned().unwrap_or_default();
    let cells = ["process".to_owned(), process.state.to_string(), process.id.clone(), about];
    Row::new(format!("{PROCESS_ID_PREFIX}{}", process.id), tone, "o", cells)
}

/// Returns what is known of another part: what its screen lists, if that is not much to read.
fn part_detail(ground: &Arc<AppContext>, id: &str) -> Detail {
    let row = parts(ground).into_iter().find(|row| row.id == id);
    let mut facts: Vec<Fact> =
        row.iter().map(|row| Fact::title(row.cells.first().map_or("", String::as_str))).collect();
    facts.extend(row.iter().flat_map(|row| row.cells.iter().skip(1)).map(|cell| Fact::new("", cell)));
    let listed = match id {
        "servers" => McpServersPage(ground.clone()).list(""),
        "providers" => ProvidersPage(ground.clone()).list(""),
        _ => return Detail::new(facts),
    };
    let lines = match listed {
        Ok(listed) => listed.rows.into_iter().map(|row| row.cells.join("  ")).collect(),
        Err(why) => vec![why],
    };
    Detail::new(facts).with_lines(lines)
}

/// Returns a line for each of the other parts.
fn parts(ground: &AppContext) -> Vec<Row> {
    let home = ground.home();
    let line = |id: &str, state: &str, tone, name: String, about: String| {
        Row::new(id, tone, "o", [id.split(':').next().unwrap_or(id).to_owned(), state.to_owned(), name, about])
    };
    let mut rows = Vec::new();
    for cli in detect(&SearchPath::from_context(home.context()), Some(home)) {
        let id = format!("cli:{}", cli.kind);
        rows.push(match &cli.path {
            Some(path) => {
                let version = cli.version.clone().unwrap_or_else(|| "?".to_owned());
                line(&id, "installed", TextStyle::Good, format!("{} {version}", cli.kind), path.display().to_string())
            }
            None => line(&id, "missing", TextStyle::Plain, cli.kind.to_string(), aiw_launch::install_command(cli.kind)),
        });
    }
    let seen = Overview::collect(home, ground.client.cwd());
    if seen.is_new {
        let cells = ["start".to_owned(), "first".to_owned(), String::new(), INIT_HINT.to_owned()];
        rows.insert(0, Row::new("start", TextStyle::Warn, "i", cells));
    }
    for (name, about) in seen.lines().into_iter().filter(|(name, _)| !["tasks", "processes"].contains(name)) {
        rows.push(line(name, "", TextStyle::Plain, String::new(), about));
    }
    if let Ok(sum) = accounts::usage_today(home)
        && sum.record_count() > 0
    {
        let used = format!(
            "{} tokens read, {} written, {}",
            format_tokens(sum.total_input()),
            format_tokens(sum.output),
            sum.cost()
        );
        rows.push(line("usage", "today", TextStyle::Plain, pluralize(sum.record_count(), "record"), used));
    }
    rows
}
