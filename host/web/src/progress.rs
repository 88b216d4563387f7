//! How far what a page waits for has got.

use aiw_markets::Observer;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

/// The latest step of what is fetched
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct ProgressStep {
    /// The step, such as `fetching NAME`; empty before the first one
    pub(crate) what: String,
    /// The part that is done
    pub(crate) done: u64,
    /// The whole; 0 if unknown
    pub(crate) total: u64,
}

/// Keeps the latest step that the parts of aiw report.
#[derive(Debug, Default)]
pub struct PageProgress(Mutex<ProgressStep>);

impl PageProgress {
    pub(crate) fn latest(&self) -> ProgressStep {
        self.0.lock().clone()
    }
}

impl Observer for PageProgress {
    fn progress(&self, what: &str, done: u64, total: u64) {
        *self.0.lock() = ProgressStep { what: what.to_owned(), done, total };
    }
}
