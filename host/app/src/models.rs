//! Sentence models: getting them, and what views show of them.

use aiw_core::Reporter;
use aiw_home::Home;
use aiw_markets::Observer;
use aiw_routing::CurrentEmbeddings;
pub use aiw_vectors::{
    DEFAULT_MODEL, Embedder, EmbeddingModels, ModelStatus, ModelSummary, ModelsError, RUNTIME_NAME, StateName,
    disable_telemetry, remove_telemetry_files,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{AppError, Downloads};

/// `aiw model pull`
#[warn(missing_docs)]
#[derive(Default, Serialize, JsonSchema)]
pub struct ModelPull {
    /// The files that were fetched
    pub pulled: Vec<String>,
    /// The files that were there already
    pub unchanged: Vec<String>,
    /// Whether there is a model to use now
    pub model: Option<ModelStatus>,
}

/// Gets a model, or the library and the usual model if none is named. `from` is a directory or the address of a mirror.
///
/// # Errors
///
/// A file can't be fetched, is another one than it should be, or can't be written.
pub async fn pull(
    models: &EmbeddingModels,
    name: Option<&str>,
    from: Option<&str>,
    observer: &dyn Observer,
    sink: &dyn Reporter,
) -> Result<ModelPull, AppError> {
    let downloads = Downloads::new(from.filter(|from| from.contains("://")))?;
    let progress = |file: &str, done: u64, total: u64| {
        observer.progress(&format!("{file}: kB"), done >> 10, total >> 10);
    };
    let mut answer = ModelPull::default();
    for name in name.map_or_else(|| vec![RUNTIME_NAME, DEFAULT_MODEL], |name| vec![name]) {
        if models.pull(name, from, &downloads, &progress).await? {
            sink.done(format!("Pulled {name}"));
            answer.pulled.push(name.to_owned());
        } else {
            sink.done(format!("{name} is there already"));
            answer.unchanged.push(name.to_owned());
        }
    }
    let status = models.status()?;
    match status.state {
        StateName::Ready | StateName::None => {}
        _ => sink.step(status.message.clone()),
    }
    answer.model = Some(status);
    Ok(answer)
}

/// Returns the vectors of tools by the model in use, which may change from request to request: one small file names it.
/// If that can't be read, tools are found by words alone, and a note says so once.
pub fn tool_embeddings(home: &Home, sink: &dyn Reporter) -> CurrentEmbeddings {
    let models = EmbeddingModels::new(home.clone());
    if let Err(e) = models.active_model_files() {
        sink.note(format!("note: tools are found by words alone: {e}"));
    }
    CurrentEmbeddings::new(home, Box::new(move || models.active_model_files().ok().flatten()))
}
