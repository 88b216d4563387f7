//! A person who is recorded.

use std::sync::Mutex;

use aiw_core::{Choice, Plan, PromptError, Prompter, Question, ReportEvent, Reporter, Secret};
use async_trait::async_trait;

/// What the person does when they are asked for the nth time.
#[derive(Clone, Copy)]
pub enum Does {
    Agrees,
    Declines,
    /// There is nobody to ask.
    Absent,
    /// Never answers: the verb is cancelled there.
    Waits,
}

/// A person who is recorded: they agree to all, but for one question.
pub struct Recorded {
    pub other: (usize, Does),
    pub plans: Mutex<Vec<Plan>>,
    pub told: Mutex<Vec<ReportEvent>>,
    pub has_secrets: bool,
    /// What they answer to each question.
    pub answer: &'static str,
}

impl Recorded {
    pub fn new(at: usize, does: Does) -> Self {
        Self { other: (at, does), plans: Mutex::default(), told: Mutex::default(), has_secrets: true, answer: "given" }
    }

    /// A person who agrees to everything.
    pub fn agreeing() -> Self {
        Self::new(usize::MAX, Does::Agrees)
    }

    /// Returns the lines that they were told, by kind.
    pub fn heard(&self) -> Vec<String> {
        self.told.lock().unwrap().iter().map(|told| format!("{told:?}")).collect()
    }

    async fn does(&self, plan: Plan) -> Result<(), PromptError> {
        assert_eq!(plan.truncated_part(), None, "{plan:?}");
        let at = {
            let mut plans = self.plans.lock().unwrap();
            plans.push(plan);
            plans.len() - 1
        };
        match self.other {
            (other, Does::Declines) if other == at => Err(PromptError::Declined),
            (other, Does::Absent) if other == at => Err(PromptError::Unsupported),
            (other, Does::Waits) if other == at => std::future::pending().await,
            _ => Ok(()),
        }
    }

    pub fn questions(&self) -> Vec<String> {
        self.plans.lock().unwrap().iter().map(|plan| plan.question.clone()).collect()
    }
}

#[async_trait]
impl Prompter for Recorded {
    fn can_ask(&self, questions: &[Question]) -> bool {
        self.has_secrets || !questions.iter().any(|question| question.secret && question.required)
    }

    async fn confirm(&self, plan: &Plan, questions: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        self.does(plan.clone()).await?;
        Ok(questions.iter().map(|question| (question.name.clone(), Secret::new(self.answer))).collect())
    }

    async fn select(&self, choice: &Choice) -> Result<usize, PromptError> {
        assert_eq!(choice.truncated_part(), None, "{choice:?}");
        self.does(Plan { hidden_digests: choice.hidden_digests.clone(), ..Plan::new(&choice.question) }).await?;
        Ok(choice.options.len() - 1)
    }

    fn is_interactive(&self) -> bool {
        true
    }

    async fn text(&self, words: &str) -> Result<Option<String>, PromptError> {
        self.does(Plan::new(words)).await?;
        Ok(Some(self.answer.to_owned()))
    }

    async fn secret(&self, words: &str) -> Result<Option<Secret>, PromptError> {
        self.does(Plan::new(words)).await?;
        Ok(Some(Secret::new(self.answer)))
    }

    async fn ask_yes_no(&self, question: &str, usual: bool) -> Result<bool, PromptError> {
        self.does(Plan::new(question)).await?;
        Ok(usual || self.answer == "y")
    }
}

impl Reporter for Recorded {
    fn report(&self, told: ReportEvent) {
        self.told.lock().unwrap().push(told);
    }
}
