//! A question on the screen, and how keys answer it.

use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use tokio::sync::oneshot;

use super::input;
use super::keys::{self, Binding, Command};
use crate::paint::{BOLD, Line, draw_lines, draw_text};
use crate::prompt::{Prompt, PromptKind, PromptReply};

/// The most bytes of an answer.
const MAX_REPLY_BYTES: usize = 4_000;

/// The most characters that narrow answers.
const MAX_QUERY_LEN: usize = 100;

/// The sentence for those who typed more.
const REPLY_TOO_LONG_MESSAGE: &str = "This is too long: an answer has at most 4,000 bytes. Backspace empties it.";

/// How long nobody types before a yes counts. Whoever is typing something else does not agree with one of its letters.
const TYPE_AHEAD_GUARD_DELAY: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 400 });

/// An action that waits for a yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PendingAction {
    pub(super) key: char,
    pub(super) ids: Vec<String>,
}

/// Where an answer goes.
enum Asker {
    /// To a job. If it is dropped, the answer is no.
    Job(oneshot::Sender<PromptReply>),
    /// To the screen: the user has just asked for the action.
    Screen(PendingAction),
}

/// A question that is being answered.
pub(super) struct Dialog {
    kind: PromptKind,
    question: String,
    /// The lines that decide the answer, clean.
    lines: Vec<String>,
    asker: Asker,
    can_go_back: bool,
    /// The text that is typed, or the letters that narrow the answers.
    typed: String,
    /// Whether more was typed than is kept. A piece of a key is not a key, so it does not count as an answer.
    is_too_long: bool,
    /// The selected one of the answers that are left; of a yes and a no, 1 is the yes.
    selected: usize,
    /// The answers that are marked.
    marked: Vec<usize>,
    scroll: usize,
    /// How many lines fit.
    height: usize,
    /// When the last of its lines was on the screen, or a key after that was not an answer.
    seen: Option<Instant>,
    /// Whether the last frame offered a yes.
    is_offered: bool,
}

/// The state of a question after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DialogState {
    Pending,
    Done,
    /// The user agrees to an action.
    Agreed(PendingAction),
}

impl Dialog {
    fn new(kind: PromptKind, question: String, lines: Vec<String>, asker: Asker) -> Self {
        Self {
            kind,
            question,
            lines,
            asker,
            can_go_back: false,
            typed: String::new(),
            is_too_long: false,
            selected: 0,
            marked: Vec::new(),
            scroll: 0,
            height: 1,
            seen: None,
            is_offered: false,
        }
    }

    pub(super) fn from_prompt(prompt: Prompt) -> Self {
        let Prompt { kind, question, lines, can_go_back, reply_sender } = prompt;
        Self { can_go_back, ..Self::new(kind, question, lines, Asker::Job(reply_sender)) }
    }

    /// Returns the question before an action.
    pub(super) fn from_action(question: String, action: PendingAction) -> Self {
        Self::new(PromptKind::Confirm, question, Vec::new(), Asker::Screen(action))
    }

    /// Returns `true` if it stands in a line, and the page stays above it.
    pub(super) fn is_line(&self) -> bool {
        matches!(self.asker, Asker::Screen(_))
    }

    fn options(&self) -> &[String] {
        match &self.kind {
            PromptKind::Select(options) | PromptKind::Mark(options) => options,
            PromptKind::Confirm | PromptKind::Text | PromptKind::Secret => &[],
        }
    }

    /// Returns the places of the answers that have the typed letters.
    fn remaining(&self) -> Vec<usize> {
        let words: Vec<String> = self.typed.split_whitespace().map(str::to_lowercase).collect();
        let has_all = |(_, option): &(usize, &String)| {
            let option = option.to_lowercase();
            words.iter().all(|word| option.contains(word))
        };
        self.options().iter().enumerate().filter(has_all).map(|(place, _)| place).collect()
    }

