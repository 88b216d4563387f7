//! The state of the browser and how keys change it: no terminal, no threads, no drawing.

use std::collections::BTreeSet;

use aiw_core::{Question, Secret};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{BrowserOptions, Plugin, Preview};
use super::row::Row;
use super::search::RowSearch;
use crate::screen::{self, StepProgress};
use crate::text::clean;

/// A key's request to the loop.
pub(crate) type Effect = screen::Effect<Job>;

/// The maximum number of characters in a query.
const MAX_QUERY_LEN: usize = 100;
/// The maximum number of characters in a message, a step or a line of a preview.
const MAX_LINE_LEN: usize = 4_000;
/// The maximum number of characters in a value.
const MAX_VALUE_LEN: usize = 1_000;
/// The maximum number of lines in a preview.
const MAX_PREVIEW_LINES: usize = 2_000;

/// Work for the rooms below. It may block, so the loop gives it to a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    Load,
    Preview(String),
    /// With the values that the user gave, by name.
    Install(String, Vec<(String, Secret)>),
    Remove(String),
    Enable(String, bool),
}

/// The list as read by a job.
pub(crate) struct LoadedList {
    rows: Vec<Row>,
    search: RowSearch,
    markets: Vec<String>,
    categories: Vec<String>,
    kinds: Vec<String>,
}

impl LoadedList {
    /// Prepares the list. Everything that takes time with thousands of plugins happens here, outside of the loop.
    pub(crate) fn new(plugins: Vec<Plugin>) -> Self {
        let rows = Row::from_plugins(plugins);
        let mut markets = BTreeSet::new();
        let mut categories = BTreeSet::new();
        let mut kinds = BTreeSet::new();
        for entry in &rows {
            markets.insert(entry.market.as_str());
            categories.extend(entry.category.as_deref());
            kinds.extend(entry.kinds.iter().map(String::as_str));
        }
        let owned = |set: BTreeSet<&str>| set.into_iter().map(str::to_owned).collect();
        let (markets, categories, kinds) = (owned(markets), owned(categories), owned(kinds));
        Self { search: RowSearch::new(&rows), rows, markets, categories, kinds }
    }
}

/// The result of a job.
pub(crate) enum Reply {
    Loaded(Result<Box<LoadedList>, String>),
    Previewed(String, Result<Preview, String>),
    Done(Result<String, String>),
}

/// The meaning of keys.
#[derive(Debug)]
pub(crate) enum Mode {
    List,
    Search,
    Help,
    Confirm(ConfirmDialog),
    Form(InstallForm),
}

/// A question, with warnings and details to decide on.
#[derive(Debug)]
pub(crate) struct ConfirmDialog {
    pub(crate) job: Job,
    pub(crate) question: String,
    pub(crate) warnings: Vec<String>,
    pub(crate) lines: Vec<String>,
    /// The values to ask for before an install.
    asks: Vec<Question>,
}

/// Values that an install asks for, one after the other.
#[derive(Debug)]
pub(crate) struct InstallForm {
    id: String,
    asks: Vec<Question>,
    values: Vec<(String, Secret)>,
    pub(crate) input: String,
}

impl InstallForm {
    /// The value that is being typed: its name and what its author calls it.
    pub(crate) fn current(&self) -> Option<&Question> {
        self.asks.get(self.values.len())
    }

    /// The prompt, and what is typed as it is shown: of a secret, not even its length.
    pub(crate) fn input_line(&self) -> (&'static str, &str) {
        match self.current().is_some_and(|asked| asked.secret) {
            false => ("> ", &self.input),
            true if self.input.is_empty() => ("hidden> ", ""),
            true => ("hidden> ", "***"),
        }
    }

    /// How many were asked for, including this one, and how many there are.
    pub(crate) fn position(&self) -> (usize, usize) {
        (self.values.len() + 1, self.asks.len())
    }
}

/// The pane that the arrows move. If the screen is too narrow for two panes, the pane that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    List,
    Details,
}

