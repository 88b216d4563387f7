//! The person in front of the page, as verbs ask and tell them.
//!
//! A question is an answer of its own: it carries the digest of everything that is shown, and ends the request. The page
//! shows it, and sends the request again with what was answered, by that digest. Nothing waits in between, and a yes to
//! one plan does not count for another.

use std::collections::BTreeMap;

use aiw_core::{Ask, AskError, Choice, Heard, Page, Plan, Question, Secret, Sink, Told, hex};
use async_trait::async_trait;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A question of a verb
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct AskedOnPage {
    /// The digest of all that is asked: the name of its answer
    pub digest: String,
    /// `plan`, `choice`, `text`, `secret` or `decision`
    pub kind: &'static str,
    /// The question
    pub question: String,
    /// Somebody else's text, to be shown whole and apart
    pub text: Option<String>,
    /// The lines that decide the answer
    pub about: Vec<String>,
    /// The effects of a yes: runs, reads, writes, reaches
    pub effects: Vec<String>,
    /// The options of a choice
    pub options: Vec<String>,
    /// The values that the plan needs
    pub values: Vec<AskedValue>,
}

/// A value that a plan needs
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct AskedValue {
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
pub(crate) struct AnswerOfPerson {
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
pub(crate) struct PagePerson {
    answers: BTreeMap<String, AnswerOfPerson>,
    open: Mutex<Option<AskedOnPage>>,
    heard: Heard,
}

impl PagePerson {
    pub(crate) fn new(answers: BTreeMap<String, AnswerOfPerson>) -> Self {
        Self { answers, ..Self::default() }
    }

    /// Returns the question that was asked and not answered yet.
    pub(crate) fn open(&self) -> Option<AskedOnPage> {
        self.open.lock().take()
    }

    /// Returns what was told meanwhile.
    pub(crate) fn told(&self) -> Vec<String> {
        self.heard.lines()
    }

    fn answer(&self, asked: AskedOnPage) -> Result<&AnswerOfPerson, AskError> {
        match self.answers.get(&asked.digest) {
            Some(answer) => Ok(answer),
            None => {
                *self.open.lock() = Some(asked);
                Err(AskError::NotHere)
            }
        }
    }
}

fn asked(kind: &'static str, question: &str, parts: &[&str]) -> AskedOnPage {
    let mut digest = Sha256::new();
    for part in [kind, question].iter().chain(parts) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    AskedOnPage {
        digest: hex(&digest.finalize()),
        kind,
        question: question.to_owned(),
        text: None,
        about: Vec::new(),
        effects: Vec::new(),
        options: Vec::new(),
        values: Vec::new(),
    }
}

#[async_trait]
impl Ask for PagePerson {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn agree(&self, plan: &Plan, questions: &[&Question]) -> Result<Vec<(String, Secret)>, AskError> {
        let value = |question: &&Question| AskedValue {
            name: question.name.clone(),
            description: question.description.clone(),
            required: question.required,
            secret: question.secret,
            default: question.default.clone(),
            placeholder: question.placeholder.clone(),
            choices: question.choices.clone(),
        };
        let shown = AskedOnPage {
            text: plan.text.clone(),
            about: plan.about.clone(),
            effects: plan.effects.iter().map(ToString::to_string).collect(),
            values: questions.iter().map(value).collect(),
            ..asked("plan", &plan.question, &[&plan.digest(), &format!("{questions:?}")])
        };
        let answer = self.answer(shown)?;
        if !answer.yes {
            return Err(AskError::Declined);
        }
        let mut given = Vec::new();
        for question in questions {
            let values = answer.values.get(&question.name).into_iter().flatten().filter(|value| !value.is_empty());
            let values: Vec<Secret> = values.map(Secret::new).collect();
            match (values.is_empty(), question.usual_answer()) {
                (true, Some(usual)) => given.push((question.name.clone(), usual)),
                (true, None) if question.required => {
                    let what = "given".to_owned();
                    return Err(AskError::Wrong { name: question.name.clone(), what });
                }
                _ => given.extend(values.into_iter().map(|value| (question.name.clone(), value))),
            }
        }
        Ok(given)
    }

    async fn choose(&self, choice: &Choice) -> Result<usize, AskError> {
        let parts: Vec<&str> = choice.options.iter().map(String::as_str).collect();
        let shown = AskedOnPage { options: choice.options.clone(), ..asked("choice", &choice.question, &parts) };
        self.answer(shown)?.chosen.filter(|at| *at < choice.options.len()).ok_or(AskError::Declined)
    }

    fn is_there(&self) -> bool {
        true
    }

    async fn text(&self, words: &str) -> Result<Option<String>, AskError> {
        Ok(self.answer(asked("text", words, &[]))?.typed.clone().filter(|typed| !typed.is_empty()))
    }

    async fn secret(&self, words: &str) -> Result<Option<Secret>, AskError> {
        let typed = self.answer(asked("secret", words, &[]))?.typed.clone();
        Ok(typed.filter(|typed| !typed.is_empty()).map(Secret::new))
    }

    async fn decide(&self, question: &str, _: bool) -> Result<bool, AskError> {
        Ok(self.answer(asked("decision", question, &[]))?.yes)
    }

    async fn visit(&self, _: &Page<'_>) -> Result<String, AskError> {
        Err(AskError::NotHere)
    }
}

impl Sink for PagePerson {
    fn tell(&self, told: Told) {
        self.heard.tell(told);
    }
}
