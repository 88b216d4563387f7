//! Frames of the application without a terminal, for `cargo xtask bench`.

use std::sync::Arc;

use aiw_app::{App, BundledScripts, ClientSession};
use aiw_core::{CliKind, ProcessState};
use aiw_home::{Home, now_millis};
use aiw_tasks::{Task, TaskDescription};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::jobs::Reply;
use super::state::State;
use crate::context::AppContext;
use crate::page::{Detail, ListContent, Page};
use crate::pages::plugins::{Plugin, PluginsPage, facts, row as plugin_row};
use crate::pages::{TasksPage, task_row};
use crate::paint::{Fact, Theme};
use crate::progress::ScreenProgress;

/// A screen of a fixed size that draws into memory.
pub struct ScreenFrame {
    state: State,
    terminal: Option<Terminal<TestBackend>>,
    tasks: Vec<Task>,
}

impl ScreenFrame {
    /// Returns a screen of `width` by `height` cells with so many tasks, the log of one of them beside them.
    #[must_use]
    pub fn with_tasks(count: u64, width: u16, height: u16) -> Option<Self> {
        let mut frame = Self::new(|ground| Arc::new(TasksPage(ground)), width, height)?;
        frame.tasks = (0..count).filter_map(task).collect();
        frame.refresh(0);
        Some(frame)
    }

    /// Returns a screen of `width` by `height` cells with so many plugins.
    #[must_use]
    pub fn with_plugins(count: usize, width: u16, height: u16) -> Option<Self> {
        let mut frame = Self::new(|ground| Arc::new(PluginsPage::new(ground)), width, height)?;
        let plugins: Vec<Plugin> = (0..count).map(plugin).collect();
        frame.state.handle_reply(Reply::List(0, Ok(ListContent::new(plugins.iter().map(plugin_row).collect(), []))));
        let first = plugins.first()?;
        frame.state.handle_reply(Reply::Detail(0, first.id.clone(), Detail::new(facts(first))));
        Some(frame)
    }

    fn new(page: impl FnOnce(Arc<AppContext>) -> Arc<dyn Page>, width: u16, height: u16) -> Option<Self> {
        const NO_SCRIPTS: BundledScripts = BundledScripts { component: &[], code: &[], sha256: "" };
        let home = Home::from_root("/nowhere/at/all");
        let app = App::open(home, &[], NO_SCRIPTS, Arc::new(ScreenProgress::default()));
        let doctor = Arc::new(|_: &Home| aiw_app::doctor::Doctor { parts: Vec::new() });
        let ground = Arc::new(AppContext::new(ClientSession::from_app(app).ok()?, doctor));
        let state = State::new(vec![page(ground)], 0, Theme { color: true, ascii: false }, false);
        Some(Self { state, terminal: Terminal::new(TestBackend::new(width, height)).ok(), tasks: Vec::new() })
    }

    /// Reads the list of tasks anew, with another state of one of them, and new lines of a log.
    pub fn refresh(&mut self, turn: usize) {
        let at = turn % self.tasks.len().max(1);
        if let Some(task) = self.tasks.get_mut(at) {
            task.unread = !task.unread;
        }
        self.state.handle_reply(Reply::List(0, Ok(ListContent::new(self.tasks.iter().map(task_row).collect(), []))));
        let id = self.tasks.get(at).map(|task| task.id.to_string()).unwrap_or_default();
        let lines =
            (0..300).map(|n| format!("line {n} of turn {turn}: what a model says in a line of the usual length"));
        self.state.handle_reply(Reply::Detail(0, id, Detail::new(vec![Fact::title("a task")]).with_lines(lines)));
        self.draw();
    }

    /// Selects the next row and draws the frame.
    pub fn step(&mut self) {
        self.state.handle_key(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE));
        self.draw();
    }

    fn draw(&mut self) {
        if let Some(terminal) = &mut self.terminal {
            // Drawing into memory cannot fail.
            let _ = terminal.draw(|frame| self.state.draw(frame));
        }
    }
}

fn plugin(n: usize) -> Plugin {
    let about = format!("What plugin {n} is for, in words enough to fill two lines of the details beside the list");
    Plugin {
        id: format!("plugin-{n}@market-{}", n % 5),
        name: format!("plugin-{n}"),
        market: format!("market-{}", n % 5),
        version: Some("1.0.0".into()),
        description: about.repeat(2),
        category: Some(["development", "design", "data"][n % 3].into()),
        kinds: Some(vec!["mcp".into(), "skills".into()]),
        source: format!("github:owner/repo-{n}"),
        servers: vec!["s (stdio) npx -y server".into()],
        ..Plugin::default()
    }
}

fn task(n: u64) -> Option<Task> {
    let prompt = format!("what task {n} is to do, in words enough for a column of a list on a wide terminal");
    Some(Task {
        id: format!("bench{n:07}").replace(['0', '1', '8', '9'], "a").parse().ok()?,
        about: TaskDescription::new(CliKind::Claude, "edit", prompt),
        pid: None,
        root_pid: 1,
        state: ProcessState::Running,
        outcome: None,
        exit_code: None,
        signal: None,
        stopped: false,
        started: now_millis(),
        running_since: None,
        ended: None,
        unread: false,
        cwd: "/srv".into(),
        log: "/srv/log".into(),
        note: None,
        depth: 0,
        parent: None,
        timeout: None,
    })
}
