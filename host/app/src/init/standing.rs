//! An answer to a verb's plan, on behalf of somebody who sees the plans of several verbs as one.

use aiw_core::{Ask, AskError, Choice, Plan, Question, Secret};
use async_trait::async_trait;
use parking_lot::Mutex;

/// A person who has agreed to one plan, which was shown, and to nothing else; or one who only looks at it.
pub(super) enum PlanConsent {
    /// Notes the plan, and does not agree yet.
    Looks(Mutex<Option<Plan>>),
    /// Agrees to the plan of this digest.
    Agreed(String),
}

impl PlanConsent {
    pub fn looks() -> Self {
        Self::Looks(Mutex::default())
    }

    /// Returns the plan that was asked about.
    pub fn plan(self) -> Option<Plan> {
        match self {
            Self::Looks(plan) => plan.into_inner(),
            Self::Agreed(_) => None,
        }
    }
}

#[async_trait]
impl Ask for PlanConsent {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn agree(&self, plan: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, AskError> {
        match self {
            Self::Looks(seen) => {
                *seen.lock() = Some(plan.clone());
                Err(AskError::Declined)
            }
            Self::Agreed(digest) if *digest == plan.digest() => Ok(Vec::new()),
            Self::Agreed(_) => {
                Err(AskError::Unreadable("it would change something else by now than you agreed to".into()))
            }
        }
    }

    async fn choose(&self, _: &Choice) -> Result<usize, AskError> {
        Err(AskError::NotHere)
    }

    fn is_there(&self) -> bool {
        true
    }
}
