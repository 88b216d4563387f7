//! The application on a terminal: its screens, and the keys that are the same in all of them.

mod asking;
pub(crate) mod bench;
mod panel;
#[cfg(test)]
pub(crate) mod tests;
mod view;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use aiw_app::feed::Topic;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::Rect;

use self::asking::{Answering, Asking};
use self::panel::{Focus, Panel};
use crate::browse::{self, Browser};
use crate::ground::Ground;
use crate::page::{Detail, Listed, Outcome, Page};
use crate::paint::Theme;
use crate::prompt::{AtScreen, Prompt};
use crate::screen::{self, Screen, StepProgress, Way, Worker};
use crate::text::clean;
use crate::watch::Heeded;

/// The most characters of a query.
const QUERY: usize = 200;

/// The most characters of a message.
const LINE: usize = 2_000;

/// The smallest screen that can be used.
pub(crate) const SMALLEST: (u16, u16) = (60, 20);

type Effect = screen::Effect<Job>;

/// Work for a thread. A number is the place of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    /// Read a list; with what is searched for.
    List(usize, String),
    /// Look at a thing.
    Look(usize, String),
    /// Do what a key says with a thing.
    Act(usize, char, String),
    Browse(browse::Job),
}

/// The result of a job.
pub(crate) enum Reply {
    Listed(usize, Result<Listed, String>),
    Looked(usize, String, Detail),
    Acted(usize, char, Result<Outcome, String>),
    Browse(browse::Reply),
}

/// The meaning of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    List,
    Filter,
    Help,
    /// A question before an action: the question, the key and the id.
    Confirm(String, char, String),
}

/// An action under way.
struct Work {
    at: usize,
    key: char,
    title: String,
}

/// The last message.
struct Status {
    text: String,
    is_bad: bool,
}

/// A screen: a page, or the browser of plugins.
pub(crate) enum Tab {
    Page(Box<Panel>),
    Plugins(Box<Browser>),
}

impl Tab {
    pub(crate) fn page(page: Arc<dyn Page>) -> Self {
        Self::Page(Box::new(Panel::new(page)))
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Page(panel) => panel.page.title(),
            Self::Plugins(_) => "Plugins",
        }
    }

    /// Returns the word that opens it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Page(panel) => panel.page.word(),
            Self::Plugins(_) => "plugins",
        }
    }

    /// Returns the command that prints it.
    pub(crate) fn printed_by(&self) -> &'static str {
        match self {
            Self::Page(panel) => panel.page.printed_by(),
            Self::Plugins(_) => "aiw plugin search",
        }
    }
}

/// All screens, and which one is seen.
pub(crate) struct App {
    ground: Arc<Ground>,
    tabs: Vec<Tab>,
    at: usize,
    theme: Theme,
    has_mouse: bool,
    mode: Mode,
    /// The questions of jobs, the first of which is asked.
    asking: VecDeque<Asking>,
    works: Vec<Work>,
    ticks: usize,
    step: StepProgress,
    status: Option<Status>,
    /// The first line of the help that is on the screen.
    scroll: usize,
    is_leaving: bool,
    is_changed: bool,
    /// Whether the last frame was too small for anything.
    is_small: bool,
    /// Where the last frame showed what can be clicked.
    places: view::Places,
}

impl App {
    pub(crate) fn new(ground: Arc<Ground>, tabs: Vec<Tab>, at: usize, theme: Theme, has_mouse: bool) -> Self {
        Self {
            ground,
            tabs,
            at,
            theme,
            has_mouse,
            mode: Mode::List,
            asking: VecDeque::new(),
            works: Vec::new(),
            ticks: 0,
            step: StepProgress::default(),
            status: None,
            scroll: 0,
            is_leaving: false,
            is_changed: true,
            is_small: false,
            places: view::Places::default(),
        }
    }

    fn panel(&mut self) -> Option<&mut Panel> {
        self.panel_at(self.at)
    }

