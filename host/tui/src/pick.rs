//! Choosing one of a few things, with a preview of each: `aiw history search --interactive`.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use parking_lot::Mutex;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::event_loop::show;
use crate::screen::{self, Screen, ScreenError, StepProgress, Worker};
use crate::text::{clean, wrap};

/// The most characters of a line that are shown.
const MAX_LINE_LEN: usize = 4_000;
/// The most lines of a preview.
const MAX_PREVIEW_LINES: usize = 2_000;
/// With fewer rows, there is no preview.
const MIN_PREVIEW_HEIGHT: u16 = 12;

const BOLD_STYLE: Style = Style::new().add_modifier(Modifier::BOLD);

/// Returns the lines of the preview of a choice, by its place. It may take time.
pub type PreviewFn = dyn Fn(usize) -> Vec<String> + Send + Sync;

/// Lets the user choose. Returns the place of the choice, or `None` if they left without one. Standard output must be a
/// terminal; the same holds for signals as with [`crate::browse`].
///
/// # Errors
///
/// Returns [`ScreenError::Signal`] after SIGTERM, SIGHUP, SIGINT or SIGQUIT, and [`ScreenError::Terminal`] if the
/// terminal fails.
pub fn pick(title: &str, choices: &[String], previews: Arc<PreviewFn>) -> Result<Option<usize>, ScreenError> {
    let chosen = Arc::new(Mutex::new(None));
    show(PickScreen::new(title, choices, previews, chosen.clone()))?;
    let chosen = chosen.lock();
    Ok(*chosen)
}

type Effect = screen::Effect<usize>;

struct PickScreen {
    title: String,
    choices: Vec<String>,
    previews: Arc<PreviewFn>,
    visible: Vec<Option<Vec<String>>>,
    /// The typed words, all of which a choice must have.
    typed: String,
    /// The places of the choices that have them.
    remaining: Vec<usize>,
    /// The selected one of these.
    selected: usize,
    top: usize,
    scroll: usize,
    is_working: bool,
    chosen: Arc<Mutex<Option<usize>>>,
}

impl PickScreen {
    fn new(title: &str, choices: &[String], previews: Arc<PreviewFn>, chosen: Arc<Mutex<Option<usize>>>) -> Self {
        Self {
            title: clean(title, MAX_LINE_LEN),
            choices: choices.iter().map(|choice| clean(choice, MAX_LINE_LEN)).collect(),
            previews,
            visible: vec![None; choices.len()],
            typed: String::new(),
            remaining: (0..choices.len()).collect(),
            selected: 0,
            top: 0,
            scroll: 0,
            is_working: false,
            chosen,
        }
    }

    fn select(&mut self, selected: usize) -> Option<Effect> {
        self.selected = selected.min(self.remaining.len().saturating_sub(1));
        self.scroll = 0;
        self.next().map(Effect::Start)
    }

    /// The place of the selected choice; `None` if there is none that has what was typed.
    fn place(&self) -> Option<usize> {
        self.remaining.get(self.selected).copied()
    }

    /// Leaves the choices that have what was typed. The selected one stays so if it is among them.
    fn narrow(&mut self, typed: String) -> Option<Effect> {
        let before = self.place();
        self.typed = typed;
        let words: Vec<String> = self.typed.split_whitespace().map(str::to_lowercase).collect();
        let has_all = |choice: &String| {
            let choice = choice.to_lowercase();
            words.iter().all(|word| choice.contains(word))
        };
        self.remaining = (0..self.choices.len()).filter(|place| has_all(&self.choices[*place])).collect();
        let selected = self.remaining.iter().position(|place| Some(*place) == before);
        self.select(selected.unwrap_or_default())
    }

    /// The job that reads the preview of the selected choice, unless it is there or another one is being read.
    fn next(&mut self) -> Option<usize> {
        let place = self.place()?;
        let is_missing = self.visible.get(place).is_some_and(Option::is_none);
        let job = (is_missing && !self.is_working).then_some(place)?;
        self.is_working = true;
        Some(job)
    }
}

impl Screen for PickScreen {
    type Job = usize;
    type Reply = (usize, Vec<String>);

    fn initial_job(&mut self) -> Option<usize> {
        self.next()
    }

    fn worker(&self) -> Worker<usize, (usize, Vec<String>)> {
        let previews = self.previews.clone();
        Arc::new(move |place, _| (place, previews(place)))
    }

    fn failure_reply(job: usize, why: &str) -> (usize, Vec<String>) {
        (job, vec![why.to_owned()])
    }

