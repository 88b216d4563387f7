//! The state of a page: its list, what is known of the selected thing, a log of it, and what is on the screen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::feed::Topic;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::dialog::PendingAction;
use super::jobs::Job;
use super::keys::Command;
use super::log::LogView;
use super::text_view::TextView;
use crate::list::List;
use crate::output::OutputLine;
use crate::page::{Action, Detail, ListContent, LogHandle, Page, Row, Search};

/// How often a list is read for its ages alone.
const AGE_REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// The pane that the arrows move. Where there is room for one only, it is the one that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    List,
    Detail,
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
    /// The text beside the list.
    pub(super) text: TextView,
    /// The log in place of all that.
    pub(super) log: Option<LogView>,
    /// The words that the page is searched for.
    search: String,
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
            list: List::new(page.descriptor()),
            page,
            notes: Vec::new(),
            idle: String::new(),
            problem: None,
            is_read: false,
            detail: None,
            action_text: None,
            focus: Focus::List,
            text: TextView::new(false),
            log: None,
            search: String::new(),
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

    /// Takes note that another text, or a newer one, stands beside the list.
    fn invalidate_text(&mut self) {
        self.text.invalidate();
        self.text.follows = self.detail().is_some_and(|detail| detail.log_dir.is_some());
    }

    /// Returns what stands beside the list, and how it stands there.
    pub(super) fn text(&mut self) -> Option<(&Detail, &mut TextView)> {
        // As `detail`, of a part of the fields.
        let current = self.list.current().map(|row| &row.id);
        let known = self.detail.as_ref().filter(|(id, _)| Some(id) == current).map(|(_, detail)| detail);
        Some((self.action_text.as_ref().or(known)?, &mut self.text))
    }

    /// Whether words are looked for in the text beside the list, and not in the list.
    pub(super) fn is_text_focused(&self) -> bool {
        self.focus == Focus::Detail && self.detail().is_some_and(|detail| !detail.lines.is_empty())
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
        let has_changed = topics.iter().any(|topic| self.page.descriptor().topics.contains(topic));
        if let Some(log) = &mut self.log {
            // The list is read again when it is seen again.
            return log.read(at, has_changed);
        }
        if has_changed {
            return self.refresh(at);
        }
        self.is_stale = true;
        self.inspect_selected(at)
    }

    /// Opens a log in place of the list and the text beside it. Returns the job that reads it.
    pub(super) fn open_log(&mut self, at: usize, title: String, handle: LogHandle) -> Option<Job> {
        let mut log = LogView::new(title, handle);
        let job = log.read(at, false);
        self.log = Some(log);
        job
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
        self.detail = looked;
        if is_changed && self.action_text.is_none() {
            self.invalidate_text();
        }
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
        self.invalidate_text();
        self.text.reset();
        self.focus = Focus::Detail;
    }

    /// Returns the actions that make sense now: for a marked row, or the selected one if none is marked.
    pub(super) fn actions(&self) -> impl Iterator<Item = &'static Action> {
        let marked = self.list.marked();
        let has = move |row: &Row, action: &Action| row.action_keys.contains(action.key);
        let makes_sense = move |action: &&Action| match action.needs_selection {
            false => !self.idle.contains(action.key),
            true if action.is_single || marked.is_empty() => self.list.current().is_some_and(|row| has(row, action)),
            true => marked.iter().any(|row| has(row, action)),
        };
        self.page.descriptor().actions.iter().filter(makes_sense)
    }

    /// Returns an action, what it acts on, and the name of that for a question.
    pub(super) fn action(&self, key: char) -> Option<(&'static Action, PendingAction, String)> {
        let action = self.actions().find(|action| action.key == key)?;
        let marked = self.list.marked();
        let rows: Vec<&Row> = match action.needs_selection {
            false => Vec::new(),
            true if action.is_single || marked.is_empty() => self.list.current().into_iter().collect(),
            true => marked.into_iter().filter(|row| row.action_keys.contains(key)).collect(),
        };
        let name = rows.iter().map(|row| row.name()).collect::<Vec<_>>().join(", ");
        let ids = rows.iter().map(|row| row.id.clone()).collect();
        Some((action, PendingAction { key, ids }, name))
    }

    /// Returns the own keys of the page that make sense now, with their names and what they do.
    pub(super) fn own_bindings(&self) -> Vec<(char, &'static str, &'static str)> {
        let about = self.page.descriptor();
        let actions = self.actions().map(|one| (one.key, one.name, one.help));
        let facets = about.facets.iter().map(|one| (one.key, one.name, one.help));
        let narrowing = facets.chain(about.hidden_rows.map(|one| (one.key, "all", one.help)));
        actions.chain(narrowing.filter(|_| self.list.counts().0 > 0)).collect()
    }

    /// Returns what a key does that is the page's own.
    pub(super) fn act_command(&self, key: KeyEvent) -> Option<Command> {
        let KeyCode::Char(letter) = key.code else { return None };
        let is_own = self.log.is_none() && key.modifiers.difference(KeyModifiers::SHIFT).is_empty();
        (is_own && self.own_bindings().iter().any(|(own, ..)| *own == letter)).then_some(Command::Act(letter))
    }

    /// Does what a key says in the list, the text beside it or the log. Returns the job that follows.
    pub(super) fn run(&mut self, at: usize, command: Command, code: KeyCode) -> Option<Job> {
        match command {
            Command::Inside if self.list.current().is_some() => self.focus = Focus::Detail,
            Command::Move => self.move_by(code),
            Command::Mark => {
                self.list.mark_selected();
                self.reset_position();
            }
            Command::MarkAll => self.list.mark_all(),
            Command::Sort => self.list.sort_by_next(),
            Command::Reverse => self.list.reverse(),
            Command::NextMatch | Command::PreviousMatch => {
                let (_, text) = self.searched_text()?;
                text.go_to_match(command == Command::PreviousMatch);
            }
            Command::ToggleWrap | Command::ToggleTimes | Command::ToggleFollow | Command::Sideways => {
                let log = self.log.as_mut()?;
                match command {
                    Command::ToggleWrap => log.text.toggle_wrap(&log.lines),
                    Command::ToggleTimes => log.text.toggle_times(&log.lines),
                    Command::ToggleFollow => log.toggle_follow(),
                    _ => log.text.move_sideways(matches!(code, KeyCode::Left | KeyCode::Char('h'))),
                }
            }
            // Of other places.
            _ => {}
        }
        self.inspect_selected(at)
    }

    /// Moves by a key: the text if it has the focus, or else the list.
    pub(super) fn move_by(&mut self, code: KeyCode) {
        if let Some(log) = &mut self.log {
            log.text.scroll_by(code);
        } else if self.focus == Focus::Detail {
            self.text.scroll_by(code);
        } else {
            let before = self.list.current().map(|row| row.id.clone());
            self.list.handle_key(code);
            if self.list.current().map(|row| &row.id) != before.as_ref() {
                self.reset_position();
            }
        }
    }

    /// Returns the text that is searched now, with its lines, if it is not the list.
    pub(super) fn searched_text(&mut self) -> Option<(&[OutputLine], &mut TextView)> {
        if self.log.is_none() {
            let is_focused = self.is_text_focused();
            return self.text().filter(|_| is_focused).map(|(detail, text)| (&*detail.lines, text));
        }
        self.log.as_mut().map(|log| (&*log.lines, &mut log.text))
    }

    /// Shows another thing from its beginning, or its end.
    pub(super) fn reset_position(&mut self) {
        self.action_text = None;
        self.invalidate_text();
        self.text.reset();
    }

    /// Leaves what is innermost. Returns whether there was something to leave, and the job that reads what is seen then.
    pub(super) fn leave(&mut self, at: usize) -> (bool, Option<Job>) {
        if let Some((_, text)) = self.searched_text()
            && !text.search.query().is_empty()
        {
            text.search = Default::default();
            return (true, None);
        }
        if self.log.take().is_some() {
            return (true, self.refresh(at));
        }
        if self.focus == Focus::Detail || self.action_text.is_some() {
            self.focus = Focus::List;
            self.reset_position();
            return (true, None);
        }
        if self.list.unmark() {
            return (true, None);
        }
        if !self.query().is_empty() {
            return (true, self.set_query(at, String::new()));
        }
        (self.list.widen(), self.inspect_selected(at))
    }

    /// Returns the words that are looked for: in the text, on the page, or in the list.
    pub(super) fn query(&self) -> &str {
        if let Some(log) = &self.log {
            return log.text.search.query();
        }
        if self.is_text_focused() {
            return self.text.search.query();
        }
        if self.has_backend_search() { &self.search } else { self.list.query() }
    }

    fn has_backend_search(&self) -> bool {
        self.page.descriptor().search == Search::Backend
    }

    /// Looks for words in the text, narrows the list, or searches anew.
    pub(super) fn set_query(&mut self, at: usize, query: String) -> Option<Job> {
        if let Some((lines, text)) = self.searched_text() {
            text.set_query(lines, query);
            return None;
        }
        self.reset_position();
        if self.has_backend_search() {
            self.search = query;
            return self.refresh(at);
        }
        self.list.set_query(query);
        self.inspect_selected(at)
    }
}
