//! The state of the screen, and what keys and the mouse change in it. It draws nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::feed::Feed;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};
use ratatui::layout::Rect;

use super::command_line::CommandLine;
use super::dialog::{Dialog, DialogState, PendingAction};
use super::effect::Effect;
use super::jobs::Job;
use super::keys::{self, Binding, Command};
use super::panel::{Focus, Panel};
use crate::page::{Outcome, Page};
use crate::paint::Theme;
use crate::progress::ScreenProgress;
use crate::screen::StepProgress;
use crate::text::clean;

/// The most characters of a query.
pub(super) const MAX_QUERY_LEN: usize = 200;

/// The most characters of a message.
const MAX_MESSAGE_LEN: usize = 2_000;

/// The most characters of the names of what an action is done to.
const MAX_TITLE_LEN: usize = 60;

/// How long after an action letters are not taken for other actions.
const TYPE_AHEAD_WINDOW: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 300 });

/// Where a frame shows what can be clicked.
#[derive(Debug, Default)]
pub(super) struct ClickAreas {
    pub(super) tabs: Vec<Rect>,
    pub(super) list: Rect,
    pub(super) detail: Rect,
}

/// The place that has the keys, unless a question has them.
#[derive(Debug)]
pub(super) enum Mode {
    Page,
    /// Words are typed.
    Find,
    Command(CommandLine),
    Help,
    /// One row is chosen, and typed words narrow the list.
    Pick,
}

/// An action under way.
pub(super) struct RunningAction {
    pub(super) page: usize,
    pub(super) key: char,
    /// The things that it is done to; none if it is done to all.
    ids: Vec<String>,
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

/// All pages, which one is seen, and what is asked and done.
pub(crate) struct State {
    pub(super) panels: Vec<Panel>,
    pub(super) active: usize,
    /// The page that opened this one.
    opened_by: Option<usize>,
    /// What the parts of the application tell of their progress, and of changes.
    pub(super) progress: Arc<ScreenProgress>,
    pub(super) feed: Option<Feed>,
    pub(super) theme: Theme,
    pub(super) has_mouse: bool,
    /// The smallest screen that can be used.
    pub(super) min_size: (u16, u16),
    pub(super) mode: Mode,
    /// The questions, the first of which is asked.
    pub(super) dialogs: VecDeque<Dialog>,
    pub(super) running_actions: Vec<RunningAction>,
    pub(super) ticks: usize,
    pub(super) step: StepProgress,
    pub(super) status: Option<LastMessage>,
    /// The first line of the help that is on the screen.
    pub(super) help_scroll: usize,
    pub(super) is_leaving: bool,
    /// Whether leaving has answered a question with no.
    pub(super) has_declined: bool,
    /// Whether another program has the terminal.
    pub(super) is_terminal_lent: bool,
    pub(super) is_dirty: bool,
    /// Whether the last frame was too small for anything.
    pub(super) is_too_small: bool,
    /// Where the last frame showed what can be clicked.
    pub(super) click_areas: ClickAreas,
    /// The title over a choice; none for the application.
    pub(super) pick_title: Option<String>,
    /// The id of the row that was chosen.
    pub(crate) picked: Option<String>,
}

impl State {
    pub(crate) fn new(pages: Vec<Arc<dyn Page>>, active: usize, theme: Theme, has_mouse: bool) -> Self {
        Self {
            panels: pages.into_iter().map(Panel::new).collect(),
            active,
            opened_by: None,
            progress: Arc::default(),
            feed: None,
            theme,
            has_mouse,
            min_size: (60, 20),
            mode: Mode::Page,
            dialogs: VecDeque::new(),
            running_actions: Vec::new(),
            ticks: 0,
            step: StepProgress::default(),
            status: None,
            help_scroll: 0,
            is_leaving: false,
            has_declined: false,
            is_terminal_lent: false,
            is_dirty: true,
            is_too_small: false,
            click_areas: ClickAreas::default(),
            pick_title: None,
            picked: None,
        }
    }

    /// Shows progress and changes of an application.
    #[must_use]
    pub(crate) fn with_application(self, progress: Arc<ScreenProgress>, feed: Feed) -> Self {
        Self { progress, feed: Some(feed), ..self }
    }

    /// Returns the choice of one row of a page.
    pub(crate) fn picker(page: Arc<dyn Page>, title: String, theme: Theme) -> Self {
        let state = Self::new(vec![page], 0, theme, false);
        Self { mode: Mode::Pick, pick_title: Some(title), min_size: (20, 4), ..state }
    }

