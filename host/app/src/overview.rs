//! The state of everything at a glance, and the step that follows from it.

use std::path::Path;

use aiw_core::{one_line, pluralize};
use aiw_history::Store;
use aiw_home::Home;
use aiw_processes::{Manager, ProcessProject};
use aiw_routing::ServerSearchPaths;
use schemars::JsonSchema;
use serde::Serialize;

use crate::attention::Attention;
use crate::init::needs_init;
use crate::tasks::{self, TaskCounts};

/// The first step of all.
pub const INIT_HINT: &str = "`aiw init` asks for what is missing, and sets it up";

/// Who has started so many tasks knows how.
const KNOWN_TASKS: usize = 15;

/// The project's processes, counted
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct ProcessCounts {
    /// How many there are
    pub all: usize,
    /// How many of them run
    pub running: usize,
}

/// The history, counted
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct HistoryCounts {
    /// How many sessions it has
    pub sessions: u64,
    /// How many messages they have
    pub messages: u64,
}

/// `aiw`: the state of each part; null where a part can't be read, which `aiw doctor` explains
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct Overview {
    /// What needs you
    pub attention: Attention,
    /// The tasks of this session, or of all sessions outside of an AI CLI
    pub tasks: Option<TaskCounts>,
    /// The processes of this project
    pub processes: Option<ProcessCounts>,
    /// The names of the providers and pools
    pub providers: Option<Vec<String>>,
    /// How many MCP servers are behind aiw
    pub servers: Option<usize>,
    /// The past sessions
    pub history: Option<HistoryCounts>,
    /// Whether there is neither a provider nor an AI CLI that knows aiw.
    #[serde(skip)]
    pub is_new: bool,
    /// The next step, as a sentence with its command; null while something needs you, or where no step is left to learn
    pub next: Option<String>,
}

impl Overview {
    /// Looks at each part. It starts and changes nothing, and a part that can't be read stops no other.
    pub fn collect(home: &Home, cwd: &Path) -> Self {
        let mut seen = Self {
            attention: Attention::collect(home, cwd),
            tasks: tasks(home),
            processes: processes(home, cwd),
            providers: home.providers().ok().map(|file| {
                let providers = file.providers().iter().map(|provider| provider.name.to_string());
                providers.chain(file.pools().iter().map(|pool| pool.name.to_string())).collect()
            }),
            servers: ServerSearchPaths::load(home.clone(), cwd).read().ok().map(|(servers, _)| servers.len()),
            history: history(home),
            is_new: needs_init(home),
            next: None,
        };
        if seen.attention.items.is_empty() {
            seen.next = seen.step(home).map(str::to_owned);
        }
        seen
    }