    fn handle_key(&mut self, key: KeyEvent) -> Option<Effect> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Effect::Quit),
                KeyCode::Char('z') => Some(Effect::Suspend),
                KeyCode::Char('u') => self.narrow(String::new()),
                _ => None,
            };
        }
        match key.code {
            KeyCode::Esc if self.typed.is_empty() => Some(Effect::Quit),
            KeyCode::Esc => self.narrow(String::new()),
            KeyCode::Enter => {
                let place = self.place()?;
                *self.chosen.lock() = Some(place);
                Some(Effect::Quit)
            }
            KeyCode::Char(letter) => self.narrow(format!("{}{letter}", self.typed)),
            KeyCode::Backspace => {
                let mut typed = self.typed.clone();
                typed.pop()?;
                self.narrow(typed)
            }
            KeyCode::Up => self.select(self.selected.saturating_sub(1)),
            KeyCode::Down => self.select(self.selected + 1),
            KeyCode::Home => self.select(0),
            KeyCode::End => self.select(usize::MAX),
            KeyCode::PageDown => {
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

    fn handle_paste(&mut self, text: &str) -> Option<Effect> {
        self.narrow(format!("{}{}", self.typed, clean(text, MAX_LINE_LEN)))
    }

    fn handle_reply(&mut self, (place, lines): (usize, Vec<String>)) -> Option<Effect> {
        self.is_working = false;
        if let Some(shown) = self.visible.get_mut(place) {
            *shown = Some(lines.into_iter().take(MAX_PREVIEW_LINES).map(|line| clean(&line, MAX_LINE_LEN)).collect());
        }
        // Another one may have been selected meanwhile.
        self.next().map(Effect::Start)
    }

    fn is_working(&self) -> bool {
        self.is_working
    }

    fn tick(&mut self, _progress: Option<StepProgress>) {}

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let buffer = frame.buffer_mut();
        let title = match self.typed.as_str() {
            "" => self.title.clone(),
            typed => format!("{}   {} with: {typed}", self.title, self.remaining.len()),
        };
        put(buffer, area, 0, &title, BOLD_STYLE);
        let leave = if self.typed.is_empty() { "Esc leave" } else { "Esc show all" };
        let keys = format!("type to narrow   ↑↓ move   PgUp PgDn scroll the preview   Enter resume   {leave}");
        let keys = keys.as_str();
        put(buffer, area, area.height.saturating_sub(1), keys, Style::new());
        let body = area.height.saturating_sub(2);
        let rows = if body < MIN_PREVIEW_HEIGHT {
            body
        } else {
            (body / 2).min(u16::try_from(self.choices.len()).unwrap_or(body))
        };
        let page = usize::from(rows).max(1);
        self.top = self.top.clamp((self.selected + 1).saturating_sub(page), self.selected);
        for (y, at) in (1..=rows).zip(self.top..self.remaining.len()) {
            let (is_selected, place) = (at == self.selected, self.remaining[at]);
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
        let preview = self.place().map(|place| self.visible.get(place).and_then(Option::as_ref));
        let lines: Vec<&str> = match preview {
            Some(Some(lines)) => lines.iter().flat_map(|line| wrap(line, room)).collect(),
            Some(None) => vec!["…"],
            None => Vec::new(),
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

    fn press(pick: &mut PickScreen, code: KeyCode) -> Option<Effect> {
        pick.handle_key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn drawn(pick: &mut PickScreen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| pick.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    fn sample() -> (PickScreen, Arc<Mutex<Option<usize>>>) {
        let chosen = Arc::new(Mutex::new(None));
        let choices: Vec<String> = (0..5).map(|n| format!("choice {n}\u{1b}[31m")).collect();
        let previews: Arc<PreviewFn> = Arc::new(|place| vec![format!("preview of {place}"), "登录 ".repeat(30)]);
        (PickScreen::new("3 hits", &choices, previews, chosen.clone()), chosen)
    }

    #[test]
    fn arrows_move_enter_chooses_and_the_preview_follows() {
        let (mut pick, chosen) = sample();
        assert_eq!(pick.initial_job(), Some(0));
        let worker = pick.worker();
        assert!(drawn(&mut pick, 40, 20).contains('…'));
        // While one preview is read, no other is.
        assert_eq!(press(&mut pick, KeyCode::Down), None);
        assert_eq!(pick.handle_reply(worker(0, &crate::prompter::noop_job_handle())), Some(Effect::Start(1)));
        assert_eq!(pick.handle_reply(worker(1, &crate::prompter::noop_job_handle())), None);
        let frame = drawn(&mut pick, 40, 20);
        assert!(frame.contains("› choice 1") && frame.contains("preview of 1") && !frame.contains('\u{1b}'), "{frame}");
        assert_eq!(press(&mut pick, KeyCode::End), Some(Effect::Start(4)));
        assert_eq!(press(&mut pick, KeyCode::Enter), Some(Effect::Quit));
        assert_eq!(*chosen.lock(), Some(4));
    }

    #[test]
    fn typing_narrows_and_the_choice_is_among_what_is_left() {
        let (mut pick, chosen) = sample();
        pick.initial_job();
        for letter in "4 CHOice".chars() {
            press(&mut pick, KeyCode::Char(letter));
        }
        let frame = drawn(&mut pick, 60, 20);
        assert!(frame.contains("1 with: 4 CHOice") && frame.contains("› choice 4"), "{frame}");
        assert!(!frame.contains("choice 2"), "{frame}");
        // What nothing has leaves nothing to choose, and a letter less brings it back.
        press(&mut pick, KeyCode::Char('x'));
        assert!(!drawn(&mut pick, 60, 20).contains("choice 4"));
        assert_eq!(press(&mut pick, KeyCode::Enter), None);
        press(&mut pick, KeyCode::Backspace);
        assert_eq!(press(&mut pick, KeyCode::Enter), Some(Effect::Quit));
        assert_eq!(*chosen.lock(), Some(4));
        // Leaving shows all first, with the same one selected.
        assert_ne!(press(&mut pick, KeyCode::Esc), Some(Effect::Quit));
        assert!(drawn(&mut pick, 60, 20).contains("› choice 4"));
        assert_eq!(press(&mut pick, KeyCode::Esc), Some(Effect::Quit));
    }

    #[test]
    fn leaving_chooses_nothing_and_any_size_can_be_drawn() {
        let (mut pick, chosen) = sample();
        for (width, height) in [(1, 1), (3, 2), (80, 4), (10, 13), (200, 60)] {
            pick.selected = 3;
            drawn(&mut pick, width, height);
        }
        assert_eq!(press(&mut pick, KeyCode::Esc), Some(Effect::Quit));
        assert_eq!(*chosen.lock(), None);
    }
}
