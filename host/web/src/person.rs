//! The person in front of the page, as verbs ask and tell them.
//!
//! A question is an answer of its own: it carries the digest of everything that is shown, and ends the request. The page
//! shows it, and sends the request again with what was answered, by that digest. Nothing waits in between, and a yes to
//! one plan does not count for another. The same words, asked a second time by one request, are another question.
//!
//! What the page shows went through the functions by which every view shows what others wrote. The digest, and what is
//! carried out, are of the texts as they are.

use std::collections::BTreeMap;

use aiw_core::{
    BrowserStep, Choice, Plan, PromptError, Prompter, Question, RecordingReporter, ReportEvent, Reporter, Secret,
    frame_line, hex, quote_line, quote_lines,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A question of a verb
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct PromptForm {
    /// The digest of all that is asked: the name of its answer
    pub digest: String,
    /// `plan`, `choice`, `text`, `secret` or `decision`
    pub kind: &'static str,
    /// The question
    pub question: String,
    /// Somebody else's text, to be shown whole and apart
    pub text: Option<String>,
    /// The lines that decide the answer
    pub details: Vec<String>,
    /// The effects of a yes: runs, reads, writes, reaches
    pub effects: Vec<String>,
    /// The options of a choice
    pub options: Vec<String>,
    /// The values that the plan needs
    pub values: Vec<PromptField>,
}

/// A value that a plan needs
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct PromptField {
    /// Its name
    pub name: String,
    /// Its purpose, in its publisher's words
    pub description: Option<String>,
    /// Whether it must be given
    pub required: bool,
    /// Whether it is typed hidden, and kept in the vault
    pub secret: bool,
    /// The value that is taken if none is given
    pub default: Option<String>,
    /// An example
    pub placeholder: Option<String>,
    /// The values that it may have, if they are few
    pub choices: Vec<String>,
}

/// An answer of the person
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromptReply {
    /// Whether it is a yes, for a plan or a decision
    #[serde(default)]
    yes: bool,
    /// The index of what was chosen
    chosen: Option<usize>,
    /// The text or secret that was typed
    typed: Option<String>,
    /// The values that the plan needs, by name
    #[serde(default)]
    values: BTreeMap<String, Vec<String>>,
}

/// The person, with what they have answered so far.
#[derive(Default)]
pub(crate) struct WebPrompter {
    answers: BTreeMap<String, PromptReply>,
    /// How often each question was asked in this request, by its digest.
    times: Mutex<BTreeMap<String, u64>>,
    open: Mutex<Option<PromptForm>>,
    heard: RecordingReporter,
}

impl WebPrompter {
    pub(crate) fn new(answers: BTreeMap<String, PromptReply>) -> Self {
        Self { answers, ..Self::default() }
    }

    /// Returns the question that was asked and not answered yet.
    pub(crate) fn pending_prompt(&self) -> Option<PromptForm> {
        self.open.lock().take()
    }

    /// Returns what was told meanwhile.
    pub(crate) fn reported_messages(&self) -> Vec<String> {
        self.heard.lines()
    }

    fn answer(&self, mut asked: PromptForm) -> Result<&PromptReply, PromptError> {
        let before = {
            let mut times = self.times.lock();
            let count = times.entry(asked.digest.clone()).or_default();
            *count += 1;
            *count - 1
        };
        // What was answered the first time was of no use, or for something else.
        if before > 0 {
            asked.digest = hex(&Sha256::digest(format!("{} {before}", asked.digest)));
        }
        match self.answers.get(&asked.digest) {
            Some(answer) => Ok(answer),
            None => {
                *self.open.lock() = Some(asked);
                Err(PromptError::Unsupported)
            }
        }
    }
}

fn asked(kind: &'static str, question: &str, parts: &[&str]) -> PromptForm {
    let mut digest = Sha256::new();
    for part in [kind, question].iter().chain(parts) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    PromptForm {
        digest: hex(&digest.finalize()),
        kind,
        question: quote_line(question),
        text: None,
        details: Vec::new(),
        effects: Vec::new(),
        options: Vec::new(),
        values: Vec::new(),
    }
}

/// Returns somebody else's text in a frame, so that none of its lines looks like one of ours.
fn framed(text: &str) -> String {
    quote_lines(text).iter().map(|line| frame_line(line)).collect::<Vec<_>>().join("\n")
}

fn shown_value(question: &Question) -> PromptField {
    PromptField {
        name: quote_line(&question.name),
        description: question.description.as_deref().map(quote_line),
        required: question.required,
        secret: question.secret,
        default: question.default.as_deref().map(quote_line),
        placeholder: question.placeholder.as_deref().map(quote_line),
        choices: question.choices.iter().map(|choice| quote_line(choice)).collect(),
    }
}

/// Whether names and choices that differ are shown differently: they are answered by what is shown.
fn are_told_apart(questions: &[&Question]) -> bool {
    questions.iter().all(|question| differ_as_shown(question.choices.iter().chain(&question.default)))
        && differ_as_shown(questions.iter().map(|question| &question.name))
}

fn differ_as_shown<'a>(mut texts: impl Iterator<Item = &'a String>) -> bool {
    let mut seen = BTreeMap::new();
    texts.all(|text| seen.insert(quote_line(text), text).is_none_or(|other| other == text))
}

