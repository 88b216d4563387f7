//! What a verb needs of the person whom it works for, and what it tells them meanwhile.
//!
//! A verb is what a person would name: install a server, remove a provider. It knows neither a terminal nor MCP. Each view
//! has an [`Ask`] and a [`Reporter`] of its own: a terminal, a form of an MCP client, what a test has recorded.

use std::fmt;

use async_trait::async_trait;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::registry::Format;
use crate::{Secret, hex, to_visible_line};

/// A plan that somebody agrees to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The question.
    pub question: String,
    /// A text of somebody else's, such as a script. It is shown whole, and in a frame, or nobody is asked.
    pub text: Option<String>,
    /// The lines that decide the answer. All of them are shown.
    pub details: Vec<String>,
    /// Its effects, if the answer is yes.
    pub effects: Vec<Effect>,
    /// Digests of all that the answer holds for, where the lines show a part of it: [`Plan::add_hidden_bytes`].
    pub hidden_digests: Vec<String>,
}

/// An effect of a yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A command is run.
    Runs(String),
    /// A file or an address is read.
    Reads(String),
    /// A file is written.
    Writes(String),
    /// A host is reached.
    Connects(String),
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (does, what) = match self {
            Self::Runs(what) => ("runs", what),
            Self::Reads(what) => ("reads", what),
            Self::Writes(what) => ("writes", what),
            Self::Connects(what) => ("reaches", what),
        };
        // Others wrote it, and each view shows it as one line, as it shows what the plan is about.
        write!(f, "{does} {}", to_visible_line(what))
    }
}

impl Plan {
    /// Makes a question about nothing but itself.
    pub fn new(question: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            text: None,
            details: Vec::new(),
            effects: Vec::new(),
            hidden_digests: Vec::new(),
        }
    }

    /// Makes the answer hold for these bytes alone, of which the plan shows a part.
    pub fn add_hidden_bytes(&mut self, bytes: &[u8]) {
        self.hidden_digests.push(hex(&Sha256::digest(bytes)));
    }

    /// Returns a part that is shortened in a plan that holds for nothing else than what it shows: a yes would count for every
    /// other text that begins alike.
    pub fn truncated_part(&self) -> Option<String> {
        let effects: Vec<String> = self.effects.iter().map(ToString::to_string).collect();
        let parts = [&self.question].into_iter().chain(&self.text).chain(&self.details).chain(&effects);
        uncovered(parts, &self.hidden_digests)
    }

    /// Returns the SHA-256 digest of all of it: a yes to one plan is not a yes to another.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        let mut add = |kind: u8, part: &str| {
            digest.update([kind]);
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        };
        add(0, &self.question);
        self.text.iter().for_each(|text| add(1, text));
        self.details.iter().for_each(|line| add(2, line));
        self.effects.iter().for_each(|effect| add(3, &format!("{effect:?}")));
        self.hidden_digests.iter().for_each(|of| add(4, of));
        hex(&digest.finalize())
    }
}

/// A value that the person gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// The name that it is asked and answered by: the variable, the header, the flag, or the name in braces.
    pub name: String,
    /// Its purpose, in the publisher's words.
    pub description: Option<String>,
    /// Whether it must be answered.
    pub required: bool,
    /// Whether it is hidden and kept in the vault.
    pub secret: bool,
    /// The form of its value.
    pub format: Format,
    /// The value that its publisher offers. It is taken where the person gives nothing else, and shown before they agree.
    pub default: Option<String>,
    /// An example.
    pub placeholder: Option<String>,
    /// If there are any, the value is one of them.
    pub choices: Vec<String>,
    /// Whether it may be answered several times.
    pub repeated: bool,
    /// Whether an empty answer means the flag without a value.
    pub allows_bare_flag: bool,
}

impl Question {
    /// Returns the answer of a person who gives none: the publisher's default. What takes several answers has none then.
    pub fn default_answer(&self) -> Option<Secret> {
        self.default.as_ref().filter(|_| !self.repeated).map(Secret::new)
    }
}

/// One of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name: the thing that it decides, in a word.
    pub name: &'static str,
    /// The question, as a form puts it.
    pub question: String,
    /// The question, as a terminal puts it after the list.
    pub short_question: String,
    /// The options, each in a line.
    pub options: Vec<String>,
    /// Whether no answer means none of them. Otherwise it means the first.
    pub optional: bool,
    /// The flag that answers it.
    pub flag: String,
    /// Digests of all that the answer holds for, where the question shows a part of it: [`Choice::add_hidden_bytes`].
    pub hidden_digests: Vec<String>,
}

impl Choice {
    /// Makes the answer hold for these bytes alone, of which the question shows a part.
    pub fn add_hidden_bytes(&mut self, bytes: &[u8]) {
        self.hidden_digests.push(hex(&Sha256::digest(bytes)));
    }

    /// Returns a part that is shortened, as [`Plan::truncated_part`] does.
    pub fn truncated_part(&self) -> Option<String> {
        uncovered([&self.question].into_iter().chain(&self.options), &self.hidden_digests)
    }
}

