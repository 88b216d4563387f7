//! A question on the screen, and how keys answer it.

use std::time::{Duration, Instant};

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::paint::{BOLD, Line, draw_lines};
use crate::prompt::{Prompt, PromptKind, PromptReply};

/// The most bytes of an answer.
const MAX_REPLY_BYTES: usize = 4_000;

/// The sentence for those who typed more.
const REPLY_TOO_LONG_MESSAGE: &str = "This is too long: an answer has at most 4,000 bytes. Backspace empties it.";

/// How long nobody types before a yes counts. Whoever is typing something else does not agree with one of its letters.
const TYPE_AHEAD_GUARD_DELAY: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 400 });

/// A question that is being answered.
pub(super) struct ActivePrompt {
    prompt: Prompt,
    typed: String,
    /// Whether more was typed than is kept. A piece of a key is not a key, so it does not count as an answer.
    is_too_long: bool,
    /// The selected option.
    selected: usize,
    scroll: usize,
    /// When the last of its lines was on the screen, or a key after that was not an answer.
    seen: Option<Instant>,
    /// Whether the last frame offered a yes.
    is_offered: bool,
}

/// The state of a question after a key.
pub(super) enum PromptState {
    Pending,
    Done,
}

impl ActivePrompt {
    pub(super) fn new(prompt: Prompt) -> Self {
        let typed = String::new();
        Self { prompt, typed, is_too_long: false, selected: 0, scroll: 0, seen: None, is_offered: false }
    }

    /// Returns the prompt before what is typed, and how that is shown.
    pub(super) fn input_line(&self) -> Option<(&'static str, String)> {
        match self.prompt.kind {
            PromptKind::Text | PromptKind::Secret if self.is_too_long => {
                Some(("too long> ", "at most 4,000 bytes".to_owned()))
            }
            PromptKind::Text => Some(("> ", self.typed.clone())),
            // Neither the secret nor its length.
            PromptKind::Secret if self.typed.is_empty() => Some(("hidden> ", String::new())),
            PromptKind::Secret => Some(("hidden> ", "***".to_owned())),
            PromptKind::Confirm | PromptKind::Select(_) => None,
        }
    }

