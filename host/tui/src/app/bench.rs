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
use super::state::{Screens, Tab};
use crate::context::AppContext;
use crate::page::{Detail, ListContent};
use crate::pages::{TasksPage, task_row};
use crate::paint::{Fact, Theme};
use crate::progress::ScreenProgress;
use crate::screen::Screen;

/// A screen of tasks of a fixed size that draws into memory.
pub struct ScreenFrame {
    app: Screens,
    terminal: Option<Terminal<TestBackend>>,
    tasks: Vec<Task>,
}

impl ScreenFrame {
    /// Returns a screen of `width` by `height` cells with so many tasks, the log of one of them beside them.
    #[must_use]
    pub fn new(count: u64, width: u16, height: u16) -> Option<Self> {
        const NO_SCRIPTS: BundledScripts = BundledScripts { component: &[], code: &[], sha256: "" };
        let progress = Arc::new(ScreenProgress::default());
        let home = Home::from_root("/nowhere/at/all");
        let client = ClientSession::from_app(App::open(home, &[], NO_SCRIPTS, progress.clone())).ok()?;
        let doctor = Arc::new(|_: &Home| aiw_app::doctor::Doctor { parts: Vec::new() });
        let ground = Arc::new(AppContext::new(client, doctor, progress));
        let theme = Theme { color: true, ascii: false };
        let app = Screens::new(ground, vec![Tab::page(Arc::new(TasksPage))], 0, theme, false);
        let tasks = (0..count).filter_map(task).collect();
        let mut frame = Self { app, terminal: Terminal::new(TestBackend::new(width, height)).ok(), tasks };
        frame.refresh(0);
        Some(frame)
    }

    /// Reads the list anew, with another state of one of its tasks, and new lines of a log.
    pub fn refresh(&mut self, turn: usize) {
        let at = turn % self.tasks.len().max(1);
        if let Some(task) = self.tasks.get_mut(at) {
            task.unread = !task.unread;
        }
        self.app.handle_reply(Reply::List(0, Ok(ListContent::new(self.tasks.iter().map(task_row).collect(), []))));
        let id = self.tasks.get(at).map(|task| task.id.to_string()).unwrap_or_default();
        let lines =
            (0..300).map(|n| format!("line {n} of turn {turn}: what a model says in a line of the usual length"));
        self.app.handle_reply(Reply::Detail(0, id, Detail::new(vec![Fact::title("a task")]).with_lines(lines)));
        self.draw();
    }

    /// Selects the next row and draws the frame.
    pub fn step(&mut self) {
        self.app.handle_key(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE));
        self.draw();
    }

    fn draw(&mut self) {
        if let Some(terminal) = &mut self.terminal {
            // Drawing into memory cannot fail.
            let _ = terminal.draw(|frame| self.app.draw(frame));
        }
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
