//! The scripts of a session that run, or whose results were not fetched.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use aiw_orchestrator::RunResult;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How a run has ended, once it has.
pub(crate) type RunReceiver = watch::Receiver<Option<Arc<RunResult>>>;

/// The runs of a session. They end with it.
#[derive(Default)]
pub(crate) struct ScriptRuns(Mutex<HashMap<String, ScriptRun>>);

/// A run.
pub(crate) struct ScriptRun {
    ended: RunReceiver,
    task: AbortHandle,
    begun: Instant,
}

impl ScriptRun {
    pub(crate) fn new(ended: RunReceiver, task: AbortHandle) -> Self {
        Self { ended, task, begun: Instant::now() }
    }
}

impl Drop for ScriptRun {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptRuns {
    fn all(&self) -> MutexGuard<'_, HashMap<String, ScriptRun>> {
        self.0.lock()
    }

    /// Returns whether another run may begin. Where there is no room, the oldest that has ended goes, whose result nobody
    /// fetched.
    pub(crate) fn ensure_capacity(&self, most: usize) -> bool {
        let mut all = self.all();
        while all.len() >= most {
            let ended = all.iter().filter(|(_, run)| run.ended.borrow().is_some());
            let Some(oldest) = ended.min_by_key(|(_, run)| run.begun).map(|(id, _)| id.clone()) else { return false };
            all.remove(&oldest);
        }
        true
    }

    /// Adds a run under a name that can't be guessed: clients without a session share what runs.
    pub(crate) fn add(&self, run: ScriptRun) -> Option<String> {
        let id = aiw_core::random_hex::<16>().ok()?;
        self.all().insert(id.clone(), run);
        Some(id)
    }

    pub(crate) fn get(&self, id: &str) -> Option<RunReceiver> {
        self.all().get(id).map(|run| run.ended.clone())
    }

    /// Forgets a run, which ends it.
    pub(crate) fn remove(&self, id: &str) {
        let gone = self.all().remove(id);
        drop(gone);
    }
}
