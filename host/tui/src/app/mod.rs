//! The application on a terminal: its screens, and the keys that are the same in all of them.

mod asking;
pub(crate) mod bench;
mod find;
mod jobs;
mod panel;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use aiw_app::feed::Topic;
use crossterm::event::{KeyEvent, KeyEventKind, MouseEvent, MouseEventKind};
use ratatui::Frame;

use self::asking::ActivePrompt;
use self::jobs::{Job, Reply, perform};
use self::state::{Effect, MAX_QUERY_LEN, Mode, map_browser_effect};
pub(crate) use self::state::{Screens, Tab};
use crate::browse;
use crate::page::{Detail, Page};
use crate::prompt::Prompt;
use crate::screen::{Screen, StepProgress, Worker};
use crate::text::clean;
use crate::watch::Subscription;

impl Screen for Screens {
    type Job = Job;
    type Reply = Reply;

    fn initial_job(&mut self) -> Option<Job> {
        match self.refresh() {
            Some(Effect::Start(job)) => Some(job),
            _ => None,
        }
    }

    fn worker(&self) -> Worker<Job, Reply> {
        let ground = Arc::clone(&self.context);
        let page = |tab: &Tab| match tab {
            Tab::Page(panel) => Some(Arc::clone(&panel.page)),
            Tab::Plugins(_) => None,
        };
        let pages: Vec<Option<Arc<dyn Page>>> = self.tabs.iter().map(page).collect();
        Arc::new(move |job, way| perform(&ground, &pages, job, way))
    }

    fn failure_reply(job: Job, why: &str) -> Reply {
        match job {
            Job::List(at, _) => Reply::List(at, Err(why.to_owned())),
            Job::Inspect(at, id) => Reply::Detail(at, id, Detail::from_error(why)),
            Job::RunAction(at, key, _) => Reply::Action(at, key, Err(why.to_owned())),
            Job::Browse(job) => Reply::Browse(browse::failure_reply(job, why)),
        }
    }

    fn handle_key(&mut self, key: KeyEvent) -> Option<Effect> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        self.is_dirty = true;
        self.handle_key_press(key)
    }

    fn handle_paste(&mut self, text: &str) -> Option<Effect> {
        let at = self.active_tab;
        self.is_dirty = true;
        // Only what takes text accepts it, so that pasted text presses no keys.
        if self.is_too_small {
            return None;
        }
        if let Some(asking) = self.prompts.front_mut() {
            asking.handle_paste(text);
        } else if self.mode == Mode::Filter {
            let panel = self.panel()?;
            let query = panel.query().chars().chain(clean(text, MAX_QUERY_LEN).chars()).take(MAX_QUERY_LEN).collect();
            return panel.set_query(at, query).map(Effect::Start);
        } else if let Some(browser) = self.browser() {
            browser.handle_paste(text);
        }
        None
    }

    fn handle_reply(&mut self, reply: Reply) -> Option<Effect> {
        let (job, is_changed) = match reply {
            Reply::List(at, listed) => self.panel_at(at)?.set_content(at, listed),
            Reply::Detail(at, id, detail) => self.panel_at(at)?.set_detail(at, id, detail),
            Reply::Action(at, key, outcome) => return self.finish_action(at, key, outcome),
            Reply::Browse(reply) => {
                self.is_dirty = true;
                let is_leaving = self.is_leaving;
                let browser = self.tabs.iter_mut().find_map(|tab| match tab {
                    Tab::Plugins(browser) => Some(browser),
                    Tab::Page(_) => None,
                })?;
                let effect = browser.handle_reply(reply);
                if is_leaving && !browser.is_changing() && self.running_actions.is_empty() {
                    return Some(Effect::Quit);
                }
                return effect.and_then(map_browser_effect);
            }
        };
        self.is_dirty |= is_changed;
        job.map(Effect::Start)
    }

    fn is_working(&self) -> bool {
        !self.running_actions.is_empty() && self.prompts.is_empty()
            || self.prompts.front().is_some_and(ActivePrompt::is_settling)
            || self.tabs.iter().any(|tab| matches!(tab, Tab::Plugins(browser) if browser.is_working()))
    }

    fn tick(&mut self, progress: Option<StepProgress>) {
        self.ticks = self.ticks.wrapping_add(1);
        let step = progress.or_else(|| self.context.progress.latest());
        for tab in &mut self.tabs {
            if let Tab::Plugins(browser) = tab {
                browser.tick(step.clone());
            }
        }
        if let Some(step) = step {
            self.step = StepProgress { label: clean(&step.label, 200), ..step };
        }
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        view::draw(frame, self);
    }

    fn subscription(&self) -> Option<Subscription> {
        let feed = self.context.client.app().feed().clone();
        match self.tabs.get(self.active_tab)? {
            Tab::Page(panel) => {
                let logs = panel.detail().and_then(|detail| detail.log_dir.clone());
                Some(Subscription { feed, topics: panel.page.descriptor().topics, log_dir: logs })
            }
            Tab::Plugins(_) => None,
        }
    }

    fn handle_changes(&mut self, topics: &BTreeSet<Topic>) -> Option<Effect> {
        let at = self.active_tab;
        self.panel()?.handle_changes(at, topics).map(Effect::Start)
    }

    fn handle_idle(&mut self) -> Option<Effect> {
        let at = self.active_tab;
        self.panel()?.refresh_ages(at).map(Effect::Start)
    }

    fn handle_prompt(&mut self, prompt: Prompt) {
        self.is_dirty = true;
        // Dropped, it is a no.
        if self.is_leaving {
            self.has_declined = true;
        } else {
            self.running_actions.iter_mut().for_each(|work| work.has_asked = true);
            self.prompts.push_back(ActivePrompt::new(prompt));
        }
    }

    fn handle_mouse(&mut self, event: MouseEvent) -> Option<Effect> {
        self.is_dirty |= !matches!(event.kind, MouseEventKind::Moved | MouseEventKind::Up(_));
        self.handle_mouse_event(event)
    }

    fn has_mouse(&self) -> bool {
        self.has_mouse
    }

    fn handle_program_exit(&mut self, ended: Result<(), String>) -> Option<Effect> {
        self.is_terminal_lent = false;
        if let Err(problem) = ended {
            self.set_status(&problem, true);
        }
        self.refresh()
    }

    fn needs_redraw(&mut self) -> bool {
        std::mem::take(&mut self.is_dirty)
    }
}