    /// Narrows the page that is seen first.
    pub(crate) fn narrow_first(&mut self, query: &str, shows_hidden: bool) {
        let panel = &mut self.panels[self.active];
        panel.list.set_shows_hidden(shows_hidden);
        panel.list.set_query(clean(query, MAX_QUERY_LEN));
    }

    pub(super) fn panel(&mut self) -> &mut Panel {
        &mut self.panels[self.active]
    }

    pub(super) fn set_status(&mut self, text: &str, is_bad: bool) {
        self.status = Some(LastMessage { text: clean(text, MAX_MESSAGE_LEN), is_error: is_bad });
        self.is_dirty = true;
    }

    /// Opens a page.
    pub(super) fn open(&mut self, page: usize) -> Option<Effect> {
        if page >= self.panels.len() {
            return None;
        }
        (self.active, self.opened_by, self.mode) = (page, None, Mode::Page);
        self.refresh()
    }

    /// Reads what is seen again.
    pub(super) fn refresh(&mut self) -> Option<Effect> {
        let at = self.active;
        self.panel().refresh(at).map(Effect::Start)
    }

    fn leave(&mut self, at_once: bool) -> Option<Effect> {
        if self.running_actions.is_empty() {
            return Some(Effect::Quit);
        }
        if self.is_leaving && at_once {
            return Some(Effect::Abandon);
        }
        // What waits for an answer has changed nothing.
        self.has_declined |= !self.dialogs.is_empty();
        self.dialogs.clear();
        self.is_leaving = true;
        self.set_status("leaving when this is done; Ctrl-C (again) leaves now and abandons it", false);
        None
    }

    /// Handles a key press.
    pub(crate) fn handle_key(&mut self, key: KeyEvent) -> Option<Effect> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        self.is_dirty = true;
        let command = keys::find(&[&keys::PAGE], key);
        if command == Some(Command::Suspend) {
            return Some(Effect::Suspend);
        }
        // Nobody sees what any other key does.
        if self.is_too_small {
            return match command {
                Some(Command::Leave) => self.leave(true),
                Some(Command::Quit) if self.pick_title.is_none() => self.leave(false),
                _ => None,
            };
        }
        if !self.is_leaving {
            self.status = None;
        }
        if let Some(dialog) = self.dialogs.front_mut() {
            let state = dialog.handle_key(key);
            if state != DialogState::Pending {
                self.dialogs.pop_front();
            }
            return if let DialogState::Agreed(action) = state { self.start(action) } else { None };
        }
        let command = self.find_command(key);
        match self.mode {
            Mode::Page => self.run(command?, key),
            Mode::Find => self.handle_find(command?, key),
            Mode::Pick => self.handle_pick(command?, key),
            Mode::Command(_) => self.handle_command_line(command?, key),
            Mode::Help => {
                self.handle_help(command, key.code);
                None
            }
        }
    }

