//! The state of the application, and what keys and the mouse change in it. It draws nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;

use super::asking::{ActivePrompt, PromptState};
use super::jobs::Job;
use super::panel::{Focus, Panel};
use crate::browse::{self, Browser};
use crate::context::AppContext;
use crate::page::{Outcome, PLUGINS, Page, PageDescriptor};
use crate::paint::Theme;
use crate::screen::{self, StepProgress};
use crate::text::clean;

/// The most characters of a query.
pub(super) const MAX_QUERY_LEN: usize = 200;

/// The most characters of a message.
const MAX_MESSAGE_LEN: usize = 2_000;

/// How long after an action letters are not taken for other actions.
const TYPE_AHEAD_WINDOW: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 300 });

/// The smallest screen that can be used.
pub(crate) const MIN_SCREEN_SIZE: (u16, u16) = (60, 20);

pub(super) type Effect = screen::Effect<Job>;

/// Where a frame shows what can be clicked.
#[derive(Debug, Default)]
pub(super) struct ClickAreas {
    pub(super) tabs: Vec<Rect>,
    pub(super) list: Rect,
    pub(super) detail: Rect,
}

/// The meaning of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    List,
    Filter,
    Help,
    /// A question before an action: the question, the key and the id.
    Confirm(String, char, String),
}

/// An action under way.
pub(super) struct RunningAction {
    pub(super) tab_index: usize,
    pub(super) key: char,
    /// The thing that it is done to; empty if it is done to all.
    pub(super) id: String,
    pub(super) title: String,
    begun: Instant,
    /// Whether it has asked something: it may ask again.
    pub(super) has_asked: bool,
}

impl RunningAction {
    /// Whether what is typed now may be meant for a question of it.
    fn takes_letters(&self) -> bool {
        self.has_asked || self.begun.elapsed() < TYPE_AHEAD_WINDOW
    }
}

/// The last message.
pub(super) struct LastMessage {
    pub(super) text: String,
    pub(super) is_error: bool,
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

    /// Returns it in words.
    pub(crate) fn descriptor(&self) -> &'static PageDescriptor {
        match self {
            Self::Page(panel) => panel.page.descriptor(),
            Self::Plugins(_) => &PLUGINS,
        }
    }
}

/// All screens, and which one is seen.
pub(crate) struct Screens {
    pub(super) context: Arc<AppContext>,
    pub(super) tabs: Vec<Tab>,
    pub(super) active_tab: usize,
    pub(super) theme: Theme,
    pub(super) has_mouse: bool,
    pub(super) mode: Mode,
    /// The questions of jobs, the first of which is asked.
    pub(super) prompts: VecDeque<ActivePrompt>,
    pub(super) running_actions: Vec<RunningAction>,
    pub(super) ticks: usize,
    pub(super) step: StepProgress,
    pub(super) status: Option<LastMessage>,
    /// The first line of the help that is on the screen.
    pub(super) scroll: usize,
    pub(super) is_leaving: bool,
    /// Whether leaving has answered a question with no.
    pub(super) has_declined: bool,
    /// Whether the question before an action has been on the screen.
    pub(super) is_confirm_seen: bool,
    /// Whether another program has the terminal.
    pub(super) is_terminal_lent: bool,
    pub(super) is_dirty: bool,
    /// Whether the last frame was too small for anything.
    pub(super) is_too_small: bool,
    /// Where the last frame showed what can be clicked.
    pub(super) click_areas: ClickAreas,
}

impl Screens {
    pub(crate) fn new(ground: Arc<AppContext>, tabs: Vec<Tab>, at: usize, theme: Theme, has_mouse: bool) -> Self {
        Self {
            context: ground,
            tabs,
            active_tab: at,
            theme,
            has_mouse,
            mode: Mode::List,
            prompts: VecDeque::new(),
            running_actions: Vec::new(),
            ticks: 0,
            step: StepProgress::default(),
            status: None,
            scroll: 0,
            is_leaving: false,
            has_declined: false,
            is_confirm_seen: false,
            is_terminal_lent: false,
            is_dirty: true,
            is_too_small: false,
            click_areas: ClickAreas::default(),
        }
    }

