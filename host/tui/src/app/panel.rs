//! The state of a page: its list, what is known of the selected thing, and what of it is on the screen.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::feed::Topic;
use crossterm::event::KeyCode;

use super::find::TextSearch;
use super::jobs::Job;
use crate::list::List;
use crate::page::{Action, Detail, ListContent, Page, Row};
use crate::text::wrap;

/// How often a list is read for its ages alone.
const AGE_REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// The pane that the arrows move. Where there is room for one only, it is the one that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    List,
    Detail,
}

/// Lines that are broken at a width.
struct Wrapped {
    /// The width.
    room: usize,
    /// For each line on the screen, the line that it is a piece of, and the bytes of that.
    pieces: Vec<(usize, Range<usize>)>,
}

impl Wrapped {
    fn of(lines: &[String], room: usize) -> Self {
        let mut pieces = Vec::with_capacity(lines.len());
        for (at, line) in lines.iter().enumerate() {
            let begins = |piece: &str| piece.as_ptr() as usize - line.as_ptr() as usize;
            pieces.extend(wrap(line, room).into_iter().map(|piece| (at, begins(piece)..begins(piece) + piece.len())));
            if line.is_empty() {
                pieces.push((at, 0..0));
            }
        }
        Self { room, pieces }
    }
}

/// A page with its state.
pub(crate) struct Panel {
    pub(super) page: Arc<dyn Page>,
    pub(super) list: List,
    pub(super) notes: Vec<String>,
    /// The keys of the actions on all that have nothing to act on.
    idle: String,
    pub(super) problem: Option<String>,
    /// Whether the list has been read.
    pub(super) is_read: bool,
    /// The detail that was read last, with the id of its thing.
    detail: Option<(String, Detail)>,
    /// A text that an action shows in its place.
    action_text: Option<Detail>,
    pub(super) focus: Focus,
    /// The first line of the details that is on the screen; none if it follows the end of logs.
    pub(super) scroll: Option<usize>,
    /// The largest of these.
    pub(super) max_scroll: usize,
    /// The text beside the list, wrapped; none if it has changed since.
    wrapped: Option<Wrapped>,
    /// The words that the page is searched for.
    search: String,
    /// The search of the text beside the list.
    pub(super) text_search: TextSearch,
    /// The id of what is to be selected when the list is there.
    selection_id: Option<String>,
    /// Whether a list is being read, and whether it is out of date already.
    is_listing: bool,
    is_outdated: bool,
    /// Whether a detail is being read, and whether the shown one is out of date.
    is_looking: bool,
    is_stale: bool,
    /// When the list was read.
    read: Option<Instant>,
}

impl Panel {
    pub(super) fn new(page: Arc<dyn Page>) -> Self {
        Self {
            list: List::new(page.descriptor().columns),
            page,
            notes: Vec::new(),
            idle: String::new(),
            problem: None,
            is_read: false,
            detail: None,
            action_text: None,
            focus: Focus::List,
            scroll: None,
            max_scroll: 0,
            wrapped: None,
            search: String::new(),
            text_search: TextSearch::default(),
            selection_id: None,
            is_listing: false,
            is_outdated: false,
            is_looking: false,
            is_stale: false,
            read: None,
        }
    }

    /// Returns what stands beside the list.
    pub(super) fn detail(&self) -> Option<&Detail> {
        let is_current = |(id, _): &&(String, Detail)| self.list.current().is_some_and(|row| row.id == *id);
        self.action_text.as_ref().or_else(|| self.detail.as_ref().filter(is_current).map(|(_, detail)| detail))
    }

    /// Wraps the lines of what stands beside the list. Those of a long log are wrapped once for a width, and not for each frame.
    pub(super) fn wrap(&mut self, room: usize) {
        if self.wrapped.as_ref().is_none_or(|wrapped| wrapped.room != room) {
            self.wrapped = self.detail().map(|detail| Wrapped::of(&detail.lines, room));
            self.text_search.invalidate();
        }
        let mut inside = std::mem::take(&mut self.text_search);
        inside.search(self.wrapped_lines(0, usize::MAX));
        self.text_search = inside;
    }

    /// Whether words are looked for in the text beside the list, and not in the list.
    pub(super) fn is_text_focused(&self) -> bool {
        self.focus == Focus::Detail && self.detail().is_some_and(|detail| !detail.lines.is_empty())
    }

    /// Returns the first line of the details that is on the screen.
    pub(super) fn first_line(&self) -> usize {
        let follows = self.detail().is_some_and(|detail| detail.log_dir.is_some());
        self.scroll.unwrap_or(if follows { self.max_scroll } else { 0 })
    }

