//! What a process remembers of the model that plans jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_home::PlannerSettings;
use aiw_llm::LanguageModel;
use parking_lot::{Mutex, MutexGuard};

/// How long a model that did not answer is left alone.
const COOLDOWN: Duration = Duration::from_secs(60);

/// How long what a provider's component said of its model holds.
const MODEL_INFO_TTL: Duration = Duration::from_secs(60);

/// This process's memory of the planning model. A model that does not answer is tried once a minute.
#[derive(Clone, Default)]
pub struct Planner(Arc<Mutex<PlannerState>>);

#[derive(Default)]
struct PlannerState {
    settings: Option<PlannerSettings>,
    model: Option<(Arc<LanguageModel>, Instant)>,
    cooldown: Option<CoolingDownModel>,
    /// It has answered, and not failed since. Then several questions may be asked at once.
    is_well: bool,
    /// A question is under way to a model that is not known to be well.
    is_tried: bool,
    /// It was loaded after it was too slow, and has not answered since.
    was_loaded: bool,
}

/// A model that is left alone.
#[derive(Clone)]
pub(crate) struct CoolingDownModel {
    /// Why it did not answer; nothing if another question is under way.
    pub(crate) problem: Option<String>,
    /// Until when.
    pub(crate) retry_at: Instant,
}

/// The right to ask the model. What becomes of it is noted only if the settings are still the same.
pub(crate) struct ProbePermit {
    planner: Planner,
    settings: PlannerSettings,
    /// It is the only one.
    is_first: bool,
}

impl Drop for ProbePermit {
    fn drop(&mut self) {
        if self.is_first {
            self.with(|state| state.is_tried = false);
        }
    }
}

impl ProbePermit {
    fn with(&self, change: impl FnOnce(&mut PlannerState)) {
        let mut state = self.planner.state();
        if state.settings.as_ref() == Some(&self.settings) {
            change(&mut state);
        }
    }

    /// Notes the model.
    pub(crate) fn set_model(&self, model: &Arc<LanguageModel>) {
        self.with(|state| state.model = Some((model.clone(), Instant::now())));
    }

    /// Notes that the model has answered.
    pub(crate) fn record_success(&self) {
        self.with(|state| {
            (state.is_well, state.was_loaded, state.cooldown) = (true, false, None);
        });
    }

    /// Notes that the model did not answer.
    pub(crate) fn record_failure(&self, problem: String) {
        self.with(|state| {
            state.cooldown = Some(CoolingDownModel { problem: Some(problem), retry_at: Instant::now() + COOLDOWN });
            (state.is_well, state.model) = (false, None);
        });
    }

    /// Notes that the model was loaded. That ends its rest once: loading may not have been what it took long for.
    pub(crate) fn record_load(&self) {
        self.with(|state| {
            if !std::mem::replace(&mut state.was_loaded, true) {
                state.cooldown = None;
            }
        });
    }
}

impl Planner {
    fn state(&self) -> MutexGuard<'_, PlannerState> {
        self.0.lock()
    }

    /// Looks whether a model is to be asked. One that is not known to be well is asked one question at a time.
    pub(crate) fn try_acquire(&self, settings: &PlannerSettings) -> Result<ProbePermit, CoolingDownModel> {
        let mut state = self.state();
        if state.settings.as_ref() != Some(settings) {
            *state = PlannerState { settings: Some(settings.clone()), ..PlannerState::default() };
        }
        let now = Instant::now();
        if let Some(resting) = state.cooldown.as_ref().filter(|resting| resting.retry_at > now) {
            return Err(resting.clone());
        }
        if state.is_tried {
            return Err(CoolingDownModel { problem: None, retry_at: now });
        }
        let is_first = !state.is_well;
        state.is_tried = is_first;
        Ok(ProbePermit { planner: self.clone(), settings: settings.clone(), is_first })
    }

    /// Returns the model, if it is known and still as it was.
    pub(crate) fn model(&self, settings: &PlannerSettings) -> Option<Arc<LanguageModel>> {
        let state = self.state();
        let (model, since) = state.model.as_ref().filter(|_| state.settings.as_ref() == Some(settings))?;
        (since.elapsed() < MODEL_INFO_TTL).then(|| model.clone())
    }
}