fn uncovered<'a>(parts: impl Iterator<Item = &'a String>, unshown: &[String]) -> Option<String> {
    let mut shortened = parts.filter(|part| unshown.is_empty() && part.lines().any(is_shortened));
    shortened.next().cloned()
}

/// Returns `true` if a line looks as what shortens texts leaves it: cut with `…`, or a count of what is missing, without the
/// digest of the whole.
fn is_shortened(line: &str) -> bool {
    let is_count = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let words: Vec<&str> = line.split([' ', ',']).collect();
    let is_counted = words.windows(2).any(|pair| is_count(pair[0]) && pair[1] == "more");
    (line.contains('…') || is_counted) && !line.contains("sha256")
}

/// A page that the person goes to with their browser, and comes back from.
pub struct BrowserStep<'a> {
    /// Its address.
    pub url: &'a str,
    /// Whether their browser is opened for them, where it can be.
    pub should_open_browser: bool,
    /// Returns the part that counts of the address that they end up at; none if it is another one.
    pub parse_redirect: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// There is no one to ask.
    #[error("{question} needs an answer, and there is no terminal to ask on")]
    NotInteractive {
        /// The question.
        question: String,
        /// The option that would have answered it.
        hint: String,
    },
    /// This view can't show the question, or may not ask it.
    #[error("this can't be asked here")]
    Unsupported,
    /// The answer is no.
    #[error("the answer is no")]
    Declined,
    /// The user stopped.
    #[error("stopped")]
    Interrupted,
    /// The user wants to answer the question before this one again.
    #[error("there is no question to go back to")]
    Back,
    /// An answer has another form than its question.
    #[error("the answer to `{name}` must be {what}")]
    InvalidReply {
        /// The question.
        name: String,
        /// The form that it must have.
        what: String,
    },
    /// The answer can't be read or used.
    #[error("{0}")]
    Unreadable(String),
}

impl PromptError {
    /// Returns the error as a sentence; where the answer was no, what has not happened: "nothing was changed".
    pub fn to_message(&self, nothing: &str) -> String {
        if matches!(self, Self::Declined) { nothing.to_owned() } else { self.to_string() }
    }
}

/// Someone who answers questions, or nobody. The answer of those who don't answer is no.
#[async_trait]
pub trait Prompter: Send + Sync {
    /// Returns whether these questions can be asked here: a form may not ask for a secret.
    fn can_ask(&self, questions: &[Question]) -> bool;

    /// Shows a plan, asks whether to carry it out, and then for what it needs.
    ///
    /// # Errors
    ///
    /// [`PromptError::Declined`] if the answer is no.
    async fn confirm(&self, plan: &Plan, questions: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError>;

    /// Asks for one of several. Returns its index.
    ///
    /// # Errors
    ///
    /// [`PromptError::Declined`] if none is chosen.
    async fn select(&self, choice: &Choice) -> Result<usize, PromptError>;

    /// Returns whether someone answers the questions below, which a form has no place for.
    fn is_interactive(&self) -> bool {
        false
    }

    /// Asks for a text, in the verb's words. An empty line means `None`.
    ///
    /// The words name what the text is for, whole: views that are answered later know the question by them. The same holds for a
    /// secret, which is for a name and an address, and for a decision.
    async fn text(&self, _words: &str) -> Result<Option<String>, PromptError> {
        Err(PromptError::Unsupported)
    }

    /// Asks for any of these names, in the verb's words. None of them means `None`. A view without a list asks for a text, with
    /// commas or spaces between the names.
    async fn choose_some(&self, words: &str, _options: &[String]) -> Result<Option<Vec<String>>, PromptError> {
        let typed = self.text(words).await?;
        let names =
            |typed: String| typed.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Ok(typed.map(names).filter(|names: &Vec<String>| !names.is_empty()))
    }

    /// Asks for a secret, in the verb's words. An empty line means `None`.
    async fn secret(&self, _words: &str) -> Result<Option<Secret>, PromptError> {
        Err(PromptError::Unsupported)
    }

    /// Asks for a yes or a no that does not give consent. `usual` is the answer of those who type nothing.
    async fn ask_yes_no(&self, _question: &str, _usual: bool) -> Result<bool, PromptError> {
        Err(PromptError::Unsupported)
    }

    /// Sends the person to a page, and asks for the address that they end up at. It does not end where they can't be asked:
    /// a browser on this machine comes back by itself.
    ///
    /// # Errors
    ///
    /// [`PromptError::NotHere`] if they can't be sent there.
    async fn open_page(&self, _page: &BrowserStep<'_>) -> Result<String, PromptError> {
        Err(PromptError::Unsupported)
    }
}

/// A line that a verb tells while it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportEvent {
    /// A step that begins now.
    Step(String),
    /// A remark that changes nothing.
    Note(String),
    /// A thing that has been done: a part of the answer.
    Done(String),
    /// A thing that has failed, where the verb goes on with the rest.
    Failed(String),
}