    /// Returns the prompt before what is typed, and how that is shown.
    pub(super) fn input_line(&self) -> Option<(&'static str, String)> {
        match self.kind {
            PromptKind::Text | PromptKind::Secret if self.is_too_long => {
                Some(("too long> ", "at most 4,000 bytes".to_owned()))
            }
            PromptKind::Text => Some(("> ", self.typed.clone())),
            // Neither the secret nor its length.
            PromptKind::Secret if self.typed.is_empty() => Some(("hidden> ", String::new())),
            PromptKind::Secret => Some(("hidden> ", "***".to_owned())),
            PromptKind::Select(_) | PromptKind::Mark(_) if !self.typed.is_empty() => Some(("/", self.typed.clone())),
            PromptKind::Confirm | PromptKind::Select(_) | PromptKind::Mark(_) => None,
        }
    }

    fn table(&self) -> &'static [Binding] {
        match self.kind {
            PromptKind::Confirm => &keys::CONFIRM,
            PromptKind::Select(_) | PromptKind::Mark(_) => &keys::SELECT,
            PromptKind::Text | PromptKind::Secret => &keys::INPUT,
        }
    }

    /// Returns the keys that answer it now.
    pub(super) fn key_hints(&self) -> Vec<(&'static str, &'static str)> {
        if self.is_too_long {
            return vec![("Backspace", "empty it"), ("Esc", "stop")];
        }
        let is_multiple = matches!(self.kind, PromptKind::Mark(_));
        let can = |binding: &&Binding| match binding.command {
            Command::Accept if self.kind == PromptKind::Confirm => false,
            Command::Yes => self.is_offered,
            Command::Accept if !self.options().is_empty() => self.is_offered,
            Command::Toggle => self.kind == PromptKind::Confirm || is_multiple,
            Command::Back => self.can_go_back || self.kind != PromptKind::Confirm,
            Command::Move => !self.is_line(),
            Command::Edit => false,
            _ => true,
        };
        let shown = self.table().iter().filter(|binding| !binding.name.is_empty()).filter(can);
        let name = |binding: &Binding| {
            if binding.command == Command::Back && self.can_go_back { "back" } else { binding.name }
        };
        let mut hints: Vec<_> = shown.map(|binding| (binding.hint_label(), name(binding))).collect();
        // The answers first.
        hints.sort_by_key(|(label, _)| ["↑↓", "←→"].contains(label));
        hints
    }

    pub(super) fn handle_paste(&mut self, text: &str) {
        match self.kind {
            PromptKind::Text | PromptKind::Secret => text.chars().for_each(|c| self.push(c)),
            PromptKind::Select(_) | PromptKind::Mark(_) => {
                self.narrow(|typed| input::paste(typed, text, MAX_QUERY_LEN))
            }
            PromptKind::Confirm => {}
        }
    }

    fn push(&mut self, c: char) {
        self.is_too_long |= !c.is_control() && self.typed.len() + c.len_utf8() > MAX_REPLY_BYTES;
        if !c.is_control() && !self.is_too_long {
            self.typed.push(c);
        }
    }

    /// Leaves the answers that have the letters. The selected one stays so if it is among them.
    fn narrow(&mut self, change: impl FnOnce(&mut String)) {
        let before = self.remaining().get(self.selected).copied();
        change(&mut self.typed);
        self.selected = self.remaining().iter().position(|place| Some(*place) == before).unwrap_or(0);
    }

    /// Whether a yes counts.
    fn counts(&self) -> bool {
        let delay = if self.is_line() { Duration::ZERO } else { TYPE_AHEAD_GUARD_DELAY };
        self.seen.is_some_and(|seen| seen.elapsed() >= delay)
    }

    /// Whether a yes is about to count, or counts and was not offered yet.
    pub(super) fn is_settling(&self) -> bool {
        self.seen.is_some() && !self.is_offered
    }

    /// Handles a key. The answer of those who leave is no.
    pub(super) fn handle_key(&mut self, key: KeyEvent) -> DialogState {
        let command = keys::find(&[self.table()], key);
        if command == Some(Command::Back) {
            let goes_back = self.can_go_back && key.code == KeyCode::Esc;
            return if goes_back { self.answer(PromptReply::Back) } else { DialogState::Done };
        }
        match self.kind {
            PromptKind::Confirm => self.handle_confirm(command, key.code),
            PromptKind::Select(_) | PromptKind::Mark(_) => self.handle_select(command, key),
            PromptKind::Text | PromptKind::Secret => match command {
                Some(Command::Accept) if self.seen.is_some() && !self.is_too_long => {
                    let typed = std::mem::take(&mut self.typed);
                    self.answer(PromptReply::Text(typed))
                }
                Some(Command::Edit) => {
                    match key.code {
                        KeyCode::Backspace if self.is_too_long => self.typed.clear(),
                        KeyCode::Char(c) if !keys::has_control(key) => self.push(c),
                        _ => input::edit(&mut self.typed, key, MAX_REPLY_BYTES),
                    }
                    self.is_too_long &= !self.typed.is_empty();
                    DialogState::Pending
                }
                _ => DialogState::Pending,
            },
        }
    }

    fn handle_confirm(&mut self, command: Option<Command>, code: KeyCode) -> DialogState {
        match command {
            // A question is only agreed to by those who could read all of it.
            Some(Command::Yes) if self.counts() => return self.answer(PromptReply::Confirmed),
            Some(Command::Accept) if self.counts() && self.selected == 1 => {
                return self.answer(PromptReply::Confirmed);
            }
            Some(Command::Accept) if self.counts() => return DialogState::Done,
            Some(Command::No) => return DialogState::Done,
            Some(Command::Toggle) => self.selected = 1 - self.selected.min(1),
            Some(Command::Move) => self.scroll_by(code),
            // Nobody has read it yet.
            _ if self.is_line() && self.seen.is_some() => return DialogState::Done,
            _ => {}
        }
        let is_answering = command == Some(Command::Toggle) && !matches!(code, KeyCode::Char(_));
        self.seen = self.seen.map(|seen| if is_answering { seen } else { Instant::now() });
        DialogState::Pending
    }

    fn handle_select(&mut self, command: Option<Command>, key: KeyEvent) -> DialogState {
        let (remaining, is_typing) = (self.remaining(), !self.typed.is_empty());
        let is_multiple = matches!(self.kind, PromptKind::Mark(_));
        match command {
            Some(Command::Accept) if self.counts() => {
                if is_multiple {
                    let marked = std::mem::take(&mut self.marked);
                    return self.answer(PromptReply::Marked(marked));
                }
                if let Some(place) = remaining.get(self.selected) {
                    return self.answer(PromptReply::Selected(*place));
                }
            }
            Some(Command::Toggle) if is_multiple => {
                let Some(place) = remaining.get(self.selected) else { return DialogState::Pending };
                match self.marked.iter().position(|marked| marked == place) {
                    Some(at) => drop(self.marked.remove(at)),
                    None => self.marked.push(*place),
                }
            }
            // The letters that move are letters too, once one was typed.
            Some(Command::Move) if !(is_typing && matches!(key.code, KeyCode::Char(_))) => {
                let last = remaining.len().saturating_sub(1);
                self.selected = match key.code {
                    KeyCode::Up | KeyCode::Char('k') => self.selected.saturating_sub(1),
                    KeyCode::Down | KeyCode::Char('j') => self.selected + 1,
                    KeyCode::PageUp => self.selected.saturating_sub(self.height),
                    KeyCode::PageDown => self.selected + self.height,
                    KeyCode::Home => 0,
                    _ => last,
                }
                .min(last);
            }
            Some(Command::Move | Command::Edit | Command::Toggle) => {
                self.narrow(|typed| input::edit(typed, key, MAX_QUERY_LEN));
            }
            _ => {}
        }
        DialogState::Pending
    }

    fn answer(&mut self, answer: PromptReply) -> DialogState {
        let (none, _) = oneshot::channel();
        match std::mem::replace(&mut self.asker, Asker::Job(none)) {
            // If the job has ended meanwhile, nobody needs it.
            Asker::Job(sender) => drop(sender.send(answer)),
            Asker::Screen(action) => return DialogState::Agreed(action),
        }
        DialogState::Done
    }

    pub(super) fn scroll_by(&mut self, code: KeyCode) {
        self.scroll = match code {
            KeyCode::Up | KeyCode::Char('k') => self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll.saturating_add(1),
            KeyCode::PageUp => self.scroll.saturating_sub(self.height),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll.saturating_add(self.height),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => usize::MAX,
            _ => self.scroll,
        };
    }

    /// Draws it. Returns how many lines are below.
    pub(super) fn draw(&mut self, buffer: &mut Buffer, area: Rect) -> usize {
        let room = usize::from(area.width);
        self.height = usize::from(area.height).max(1);
        let mut lines = Vec::new();
        if self.is_too_long {
            self.scroll = 0;
            Line::push_wrapped(&mut lines, REPLY_TOO_LONG_MESSAGE, 0, room, BOLD);
        }
        Line::push_wrapped(&mut lines, &self.question, 0, room, BOLD);
        for line in &self.lines {
            Line::push_wrapped(&mut lines, line, 2, room, Style::new());
        }
        let mut scroll = self.scroll;
        for (at, place) in self.remaining().into_iter().enumerate() {
            let is_selected = at == self.selected;
            let style = if is_selected { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
            let option = &self.options()[place];
            let first = lines.len();
            let label = match (is_selected, self.marked.contains(&place)) {
                (true, true) => "›•",
                (true, false) => "›",
                (false, true) => " •",
                (false, false) => "",
            };
            let pieces = crate::text::wrap(option, room.saturating_sub(2)).into_iter().enumerate();
            lines.extend(pieces.map(|(at, text)| Line {
                label: if at == 0 { label } else { "" },
                indent: 2,
                text,
                style,
            }));
            if is_selected {
                // It is always on the screen.
                scroll = scroll
                    .clamp(lines.len().saturating_sub(self.height), first.max(lines.len().saturating_sub(self.height)));
            }
        }
        let (scroll, count) = (draw_lines(buffer, area, &lines, scroll), lines.len());
        self.scroll = scroll;
        let below = count.saturating_sub(scroll + self.height);
        self.see(below == 0 || self.kind != PromptKind::Confirm);
        below
    }

    /// Draws the answers of a question that takes a yes or a no, from a column on, and the question before them if it stands in
    /// a line.
    pub(super) fn draw_answers(&mut self, buffer: &mut Buffer, area: Rect, style: Style) {
        if self.kind != PromptKind::Confirm {
            return;
        }
        let mut x = 0;
        if self.is_line() {
            // The answers stay where there is no room for all of it.
            let room = Rect { width: area.width.saturating_sub(12), ..area };
            x = draw_text(buffer, room, 0, &self.question, style) + 2;
            self.see(true);
        }
        for (at, answer) in [" No ", " Yes "].into_iter().enumerate() {
            let is_selected = at == self.selected;
            x = draw_text(
                buffer,
                area,
                x,
                answer,
                if is_selected { BOLD.add_modifier(Modifier::REVERSED) } else { BOLD },
            );
            x += 1;
        }
    }

    /// Takes note that it is on the screen, and whether all of it was.
    fn see(&mut self, is_whole: bool) {
        if is_whole {
            self.seen.get_or_insert_with(Instant::now);
        }
        self.is_offered = self.counts();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_too_long_is_refused_and_no_piece_of_it_is_taken() {
        for form in [PromptKind::Secret, PromptKind::Text] {
            let (answer, mut given) = oneshot::channel();
            let mut asking = Dialog::from_prompt(Prompt {
                kind: form,
                question: "Key:".to_owned(),
                lines: Vec::new(),
                can_go_back: false,
                reply_sender: answer,
            });
            let area = Rect::new(0, 0, 80, 10);
            let shown = |asking: &mut Dialog| {
                let mut buffer = Buffer::empty(area);
                asking.draw(&mut buffer, area);
                buffer.content.iter().map(|cell| cell.symbol()).collect::<String>()
            };
            assert!(!shown(&mut asking).contains("too long"));
            asking.handle_paste(&"k".repeat(MAX_REPLY_BYTES + 1));
            assert!(matches!(asking.handle_key(KeyEvent::from(KeyCode::Enter)), DialogState::Pending));
            assert!(shown(&mut asking).contains("at most 4,000 bytes"), "{}", shown(&mut asking));
            assert!(given.try_recv().is_err());
            asking.handle_key(KeyEvent::from(KeyCode::Backspace));
            // The longest one is taken whole.
            let whole = format!("{}é", "k".repeat(MAX_REPLY_BYTES - 2));
            asking.handle_paste(&whole);
            assert!(!shown(&mut asking).contains("too long"));
            assert!(matches!(asking.handle_key(KeyEvent::from(KeyCode::Enter)), DialogState::Done));
            assert_eq!(given.try_recv(), Ok(PromptReply::Text(whole)));
        }
    }
}