    fn panel_at(&mut self, at: usize) -> Option<&mut Panel> {
        match self.tabs.get_mut(at)? {
            Tab::Page(panel) => Some(panel),
            Tab::Plugins(_) => None,
        }
    }

    fn browser(&mut self) -> Option<&mut Browser> {
        match self.tabs.get_mut(self.at)? {
            Tab::Page(_) => None,
            Tab::Plugins(browser) => Some(browser),
        }
    }

    fn say(&mut self, text: &str, is_bad: bool) {
        self.status = Some(Status { text: clean(text, LINE), is_bad });
        self.is_changed = true;
    }

    /// Opens a screen.
    fn open(&mut self, at: usize) -> Option<Effect> {
        if at >= self.tabs.len() {
            return None;
        }
        self.at = at;
        self.mode = Mode::List;
        self.read()
    }

    /// Reads what is seen again.
    fn read(&mut self) -> Option<Effect> {
        let at = self.at;
        match self.tabs.get_mut(at)? {
            Tab::Page(panel) => panel.read(at).map(Effect::Start),
            Tab::Plugins(browser) => browser.first().map(Job::Browse).map(Effect::Start),
        }
    }

    fn leave(&mut self, at_once: bool) -> Option<Effect> {
        let is_browsing = self.tabs.iter().any(|tab| matches!(tab, Tab::Plugins(browser) if browser.is_changing()));
        if self.works.is_empty() && !is_browsing {
            return Some(Effect::Quit);
        }
        if self.is_leaving && at_once {
            return Some(Effect::Abandon);
        }
        // What waits for an answer has changed nothing.
        self.asking.clear();
        self.is_leaving = true;
        self.say("leaving when this is done; Ctrl-C (again) leaves now and abandons it", false);
        None
    }