/// Returns the choice that was meant, which was sent as it is shown. Other values are meant as they were typed.
fn meant<'a>(question: &'a Question, value: &'a str) -> &'a str {
    if question.choices.is_empty() {
        return value;
    }
    let mut offered = question.choices.iter().chain(&question.default);
    offered.find(|offer| quote_line(offer) == value).map_or(value, String::as_str)
}

#[async_trait]
impl Prompter for WebPrompter {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, plan: &Plan, questions: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        if !are_told_apart(questions) {
            return Err(PromptError::Unsupported);
        }
        let shown = PromptForm {
            text: plan.text.as_deref().map(framed),
            details: plan.details.iter().flat_map(|line| quote_lines(line)).collect(),
            effects: plan.effects.iter().map(|effect| quote_line(&effect.to_string())).collect(),
            values: questions.iter().map(|question| shown_value(question)).collect(),
            ..asked("plan", &plan.question, &[&plan.digest(), &format!("{questions:?}")])
        };
        let answer = self.answer(shown)?;
        if !answer.yes {
            return Err(PromptError::Declined);
        }
        let mut given = Vec::new();
        for question in questions {
            let values = answer.values.get(&quote_line(&question.name)).into_iter().flatten();
            let values = values.filter(|value| !value.is_empty());
            let values: Vec<Secret> = values.map(|value| Secret::new(meant(question, value))).collect();
            match (values.is_empty(), question.default_answer()) {
                (true, Some(usual)) => given.push((question.name.clone(), usual)),
                (true, None) if question.required => {
                    let what = "given".to_owned();
                    return Err(PromptError::InvalidReply { name: question.name.clone(), what });
                }
                _ => given.extend(values.into_iter().map(|value| (question.name.clone(), value))),
            }
        }
        Ok(given)
    }

    async fn select(&self, choice: &Choice) -> Result<usize, PromptError> {
        let parts: Vec<&str> = choice.options.iter().chain(&choice.hidden_digests).map(String::as_str).collect();
        let options = choice.options.iter().map(|option| quote_line(option)).collect();
        let shown = PromptForm { options, ..asked("choice", &choice.question, &parts) };
        self.answer(shown)?.chosen.filter(|at| *at < choice.options.len()).ok_or(PromptError::Declined)
    }

    fn is_interactive(&self) -> bool {
        true
    }

    async fn text(&self, words: &str) -> Result<Option<String>, PromptError> {
        Ok(self.answer(asked("text", words, &[]))?.typed.clone().filter(|typed| !typed.is_empty()))
    }

    async fn secret(&self, words: &str) -> Result<Option<Secret>, PromptError> {
        let typed = self.answer(asked("secret", words, &[]))?.typed.clone();
        Ok(typed.filter(|typed| !typed.is_empty()).map(Secret::new))
    }

    async fn ask_yes_no(&self, question: &str, _: bool) -> Result<bool, PromptError> {
        Ok(self.answer(asked("decision", question, &[]))?.yes)
    }

    async fn open_page(&self, _: &BrowserStep<'_>) -> Result<String, PromptError> {
        Err(PromptError::Unsupported)
    }
}

impl Reporter for WebPrompter {
    fn report(&self, told: ReportEvent) {
        self.heard.report(told);
    }
}
