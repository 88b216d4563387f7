//! How far the parts of the application have come, and what went wrong, as lines.

use aiw_core::Diagnostic;
use aiw_markets::Observer;
use parking_lot::Mutex;

use crate::screen::StepProgress;

/// The last thing that the parts of the application said of their progress.
#[derive(Debug, Default)]
pub struct ScreenProgress(Mutex<Option<StepProgress>>);

impl ScreenProgress {
    /// Takes it, once.
    pub(crate) fn latest(&self) -> Option<StepProgress> {
        self.0.lock().take()
    }
}

impl Observer for ScreenProgress {
    fn is_visible(&self) -> bool {
        true
    }

    fn progress(&self, what: &str, done: u64, total: u64) {
        let step = StepProgress { label: what.to_owned(), done, total: Some(total).filter(|total| *total > 0) };
        *self.0.lock() = Some(step);
    }
}

/// Returns an error as a line, with the next step.
pub(crate) fn error_line(error: &dyn Diagnostic) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
}