    fn press(&mut self, key: KeyEvent) -> Option<Effect> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return self.leave(true),
            KeyCode::Char('z') if control => return Some(Effect::Suspend),
            KeyCode::Char('q') if self.is_small => return self.leave(false),
            // Nobody sees what any other key does.
            _ if self.is_small => return None,
            _ if key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) => return None,
            _ => {}
        }
        if !self.is_leaving {
            self.status = None;
        }
        if let Some(asking) = self.asking.front_mut() {
            if let Answering::Over = asking.key(key.code) {
                self.asking.pop_front();
            }
            return None;
        }
        match self.mode.clone() {
            Mode::Filter => self.key_in_filter(key.code, control),
            Mode::Help => {
                self.key_in_help(key.code);
                None
            }
            Mode::Confirm(_, action, id) => {
                self.mode = Mode::List;
                matches!(key.code, KeyCode::Char('y' | 'Y')).then(|| self.start(action, id))?
            }
            Mode::List => self.key_in_list(key, control),
        }
    }

    fn key_in_filter(&mut self, code: KeyCode, control: bool) -> Option<Effect> {
        let at = self.at;
        let panel = self.panel()?;
        let mut query = panel.query().to_owned();
        match code {
            KeyCode::Enter => {
                self.mode = Mode::List;
                return None;
            }
            KeyCode::Esc => {
                query.clear();
                self.mode = Mode::List;
            }
            KeyCode::Char('u') if control => query.clear(),
            KeyCode::Backspace => drop(query.pop()),
            KeyCode::Char(c) if !control => {
                if query.chars().count() < QUERY {
                    query.push(c);
                }
            }
            code @ (KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown) => {
                panel.step(code);
                return panel.look(at).map(Effect::Start);
            }
            _ => return None,
        }
        self.panel()?.find(at, query).map(Effect::Start)
    }

    fn key_in_help(&mut self, code: KeyCode) {
        self.scroll = match code {
            KeyCode::Up | KeyCode::Char('k') => self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll + 1,
            KeyCode::PageUp => self.scroll.saturating_sub(10),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll + 10,
            _ => {
                self.mode = Mode::List;
                0
            }
        };
    }

    fn key_in_list(&mut self, key: KeyEvent, control: bool) -> Option<Effect> {
        let (at, count) = (self.at, self.tabs.len());
        if let Some(browser) = self.browser()
            && (!browser.is_listing() || !is_of_all(key.code))
        {
            // Esc would leave the browser where it stands alone.
            let is_back = key.code == KeyCode::Esc && browser.is_outermost();
            return if is_back { None } else { browser.key(key).and_then(browsed) };
        }
        match key.code {
            KeyCode::Char('r' | 'l') if control => return self.read(),
            KeyCode::F(5) => return self.read(),
            _ if control => return None,
            KeyCode::Char(digit @ '0'..='9') => {
                let place = digit.to_digit(10).map_or(0, |digit| (digit as usize + 9) % 10);
                return self.open(place);
            }
            KeyCode::Tab => return self.open((at + 1) % count),
            KeyCode::BackTab => return self.open((at + count - 1) % count),
            KeyCode::Char('q') => return self.leave(false),
            KeyCode::Char('?') | KeyCode::F(1) => {
                self.scroll = 0;
                self.mode = Mode::Help;
            }
            KeyCode::Char('M') => {
                self.has_mouse = !self.has_mouse;
                let now = if self.has_mouse { "the mouse selects here" } else { "the mouse is the terminal's" };
                self.say(now, false);
            }
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Esc => {
                let panel = self.panel()?;
                if !panel.leave() && !panel.query().is_empty() {
                    return panel.find(at, String::new()).map(Effect::Start);
                }
            }
            code => {
                let panel = self.panel()?;
                if panel.step(code) {
                    return panel.look(at).map(Effect::Start);
                }
                let KeyCode::Char(letter) = code else { return None };
                return self.act(letter);
            }
        }
        None
    }

    /// Does what a letter says, after a question if it destroys.
    fn act(&mut self, letter: char) -> Option<Effect> {
        let (action, row) = self.panel()?.action(letter)?;
        let id = row.map_or_else(String::new, |row| row.id.clone());
        let Some(asks) = action.asks else { return self.start(letter, id) };
        let name = row.and_then(|row| row.cells.first()).map_or("", String::as_str);
        self.mode = Mode::Confirm(asks.replace("{}", name), letter, id);
        None
    }

    fn start(&mut self, key: char, id: String) -> Option<Effect> {
        let at = self.at;
        if self.works.iter().any(|work| work.at == at && work.key == key) {
            self.say("that is under way", false);
            return None;
        }
        let (action, row) = self.panel()?.action(key)?;
        let name = row.and_then(|row| row.cells.first()).map_or("", String::as_str);
        let title = format!("{} {name}", action.name).trim_end().to_owned();
        self.works.push(Work { at, key, title });
        Some(Effect::Start(Job::Act(at, key, id)))
    }

    fn acted(&mut self, at: usize, key: char, outcome: Result<Outcome, String>) -> Option<Effect> {
        self.works.retain(|work| work.at != at || work.key != key);
        self.step = StepProgress::default();
        let is_last = self.works.is_empty();
        match outcome {
            Err(problem) => {
                // A user who wanted to leave should still see what went wrong.
                self.is_leaving = false;
                self.say(&problem, true);
            }
            Ok(_) if self.is_leaving && is_last => return Some(Effect::Quit),
            Ok(Outcome::Said(text)) => self.say(&text, false),
            Ok(Outcome::Shown(detail)) => self.panel_at(at)?.show(detail),
            Ok(Outcome::Run(program)) => return Some(Effect::Run(program)),
            Ok(Outcome::Open(word, id)) => {
                let place = self.tabs.iter().position(|tab| tab.word() == word)?;
                if let (Some(panel), Some(id)) = (self.panel_at(place), id) {
                    panel.want(id);
                }
                return self.open(place);
            }
        }
        self.is_changed = true;
        self.panel_at(at)?.read(at).map(Effect::Start)
    }

    fn click(&mut self, event: MouseEvent) -> Option<Effect> {
        let at = self.at;
        let is_in = |area: Rect| area.contains((event.column, event.row).into());
        let scrolls = match event.kind {
            MouseEventKind::ScrollUp => Some(KeyCode::Up),
            MouseEventKind::ScrollDown => Some(KeyCode::Down),
            MouseEventKind::Down(MouseButton::Left) => None,
            _ => return None,
        };
        if self.is_small || !self.asking.is_empty() || self.mode != Mode::List {
            return None;
        }
        if scrolls.is_none()
            && let Some(tab) = self.places.tabs.iter().position(|tab| is_in(*tab))
        {
            return self.open(tab);
        }
        let (list, detail) = (self.places.list, self.places.detail);
        let panel = self.panel()?;
        if is_in(list) {
            panel.focus = Focus::List;
            match scrolls {
                Some(code) => drop(panel.step(code)),
                None => {
                    let y = usize::from(event.row - list.y);
                    if y > 0 && panel.list.select_drawn(y - 1) {
                        panel.forget_place();
                    }
                }
            }
        } else if is_in(detail) {
            panel.focus = Focus::Detail;
            scrolls.map(|code| panel.step(code));
        }
        panel.look(at).map(Effect::Start)
    }
}