/// A job under way.
#[derive(Debug)]
pub(crate) struct RunningJob {
    pub(crate) title: String,
    pub(crate) step: String,
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
    pub(crate) ticks: usize,
    /// Whether leaving in the middle would abandon a change.
    pub(crate) is_mutating: bool,
}

/// The last message.
#[derive(Debug)]
pub(crate) struct LastMessage {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

/// The filters of the list, besides the query.
#[derive(Debug, Default)]
pub(crate) struct ListFilter {
    pub(crate) market: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) show_all: bool,
}

impl ListFilter {
    fn shows(&self, entry: &Row) -> bool {
        (self.show_all || entry.may_have_servers)
            && self.market.as_ref().is_none_or(|market| *market == entry.market)
            && self.category.as_ref().is_none_or(|category| Some(category) == entry.category.as_ref())
            && self.kind.as_ref().is_none_or(|kind| entry.kinds.contains(kind))
    }
}

/// The complete state of the browser.
pub(crate) struct BrowseApp {
    pub(crate) color: bool,
    pub(crate) list: LoadedList,
    pub(crate) load_error: Option<String>,
    pub(crate) filter: ListFilter,
    pub(crate) query: String,
    /// The rows that pass the query and the filters, as indices into all rows.
    visible: Vec<usize>,
    /// Whether some of them were not inspected yet.
    pub(crate) has_uninspected: bool,
    pub(crate) selected: usize,
    /// The first row on the screen.
    pub(crate) top: usize,
    /// The number of rows that fit on the screen.
    page: usize,
    pub(crate) focus: Focus,
    /// The first visible line of the details, the help or a question.
    pub(crate) scroll: usize,
    pub(crate) mode: Mode,
    pub(crate) running_job: Option<RunningJob>,
    pub(crate) status: Option<LastMessage>,
    leaving: bool,
}

impl BrowseApp {
    /// Returns the browser before its list has been read, and the job that reads it.
    pub(crate) fn new(options: BrowserOptions) -> (Self, Job) {
        let mut app = Self {
            color: options.color,
            list: LoadedList::new(Vec::new()),
            load_error: None,
            filter: ListFilter { show_all: options.show_all, ..ListFilter::default() },
            query: clean(&options.query, MAX_QUERY_LEN),
            visible: Vec::new(),
            has_uninspected: false,
            selected: 0,
            top: 0,
            page: 1,
            focus: Focus::List,
            scroll: 0,
            mode: Mode::List,
            running_job: None,
            status: None,
            leaving: false,
        };
        app.begin(&Job::Load, "Reading the markets".to_owned());
        (app, Job::Load)
    }

    /// Returns the number of all plugins, shown or not.
    pub(crate) fn count(&self) -> usize {
        self.list.rows.len()
    }

    /// Returns the number of rows that pass the query and the filters.
    pub(crate) fn visible_count(&self) -> usize {
        self.visible.len()
    }

    /// Returns the row at `position` of the list.
    pub(crate) fn row(&self, position: usize) -> Option<&Row> {
        self.visible.get(position).and_then(|&index| self.list.rows.get(index))
    }

    /// Returns the row that the keys act on.
    pub(crate) fn current(&self) -> Option<&Row> {
        self.row(self.selected)
    }

    /// Sets how many rows fit, and scrolls so that the selected row is visible.
    pub(crate) fn set_page_size(&mut self, rows: u16) {
        self.page = usize::from(rows).max(1);
        self.selected = self.selected.min(self.visible.len().saturating_sub(1));
        if self.selected < self.top {
            self.top = self.selected;
        } else if self.selected >= self.top + self.page {
            self.top = self.selected + 1 - self.page;
        }
        self.top = self.top.min(self.visible.len().saturating_sub(self.page));
    }

