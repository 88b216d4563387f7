//! Frames without a terminal, for `cargo xtask bench`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::app::{BrowseApp, LoadedList, Reply};
use super::model::{BrowserOptions, Plugin};
use super::view;

/// A browser of a fixed size that draws into memory.
pub struct BenchFrame {
    app: BrowseApp,
    terminal: Option<Terminal<TestBackend>>,
}

impl BenchFrame {
    /// Returns a browser of `width` by `height` cells with these plugins, all of them shown.
    #[must_use]
    pub fn new(plugins: Vec<Plugin>, width: u16, height: u16) -> Self {
        let (mut app, _) = BrowseApp::new(BrowserOptions { color: true, query: String::new(), show_all: true });
        app.handle_reply(Reply::Loaded(Ok(Box::new(LoadedList::new(plugins)))));
        Self { app, terminal: Terminal::new(TestBackend::new(width, height)).ok() }
    }

    /// Selects the next row (after the last row, the first) and draws the frame.
    pub fn draw(&mut self) {
        let last = self.app.selected + 1 >= self.app.visible_count();
        self.key(if last { KeyCode::Home } else { KeyCode::Down });
        self.frame();
    }

    /// Types `query` letter by letter, drawing a frame after each letter, and then clears it.
    pub fn search(&mut self, query: &str) {
        self.key(KeyCode::Char('/'));
        for c in query.chars() {
            self.key(KeyCode::Char(c));
            self.frame();
        }
        self.key(KeyCode::Esc);
        self.frame();
    }

    fn key(&mut self, code: KeyCode) {
        self.app.handle_key(KeyEvent::new(code, KeyModifiers::NONE));
    }

    fn frame(&mut self) {
        if let Some(terminal) = &mut self.terminal {
            // Drawing into memory cannot fail.
            let _ = terminal.draw(|frame| view::draw(frame, &mut self.app));
        }
    }
}