    pub(super) fn panel(&mut self) -> Option<&mut Panel> {
        self.panel_at(self.active_tab)
    }

    pub(super) fn panel_at(&mut self, at: usize) -> Option<&mut Panel> {
        match self.tabs.get_mut(at)? {
            Tab::Page(panel) => Some(panel),
            Tab::Plugins(_) => None,
        }
    }

    pub(super) fn browser(&mut self) -> Option<&mut Browser> {
        match self.tabs.get_mut(self.active_tab)? {
            Tab::Page(_) => None,
            Tab::Plugins(browser) => Some(browser),
        }
    }

    pub(super) fn set_status(&mut self, text: &str, is_bad: bool) {
        self.status = Some(LastMessage { text: clean(text, MAX_MESSAGE_LEN), is_error: is_bad });
        self.is_dirty = true;
    }

    /// Opens a screen.
    pub(super) fn open(&mut self, at: usize) -> Option<Effect> {
        if at >= self.tabs.len() {
            return None;
        }
        self.active_tab = at;
        self.mode = Mode::List;
        self.refresh()
    }

    /// Reads what is seen again.
    pub(super) fn refresh(&mut self) -> Option<Effect> {
        let at = self.active_tab;
        match self.tabs.get_mut(at)? {
            Tab::Page(panel) => panel.refresh(at).map(Effect::Start),
            Tab::Plugins(browser) => browser.initial_job().map(Job::Browse).map(Effect::Start),
        }
    }

    pub(super) fn leave(&mut self, at_once: bool) -> Option<Effect> {
        let is_browsing = self.tabs.iter().any(|tab| matches!(tab, Tab::Plugins(browser) if browser.is_changing()));
        if self.running_actions.is_empty() && !is_browsing {
            return Some(Effect::Quit);
        }
        if self.is_leaving && at_once {
            return Some(Effect::Abandon);
        }
        // What waits for an answer has changed nothing.
        self.has_declined |= !self.prompts.is_empty();
        self.prompts.clear();
        self.is_leaving = true;
        self.set_status("leaving when this is done; Ctrl-C (again) leaves now and abandons it", false);
        None
    }

