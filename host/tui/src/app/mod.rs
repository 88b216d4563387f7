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
use self::state::{Effect, MAX_QUERY_LEN, Mode, browsed};
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
            Job::Inspect(at, id) => Reply::Looked(at, id, Detail::failed(why)),
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

    fn paste(&mut self, text: &str) -> Option<Effect> {
        let at = self.at;
        self.is_changed = true;
        // Only what takes text accepts it, so that pasted text presses no keys.
        if self.is_small {
            return None;
        }
        if let Some(asking) = self.asking.front_mut() {
            asking.paste(text);
        } else if self.mode == Mode::Filter {
            let panel = self.panel()?;
            let query = panel.query().chars().chain(clean(text, MAX_QUERY_LEN).chars()).take(MAX_QUERY_LEN).collect();
            return panel.find(at, query).map(Effect::Start);
        } else if let Some(browser) = self.browser() {
            browser.paste(text);
        }
        None
    }

    fn reply(&mut self, reply: Reply) -> Option<Effect> {
        let (job, is_changed) = match reply {
            Reply::Listed(at, listed) => self.panel_at(at)?.listed(at, listed),
            Reply::Looked(at, id, detail) => self.panel_at(at)?.set_detail(at, id, detail),
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
            || self.asking.front().is_some_and(ActivePrompt::is_settling)
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

    fn heeds(&self) -> Option<Subscription> {
        let feed = self.ground.client.app().feed().clone();
        match self.tabs.get(self.at)? {
            Tab::Page(panel) => {
                let logs = panel.detail().and_then(|detail| detail.logs.clone());
                Some(Subscription { feed, topics: panel.page.about().topics, logs })
            }
            Tab::Plugins(_) => None,
        }
    }

    fn changed(&mut self, topics: &BTreeSet<Topic>) -> Option<Effect> {
        let at = self.at;
        self.panel()?.changed(at, topics).map(Effect::Start)
    }

    fn rested(&mut self) -> Option<Effect> {
        let at = self.at;
        self.panel()?.aged(at).map(Effect::Start)
    }

    fn asked(&mut self, prompt: Prompt) {
        self.is_changed = true;
        // Dropped, it is a no.
        if self.is_leaving {
            self.has_declined = true;
        } else {
            self.works.iter_mut().for_each(|work| work.has_asked = true);
            self.asking.push_back(ActivePrompt::new(prompt));
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
        self.is_lent = false;
        if let Err(problem) = ended {
            self.say(&problem, true);
        }
        self.read()
    }

    fn is_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }
}
