//! The person at the screen, as verbs see them: who answers, and who is told.

use aiw_core::{
    Choice, Diagnostic, Plan, PromptError, Prompter, Question, ReportEvent, Reporter, Rewind, Secret, frame_line,
    quote_line, quote_lines,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::prompt::{Prompt, PromptKind, PromptReply};
use crate::screen::{JobHandle, StepProgress};
use crate::text::{clean, clean_output};

/// The most characters of a question, and of a line that decides it.
const MAX_QUESTION_LEN: usize = 4_000;

/// A verb's view of the person at the screen.
pub(crate) struct TuiPrompter {
    job: JobHandle,
    /// The lines that the verb told since the last question.
    reported: Mutex<Vec<String>>,
    /// The steps since the last question: a list to choose from may be among them.
    steps: Mutex<Vec<String>>,
    done: Mutex<Vec<String>>,
    failed: Mutex<Vec<String>>,
    /// How many questions were answered that can be answered again; none where the verb can't go back.
    answered: Mutex<Option<usize>>,
}

impl TuiPrompter {
    pub(crate) fn new(way: &JobHandle) -> Self {
        let way = way.clone();
        Self {
            job: way,
            reported: Mutex::default(),
            steps: Mutex::default(),
            done: Mutex::default(),
            failed: Mutex::default(),
            answered: Mutex::default(),
        }
    }

    /// Runs questions, with Esc leading to the one before.
    pub(crate) async fn rewind<T, E: Diagnostic>(
        &self,
        questions: impl AsyncFn(&Rewind<'_>) -> Result<T, E>,
        is_back: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        *self.answered.lock() = Some(0);
        let rewind = Rewind::new(self, self);
        let ended = rewind.run(async || questions(&rewind).await, is_back).await;
        *self.answered.lock() = None;
        ended
    }

    /// Takes note of an answer, or that the one before it is given again.
    fn count(&self, is_back: bool) {
        let mut answered = self.answered.lock();
        *answered = answered.map(|count| if is_back { count.saturating_sub(1) } else { count + 1 });
    }

    /// Returns what was done and noted, for a line at the end.
    pub(crate) fn take_summary(&self) -> String {
        let parts = [&self.done, &self.reported].map(|lines| std::mem::take(&mut *lines.lock()));
        parts.concat().join("; ")
    }

    /// Returns the answer of a verb that told what had failed while it went on, or `said`.
    pub(crate) fn finish(&self, said: impl FnOnce() -> String) -> Result<String, String> {
        let failed = std::mem::take(&mut *self.failed.lock());
        if failed.is_empty() {
            let told = self.take_summary();
            return Ok(if told.is_empty() { said() } else { told });
        }
        Err(failed.join("; "))
    }

    async fn put(&self, form: PromptKind, question: &str, lines: Vec<String>) -> Result<PromptReply, PromptError> {
        let (answer, given) = oneshot::channel();
        let told = [&self.reported, &self.steps].map(|lines| std::mem::take(&mut *lines.lock())).concat();
        let lines = told
            .iter()
            .map(|line| quote_line(line))
            .chain(lines)
            .map(|line| clean_output(&line, MAX_QUESTION_LEN))
            .collect();
        (self.job.prompt)(Prompt {
            kind: form,
            question: clean(question, MAX_QUESTION_LEN),
            lines,
            can_go_back: self.answered.lock().is_some_and(|count| count > 0),
            reply_sender: answer,
        });
        // A no is an answer too.
        let reply = given.await.map_err(|_| PromptError::Declined);
        self.count(matches!(reply, Ok(PromptReply::Back)));
        reply.and_then(|reply| if reply == PromptReply::Back { Err(PromptError::Back) } else { Ok(reply) })
    }

    async fn typed(&self, form: PromptKind, question: &str, lines: Vec<String>) -> Result<Option<String>, PromptError> {
        match self.put(form, question, lines).await? {
            PromptReply::Text(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            PromptReply::Confirmed | PromptReply::Selected(_) | PromptReply::Marked(_) | PromptReply::Back => Ok(None),
        }
    }

    /// Asks for what one question takes.
    async fn fill(&self, question: &Question) -> Result<Option<Secret>, PromptError> {
        let mut lines: Vec<String> = question.description.iter().map(|text| quote_line(text)).collect();
        lines.extend(question.placeholder.iter().map(|example| quote_line(&format!("for example: {example}"))));
        let words = format!("Value of `{}`", question.name);
        if !question.choices.is_empty() {
            return self.fill_choice(question, &words, lines).await;
        }
        lines.extend(question.default.iter().map(|usual| quote_line(&format!("if you type nothing: {usual}"))));
        let form = if question.secret { PromptKind::Secret } else { PromptKind::Text };
        loop {
            let typed = self.typed(form.clone(), &words, lines.clone()).await?;
            match typed.map(Secret::new).or_else(|| question.default_answer()) {
                None if question.required => lines = vec!["it is needed; Esc answers no".to_owned()],
                given => return Ok(given),
            }
        }
    }

    /// Asks for one of the values that a question knows, the usual one first, and none of them where it needs no value.
    async fn fill_choice(
        &self,
        question: &Question,
        words: &str,
        lines: Vec<String>,
    ) -> Result<Option<Secret>, PromptError> {
        let mut values: Vec<Option<&String>> = question.choices.iter().map(Some).collect();
        values.sort_by_key(|value| *value != question.default.as_ref());
        if !question.required {
            let at = usize::from(question.default.is_some());
            values.insert(at, None);
        }
        let shown = values.iter().map(|value| value.map_or_else(|| "(no value)".to_owned(), |value| quote_line(value)));
        let place = self.selected(words, lines, shown.collect()).await?;
        Ok(values.get(place).copied().flatten().map(Secret::new))
    }

    /// Asks for one of these. Returns its index.
    async fn selected(&self, words: &str, lines: Vec<String>, options: Vec<String>) -> Result<usize, PromptError> {
        let options: Vec<String> = options.iter().map(|option| clean_output(option, MAX_QUESTION_LEN)).collect();
        let count = options.len();
        match self.put(PromptKind::Select(options), words, lines).await? {
            PromptReply::Selected(at) if at < count => Ok(at),
            _ => Err(PromptError::Declined),
        }
    }
}

#[async_trait]
impl Prompter for TuiPrompter {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, plan: &Plan, questions: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        let text = plan.text.iter().flat_map(|text| quote_lines(text)).map(|line| frame_line(&line));
        let about = plan.details.iter().map(|line| quote_line(line));
        let effects = plan.effects.iter().map(|effect| quote_line(&effect.to_string()));
        let asked = questions.iter().map(|one| quote_line(&format!("`{}` is not set: you are asked next", one.name)));
        let lines = about.chain(text).chain(effects).chain(asked).collect();
        self.put(PromptKind::Confirm, &plan.question, lines).await?;
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

    async fn select(&self, choice: &Choice) -> Result<usize, PromptError> {
        let options = choice.options.iter().map(|option| quote_line(option)).collect();
        self.selected(&choice.question, Vec::new(), options).await
    }

    async fn choose_some(&self, words: &str, options: &[String]) -> Result<Option<Vec<String>>, PromptError> {
        let shown = options.iter().map(|option| clean(&quote_line(option), MAX_QUESTION_LEN)).collect();
        let PromptReply::Marked(places) = self.put(PromptKind::Mark(shown), words, Vec::new()).await? else {
            return Err(PromptError::Declined);
        };
        let names: Vec<String> = places.iter().filter_map(|place| options.get(*place).cloned()).collect();
        Ok(Some(names).filter(|names| !names.is_empty()))
    }

    fn is_interactive(&self) -> bool {
        true
    }

    async fn text(&self, words: &str) -> Result<Option<String>, PromptError> {
        self.typed(PromptKind::Text, words, Vec::new()).await
    }

    async fn secret(&self, words: &str) -> Result<Option<Secret>, PromptError> {
        Ok(self.typed(PromptKind::Secret, words, Vec::new()).await?.map(Secret::new))
    }

    async fn ask_yes_no(&self, question: &str, _usual: bool) -> Result<bool, PromptError> {
        match self.put(PromptKind::Confirm, question, Vec::new()).await {
            Ok(_) => Ok(true),
            Err(PromptError::Declined) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl Reporter for TuiPrompter {
    fn report(&self, told: ReportEvent) {
        match told {
            ReportEvent::Step(what) => {
                self.steps.lock().push(what.clone());
                (self.job.report)(StepProgress { label: what, done: 0, total: None });
            }
            ReportEvent::Note(line) => self.reported.lock().push(line),
            ReportEvent::Done(line) => self.done.lock().push(line),
            ReportEvent::Failed(line) => self.failed.lock().push(line),
        }
    }
}

/// Returns a way whose job asks nobody and tells nobody.
#[cfg(test)]
pub(crate) fn noop_job_handle() -> JobHandle {
    JobHandle { report: std::sync::Arc::new(drop), prompt: std::sync::Arc::new(drop) }
}
