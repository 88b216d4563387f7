//! The model in use at the moment: whoever switches it off sees the end at the next request.

use std::sync::Arc;

use aiw_home::Home;
use aiw_vectors::ModelFiles;
use parking_lot::Mutex;

use super::embeddings::ToolEmbeddings;

/// Names the model in use, if there is one. Asked at every request, so it must be cheap.
pub type ModelSource = Box<dyn Fn() -> Option<ModelFiles> + Send + Sync>;

/// The vectors of tools by the model in use. The sessions of a process share it.
pub struct CurrentEmbeddings {
    home: Home,
    source: ModelSource,
    last: Mutex<Option<Arc<ToolEmbeddings>>>,
}

impl CurrentEmbeddings {
    /// That of the model which `source` names from time to time. Nothing is loaded yet.
    pub fn new(home: &Home, source: ModelSource) -> Self {
        Self { home: home.clone(), source, last: Mutex::default() }
    }

    /// That of no model.
    pub fn none(home: &Home) -> Self {
        Self::new(home, Box::new(|| None))
    }

    /// Returns the vectors of the model in use now: the same as before, unless another model was chosen. The memory of
    /// a model is freed after its last use.
    pub fn get(&self) -> Option<Arc<ToolEmbeddings>> {
        let mut last = self.last.lock();
        let files = (self.source)();
        if last.as_ref().map(|meaning| meaning.files()) != files.as_ref() {
            *last = files.map(|files| Arc::new(ToolEmbeddings::new(&self.home, files)));
        }
        last.clone()
    }
}
