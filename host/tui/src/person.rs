//! The person at the screen, as verbs see them: who answers, and who is told.

use aiw_core::{Ask, AskError, Choice, Plan, Question, Secret, Sink, Told, framed_line, shown_line, shown_lines};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::prompt::{Form, Prompt, PromptAnswer};
use crate::screen::{JobLink, StepProgress};
use crate::text::{clean, clean_output};

/// The most characters of a question, and of a line that decides it.
const LINE: usize = 4_000;

/// A verb's view of the person at the screen.
pub(crate) struct AtScreen {
    way: JobLink,
    /// The lines that the verb told since the last question.
    told: Mutex<Vec<String>>,
    /// The steps since the last question: a list to choose from may be among them.
    steps: Mutex<Vec<String>>,
    done: Mutex<Vec<String>>,
    failed: Mutex<Vec<String>>,
}

impl AtScreen {
    pub(crate) fn new(way: &JobLink) -> Self {
        let way = way.clone();
        Self { way, told: Mutex::default(), steps: Mutex::default(), done: Mutex::default(), failed: Mutex::default() }
    }

    /// Returns what was done and noted, for a line at the end.
    pub(crate) fn said(&self) -> String {
        let parts = [&self.done, &self.told].map(|lines| std::mem::take(&mut *lines.lock()));
        parts.concat().join("; ")
    }

    /// Returns the answer of a verb that told what had failed while it went on, or `said`.
    pub(crate) fn outcome(&self, said: impl FnOnce() -> String) -> Result<String, String> {
        let failed = std::mem::take(&mut *self.failed.lock());
        if failed.is_empty() {
            let told = self.said();
            return Ok(if told.is_empty() { said() } else { told });
        }
        Err(failed.join("; "))
    }

    async fn put(&self, form: Form, question: &str, lines: Vec<String>) -> Result<PromptAnswer, AskError> {
        let (answer, given) = oneshot::channel();
        let told = [&self.told, &self.steps].map(|lines| std::mem::take(&mut *lines.lock())).concat();
        let lines =
            told.iter().map(|line| shown_line(line)).chain(lines).map(|line| clean_output(&line, LINE)).collect();
        (self.way.ask)(Prompt { form, question: clean(question, LINE), lines, answer });
        given.await.map_err(|_| AskError::Declined)
    }

    async fn typed(&self, form: Form, question: &str, lines: Vec<String>) -> Result<Option<String>, AskError> {
        match self.put(form, question, lines).await? {
            PromptAnswer::Text(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            PromptAnswer::Yes | PromptAnswer::Chosen(_) => Ok(None),
        }
    }

    /// Asks for what one question takes.
    async fn fill(&self, question: &Question) -> Result<Option<Secret>, AskError> {
        let mut lines: Vec<String> = question.description.iter().map(|text| shown_line(text)).collect();
        lines.extend(question.placeholder.iter().map(|example| shown_line(&format!("for example: {example}"))));
        lines.extend(question.default.iter().map(|usual| shown_line(&format!("if you type nothing: {usual}"))));
        if !question.choices.is_empty() {
            lines.push(shown_line(&format!("one of: {}", question.choices.join(", "))));
        }
        let form = if question.secret { Form::Secret } else { Form::Text };
        loop {
            let typed = self.typed(form.clone(), &format!("Value of `{}`", question.name), lines.clone()).await?;
            match typed.map(Secret::new).or_else(|| question.usual_answer()) {
                None if question.required => lines = vec!["it is needed; Esc answers no".to_owned()],
                given => return Ok(given),
            }
        }
    }
}

#[async_trait]
impl Ask for AtScreen {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn agree(&self, plan: &Plan, questions: &[&Question]) -> Result<Vec<(String, Secret)>, AskError> {
        let text = plan.text.iter().flat_map(|text| shown_lines(text)).map(|line| framed_line(&line));
        let about = plan.about.iter().map(|line| shown_line(line));
        let effects = plan.effects.iter().map(|effect| shown_line(&effect.to_string()));
        let asked = questions.iter().map(|one| shown_line(&format!("`{}` is not set: you are asked next", one.name)));
        let lines = about.chain(text).chain(effects).chain(asked).collect();
        self.put(Form::Agree, &plan.question, lines).await?;
        let mut given = Vec::new();
        for question in questions {
            while let Some(answer) = self.fill(question).await? {
                given.push((question.name.clone(), answer));
                if !question.repeated {
                    break;
                }
            }
        }
        Ok(given)
    }

    async fn choose(&self, choice: &Choice) -> Result<usize, AskError> {
        let options = choice.options.iter().map(|option| clean(&shown_line(option), LINE)).collect::<Vec<_>>();
        let count = options.len();
        match self.put(Form::Choose(options), &choice.question, Vec::new()).await? {
            PromptAnswer::Chosen(at) if at < count => Ok(at),
            _ => Err(AskError::Declined),
        }
    }

    fn is_there(&self) -> bool {
        true
    }

    async fn text(&self, words: &str) -> Result<Option<String>, AskError> {
        self.typed(Form::Text, words, Vec::new()).await
    }

    async fn secret(&self, words: &str) -> Result<Option<Secret>, AskError> {
        Ok(self.typed(Form::Secret, words, Vec::new()).await?.map(Secret::new))
    }

    async fn decide(&self, question: &str, _usual: bool) -> Result<bool, AskError> {
        match self.put(Form::Agree, question, Vec::new()).await {
            Ok(_) => Ok(true),
            Err(AskError::Declined) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl Sink for AtScreen {
    fn tell(&self, told: Told) {
        match told {
            Told::Step(what) => {
                self.steps.lock().push(what.clone());
                (self.way.report)(StepProgress { what, done: 0, total: None });
            }
            Told::Note(line) => self.told.lock().push(line),
            Told::Done(line) => self.done.lock().push(line),
            Told::Failed(line) => self.failed.lock().push(line),
        }
    }
}

/// Returns a way whose job asks nobody and tells nobody.
#[cfg(test)]
pub(crate) fn quiet() -> JobLink {
    JobLink { report: std::sync::Arc::new(drop), ask: std::sync::Arc::new(drop) }
}