/// Takes what a verb tells while it works.
pub trait Reporter: Send + Sync {
    /// Takes a line.
    fn report(&self, told: ReportEvent);

    /// Takes a step that begins now.
    fn step(&self, line: String) {
        self.report(ReportEvent::Step(line));
    }

    /// Takes a remark.
    fn note(&self, line: String) {
        self.report(ReportEvent::Note(line));
    }

    /// Takes what has been done.
    fn done(&self, line: String) {
        self.report(ReportEvent::Done(line));
    }
}

/// A view that asks nobody and tells nobody anything, but by its answer.
#[derive(Debug, Clone, Copy)]
pub struct NonInteractive;

#[async_trait]
impl Prompter for NonInteractive {
    fn can_ask(&self, _: &[Question]) -> bool {
        false
    }

    async fn confirm(&self, _: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        Err(PromptError::Unsupported)
    }

    async fn select(&self, _: &Choice) -> Result<usize, PromptError> {
        Err(PromptError::Unsupported)
    }
}

impl Reporter for NonInteractive {
    fn report(&self, _: ReportEvent) {}
}

/// Keeps what a verb tells, for an answer.
#[derive(Debug, Default)]
pub struct RecordingReporter(Mutex<Vec<String>>);

impl RecordingReporter {
    /// Takes the lines so far, in their order.
    pub fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Reporter for RecordingReporter {
    fn report(&self, told: ReportEvent) {
        let (ReportEvent::Step(line) | ReportEvent::Note(line) | ReportEvent::Done(line) | ReportEvent::Failed(line)) =
            told;
        self.0.lock().push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_is_one_line_that_hides_nothing() {
        let effect = Effect::Runs("echo a\u{202e}b\u{1b}[2K\nreads nothing".into());
        let shown = effect.to_string();
        assert_eq!(shown, "runs echo a\\u{202e}b\\u{1b}[2K\\nreads nothing");
        // A view that looks once more changes nothing.
        assert_eq!(to_visible_line(&shown), shown);
    }

    #[test]
    fn a_yes_to_a_plan_is_none_to_another_one() {
        let plan = |question: &str, about: &[&str], effects: &[Effect]| Plan {
            question: question.into(),
            text: None,
            details: about.iter().map(|line| (*line).to_owned()).collect(),
            effects: effects.to_vec(),
            hidden_digests: Vec::new(),
        };
        let holding = |bytes: &[u8]| {
            let mut plan = plan("Install it?", &["a"], &[]);
            plan.add_hidden_bytes(bytes);
            plan
        };
        let all = [
            holding(b"KEY=1"),
            holding(b"KEY=2"),
            plan("Install it?", &["a", "b"], &[]),
            plan("Install it?", &["ab"], &[]),
            plan("Install it?a", &["b"], &[]),
            plan("Install it?", &["a"], &[Effect::Runs("b".into())]),
            plan("Install it?", &["a"], &[Effect::Reads("b".into())]),
            plan("Install it?", &["a", "Reads(\"b\")"], &[]),
            Plan { text: Some("b".into()), ..plan("Install it?", &["a"], &[]) },
        ];
        let digests: std::collections::BTreeSet<String> = all.iter().map(Plan::digest).collect();
        assert_eq!(digests.len(), all.len());
        assert_eq!(all[0].digest(), all[0].clone().digest());
    }

    #[test]
    fn a_question_that_shortens_something_holds_for_the_whole() {
        let long = "x".repeat(100);
        let names = ["a"; 9];
        for line in [
            crate::one_line(&long, 20),
            crate::quoted(&long),
            crate::quoted_list(&names),
            "  and 7 more lines".to_owned(),
            "and 3 more places".to_owned(),
        ] {
            let plans = [
                Plan::new(&line),
                Plan { details: vec!["a".into(), line.clone()], ..Plan::new("Do it?") },
                Plan { text: Some(format!("a\n{line}\nb")), ..Plan::new("Do it?") },
                Plan { effects: vec![Effect::Runs(line.clone())], ..Plan::new("Do it?") },
            ];
            for mut plan in plans {
                assert!(plan.truncated_part().is_some(), "{plan:?}");
                plan.add_hidden_bytes(long.as_bytes());
                assert_eq!(plan.truncated_part(), None);
            }
            let text = || String::new();
            let (question, options) = ("Which?".to_owned(), vec![line]);
            let mut choice = Choice {
                name: "way",
                question,
                short_question: text(),
                options,
                optional: false,
                flag: text(),
                hidden_digests: Vec::new(),
            };
            assert!(choice.truncated_part().is_some(), "{choice:?}");
            choice.add_hidden_bytes(long.as_bytes());
            assert_eq!(choice.truncated_part(), None);
        }
        // What says how much is missing of what, by its digest, is whole.
        let measured = crate::QuotedText::new(&"x\n1\n".repeat(500)).framed_untruncated();
        assert_eq!(Plan { details: vec![measured], ..Plan::new("3 or more?") }.truncated_part(), None);
    }
}