    pub(super) fn key_hints(&self) -> &'static [(&'static str, &'static str)] {
        match self.prompt.kind {
            PromptKind::Confirm if self.is_offered => &[("y", "yes"), ("n Esc", "no"), ("↑↓", "scroll")],
            PromptKind::Confirm if self.seen.is_some() => &[("n Esc", "no"), ("↑↓", "scroll")],
            PromptKind::Confirm => &[("↓", "read on"), ("n Esc", "no")],
            PromptKind::Select(_) if self.is_offered => &[("↑↓", "move"), ("Enter", "take it"), ("Esc", "none")],
            PromptKind::Select(_) => &[("↑↓", "move"), ("Esc", "none")],
            PromptKind::Text | PromptKind::Secret if self.is_too_long => &[("Backspace", "empty it"), ("Esc", "stop")],
            PromptKind::Text | PromptKind::Secret => &[("Enter", "next"), ("Esc", "stop")],
        }
    }

    pub(super) fn handle_paste(&mut self, text: &str) {
        if self.input_line().is_some() {
            text.chars().for_each(|c| self.push(c));
        }
    }

    fn push(&mut self, c: char) {
        self.is_too_long |= !c.is_control() && self.typed.len() + c.len_utf8() > MAX_REPLY_BYTES;
        if !c.is_control() && !self.is_too_long {
            self.typed.push(c);
        }
    }

    /// Forgets what was typed.
    pub(super) fn clear(&mut self) {
        self.typed.clear();
        self.is_too_long = false;
    }

    /// Whether a yes counts.
    fn counts(&self) -> bool {
        self.seen.is_some_and(|seen| seen.elapsed() >= TYPE_AHEAD_GUARD_DELAY)
    }

    /// Whether a yes is about to count, or counts and was not offered yet.
    pub(super) fn is_settling(&self) -> bool {
        self.seen.is_some() && !self.is_offered
    }

    /// Handles a key. The answer of those who leave is no.
    pub(super) fn handle_key(&mut self, code: KeyCode) -> PromptState {
        if code == KeyCode::Esc {
            return PromptState::Done;
        }
        match self.prompt.kind.clone() {
            PromptKind::Confirm => match code {
                // A question is only agreed to by those who could read all of it.
                KeyCode::Char('y' | 'Y') if self.counts() => return self.answer(PromptReply::Confirmed),
                KeyCode::Char('n' | 'N' | 'q') => return PromptState::Done,
                KeyCode::Enter if self.counts() => return PromptState::Done,
                code => {
                    self.seen = self.seen.map(|_| Instant::now());
                    self.scroll_by(code);
                }
            },
            PromptKind::Select(options) => match code {
                KeyCode::Enter if self.counts() => return self.answer(PromptReply::Selected(self.selected)),
                KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
                KeyCode::Down | KeyCode::Char('j') => {
                    self.selected = (self.selected + 1).min(options.len().saturating_sub(1));
                }
                _ => {}
            },
            PromptKind::Text | PromptKind::Secret => match code {
                KeyCode::Backspace if self.is_too_long => self.clear(),
                KeyCode::Enter if self.seen.is_some() && !self.is_too_long => {
                    let typed = std::mem::take(&mut self.typed);
                    return self.answer(PromptReply::Text(typed));
                }
                KeyCode::Backspace => drop(self.typed.pop()),
                KeyCode::Char(c) => self.push(c),
                _ => {}
            },
        }
        PromptState::Pending
    }

    fn answer(&mut self, answer: PromptReply) -> PromptState {
        let (none, _) = tokio::sync::oneshot::channel();
        // If the job has ended meanwhile, nobody needs it.
        let _ = std::mem::replace(&mut self.prompt.reply_sender, none).send(answer);
        PromptState::Done
    }

    pub(super) fn scroll_by(&mut self, code: KeyCode) {
        self.scroll = match code {
            KeyCode::Up | KeyCode::Char('k') => self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') | KeyCode::Enter => self.scroll + 1,
            KeyCode::PageUp => self.scroll.saturating_sub(10),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll + 10,
            _ => self.scroll,
        };
    }

    /// Draws it. Returns how many lines are below.
    pub(super) fn draw(&mut self, buffer: &mut Buffer, area: Rect) -> usize {
        let room = usize::from(area.width);
        let mut lines = Vec::new();
        if self.is_too_long {
            self.scroll = 0;
            Line::push_wrapped(&mut lines, REPLY_TOO_LONG_MESSAGE, 0, room, BOLD);
        }
        Line::push_wrapped(&mut lines, &self.prompt.question, 0, room, BOLD);
        for line in &self.prompt.lines {
            Line::push_wrapped(&mut lines, line, 2, room, Style::new());
        }
        if let PromptKind::Select(options) = &self.prompt.kind {
            for (at, option) in options.iter().enumerate() {
                let is_selected = at == self.selected;
                let style = if is_selected { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
                if is_selected {
                    // It is always on the screen.
                    let below = (lines.len() + 1).saturating_sub(usize::from(area.height));
                    self.scroll = self.scroll.clamp(below, lines.len().max(below));
                }
                Line::push_wrapped(&mut lines, option, 2, room, style);
            }
        }
        self.scroll = draw_lines(buffer, area, &lines, self.scroll);
        let below = lines.len().saturating_sub(self.scroll + usize::from(area.height));
        if below == 0 || self.prompt.kind != PromptKind::Confirm {
            self.seen.get_or_insert_with(Instant::now);
        }
        self.is_offered = self.counts();
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_too_long_is_refused_and_no_piece_of_it_is_taken() {
        for form in [PromptKind::Secret, PromptKind::Text] {
            let (answer, mut given) = tokio::sync::oneshot::channel();
            let mut asking = ActivePrompt::new(Prompt {
                kind: form,
                question: "Key:".to_owned(),
                lines: Vec::new(),
                reply_sender: answer,
            });
            let area = Rect::new(0, 0, 80, 10);
            let shown = |asking: &mut ActivePrompt| {
                let mut buffer = Buffer::empty(area);
                asking.draw(&mut buffer, area);
                buffer.content.iter().map(|cell| cell.symbol()).collect::<String>()
            };
            assert!(!shown(&mut asking).contains("too long"));
            asking.handle_paste(&"k".repeat(MAX_REPLY_BYTES + 1));
            assert!(matches!(asking.handle_key(KeyCode::Enter), PromptState::Pending));
            assert!(shown(&mut asking).contains("at most 4,000 bytes"), "{}", shown(&mut asking));
            assert!(given.try_recv().is_err());
            asking.handle_key(KeyCode::Backspace);
            // The longest one is taken whole.
            let whole = format!("{}é", "k".repeat(MAX_REPLY_BYTES - 2));
            asking.handle_paste(&whole);
            assert!(!shown(&mut asking).contains("too long"));
            assert!(matches!(asking.handle_key(KeyCode::Enter), PromptState::Done));
            assert_eq!(given.try_recv(), Ok(PromptReply::Text(whole)));
        }
    }
}