    /// Returns the line that the search of the text has gone to, or the first one that is on the screen.
    pub(super) fn match_line(&self) -> usize {
        self.text_search.current_match.unwrap_or_else(|| self.first_line())
    }

    /// Goes to the next place of the words in the text, or to the one before.
    fn go_to(&mut self, from: usize, is_back: bool) {
        if let Some(line) = self.text_search.next_match(from, is_back) {
            self.scroll = Some(line);
            self.text_search.current_match = Some(line);
        }
    }

    /// Returns how many wrapped lines there are.
    pub(super) fn wrapped_count(&self) -> usize {
        self.wrapped.as_ref().map_or(0, |wrapped| wrapped.pieces.len())
    }

    /// Returns so many wrapped lines from one of them on.
    pub(super) fn wrapped_lines(&self, first: usize, count: usize) -> impl Iterator<Item = &str> {
        let lines = self.detail().map_or(&[][..], |detail| &detail.lines);
        let pieces = self.wrapped.iter().flat_map(|wrapped| &wrapped.pieces).skip(first).take(count);
        pieces.filter_map(|(line, piece)| lines.get(*line)?.get(piece.clone()))
    }

    /// Returns the job that reads the list, unless it is being read: then it is read again afterwards.
    pub(super) fn refresh(&mut self, at: usize) -> Option<Job> {
        self.is_stale = true;
        if std::mem::replace(&mut self.is_listing, true) {
            self.is_outdated = true;
            return None;
        }
        Some(Job::List(at, self.search.clone()))
    }

    /// Returns the job that looks at the selected thing, if something of it is missing.
    pub(super) fn inspect_selected(&mut self, at: usize) -> Option<Job> {
        let id = &self.list.current()?.id;
        let is_known = self.detail.as_ref().is_some_and(|(known, _)| known == id) && !self.is_stale;
        if is_known || std::mem::replace(&mut self.is_looking, true) {
            return None;
        }
        self.is_stale = false;
        Some(Job::Inspect(at, id.clone()))
    }

    /// Handles changes. Returns what to read again.
    pub(super) fn handle_changes(&mut self, at: usize, topics: &BTreeSet<Topic>) -> Option<Job> {
        if topics.iter().any(|topic| self.page.descriptor().topics.contains(topic)) {
            return self.refresh(at);
        }
        self.is_stale = true;
        self.inspect_selected(at)
    }

    /// Returns the job that reads the list for its ages, which are older by now.
    pub(super) fn refresh_ages(&mut self, at: usize) -> Option<Job> {
        let is_old = self.read.is_some_and(|read| read.elapsed() >= AGE_REFRESH_INTERVAL);
        (is_old && !self.is_listing).then(|| self.refresh(at))?
    }

    /// Takes a list that was read. Returns the next job, and whether anything differs.
    pub(super) fn set_content(&mut self, at: usize, listed: Result<ListContent, String>) -> (Option<Job>, bool) {
        self.is_listing = false;
        self.read = Some(Instant::now());
        let mut is_changed = !std::mem::replace(&mut self.is_read, true);
        match listed {
            Ok(ListContent { rows, notes, disabled_keys: idle }) => {
                is_changed |= self.problem.take().is_some() || notes != self.notes || idle != self.idle;
                (self.notes, self.idle) = (notes, idle);
                is_changed |= self.list.set_rows(rows);
                self.selection_id.take().iter().for_each(|id| self.list.select_id(id));
            }
            Err(problem) => {
                is_changed |= self.problem.as_ref() != Some(&problem);
                self.problem = Some(problem);
                // It is selected again when it can be read again.
                let selected = self.list.current().map(|row| row.id.clone());
                self.selection_id = self.selection_id.take().or(selected);
                is_changed |= self.list.set_rows(Vec::new());
            }
        }
        if std::mem::take(&mut self.is_outdated) {
            return (self.refresh(at), is_changed);
        }
        (self.inspect_selected(at), is_changed)
    }

    /// Takes what is known of a thing.
    pub(super) fn set_detail(&mut self, at: usize, id: String, detail: Detail) -> (Option<Job>, bool) {
        self.is_looking = false;
        let looked = Some((id, detail));
        let is_changed = self.detail != looked;
        if is_changed && self.action_text.is_none() {
            self.wrapped = None;
        }
        self.detail = looked;
        (self.inspect_selected(at), is_changed)
    }

