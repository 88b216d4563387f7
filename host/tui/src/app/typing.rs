//! What is typed: words that narrow or are found, the command line, and the keys of the help.

use crossterm::event::{KeyCode, KeyEvent};

use super::command_line::{NamedTarget, Target};
use super::effect::Effect;
use super::input;
use super::keys::{Binding, Command};
use super::state::{MAX_QUERY_LEN, Mode, State};

impl State {
    /// Handles a key while words are typed.
    pub(super) fn handle_find(&mut self, command: Command, key: KeyEvent) -> Option<Effect> {
        let at = self.active;
        let panel = self.panel();
        match command {
            Command::Accept => {
                self.mode = Mode::Page;
                None
            }
            Command::Back => {
                self.mode = Mode::Page;
                self.panel().set_query(at, String::new()).map(Effect::Start)
            }
            Command::Move => {
                panel.move_by(match key.code {
                    KeyCode::Char('p') => KeyCode::Up,
                    KeyCode::Char(_) => KeyCode::Down,
                    code => code,
                });
                panel.inspect_selected(at).map(Effect::Start)
            }
            Command::Edit => self.retype(|query| input::edit(query, key, MAX_QUERY_LEN)),
            _ => None,
        }
    }

    /// Handles a key where one row is chosen.
    pub(super) fn handle_pick(&mut self, command: Command, key: KeyEvent) -> Option<Effect> {
        let at = self.active;
        let panel = self.panel();
        match command {
            Command::Accept => {
                let id = panel.list.current()?.id.clone();
                self.picked = Some(id);
                Some(Effect::Quit)
            }
            Command::Back if !panel.query().is_empty() => panel.set_query(at, String::new()).map(Effect::Start),
            Command::Back | Command::Leave => Some(Effect::Quit),
            Command::ScrollText => {
                panel.text.scroll_by(key.code);
                None
            }
            Command::Edit => self.retype(|query| input::edit(query, key, MAX_QUERY_LEN)),
            _ => {
                panel.move_by(key.code);
                panel.inspect_selected(at).map(Effect::Start)
            }
        }
    }

    /// Changes the words that are looked for.
    fn retype(&mut self, change: impl FnOnce(&mut String)) -> Option<Effect> {
        let at = self.active;
        let panel = self.panel();
        let mut query = panel.query().to_owned();
        change(&mut query);
        if query == panel.query() {
            return None;
        }
        panel.set_query(at, query).map(Effect::Start)
    }

    /// Handles pasted text. Only what takes text accepts it, so that pasted text presses no keys.
    pub(crate) fn handle_paste(&mut self, text: &str) -> Option<Effect> {
        self.is_dirty = true;
        if self.is_too_small {
            return None;
        }
        if let Some(dialog) = self.dialogs.front_mut() {
            dialog.handle_paste(text);
            return None;
        }
        match &mut self.mode {
            Mode::Find | Mode::Pick => self.retype(|query| input::paste(query, text, MAX_QUERY_LEN)),
            Mode::Command(line) => {
                input::paste(&mut line.typed, text, MAX_QUERY_LEN);
                line.selected = 0;
                None
            }
            Mode::Page | Mode::Help => None,
        }
    }

    /// Handles a key of the command line.
    pub(super) fn handle_command_line(&mut self, command: Command, key: KeyEvent) -> Option<Effect> {
        let Mode::Command(line) = &mut self.mode else { return None };
        match command {
            Command::Accept => {
                let target = line.target();
                self.mode = Mode::Page;
                if target.is_none() {
                    self.set_status("there is no such page or action; : and Tab show them", true);
                }
                return self.go(target?, key);
            }
            Command::Complete => line.complete(),
            Command::Move => line.select(key.code),
            // What has no letter left is left.
            Command::Edit if key.code != KeyCode::Backspace || !line.typed.is_empty() => {
                input::edit(&mut line.typed, key, MAX_QUERY_LEN);
                line.selected = 0;
            }
            _ => self.mode = Mode::Page,
        }
        None
    }

    /// Handles a key of the help. Every key that does not scroll it leaves it.
    pub(super) fn handle_help(&mut self, command: Option<Command>, code: KeyCode) {
        if command != Some(Command::Move) {
            self.mode = Mode::Page;
            return;
        }
        self.help_scroll = match code {
            KeyCode::Up | KeyCode::Char('k') => self.help_scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.help_scroll.saturating_add(1),
            KeyCode::PageUp => self.help_scroll.saturating_sub(10),
            _ => self.help_scroll.saturating_add(10),
        };
    }

    /// Returns what the command line knows here.
    pub(super) fn targets(&self) -> Vec<NamedTarget> {
        let panel = &self.panels[self.active];
        let named = |name: &str, target| NamedTarget { name: name.to_lowercase(), target };
        let pages = self.panels.iter().enumerate();
        let mut targets: Vec<NamedTarget> =
            pages.map(|(at, panel)| named(panel.page.descriptor().slug, Target::Page(at))).collect();
        if panel.log.is_none() {
            let own = panel.own_bindings().into_iter();
            targets.extend(own.map(|(key, name, _)| named(name, Target::Command(Command::Act(key)))));
            let columns = panel.page.descriptor().columns.iter().filter(|column| !column.name.is_empty());
            targets.extend(columns.map(|column| named(&format!("sort {}", column.name), Target::Sort(column.name))));
        }
        let bindings = self.tables().into_iter().flatten().filter(|binding| !binding.name.is_empty());
        let can = |binding: &&Binding| !matches!(binding.command, Command::Move | Command::Back | Command::Prompt);
        targets.extend(bindings.filter(can).map(|one| named(one.name, Target::Command(one.command))));
        targets
    }

    fn go(&mut self, target: Target, key: KeyEvent) -> Option<Effect> {
        match target {
            Target::Page(page) => self.open(page),
            Target::Command(command) => self.run(command, key),
            Target::Sort(column) => {
                self.panel().list.sort_by(column);
                None
            }
        }
    }
}
