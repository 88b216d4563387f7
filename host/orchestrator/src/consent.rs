//! What the user has to agree to in a run: calls that may change something.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aiw_core::quoted_text;
use async_trait::async_trait;

use crate::PlannedTool;

/// How many calls of one tool usually go with one yes. Nobody reads two hundred questions, and nobody should agree to two hundred
/// calls unseen.
pub const CALLS_OF_A_YES: usize = 10;

/// What the user said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Yes, to this call and the next ones of the same tool.
    Yes,
    /// No.
    No,
    /// They can't be asked here, with what to do instead, as a sentence.
    Unasked(String),
}

/// Whoever can ask the user.
#[async_trait]
pub trait Ask: Send + Sync {
    /// Asks whether a tool may be called with these arguments, which are JSON, and up to this many times in all.
    async fn ask(&self, tool: &PlannedTool, arguments: &str, calls: usize) -> Said;
}

/// What the user has agreed to in one run.
pub struct Consent<A> {
    ask: A,
    /// How many calls of one tool go with one yes.
    calls: usize,
    /// Held while they are asked, so that they see one question at a time.
    answers: tokio::sync::Mutex<Answers>,
    asking: Mutex<Asking>,
}

#[derive(Default)]
struct Answers {
    /// How many calls of a tool the last yes still covers.
    left: HashMap<String, usize>,
    declined: HashSet<String>,
}

/// How long the user was asked.
#[derive(Default)]
struct Asking {
    past: Duration,
    since: Option<Instant>,
}

/// The user is being asked until this is dropped.
struct Question<'a, A>(&'a Consent<A>);

impl<A> Drop for Question<'_, A> {
    fn drop(&mut self) {
        let mut asking = self.0.asking();
        let time = asking.since.take().map(|since| since.elapsed()).unwrap_or_default();
        asking.past += time;
    }
}

impl<A: Ask> Consent<A> {
    /// Returns the state before anything was asked. So many calls of one tool go with one yes.
    pub fn new(ask: A, calls: usize) -> Self {
        Self { ask, calls, answers: tokio::sync::Mutex::default(), asking: Mutex::default() }
    }

    /// Waits until the user has agreed to a call. The error is why it is not made, as a sentence.
    pub async fn agreed(&self, tool: &PlannedTool, arguments: &str) -> Result<(), String> {
        let name = &tool.whole_name;
        let mut answers = self.answers.lock().await;
        let declined = || format!("the user declined calls of {}", quoted_text(name, 120));
        if answers.declined.contains(name) {
            return Err(declined());
        }
        let left = match answers.left.get(name).copied().filter(|left| *left > 0) {
            Some(left) => left,
            None => {
                self.asking().since = Some(Instant::now());
                let question = Question(self);
                let said = self.ask.ask(tool, arguments, self.calls).await;
                drop(question);
                match said {
                    Said::Yes => self.calls,
                    Said::No => {
                        answers.declined.insert(name.clone());
                        return Err(declined());
                    }
                    Said::Unasked(instead) => return Err(instead),
                }
            }
        };
        answers.left.insert(name.clone(), left.saturating_sub(1));
        Ok(())
    }
}

impl<A> Consent<A> {
    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how long the user was asked, so far.
    pub fn paused(&self) -> Duration {
        let asking = self.asking();
        asking.past + asking.since.map(|since| since.elapsed()).unwrap_or_default()
    }
}