    /// Returns the name of each part, and its state in a few words.
    pub fn lines(&self) -> [(&'static str, String); 5] {
        let unreadable = || "can't be read: `aiw doctor` says why".to_owned();
        let tasks = self.tasks.map(|TaskCounts { running, queued, unseen: unread }| match (running, queued, unread) {
            (0, 0, 0) => "none running".to_owned(),
            _ => format!("{running} running, {queued} queued, {unread} finished since you last looked"),
        });
        let processes = self.processes.map(|ProcessCounts { all, running }| match all {
            0 => "none in this project".to_owned(),
            _ => format!("{all} in this project, {running} running"),
        });
        let providers = self.providers.as_ref().map(|names| match names.is_empty() {
            true => "none: each AI CLI uses its own".to_owned(),
            false => one_line(&format!("{}: {}", names.len(), names.join(", ")), 68),
        });
        let servers = self.servers.map(|count| match count {
            0 => "none".to_owned(),
            count => pluralize(count, "MCP server"),
        });
        let history = self.history.map(|HistoryCounts { sessions, messages }| match sessions {
            0 => "no past sessions yet".to_owned(),
            1 => format!("1 past session, {messages} messages"),
            _ => format!("{sessions} past sessions, {messages} messages"),
        });
        [
            ("tasks", tasks.unwrap_or_else(unreadable)),
            ("processes", processes.unwrap_or_else(unreadable)),
            ("providers", providers.unwrap_or_else(unreadable)),
            ("servers", servers.unwrap_or_else(unreadable)),
            ("history", history.unwrap_or_else(unreadable)),
        ]
    }

    /// Chooses the next step: what is missing, then what is not known yet. Whoever has started many tasks is told nothing.
    fn step(&self, home: &Home) -> Option<&'static str> {
        let is_unreadable = self.tasks.is_none()
            || self.processes.is_none()
            || self.providers.is_none()
            || self.servers.is_none()
            || self.history.is_none();
        let tasks = self.tasks.unwrap_or_default();
        let knows_tasks =
            || tasks::open(home, true).and_then(|all| all.list()).is_ok_and(|all| all.len() >= KNOWN_TASKS);
        Some(match self {
            _ if is_unreadable => "`aiw doctor` says what is wrong",
            _ if tasks.running + tasks.queued > 0 => "`aiw wait` waits for the tasks",
            Self { processes: Some(ProcessCounts { all: 1.., running: 0 }), .. } => {
                "`aiw up` starts the project's processes"
            }
            Self { is_new: true, .. } => INIT_HINT,
            Self { providers: Some(names), .. } if names.is_empty() => {
                "`aiw provider presets` lists the API providers that `aiw provider add` knows"
            }
            Self { servers: Some(0), .. } => {
                "`aiw mcp search WORDS` finds MCP servers, `aiw setup` registers aiw in your AI CLIs"
            }
            Self { history: Some(HistoryCounts { sessions: 0, .. }), .. } => {
                "`aiw history import` takes in your past sessions"
            }
            _ if knows_tasks() => return None,
            _ => "`aiw claude \"PROMPT\"` starts a task",
        })
    }
}

fn tasks(home: &Home) -> Option<TaskCounts> {
    Some(TaskCounts::new(&tasks::open(home, false).ok()?.list().ok()?))
}

fn processes(home: &Home, cwd: &Path) -> Option<ProcessCounts> {
    let all = Manager::open(home, ProcessProject::discover(cwd).ok()?).ok()?.list().ok()?;
    Some(ProcessCounts { all: all.len(), running: all.iter().filter(|status| status.state.is_alive()).count() })
}

fn history(home: &Home) -> Option<HistoryCounts> {
    match Store::open_existing(&home.history()).ok()? {
        None => Some(HistoryCounts { sessions: 0, messages: 0 }),
        Some(store) => {
            store.stats().ok().map(|stats| HistoryCounts { sessions: stats.sessions, messages: stats.messages })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_follows_from_the_state() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let fresh = Overview::collect(&home, dir.path());
        assert!(fresh.next.as_ref().unwrap().contains("aiw init"), "{:?}", fresh.next);
        assert_eq!(fresh.lines().map(|(name, _)| name), ["tasks", "processes", "providers", "servers", "history"]);
        let with = |change: fn(&mut Overview)| {
            let mut seen = Overview::collect(&home, dir.path());
            seen.tasks = Some(TaskCounts::default());
            seen.is_new = false;
            change(&mut seen);
            seen.step(&home).unwrap()
        };
        assert!(with(|seen| seen.tasks = Some(TaskCounts { running: 0, queued: 1, unseen: 0 })).contains("wait"));
        assert!(with(|seen| seen.processes = Some(ProcessCounts { all: 2, running: 0 })).contains("aiw up"));
        assert!(with(|seen| seen.providers = Some(vec!["x".into()])).contains("mcp search"));
        assert!(with(|_| {}).contains("provider presets"));
        assert!(with(|seen| seen.history = None).contains("doctor"));
    }

    #[test]
    fn what_is_damaged_stops_no_other_part() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        std::fs::create_dir(home.root()).unwrap();
        std::fs::write(home.providers_path(), "{").unwrap();
        let seen = Overview::collect(&home, dir.path());
        assert!(seen.providers.is_none() && seen.servers == Some(0) && seen.history.is_some());
        assert!(seen.next.is_none() && seen.lines()[2].1.contains("aiw doctor"), "{seen:?}");
        assert!(seen.attention.items[0].problem.contains("providers.json"), "{seen:?}");
    }
}
