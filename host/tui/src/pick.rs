//! Choosing one of a few things, with a preview of each: `aiw history search --interactive`.

use std::sync::{Arc, Mutex, PoisonError};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::event_loop::show;
use crate::screen::{self, Progress, Screen, ScreenError, Worker};
use crate::text::{clean, wrap};

/// The most characters of a line that are shown.
const LINE: usize = 4_000;
/// The most lines of a preview.
const LINES: usize = 2_000;
/// With fewer rows, there is no preview.
const PREVIEW: u16 = 12;

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Returns the lines of the preview of a choice, by its place. It may take time.
pub type Previews = dyn Fn(usize) -> Vec<String> + Send + Sync;

/// Lets the user choose. Returns the place of the choice, or `None` if they left without one. Standard output must be a
/// terminal; the same holds for signals as with [`crate::browse`].
///
/// # Errors
///
/// Returns [`ScreenError::Signal`] after SIGTERM, SIGHUP, SIGINT or SIGQUIT, and [`ScreenError::Terminal`] if the
/// terminal fails.
pub fn pick(title: &str, choices: &[String], previews: Arc<Previews>) -> Result<Option<usize>, ScreenError> {
    let chosen = Arc::new(Mutex::new(None));
    show(Pick::new(title, choices, previews, chosen.clone()))?;
    let chosen = chosen.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(*chosen)
}

type Effect = screen::Effect<usize>;

struct Pick {
    title: String,
    choices: Vec<String>,
    previews: Arc<Previews>,
    shown: Vec<Option<Vec<String>>>,
    selected: usize,
    top: usize,
    scroll: usize,
    is_working: bool,
    chosen: Arc<Mutex<Option<usize>>>,
}

impl Pick {
    fn new(title: &str, choices: &[String], previews: Arc<Previews>, chosen: Arc<Mutex<Option<usize>>>) -> Self {
        Self {
            title: clean(title, LINE),
            choices: choices.iter().map(|choice| clean(choice, LINE)).collect(),
            previews,
            shown: vec![None; choices.len()],
            selected: 0,
            top: 0,
            scroll: 0,
            is_working: false,
            chosen,
        }
    }

    fn select(&mut self, place: usize) -> Option<Effect> {
        self.selected = place.min(self.choices.len().saturating_sub(1));
        self.scroll = 0;
        self.next().map(Effect::Start)
    }

    /// The job that reads the preview of the selected choice, unless it is there or another one is being read.
    fn next(&mut self) -> Option<usize> {
        let is_missing = self.shown.get(self.selected).is_some_and(Option::is_none);
        let job = (is_missing && !self.is_working).then_some(self.selected)?;
        self.is_working = true;
        Some(job)
    }
}

impl Screen for Pick {
    type Job = usize;
    type Reply = (usize, Vec<String>);

    fn begin(&mut self) -> Option<usize> {
        self.next()
    }

    fn worker(&self) -> Worker<usize, (usize, Vec<String>)> {
        let previews = self.previews.clone();
        Arc::new(move |place, _| (place, previews(place)))
    }

    fn failed(job: usize, why: &str) -> (usize, Vec<String>) {
        (job, vec![why.to_owned()])
    }

    fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Effect::Quit),
                KeyCode::Char('z') => Some(Effect::Suspend),
                _ => None,
            };
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Some(Effect::Quit),
            KeyCode::Enter => {
                *self.chosen.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.selected);
                Some(Effect::Quit)
            }
            KeyCode::Up | KeyCode::Char('k') => self.select(self.selected.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(self.selected + 1),
            KeyCode::Home | KeyCode::Char('g') => self.select(0),
            KeyCode::End | KeyCode::Char('G') => self.select(usize::MAX),
            KeyCode::PageDown | KeyCode::Char(' ') => {
                self.scroll += 5;
                None
            }
            KeyCode::PageUp => {
                self.scroll = self.scroll.saturating_sub(5);
                None
            }
            _ => None,
        }
    }

    fn paste(&mut self, _text: &str) {}

    fn reply(&mut self, (place, lines): (usize, Vec<String>)) -> Option<Effect> {
        self.is_working = false;
        if let Some(shown) = self.shown.get_mut(place) {
            *shown = Some(lines.into_iter().take(LINES).map(|line| clean(&line, LINE)).collect());
        }
        // Another one may have been selected meanwhile.
        self.next().map(Effect::Start)
    }

    fn is_working(&self) -> bool {
        self.is_working
    }

    fn tick(&mut self, _progress: Option<Progress>) {}

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let buffer = frame.buffer_mut();
        put(buffer, area, 0, &self.title, BOLD);
        let keys = "↑↓ move   PgUp PgDn scroll the preview   Enter resume   q leave";
        put(buffer, area, area.height.saturating_sub(1), keys, Style::new());
        let body = area.height.saturating_sub(2);
        let rows =
            if body < PREVIEW { body } else { (body / 2).min(u16::try_from(self.choices.len()).unwrap_or(body)) };
        let page = usize::from(rows).max(1);
        self.top = self.top.clamp((self.selected + 1).saturating_sub(page), self.selected);
        for (y, place) in (1..=rows).zip(self.top..self.choices.len()) {
            let is_selected = place == self.selected;
            let line = format!("{} {}", if is_selected { "›" } else { " " }, self.choices[place]);
            let style = if is_selected { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
            put(buffer, area, y, &line, style);
        }
        let below = body.saturating_sub(rows + 1);
        if below == 0 {
            return;
        }
        put(buffer, area, rows + 1, &"─".repeat(usize::from(area.width)), Style::new());
        let room = usize::from(area.width).max(1);
        let preview = self.shown.get(self.selected).and_then(Option::as_ref);
        let lines: Vec<&str> = match preview {
            Some(lines) => lines.iter().flat_map(|line| wrap(line, room)).collect(),
            None => vec!["…"],
        };
        self.scroll = self.scroll.min(lines.len().saturating_sub(usize::from(below)));
        for (y, line) in (rows + 2..rows + 2 + below).zip(lines.into_iter().skip(self.scroll)) {
            put(buffer, area, y, line, Style::new());
        }
    }
}

/// Writes clean text into a row.
fn put(buffer: &mut Buffer, area: Rect, y: u16, text: &str, style: Style) {
    if y < area.height {
        buffer.set_stringn(area.x, area.y + y, text, usize::from(area.width), style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn press(pick: &mut Pick, code: KeyCode) -> Option<Effect> {
        pick.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn drawn(pick: &mut Pick, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| pick.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    fn sample() -> (Pick, Arc<Mutex<Option<usize>>>) {
        let chosen = Arc::new(Mutex::new(None));
        let choices: Vec<String> = (0..5).map(|n| format!("choice {n}\u{1b}[31m")).collect();
        let previews: Arc<Previews> = Arc::new(|place| vec![format!("preview of {place}"), "登录 ".repeat(30)]);
        (Pick::new("3 hits", &choices, previews, chosen.clone()), chosen)
    }

    #[test]
    fn arrows_move_enter_chooses_and_the_preview_follows() {
        let (mut pick, chosen) = sample();
        assert_eq!(pick.begin(), Some(0));
        let worker = pick.worker();
        assert!(drawn(&mut pick, 40, 20).contains('…'));
        // While one preview is read, no other is.
        assert_eq!(press(&mut pick, KeyCode::Down), None);
        assert_eq!(pick.reply(worker(0, &|_| {})), Some(Effect::Start(1)));
        assert_eq!(pick.reply(worker(1, &|_| {})), None);
        let frame = drawn(&mut pick, 40, 20);
        assert!(frame.contains("› choice 1") && frame.contains("preview of 1") && !frame.contains('\u{1b}'), "{frame}");
        assert_eq!(press(&mut pick, KeyCode::End), Some(Effect::Start(4)));
        assert_eq!(press(&mut pick, KeyCode::Enter), Some(Effect::Quit));
        assert_eq!(*chosen.lock().unwrap(), Some(4));
    }

    #[test]
    fn leaving_chooses_nothing_and_any_size_can_be_drawn() {
        let (mut pick, chosen) = sample();
        for (width, height) in [(1, 1), (3, 2), (80, 4), (10, 13), (200, 60)] {
            pick.selected = 3;
            drawn(&mut pick, width, height);
        }
        assert_eq!(press(&mut pick, KeyCode::Esc), Some(Effect::Quit));
        assert_eq!(*chosen.lock().unwrap(), None);
    }
}
