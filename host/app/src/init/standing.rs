//! An answer to a verb's plan, on behalf of somebody who sees the plans of several verbs as one.

use aiw_core::{Choice, Plan, PromptError, Prompter, Question, Secret};
use async_trait::async_trait;
use parking_lot::Mutex;

/// A person who has agreed to one plan, which was shown, and to nothing else; or one who only looks at it.
pub(super) enum PlanConsent {
    /// Notes the plan, and does not agree yet.
    DryRun(Mutex<Option<Plan>>),
    /// Agrees to the plan of this digest.
    Agreed(String),
}

impl PlanConsent {
    pub fn dry_run() -> Self {
        Self::DryRun(Mutex::default())
    }

    /// Returns the plan that was asked about.
    pub fn plan(self) -> Option<Plan> {
        match self {
            Self::DryRun(plan) => plan.into_inner(),
            Self::Agreed(_) => None,
        }
    }
}

#[async_trait]
impl Prompter for PlanConsent {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, plan: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        match self {
            Self::DryRun(seen) => {
                *seen.lock() = Some(plan.clone());
                Err(PromptError::Declined)
            }
            Self::Agreed(digest) if *digest == plan.digest() => Ok(Vec::new()),
            Self::Agreed(_) => {
                Err(PromptError::Unreadable("it would change something else by now than you agreed to".into()))
            }
        }
    }

    async fn select(&self, _: &Choice) -> Result<usize, PromptError> {
        Err(PromptError::Unsupported)
    }

    fn is_interactive(&self) -> bool {
        true
    }
}
