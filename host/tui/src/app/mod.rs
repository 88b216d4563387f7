//! The application on a terminal: its pages, and the keys that are the same in all of them.

pub(crate) mod bench;
mod command_line;
mod dialog;
mod effect;
mod find;
mod input;
mod jobs;
mod keys;
mod log;
mod mouse;
mod panel;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod text_view;
mod typing;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use aiw_app::feed::Topic;
use crossterm::event::{MouseEvent, MouseEventKind};
use ratatui::Frame;

use self::dialog::Dialog;
pub(crate) use self::effect::Effect;
pub(crate) use self::jobs::{Job, Reply, Worker};
pub(crate) use self::state::State;
use crate::prompt::Prompt;
use crate::screen::StepProgress;
use crate::text::clean;
use crate::watch::Subscription;

/// What the loop tells the screen, and asks it.
impl State {
    /// Returns the first job.
    pub(crate) fn initial_job(&mut self) -> Option<Job> {
        let at = self.active;
        self.panel().refresh(at)
    }

    /// Returns the function that does jobs, on a thread of its own.
    pub(crate) fn worker(&self) -> Worker {
        jobs::worker(self.panels.iter().map(|panel| Arc::clone(&panel.page)).collect())
    }

    /// Handles the end of a job.
    pub(crate) fn handle_reply(&mut self, reply: Reply) -> Option<Effect> {
        let (job, is_changed) = match reply {
            Reply::List(at, listed) => self.panels.get_mut(at)?.set_content(at, listed),
            Reply::Detail(at, id, detail) => self.panels.get_mut(at)?.set_detail(at, id, detail),
            Reply::Action(at, key, outcome) => return self.finish_action(at, key, outcome),
            Reply::Log(at, handle, update) => {
                let log = self.panels.get_mut(at)?.log.as_mut().filter(|log| log.handle == handle)?;
                log.append(at, update)
            }
        };
        self.is_dirty |= is_changed;
        job.map(Effect::Start)
    }

    /// Returns whether a job is under way that is shown. If so, the loop calls `tick`.
    pub(crate) fn is_working(&self) -> bool {
        !self.running_actions.is_empty() && self.dialogs.is_empty()
            || self.dialogs.front().is_some_and(Dialog::is_settling)
    }

    /// Handles the passage of time, and a step of the work if there is one.
    pub(crate) fn tick(&mut self, progress: Option<StepProgress>) {
        self.ticks = self.ticks.wrapping_add(1);
        if let Some(step) = progress.or_else(|| self.progress.latest()) {
            self.step = StepProgress { label: clean(&step.label, 200), ..step };
        }
    }

    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>) {
        view::draw(frame, self);
    }

    /// Returns the changes that it wants to hear of now.
    pub(crate) fn subscription(&self) -> Option<Subscription> {
        let panel = self.panels.get(self.active)?;
        let log_dirs = match &panel.log {
            Some(log) => log.directories.clone(),
            None => panel.detail().and_then(|detail| detail.log_dir.clone()).into_iter().collect(),
        };
        Some(Subscription { feed: self.feed.clone()?, topics: panel.page.descriptor().topics, log_dirs })
    }

    /// Handles changes of what it heeds.
    pub(crate) fn handle_changes(&mut self, topics: &BTreeSet<Topic>) -> Option<Effect> {
        let at = self.active;
        self.panel().handle_changes(at, topics).map(Effect::Start)
    }

    /// Handles time in which nothing happened.
    pub(crate) fn handle_idle(&mut self) -> Option<Effect> {
        let at = self.active;
        self.panel().refresh_ages(at).map(Effect::Start)
    }

    /// Handles a question of a job.
    pub(crate) fn handle_prompt(&mut self, prompt: Prompt) {
        self.is_dirty = true;
        // Dropped, it is a no.
        if self.is_leaving {
            self.has_declined = true;
        } else {
            self.running_actions.iter_mut().for_each(|work| work.has_asked = true);
            self.dialogs.push_back(Dialog::from_prompt(prompt));
        }
    }

    pub(crate) fn handle_mouse(&mut self, event: MouseEvent) -> Option<Effect> {
        self.is_dirty |= !matches!(event.kind, MouseEventKind::Moved | MouseEventKind::Up(_));
        self.handle_mouse_event(event)
    }

    /// Returns whether it wants the mouse, which then selects no text.
    pub(crate) fn has_mouse(&self) -> bool {
        self.has_mouse
    }

    /// Handles the end of a program that had the terminal.
    pub(crate) fn handle_program_exit(&mut self, ended: Result<(), String>) -> Option<Effect> {
        self.is_terminal_lent = false;
        if let Err(problem) = ended {
            self.set_status(&problem, true);
        }
        self.refresh()
    }

    /// Returns whether there is something new to draw since it was asked last.
    pub(crate) fn needs_redraw(&mut self) -> bool {
        std::mem::take(&mut self.is_dirty)
    }
}