    pub(super) fn handle_key_press(&mut self, key: KeyEvent) -> Option<Effect> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return self.leave(true),
            KeyCode::Char('z') if control => return Some(Effect::Suspend),
            KeyCode::Char('q') if self.is_too_small => return self.leave(false),
            // Nobody sees what any other key does.
            _ if self.is_too_small => return None,
            _ if key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) => return None,
            _ => {}
        }
        if !self.is_leaving {
            self.status = None;
        }
        if let Some(asking) = self.prompts.front_mut() {
            // A letter with Ctrl is neither a yes nor a part of a text.
            match key.code {
                KeyCode::Char('u') if control => asking.clear(),
                KeyCode::Char(_) if control => {}
                code => {
                    if let PromptState::Done = asking.handle_key(code) {
                        self.prompts.pop_front();
                    }
                }
            }
            return None;
        }
        match self.mode.clone() {
            Mode::Filter => self.key_in_filter(key.code, control),
            Mode::Help => {
                self.key_in_help(key.code);
                None
            }
            // Nobody has read it yet.
            Mode::Confirm(..) if !self.is_confirm_seen => None,
            Mode::Confirm(_, action, id) => {
                self.mode = Mode::List;
                (!control && matches!(key.code, KeyCode::Char('y' | 'Y'))).then(|| self.start(action, id))?
            }
            Mode::List => self.key_in_list(key, control),
        }
    }

    fn key_in_filter(&mut self, code: KeyCode, control: bool) -> Option<Effect> {
        let at = self.active_tab;
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
                if query.chars().count() < MAX_QUERY_LEN {
                    query.push(c);
                }
            }
            code @ (KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown) => {
                panel.handle_key(code);
                return panel.inspect_selected(at).map(Effect::Start);
            }
            _ => return None,
        }
        self.panel()?.set_query(at, query).map(Effect::Start)
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
        let (at, count) = (self.active_tab, self.tabs.len());
        if let Some(browser) = self.browser()
            && (!browser.is_listing() || !is_of_all(key.code))
        {
            // Esc would leave the browser where it stands alone.
            let is_back = key.code == KeyCode::Esc && browser.is_outermost();
            return if is_back { None } else { browser.handle_key(key).and_then(map_browser_effect) };
        }
        match key.code {
            KeyCode::Char('r' | 'l') if control => return self.refresh(),
            KeyCode::F(5) => return self.refresh(),
            _ if control => return None,
            KeyCode::Char(digit @ '0'..='9') => {
                let place = digit.to_digit(10).map_or(0, |digit| (digit as usize + 9) % 10);
                return self.open(place);
            }
            KeyCode::Tab => return self.open((at + 1) % count),
            KeyCode::BackTab => return self.open((at + count - 1) % count),
            KeyCode::Char('q') if self.running_actions.iter().any(RunningAction::takes_letters) => self.say_busy(),
            KeyCode::Char('q') => return self.leave(false),
            KeyCode::Char('?') | KeyCode::F(1) => {
                self.scroll = 0;
                self.mode = Mode::Help;
            }
            KeyCode::Char('M') => {
                self.has_mouse = !self.has_mouse;
                let now = if self.has_mouse { "the mouse selects here" } else { "the mouse is the terminal's" };
                self.set_status(now, false);
            }
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Esc => {
                let panel = self.panel()?;
                if !panel.leave() && !panel.query().is_empty() {
                    return panel.set_query(at, String::new()).map(Effect::Start);
                }
            }
            code => {
                let panel = self.panel()?;
                if panel.handle_key(code) {
                    return panel.inspect_selected(at).map(Effect::Start);
                }
                let KeyCode::Char(letter) = code else { return None };
                return self.act(letter);
            }
        }
        None
    }

    /// Does what a letter says, after a question if it destroys.
    fn act(&mut self, letter: char) -> Option<Effect> {
        if self.running_actions.iter().any(RunningAction::takes_letters) {
            self.say_busy();
            return None;
        }
        let (action, row) = self.panel()?.action(letter)?;
        let id = row.map_or_else(String::new, |row| row.id.clone());
        let Some(asks) = action.confirmation_prompt else { return self.start(letter, id) };
        let name = row.and_then(|row| row.cells.first()).map_or("", String::as_str);
        self.mode = Mode::Confirm(asks.replace("{}", name), letter, id);
        self.is_confirm_seen = false;
        None
    }

    /// Says why a letter does nothing.
    fn say_busy(&mut self) {
        let title = self.running_actions.first().map(|work| work.title.clone()).unwrap_or_default();
        self.set_status(&format!("{title} is under way and may ask something; Ctrl-C leaves"), false);
    }

    fn start(&mut self, key: char, id: String) -> Option<Effect> {
        let at = self.active_tab;
        if self.running_actions.iter().any(|work| work.tab_index == at && work.key == key) {
            self.set_status("that is under way", false);
            return None;
        }
        let panel = self.panel()?;
        let action = panel.page.descriptor().actions.iter().find(|action| action.key == key)?;
        let name = panel.list.find_by_id(&id).and_then(|row| row.cells.first()).map_or("", String::as_str);
        let title = format!("{} {name}", action.name).trim_end().to_owned();
        self.running_actions.push(RunningAction {
            tab_index: at,
            key,
            id: id.clone(),
            title,
            begun: Instant::now(),
            has_asked: false,
        });
        Some(Effect::Start(Job::RunAction(at, key, id)))
    }

    pub(super) fn finish_action(&mut self, at: usize, key: char, outcome: Result<Outcome, String>) -> Option<Effect> {
        let is_it = |work: &RunningAction| work.tab_index == at && work.key == key;
        let id = self.running_actions.iter().find(|work| is_it(work)).map(|work| work.id.clone()).unwrap_or_default();
        self.running_actions.retain(|work| !is_it(work));
        self.step = StepProgress::default();
        let is_last = self.running_actions.is_empty();
        match outcome {
            Err(_) if self.is_leaving && self.has_declined && is_last => return Some(Effect::Quit),
            Err(problem) => {
                // A user who wanted to leave should still see what went wrong.
                self.is_leaving = false;
                self.set_status(&problem, true);
            }
            Ok(_) if self.is_leaving && is_last => return Some(Effect::Quit),
            Ok(Outcome::Message(text)) => self.set_status(&text, false),
            Ok(Outcome::Details(detail)) => {
                let panel = self.panel_at(at)?;
                if id.is_empty() || panel.list.current().is_some_and(|row| row.id == id) {
                    panel.show(detail);
                } else {
                    self.set_status("another thing is selected now: press the key again for this one", false);
                }
            }
            // Only one program has the terminal.
            Ok(Outcome::Run(_)) if self.is_terminal_lent => {
                self.set_status("another program had the terminal: press it again", true)
            }
            Ok(Outcome::Run(program)) => {
                self.is_terminal_lent = true;
                return Some(Effect::Run(program));
            }
            Ok(Outcome::Open(word, id)) => {
                self.is_dirty = true;
                let place = self.tabs.iter().position(|tab| tab.descriptor().slug == word)?;
                if let (Some(panel), Some(id)) = (self.panel_at(place), id) {
                    panel.select_when_loaded(id);
                }
                return self.open(place);
            }
        }
        self.is_dirty = true;
        self.panel_at(at)?.refresh(at).map(Effect::Start)
    }

    pub(super) fn handle_mouse_event(&mut self, event: MouseEvent) -> Option<Effect> {
        let at = self.active_tab;
        let is_in = |area: Rect| area.contains((event.column, event.row).into());
        let scrolls = match event.kind {
            MouseEventKind::ScrollUp => Some(KeyCode::Up),
            MouseEventKind::ScrollDown => Some(KeyCode::Down),
            MouseEventKind::Down(MouseButton::Left) => None,
            _ => return None,
        };
        if self.is_too_small || !self.prompts.is_empty() || self.mode != Mode::List {
            return None;
        }
        if scrolls.is_none()
            && let Some(tab) = self.click_areas.tabs.iter().position(|tab| is_in(*tab))
        {
            return self.open(tab);
        }
        let (list, detail) = (self.click_areas.list, self.click_areas.detail);
        let panel = self.panel()?;
        if is_in(list) {
            panel.focus = Focus::List;
            match scrolls {
                Some(code) => drop(panel.handle_key(code)),
                None => {
                    let y = usize::from(event.row - list.y);
                    if y > 0 && panel.list.select_at_row(y - 1) {
                        panel.reset_position();
                    }
                }
            }
        } else if is_in(detail) {
            panel.focus = Focus::Detail;
            scrolls.map(|code| panel.handle_key(code));
        }
        panel.inspect_selected(at).map(Effect::Start)
    }
}

/// Whether a key is the same in all screens, the browser's too.
fn is_of_all(code: KeyCode) -> bool {
    matches!(code, KeyCode::Char('0'..='9' | 'q' | 'M') | KeyCode::Tab | KeyCode::BackTab)
}

/// Returns the effect of a key in the browser of plugins, which is left by other keys here.
pub(super) fn map_browser_effect(effect: screen::Effect<browse::Job>) -> Option<Effect> {
    match effect {
        screen::Effect::Start(job) => Some(Effect::Start(Job::Browse(job))),
        screen::Effect::Suspend => Some(Effect::Suspend),
        screen::Effect::Abandon => Some(Effect::Abandon),
        screen::Effect::Run(program) => Some(Effect::Run(program)),
        screen::Effect::Quit => None,
    }
}