    /// Handles a key press.
    pub(crate) fn handle_key(&mut self, key: KeyEvent) -> Option<Effect> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return self.leave(true),
            KeyCode::Char('z') if control => return Some(Effect::Suspend),
            _ if key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) => return None,
            _ => {}
        }
        // A message about leaving stays while the work goes on.
        if !self.leaving {
            self.status = None;
        }
        match self.mode {
            Mode::List if control => None,
            Mode::List => self.key_in_list(key.code),
            Mode::Search => self.key_in_search(key.code, control),
            Mode::Help => {
                self.key_in_help(key.code);
                None
            }
            Mode::Confirm(_) => self.key_in_question(key.code),
            Mode::Form(_) => self.key_in_fill(key.code, control),
        }
    }

    /// Handles pasted text. Only a search and a value accept it, so that pasted text cannot press keys.
    pub(crate) fn handle_paste(&mut self, text: &str) {
        if let Mode::Form(fill) = &mut self.mode {
            clean(text, MAX_VALUE_LEN).chars().for_each(|c| type_char(&mut fill.input, c, MAX_VALUE_LEN));
        }
        if matches!(self.mode, Mode::Search) {
            let text = clean(text, MAX_QUERY_LEN);
            self.retype(|query| text.chars().for_each(|c| type_char(query, c, MAX_QUERY_LEN)));
        }
    }

    /// Handles the passage of time, and a step of the work if there is one.
    pub(crate) fn tick(&mut self, progress: Option<StepProgress>) {
        if let Some(work) = &mut self.running_job {
            work.ticks = work.ticks.wrapping_add(1);
            if let Some(progress) = progress {
                work.step = clean(&progress.label, 200);
                work.done = progress.done;
                work.total = progress.total;
            }
        }
    }

    /// Handles the end of a job.
    pub(crate) fn handle_reply(&mut self, reply: Reply) -> Option<Effect> {
        self.running_job = None;
        match reply {
            Reply::Loaded(Ok(loaded)) => {
                let selected = self.current().map(|entry| entry.id.clone());
                self.load_error = None;
                self.list = *loaded;
                self.refine(selected.as_deref());
            }
            Reply::Loaded(Err(error)) => {
                let text = clean(&error, MAX_LINE_LEN);
                // If the list is empty, the error is shown in its place.
                if self.count() > 0 {
                    self.status = Some(LastMessage { text: text.clone(), is_error: true });
                }
                self.load_error = Some(text);
            }
            Reply::Previewed(id, Ok(preview)) => {
                let shown = clean(&id, 120);
                if !matches!(self.mode, Mode::List) {
                    // A question that appears while the user is typing would be answered by the next keys.
                    self.say(format!("`{shown}` is ready to install, press i again"));
                    return None;
                }
                let clean_all = |lines: Vec<String>| {
                    lines.iter().take(MAX_PREVIEW_LINES).map(|line| clean(line, MAX_LINE_LEN)).collect()
                };
                let mut lines: Vec<String> = clean_all(preview.lines);
                if lines.len() == MAX_PREVIEW_LINES {
                    lines.push("… and more".to_owned());
                }
                let asks = preview.questions.iter().map(|asked| Question {
                    name: clean(&asked.name, 120),
                    description: asked
                        .description
                        .as_ref()
                        .map(|title| clean(title, 200))
                        .filter(|title| !title.is_empty()),
                    secret: asked.secret,
                    ..Question::default()
                });
                self.ask(ConfirmDialog {
                    job: Job::Install(id, Vec::new()),
                    asks: asks.collect(),
                    question: format!("Install {shown}? (y/n)"),
                    warnings: clean_all(preview.warnings),
                    lines,
                });
            }
            Reply::Done(Ok(said)) => {
                self.say(clean(&said, MAX_LINE_LEN));
                if self.leaving {
                    return Some(Effect::Quit);
                }
                self.begin(&Job::Load, "Reading the markets".to_owned());
                return Some(Effect::Start(Job::Load));
            }
            Reply::Previewed(_, Err(error)) | Reply::Done(Err(error)) => {
                // A user who wanted to leave should still see what went wrong.
                self.leaving = false;
                self.status = Some(LastMessage { text: clean(&error, MAX_LINE_LEN), is_error: true });
            }
        }
        None
    }

    fn say(&mut self, text: String) {
        self.status = Some(LastMessage { text, is_error: false });
    }

    fn refuse(&mut self, text: String) -> Option<Effect> {
        self.status = Some(LastMessage { text, is_error: true });
        None
    }

    fn ask(&mut self, confirm: ConfirmDialog) {
        self.scroll = 0;
        self.mode = Mode::Confirm(confirm);
    }

    fn begin(&mut self, job: &Job, title: String) {
        let changes = matches!(job, Job::Install(..) | Job::Remove(_) | Job::Enable(..));
        self.running_job =
            Some(RunningJob { title, step: String::new(), done: 0, total: None, ticks: 0, is_mutating: changes });
    }

    fn start(&mut self, job: Job, title: String) -> Option<Effect> {
        self.begin(&job, title);
        Some(Effect::Start(job))
    }

    fn leave(&mut self, at_once: bool) -> Option<Effect> {
        match &self.running_job {
            Some(work) if work.is_mutating => {
                if self.leaving && at_once {
                    return Some(Effect::Abandon);
                }
                self.leaving = true;
                self.say("Leaving when this is done, Ctrl-C (again) leaves now and abandons it".to_owned());
                None
            }
            _ => Some(Effect::Quit),
        }
    }

    fn key_in_list(&mut self, code: KeyCode) -> Option<Effect> {
        if self.focus == Focus::Details && self.scroll_by(code) {
            return None;
        }
        match code {
            KeyCode::Char('q') => return self.leave(false),
            KeyCode::Esc if self.focus == Focus::Details => self.focus = Focus::List,
            KeyCode::Esc if !self.query.is_empty() => {
                self.query.clear();
                self.refine_here();
            }
            KeyCode::Esc => return self.leave(false),
            KeyCode::Char('/') => {
                self.focus = Focus::List;
                self.mode = Mode::Search;
            }
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => {
                self.scroll = 0;
                self.mode = Mode::Help;
            }
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Enter => {
                self.scroll = 0;
                self.focus = if self.focus == Focus::List { Focus::Details } else { Focus::List };
            }
            KeyCode::Char('m') => {
                self.filter.market = next(self.filter.market.take(), &self.list.markets);
                self.refine_here();
            }
            KeyCode::Char('c') => {
                self.filter.category = next(self.filter.category.take(), &self.list.categories);
                self.refine_here();
            }
            KeyCode::Char('t') => {
                self.filter.kind = next(self.filter.kind.take(), &self.list.kinds);
                self.refine_here();
            }
            KeyCode::Char('a') => {
                self.filter.show_all = !self.filter.show_all;
                self.refine_here();
            }
            KeyCode::Char('i') => return self.install(),
            KeyCode::Char('d') => return self.remove(),
            KeyCode::Char('e') => return self.toggle(),
            KeyCode::Char('r') => {
                if self.idle() {
                    return self.start(Job::Load, "Reading the markets".to_owned());
                }
            }
            other => self.move_by(other),
        }
        None
    }

    /// Returns whether a job may start. If not, the status says why.
    fn idle(&mut self) -> bool {
        match &self.running_job {
            Some(work) => {
                let text = format!("One thing at a time: {}", work.title);
                self.refuse(text);
                false
            }
            None => true,
        }
    }

    fn install(&mut self) -> Option<Effect> {
        let entry = self.current()?;
        let (id, title) = (entry.id.clone(), entry.title.clone());
        if let Some(reason) = &entry.broken_reason {
            let text = format!("`{title}` cannot be installed: {reason}");
            return self.refuse(text);
        }
        if entry.installed {
            return self.refuse(format!("`{title}` is already installed, d removes it"));
        }
        if !self.idle() {
            return None;
        }
        self.start(Job::Preview(id), format!("Looking at {title}"))
    }

    fn remove(&mut self) -> Option<Effect> {
        let entry = self.current()?;
        let (id, title) = (entry.id.clone(), entry.title.clone());
        if !entry.installed {
            return self.refuse(format!("`{title}` is not installed"));
        }
        if self.idle() {
            let lines = vec!["Its files and everything that it added will be removed".to_owned()];
            self.ask(ConfirmDialog {
                job: Job::Remove(id),
                asks: Vec::new(),
                question: format!("Remove {title}? (y/n)"),
                warnings: Vec::new(),
                lines,
            });
        }
        None
    }

    fn toggle(&mut self) -> Option<Effect> {
        let entry = self.current()?;
        let (id, title, enable) = (entry.id.clone(), entry.title.clone(), !entry.enabled);
        if !entry.installed {
            return self.refuse(format!("`{title}` is not installed"));
        }
        if !self.idle() {
            return None;
        }
        let title = format!("{} {title}", if enable { "Enabling" } else { "Disabling" });
        self.start(Job::Enable(id, enable), title)
    }

    fn key_in_search(&mut self, code: KeyCode, control: bool) -> Option<Effect> {
        match code {
            KeyCode::Enter | KeyCode::Tab => {
                self.mode = Mode::List;
                return None;
            }
            KeyCode::Esc => {
                self.mode = Mode::List;
                self.query.clear();
                self.refine_here();
                return None;
            }
            KeyCode::Char('n') if control => self.move_by(KeyCode::Down),
            KeyCode::Char('p') if control => self.move_by(KeyCode::Up),
            KeyCode::Char('u') if control => self.retype(String::clear),
            KeyCode::Char('w') if control => self.retype(|query| {
                let kept = query.trim_end().rfind(' ').map_or(0, |at| at + 1);
                query.truncate(kept);
            }),
            // Some terminals send this for Backspace.
            KeyCode::Char('h') if control => self.retype(backspace),
            KeyCode::Backspace => self.retype(backspace),
            KeyCode::Char(c) if !control => self.retype(|query| type_char(query, c, MAX_QUERY_LEN)),
            KeyCode::Char(_) => {}
            other => self.move_by(other),
        }
        None
    }

    /// Changes the query and selects its best match.
    fn retype(&mut self, change: impl FnOnce(&mut String)) {
        change(&mut self.query);
        self.refine(None);
    }

    fn key_in_help(&mut self, code: KeyCode) {
        if !self.scroll_by(code) {
            self.scroll = 0;
            self.mode = Mode::List;
        }
    }

    fn key_in_question(&mut self, code: KeyCode) -> Option<Effect> {
        if self.scroll_by(code) {
            return None;
        }
        match code {
            KeyCode::Char('y' | 'Y') => {
                self.scroll = 0;
                let Mode::Confirm(confirm) = std::mem::replace(&mut self.mode, Mode::List) else { return None };
                // The question may have been open while the list was read again.
                if !self.idle() {
                    return None;
                }
                let (verb, id) = match &confirm.job {
                    Job::Remove(id) => ("Removing", id),
                    Job::Install(id, _) if !confirm.asks.is_empty() => {
                        let (id, asks) = (id.clone(), confirm.asks);
                        self.mode = Mode::Form(InstallForm { id, asks, values: Vec::new(), input: String::new() });
                        return None;
                    }
                    Job::Install(id, _) | Job::Preview(id) | Job::Enable(id, _) => ("Installing", id),
                    Job::Load => return None,
                };
                let title = format!("{verb} {}", clean(id, 120));
                return self.start(confirm.job, title);
            }
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {
                self.scroll = 0;
                self.mode = Mode::List;
                self.say("Nothing was changed".to_owned());
            }
            _ => {}
        }
        None
    }

    /// Takes a value letter by letter. Nothing is installed before the last one.
    fn key_in_fill(&mut self, code: KeyCode, control: bool) -> Option<Effect> {
        let Mode::Form(fill) = &mut self.mode else { return None };
        match code {
            KeyCode::Esc => {
                self.mode = Mode::List;
                self.say("Nothing was changed".to_owned());
            }
            KeyCode::Enter => {
                let typed = std::mem::take(&mut fill.input).trim().to_owned();
                let name = fill.current().map(|ask| ask.name.clone()).unwrap_or_default();
                fill.values.push((name, Secret::new(typed)));
                if fill.current().is_some() {
                    return None;
                }
                let Mode::Form(fill) = std::mem::replace(&mut self.mode, Mode::List) else { return None };
                if !self.idle() {
                    return None;
                }
                let given = fill.values.into_iter().filter(|(_, value)| !value.expose().is_empty()).collect();
                let title = format!("Installing {}", clean(&fill.id, 120));
                return self.start(Job::Install(fill.id, given), title);
            }
            KeyCode::Char('u') if control => fill.input.clear(),
            // Some terminals send this for Backspace.
            KeyCode::Char('h') if control => backspace(&mut fill.input),
            KeyCode::Backspace => backspace(&mut fill.input),
            KeyCode::Char(c) if !control => type_char(&mut fill.input, c, MAX_VALUE_LEN),
            _ => {}
        }
        None
    }

    /// Scrolls through a text. Drawing keeps `scroll` within the text.
    fn scroll_by(&mut self, code: KeyCode) -> bool {
        self.scroll = match code {
            KeyCode::Up | KeyCode::Char('k') => self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll.saturating_add(1),
            KeyCode::PageUp => self.scroll.saturating_sub(self.page),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll.saturating_add(self.page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => usize::MAX,
            _ => return false,
        };
        true
    }

    fn move_by(&mut self, code: KeyCode) {
        let last = self.visible.len().saturating_sub(1);
        let selected = match code {
            KeyCode::Up | KeyCode::Char('k') => self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected + 1,
            KeyCode::PageUp => self.selected.saturating_sub(self.page),
            KeyCode::PageDown | KeyCode::Char(' ') => self.selected + self.page,
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            _ => return,
        };
        self.selected = selected.min(last);
        self.scroll = 0;
    }

    /// Applies the query and the filters, keeping the selected row if it still passes.
    fn refine_here(&mut self) {
        let selected = self.current().map(|entry| entry.id.clone());
        self.refine(selected.as_deref());
    }

    fn refine(&mut self, keep: Option<&str>) {
        let LoadedList { rows, search, .. } = &mut self.list;
        search.set_query(&self.query);
        self.visible.clear();
        let filter = &self.filter;
        self.visible.extend(search.hits().filter(|&index| rows.get(index).is_some_and(|entry| filter.shows(entry))));
        let unknown = |&index: &usize| rows.get(index).is_some_and(|entry| !entry.inspected);
        self.has_uninspected = self.visible.iter().any(unknown);
        self.selected = keep
            .and_then(|id| self.visible.iter().position(|&index| rows.get(index).is_some_and(|e| e.id == id)))
            .unwrap_or(0);
        self.top = 0;
        // A question or the help may cover the list while it is read again.
        if matches!(self.mode, Mode::List | Mode::Search) {
            self.scroll = 0;
        }
    }
}

fn backspace(query: &mut String) {
    query.pop();
}

fn type_char(query: &mut String, c: char, most: usize) {
    if query.chars().count() >= most {
        return;
    }
    if c == ' ' {
        // `clean` would remove it.
        query.push(c);
    } else {
        query.push_str(&clean(c.encode_utf8(&mut [0; 4]), most));
    }
}

/// Returns the choice after `current`: each in turn, then none.
fn next(current: Option<String>, choices: &[String]) -> Option<String> {
    match current {
        None => choices.first().cloned(),
        Some(current) => {
            choices.iter().position(|choice| *choice == current).and_then(|at| choices.get(at + 1)).cloned()
        }
    }
}