    /// Returns the tables of the keys of the place that has them, the own keys of the page aside.
    pub(super) fn tables(&self) -> Vec<&'static [Binding]> {
        let panel = &self.panels[self.active];
        match &self.mode {
            Mode::Find => vec![&keys::FIND],
            Mode::Command(_) => vec![&keys::COMMAND_LINE],
            Mode::Help => vec![&keys::HELP],
            Mode::Pick => vec![&keys::PICK],
            Mode::Page if panel.log.is_some() => vec![&keys::LOG, &keys::PAGE],
            Mode::Page if panel.focus == Focus::Detail => vec![&keys::TEXT, &keys::PAGE],
            Mode::Page => vec![&keys::LIST, &keys::PAGE],
        }
    }

    fn find_command(&mut self, key: KeyEvent) -> Option<Command> {
        let tables = self.tables();
        if !matches!(self.mode, Mode::Page) {
            return keys::find(&tables, key);
        }
        let is_matching = self.panel().searched_text().is_some_and(|(_, text)| !text.search.query().is_empty());
        let is_own = |command: &Command| is_matching || !matches!(command, Command::NextMatch | Command::PreviousMatch);
        let own = keys::find(&tables[..1], key).filter(is_own);
        own.or_else(|| self.panel().act_command(key)).or_else(|| keys::find(&tables[1..], key))
    }

    /// Does what a key says on a page, or in its log.
    pub(super) fn run(&mut self, command: Command, key: KeyEvent) -> Option<Effect> {
        let (at, count) = (self.active, self.panels.len());
        let panel = &mut self.panels[at];
        let job = match command {
            Command::Quit if self.running_actions.iter().any(RunningAction::takes_letters) => {
                self.say_busy();
                return None;
            }
            Command::Quit => return self.leave(false),
            Command::Leave => return self.leave(true),
            Command::Suspend => return Some(Effect::Suspend),
            Command::OpenNumbered => {
                let KeyCode::Char(digit) = key.code else { return None };
                return self.open(digit.to_digit(10).map_or(0, |digit| (digit as usize + 9) % 10));
            }
            Command::NextPage => return self.open((at + 1) % count),
            Command::PreviousPage => return self.open((at + count - 1) % count),
            Command::Refresh => return self.refresh(),
            Command::Act(letter) => return self.act(letter),
            Command::Prompt => {
                self.mode = Mode::Command(CommandLine::new(self.targets()));
                return None;
            }
            Command::Find => {
                self.mode = Mode::Find;
                return None;
            }
            Command::Help => {
                (self.help_scroll, self.mode) = (0, Mode::Help);
                return None;
            }
            Command::ToggleMouse => {
                self.has_mouse = !self.has_mouse;
                let now = if self.has_mouse { "the mouse selects here" } else { "the mouse is the terminal's" };
                self.set_status(now, false);
                return None;
            }
            Command::Back => {
                let (has_left, job) = panel.leave(at);
                if let Some(page) = self.opened_by.take_if(|_| !has_left) {
                    return self.open(page);
                }
                job
            }
            command => panel.run(at, command, key.code),
        };
        job.map(Effect::Start)
    }

    /// Does what a letter says, after a question if it destroys.
    fn act(&mut self, letter: char) -> Option<Effect> {
        let at = self.active;
        let panel = self.panel();
        if panel.list.narrow(letter) {
            panel.reset_position();
            return panel.inspect_selected(at).map(Effect::Start);
        }
        if self.running_actions.iter().any(RunningAction::takes_letters) {
            self.say_busy();
            return None;
        }
        let (action, pending, names) = self.panel().action(letter)?;
        let Some(question) = action.confirmation_prompt else { return self.start(pending) };
        let question = match pending.ids.len() {
            0 | 1 => question.replace("{}", &names),
            count => format!("{} {count}: {names}? (y/N)", capitalize(action.name)),
        };
        self.dialogs.push_back(Dialog::from_action(clean(&question, MAX_MESSAGE_LEN), pending));
        None
    }

    /// Says why a letter does nothing.
    fn say_busy(&mut self) {
        let title = self.running_actions.first().map(|work| work.title.clone()).unwrap_or_default();
        self.set_status(&format!("{title} is under way and may ask something; Ctrl-C leaves"), false);
    }

    fn start(&mut self, PendingAction { key, ids }: PendingAction) -> Option<Effect> {
        let page = self.active;
        if self.running_actions.iter().any(|work| work.page == page && work.key == key) {
            self.set_status("that is under way", false);
            return None;
        }
        let panel = self.panel();
        let action = panel.page.descriptor().actions.iter().find(|action| action.key == key)?;
        let names = ids.iter().filter_map(|id| panel.list.find_by_id(id)).map(|row| row.name());
        let names = clean(&names.collect::<Vec<_>>().join(", "), MAX_TITLE_LEN);
        let title = format!("{} {names}", action.name).trim_end().to_owned();
        if action.needs_selection && !action.is_single {
            panel.list.unmark();
        }
        let begun = Instant::now();
        self.running_actions.push(RunningAction { page, key, ids: ids.clone(), title, begun, has_asked: false });
        Some(Effect::Start(Job::RunAction(page, key, ids)))
    }

    pub(super) fn finish_action(&mut self, at: usize, key: char, outcome: Result<Outcome, String>) -> Option<Effect> {
        let place = self.running_actions.iter().position(|work| work.page == at && work.key == key);
        let ids = place.map(|place| self.running_actions.remove(place).ids).unwrap_or_default();
        self.step = StepProgress::default();
        let is_last = self.running_actions.is_empty();
        self.is_dirty = true;
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
                let panel = self.panels.get_mut(at)?;
                if ids.is_empty() || panel.list.current().is_some_and(|row| ids.contains(&row.id)) {
                    panel.show(detail);
                } else {
                    self.set_status("another thing is selected now: press the key again for this one", false);
                }
            }
            Ok(Outcome::Log(title, handle)) => {
                let title = clean(&title, MAX_MESSAGE_LEN);
                return self.panels.get_mut(at)?.open_log(at, title, handle).map(Effect::Start);
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
                let place = self.panels.iter().position(|panel| panel.page.descriptor().slug == word)?;
                id.into_iter().for_each(|id| self.panels[place].select_when_loaded(id));
                let effect = self.open(place);
                self.opened_by = Some(at);
                return effect;
            }
        }
        self.panels.get_mut(at)?.refresh(at).map(Effect::Start)
    }
}

fn capitalize(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}
