//! What the user has to agree to in a run: calls that may change something.

use std::collections::{HashMap, HashSet};

use std::time::{Duration, Instant};

use aiw_core::quoted_text;
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};

use crate::CallableTool;

/// How many calls of one tool can go with one yes, if the user says so. Nobody reads two hundred questions, and nobody
/// should agree to two hundred calls unseen.
pub const MAX_CALLS_PER_CONSENT: usize = 10;

/// The user's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentReply {
    /// Yes, to so many calls of the tool, with this one.
    Yes(usize),
    /// No.
    No,
    /// They can't be asked here, with what to do instead, as a sentence.
    NotInteractive(String),
}

/// Whoever can ask the user.
#[async_trait]
pub trait ScriptApprover: Send + Sync {
    /// Asks whether a tool may be called with these arguments, which are JSON. The user may agree to as many calls as
    /// this, whatever the arguments of the others.
    async fn prompt(&self, tool: &CallableTool, arguments: &str, calls: usize) -> ConsentReply;
}

/// The user's consent in one run.
pub struct Consent<A> {
    ask: A,
    /// Held while they are asked, so that they see one question at a time.
    answers: tokio::sync::Mutex<ConsentAnswers>,
    asking: Mutex<AskingTime>,
}

#[derive(Default)]
struct ConsentAnswers {
    /// How many calls of a tool the last yes still covers.
    remaining_calls: HashMap<String, usize>,
    declined: HashSet<String>,
}

/// How long the user was asked.
#[derive(Default)]
struct AskingTime {
    past: Duration,
    since: Option<Instant>,
}

/// A question to the user, who counts as asked until this is dropped.
struct UserQuestion<'a, A>(&'a Consent<A>);

impl<A> Drop for UserQuestion<'_, A> {
    fn drop(&mut self) {
        let mut asking = self.0.asking();
        let time = asking.since.take().map(|since| since.elapsed()).unwrap_or_default();
        asking.past += time;
    }
}

impl<A: ScriptApprover> Consent<A> {
    /// Returns the state before anything was asked.
    pub fn new(ask: A) -> Self {
        Self { ask, answers: tokio::sync::Mutex::default(), asking: Mutex::default() }
    }

    /// Waits until the user has agreed to a call. The error is why it is not made, as a sentence. One yes covers at
    /// most so many calls; a call of which it covers one is asked about whatever was said before.
    pub async fn request_consent(&self, tool: &CallableTool, arguments: &str, calls: usize) -> Result<(), String> {
        let name = &tool.qualified_name;
        let mut answers = self.answers.lock().await;
        let declined = || format!("the user declined calls of {}", quoted_text(name, 120));
        if answers.declined.contains(name) {
            return Err(declined());
        }
        if let Some(left) = answers.remaining_calls.get_mut(name).filter(|left| calls > 1 && **left > 0) {
            *left -= 1;
            return Ok(());
        }
        self.asking().since = Some(Instant::now());
        let question = UserQuestion(self);
        let said = self.ask.prompt(tool, arguments, calls).await;
        drop(question);
        match said {
            ConsentReply::Yes(agreed) if calls > 1 => {
                answers.remaining_calls.insert(name.clone(), agreed.min(calls).saturating_sub(1));
                Ok(())
            }
            ConsentReply::Yes(_) => Ok(()),
            ConsentReply::No => {
                answers.declined.insert(name.clone());
                Err(declined())
            }
            ConsentReply::NotInteractive(instead) => Err(instead),
        }
    }
}

impl<A> Consent<A> {
    fn asking(&self) -> MutexGuard<'_, AskingTime> {
        self.asking.lock()
    }

    /// Returns how long the user was asked, so far.
    pub fn paused_duration(&self) -> Duration {
        let asking = self.asking();
        asking.past + asking.since.map(|since| since.elapsed()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Says yes to so many calls, and keeps what was asked.
    struct Asker(usize, Mutex<Vec<(String, usize)>>);

    #[async_trait]
    impl ScriptApprover for Asker {
        async fn prompt(&self, _: &CallableTool, arguments: &str, calls: usize) -> ConsentReply {
            self.1.lock().push((arguments.to_owned(), calls));
            ConsentReply::Yes(self.0)
        }
    }

    fn tool(name: &str) -> CallableTool {
        CallableTool {
            server: "s".into(),
            name: name.into(),
            qualified_name: format!("s__{name}"),
            input_schema: json!({}),
            has_output_schema: false,
        }
    }

    #[tokio::test]
    async fn a_yes_covers_as_many_calls_as_the_user_said_and_never_one_that_is_asked_each_time() {
        let consent = Consent::new(Asker(10, Mutex::default()));
        let asked = || consent.ask.1.lock().len();
        for call in 0..10 {
            consent.request_consent(&tool("a"), &call.to_string(), 10).await.unwrap();
        }
        assert_eq!(asked(), 1);
        consent.request_consent(&tool("a"), "11", 10).await.unwrap();
        assert_eq!(asked(), 2);
        // Nine are left of the second yes, and none of them is for these.
        for _ in 0..3 {
            consent.request_consent(&tool("a"), "long", 1).await.unwrap();
        }
        assert_eq!(asked(), 5);
        consent.request_consent(&tool("a"), "12", 10).await.unwrap();
        consent.request_consent(&tool("b"), "1", 10).await.unwrap();
        assert_eq!(asked(), 6);
        // This call only.
        let consent = Consent::new(Asker(1, Mutex::default()));
        for call in 0..4 {
            consent.request_consent(&tool("a"), &call.to_string(), 10).await.unwrap();
        }
        assert_eq!(consent.ask.1.lock().len(), 4);
        // No answer covers more than was asked about.
        let consent = Consent::new(Asker(1000, Mutex::default()));
        for call in 0..12 {
            consent.request_consent(&tool("a"), &call.to_string(), 10).await.unwrap();
        }
        assert_eq!(consent.ask.1.lock().len(), 2);
    }
}
