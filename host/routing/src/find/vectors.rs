//! The vectors of an index's tools.

use parking_lot::{Condvar, Mutex};
use std::sync::OnceLock;
use std::time::Duration;

/// Vectors of the tools of one index, as they arrive.
#[derive(Default)]
pub(super) struct ToolVectors {
    pub(super) tools: Vec<OnceLock<Vec<f32>>>,
    is_done: Mutex<bool>,
    done: Condvar,
}

impl ToolVectors {
    pub(super) fn with_len(tools: usize) -> Self {
        Self { tools: (0..tools).map(|_| OnceLock::new()).collect(), ..Self::default() }
    }

    pub(super) fn finish(&self) {
        *self.is_done.lock() = true;
        self.done.notify_all();
    }

    /// Waits until all are there that will be.
    pub(super) fn wait(&self, most: Duration) {
        self.done.wait_while_for(&mut self.is_done.lock(), |done| !*done, most);
    }

    /// How many tools have no vector yet.
    pub(super) fn missing_count(&self) -> usize {
        self.tools.iter().filter(|tool| tool.get().is_none()).count()
    }

    /// How near each tool is to a vector, from 0 (the farthest) to 1 (the nearest). None where it is not known yet.
    pub(super) fn similarities(&self, vector: &[f32]) -> Vec<Option<f32>> {
        let cosine =
            |tool: &OnceLock<Vec<f32>>| Some(tool.get()?.iter().zip(vector).map(|(one, two)| one * two).sum::<f32>());
        let cosines: Vec<Option<f32>> = self.tools.iter().map(cosine).collect();
        let known = || cosines.iter().flatten().copied();
        let (least, most) = (known().fold(f32::MAX, f32::min), known().fold(f32::MIN, f32::max));
        let range = (most - least).max(f32::MIN_POSITIVE);
        cosines.into_iter().map(|cosine| cosine.map(|cosine| (cosine - least) / range)).collect()
    }
}
