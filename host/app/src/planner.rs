//! What a process remembers of the model that plans jobs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aiw_home::LlmSettings;
use aiw_llm::Model;

/// How long a model that did not answer is left alone.
const REST: Duration = Duration::from_secs(60);

/// How long what a provider's component said of its model holds.
const FRESH: Duration = Duration::from_secs(60);

/// What this process remembers of the model that plans jobs. One that does not answer costs one try a minute.
#[derive(Clone, Default)]
pub struct Planner(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    settings: Option<LlmSettings>,
    model: Option<(Arc<Model>, Instant)>,
    resting: Option<Resting>,
}

/// A model that is left alone.
#[derive(Clone)]
pub(crate) struct Resting {
    /// Why it did not answer.
    pub(crate) problem: String,
    /// Until when.
    pub(crate) until: Instant,
}

impl Planner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether a model is to be asked. Of several questions after a rest, one tries.
    pub(crate) fn may_try(&self, settings: &LlmSettings) -> Result<(), Resting> {
        let mut state = self.state();
        if state.settings.as_ref() != Some(settings) {
            *state = State { settings: Some(settings.clone()), ..State::default() };
        }
        let now = Instant::now();
        match &mut state.resting {
            Some(resting) if resting.until > now => Err(resting.clone()),
            Some(resting) => {
                resting.until = now + REST;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Returns the model, if it is known and still as it was.
    pub(crate) fn model(&self) -> Option<Arc<Model>> {
        let state = self.state();
        let (model, since) = state.model.as_ref()?;
        (since.elapsed() < FRESH).then(|| model.clone())
    }

    /// Notes the model.
    pub(crate) fn set_model(&self, model: &Arc<Model>) {
        self.state().model = Some((model.clone(), Instant::now()));
    }

    /// Notes that the model answers.
    pub(crate) fn answers(&self) {
        self.state().resting = None;
    }

    /// Notes that the model did not answer.
    pub(crate) fn rests(&self, problem: String) {
        let mut state = self.state();
        state.resting = Some(Resting { problem, until: Instant::now() + REST });
        state.model = None;
    }
}