    /// Selects a thing as soon as the list has it.
    pub(super) fn select_when_loaded(&mut self, id: String) {
        self.list.set_query(String::new());
        self.reset_position();
        self.selection_id = Some(id);
    }

    /// Shows a text in place of what is known of the selected thing.
    pub(super) fn show(&mut self, detail: Detail) {
        self.action_text = Some(detail);
        self.wrapped = None;
        self.focus = Focus::Detail;
        self.scroll = None;
    }

    /// Returns the actions that make sense now.
    pub(super) fn actions(&self) -> impl Iterator<Item = &'static Action> {
        let keys = self.list.current().map_or("", |row| row.action_keys);
        let makes_sense = move |action: &&Action| {
            if action.needs_selection { keys.contains(action.key) } else { !self.idle.contains(action.key) }
        };
        self.page.descriptor().actions.iter().filter(makes_sense)
    }

    pub(super) fn action(&self, key: char) -> Option<(&'static Action, Option<&Row>)> {
        let action = self.actions().find(|action| action.key == key)?;
        Some((action, self.list.current().filter(|_| action.needs_selection)))
    }

    /// Handles a key that moves. Returns whether it does.
    pub(super) fn handle_key(&mut self, code: KeyCode) -> bool {
        match code {
            KeyCode::Enter | KeyCode::Right | KeyCode::Char('l') => self.focus = Focus::Detail,
            KeyCode::Char('n') if self.has_text_query() => self.go_to(self.match_line() + 1, false),
            KeyCode::Char('N') if self.has_text_query() => self.go_to(self.match_line(), true),
            KeyCode::Left | KeyCode::Char('h') => self.back(),
            code if self.focus == Focus::Detail => return self.scroll_by(code),
            code => {
                let before = self.list.current().map(|row| row.id.clone());
                if !self.list.handle_key(code) {
                    return false;
                }
                if self.list.current().map(|row| &row.id) != before.as_ref() {
                    self.reset_position();
                }
            }
        }
        true
    }

    /// Shows another thing from its beginning, or its end.
    pub(super) fn reset_position(&mut self) {
        if self.action_text.take().is_some() {
            self.wrapped = None;
        }
        self.text_search = TextSearch::default();
        self.scroll = None;
    }

    /// Whether words are looked for in the text.
    pub(super) fn has_text_query(&self) -> bool {
        self.is_text_focused() && !self.text_search.query().is_empty()
    }

    fn back(&mut self) {
        self.focus = Focus::List;
        self.reset_position();
    }

    /// Leaves what is innermost. Returns whether there was something to leave.
    pub(super) fn leave(&mut self) -> bool {
        if self.has_text_query() {
            self.text_search = TextSearch::default();
            return true;
        }
        let is_inside = self.focus == Focus::Detail || self.action_text.is_some();
        if is_inside {
            self.back();
        }
        is_inside
    }

    fn scroll_by(&mut self, code: KeyCode) -> bool {
        let follows = self.detail().is_some_and(|detail| detail.log_dir.is_some());
        let now = self.first_line();
        let next = match code {
            KeyCode::Up | KeyCode::Char('k') => now.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => now + 1,
            KeyCode::PageUp => now.saturating_sub(10),
            KeyCode::PageDown | KeyCode::Char(' ') => now + 10,
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => self.max_scroll,
            _ => return false,
        };
        // At the end of logs, new lines come in by themselves.
        self.scroll = Some(next.min(self.max_scroll)).filter(|next| !follows || *next < self.max_scroll);
        self.text_search.current_match = None;
        true
    }

    /// Returns the words that are looked for: in the text, on the page, or in the list.
    pub(super) fn query(&self) -> &str {
        if self.is_text_focused() {
            return self.text_search.query();
        }
        if self.page.descriptor().has_backend_search { &self.search } else { self.list.query() }
    }

    /// Looks for words in the text, narrows the list, or searches anew.
    pub(super) fn set_query(&mut self, at: usize, query: String) -> Option<Job> {
        if self.is_text_focused() {
            if self.text_search.query().is_empty() {
                self.text_search.start_line = self.first_line();
            }
            let (from, room) = (self.text_search.start_line, self.wrapped.as_ref().map(|wrapped| wrapped.room));
            self.text_search.set_query(query);
            if let Some(room) = room {
                self.wrap(room);
                self.go_to(from, false);
            }
            return None;
        }
        self.reset_position();
        if self.page.descriptor().has_backend_search {
            self.search = query;
            return self.refresh(at);
        }
        self.list.set_query(query);
        self.inspect_selected(at)
    }
}