/// Whether a key is the same in all screens, the browser's too.
fn is_of_all(code: KeyCode) -> bool {
    matches!(code, KeyCode::Char('0'..='9' | 'q' | 'M') | KeyCode::Tab | KeyCode::BackTab)
}

/// Returns the effect of a key in the browser of plugins, which is left by other keys here.
fn browsed(effect: screen::Effect<browse::Job>) -> Option<Effect> {
    match effect {
        screen::Effect::Start(job) => Some(Effect::Start(Job::Browse(job))),
        screen::Effect::Suspend => Some(Effect::Suspend),
        screen::Effect::Abandon => Some(Effect::Abandon),
        screen::Effect::Run(program) => Some(Effect::Run(program)),
        screen::Effect::Quit => None,
    }
}

impl Screen for App {
    type Job = Job;
    type Reply = Reply;

    fn begin(&mut self) -> Option<Job> {
        match self.read() {
            Some(Effect::Start(job)) => Some(job),
            _ => None,
        }
    }

    fn worker(&self) -> Worker<Job, Reply> {
        let ground = Arc::clone(&self.ground);
        let page = |tab: &Tab| match tab {
            Tab::Page(panel) => Some(Arc::clone(&panel.page)),
            Tab::Plugins(_) => None,
        };
        let pages: Vec<Option<Arc<dyn Page>>> = self.tabs.iter().map(page).collect();
        Arc::new(move |job, way| perform(&ground, &pages, job, way))
    }

    fn failed(job: Job, why: &str) -> Reply {
        match job {
            Job::List(at, _) => Reply::Listed(at, Err(why.to_owned())),
            Job::Look(at, id) => Reply::Looked(at, id, Detail::failed(why)),
            Job::Act(at, key, _) => Reply::Acted(at, key, Err(why.to_owned())),
            Job::Browse(job) => Reply::Browse(browse::failed(job, why)),
        }
    }

    fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        self.is_changed = true;
        self.press(key)
    }

    fn paste(&mut self, text: &str) {
        self.is_changed = true;
        // Only what takes text accepts it, so that pasted text presses no keys.
        if self.is_small {
            return;
        }
        if let Some(asking) = self.asking.front_mut() {
            asking.paste(text);
        } else if self.mode == Mode::Filter
            && let Some(panel) = self.panel()
            && !panel.page.is_searched()
        {
            let query: String = panel.query().chars().chain(clean(text, QUERY).chars()).take(QUERY).collect();
            panel.list.find(query);
        } else if let Some(browser) = self.browser() {
            browser.paste(text);
        }
    }

    fn reply(&mut self, reply: Reply) -> Option<Effect> {
        let (job, is_changed) = match reply {
            Reply::Listed(at, listed) => self.panel_at(at)?.listed(at, listed),
            Reply::Looked(at, id, detail) => self.panel_at(at)?.looked(at, id, detail),
            Reply::Acted(at, key, outcome) => return self.acted(at, key, outcome),
            Reply::Browse(reply) => {
                self.is_changed = true;
                let is_leaving = self.is_leaving;
                let browser = self.tabs.iter_mut().find_map(|tab| match tab {
                    Tab::Plugins(browser) => Some(browser),
                    Tab::Page(_) => None,
                })?;
                let effect = browser.reply(reply);
                if is_leaving && !browser.is_changing() && self.works.is_empty() {
                    return Some(Effect::Quit);
                }
                return effect.and_then(browsed);
            }
        };
        self.is_changed |= is_changed;
        job.map(Effect::Start)
    }

    fn is_working(&self) -> bool {
        !self.works.is_empty() && self.asking.is_empty()
            || self.tabs.iter().any(|tab| matches!(tab, Tab::Plugins(browser) if browser.is_working()))
    }

    fn tick(&mut self, progress: Option<StepProgress>) {
        self.ticks = self.ticks.wrapping_add(1);
        let step = progress.or_else(|| self.ground.progress.latest());
        for tab in &mut self.tabs {
            if let Tab::Plugins(browser) = tab {
                browser.tick(step.clone());
            }
        }
        if let Some(step) = step {
            self.step = StepProgress { what: clean(&step.what, 200), ..step };
        }
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        view::draw(frame, self);
    }

    fn heeds(&self) -> Option<Heeded> {
        let feed = self.ground.client.app().feed().clone();
        match self.tabs.get(self.at)? {
            Tab::Page(panel) => {
                let logs = panel.detail().and_then(|detail| detail.logs.clone());
                Some(Heeded { feed, topics: panel.page.topics(), logs })
            }
            Tab::Plugins(_) => None,
        }
    }

    fn changed(&mut self, topics: &BTreeSet<Topic>) -> Option<Effect> {
        let at = self.at;
        self.panel()?.changed(at, topics).map(Effect::Start)
    }

    fn asked(&mut self, prompt: Prompt) {
        self.is_changed = true;
        // Dropped, it is a no.
        if !self.is_leaving {
            self.asking.push_back(Asking::new(prompt));
        }
    }

    fn mouse(&mut self, event: MouseEvent) -> Option<Effect> {
        self.is_changed |= !matches!(event.kind, MouseEventKind::Moved | MouseEventKind::Up(_));
        self.click(event)
    }

    fn has_mouse(&self) -> bool {
        self.has_mouse
    }

    fn returned(&mut self, ended: Result<(), String>) -> Option<Effect> {
        if let Err(problem) = ended {
            self.say(&problem, true);
        }
        self.read()
    }

    fn is_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }
}

fn perform(ground: &Ground, pages: &[Option<Arc<dyn Page>>], job: Job, way: &Way) -> Reply {
    let page = |at: usize| pages.get(at).and_then(Option::as_ref);
    let gone = || "there is no such screen".to_owned();
    match job {
        Job::List(at, query) => {
            Reply::Listed(at, page(at).map_or_else(|| Err(gone()), |page| page.list(ground, &query)))
        }
        Job::Look(at, id) => {
            let detail = page(at).map_or_else(|| Detail::failed(gone()), |page| page.detail(ground, &id));
            Reply::Looked(at, id, detail)
        }
        Job::Act(at, key, id) => {
            let person = AtScreen::new(way);
            Reply::Acted(at, key, page(at).map_or_else(|| Err(gone()), |page| page.act(ground, key, &id, &person)))
        }
        Job::Browse(job) => Reply::Browse(match ground.plugins() {
            Ok(backend) => browse::perform(&*backend, job, &*way.report),
            Err(why) => browse::failed(job, &why),
        }),
    }
}
