//! Going back to an earlier question: the questions begin anew, and those before it are answered as they were.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::{BrowserStep, Choice, Plan, PromptError, Prompter, Question, ReportEvent, Reporter, Secret};

/// A person who may go back, over one who answers [`PromptError::Back`]. It also hides what is reported while questions
/// are answered as before.
pub struct Rewind<'a> {
    prompter: &'a dyn Prompter,
    reporter: &'a dyn Reporter,
    /// The answers so far, of whatever type their questions have.
    replies: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
    /// How many of them were given again since the questions began.
    given: AtomicUsize,
}

impl<'a> Rewind<'a> {
    /// Wraps the person, and whoever hears what is reported.
    pub fn new(prompter: &'a dyn Prompter, reporter: &'a dyn Reporter) -> Self {
        Self { prompter, reporter, replies: Mutex::default(), given: AtomicUsize::new(0) }
    }

    /// Runs questions, and runs them anew each time that the person goes back. `is_back` says whether that is what ended
    /// them. The questions must be the same each time, as far as their answers are.
    pub async fn run<T, E>(
        &self,
        questions: impl AsyncFn() -> Result<T, E>,
        is_back: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        loop {
            self.given.store(0, Ordering::Relaxed);
            match questions().await {
                Err(error) if is_back(&error) => drop(self.replies.lock().pop()),
                ended => return ended,
            }
        }
    }

    fn is_replaying(&self) -> bool {
        self.given.load(Ordering::Relaxed) < self.replies.lock().len()
    }

    /// Returns the answer of before, or asks and keeps the answer.
    async fn replayed<T: Clone + Send + Sync + 'static>(
        &self,
        ask: impl Future<Output = Result<T, PromptError>>,
    ) -> Result<T, PromptError> {
        let known = self.replies.lock().get(self.given.load(Ordering::Relaxed)).cloned();
        let reply = match known.and_then(|reply| reply.downcast_ref::<T>().cloned()) {
            Some(reply) => reply,
            None => {
                let reply = ask.await?;
                self.replies.lock().push(Arc::new(reply.clone()));
                reply
            }
        };
        self.given.fetch_add(1, Ordering::Relaxed);
        Ok(reply)
    }
}

#[async_trait]
impl Prompter for Rewind<'_> {
    fn can_ask(&self, questions: &[Question]) -> bool {
        self.prompter.can_ask(questions)
    }

    async fn confirm(&self, plan: &Plan, questions: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        self.prompter.confirm(plan, questions).await
    }

    async fn select(&self, choice: &Choice) -> Result<usize, PromptError> {
        let ask = async {
            match self.prompter.select(choice).await {
                Err(PromptError::Declined) => Ok(None),
                chosen => chosen.map(Some),
            }
        };
        self.replayed(ask).await?.ok_or(PromptError::Declined)
    }

    fn is_interactive(&self) -> bool {
        self.prompter.is_interactive()
    }

    async fn text(&self, words: &str) -> Result<Option<String>, PromptError> {
        self.replayed(self.prompter.text(words)).await
    }

    async fn choose_some(&self, words: &str, options: &[String]) -> Result<Option<Vec<String>>, PromptError> {
        self.replayed(self.prompter.choose_some(words, options)).await
    }

    async fn secret(&self, words: &str) -> Result<Option<Secret>, PromptError> {
        self.replayed(self.prompter.secret(words)).await
    }

    async fn ask_yes_no(&self, question: &str, usual: bool) -> Result<bool, PromptError> {
        self.replayed(self.prompter.ask_yes_no(question, usual)).await
    }

    async fn open_page(&self, page: &BrowserStep<'_>) -> Result<String, PromptError> {
        self.prompter.open_page(page).await
    }
}

impl Reporter for Rewind<'_> {
    fn report(&self, told: ReportEvent) {
        if !self.is_replaying() {
            self.reporter.report(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::RecordingReporter;

    /// Types one answer after the other; `<` goes back.
    struct Typist(Mutex<Vec<&'static str>>);

    #[async_trait]
    impl Prompter for Typist {
        fn can_ask(&self, _: &[Question]) -> bool {
            true
        }

        async fn confirm(&self, _: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
            Ok(Vec::new())
        }

        async fn select(&self, _: &Choice) -> Result<usize, PromptError> {
            Err(PromptError::Unsupported)
        }

        async fn text(&self, _: &str) -> Result<Option<String>, PromptError> {
            match self.0.lock().remove(0) {
                "<" => Err(PromptError::Back),
                text => Ok(Some(text.to_owned()).filter(|text| !text.is_empty())),
            }
        }

        async fn ask_yes_no(&self, _: &str, _: bool) -> Result<bool, PromptError> {
            Ok(self.text("").await?.as_deref() == Some("y"))
        }
    }

    #[test]
    fn who_goes_back_is_asked_again_and_nothing_is_said_twice() {
        let (typist, said) =
            (Typist(Mutex::new(vec!["a", "y", "<", "<", "<", "b", "n", "<", "y", "d"])), RecordingReporter::default());
        let rewind = Rewind::new(&typist, &said);
        let questions = async || {
            rewind.step("first".into());
            let first = rewind.text("first").await?;
            // What is asked depends on what was answered.
            rewind.step(format!("second after {first:?}"));
            let second = rewind.ask_yes_no("second", false).await?;
            rewind.step("third".into());
            Ok::<_, PromptError>((first, second, rewind.text("third").await?))
        };
        let asked = std::pin::pin!(rewind.run(questions, |error| matches!(error, PromptError::Back)));
        // The typist never waits.
        let Poll::Ready(answers) = asked.poll(&mut Context::from_waker(Waker::noop())) else { panic!("it waits") };
        let answers = answers.unwrap();
        assert_eq!(answers, (Some("b".into()), true, Some("d".into())));
        assert!(typist.0.lock().is_empty());
        let (after_a, after_b) = ("second after Some(\"a\")", "second after Some(\"b\")");
        let again = ["first", "first", after_b, "third", after_b, "third"];
        assert_eq!(said.lines(), [&["first", after_a, "third", after_a][..], &again].concat());
    }
}
