//! Sentence models: what views show of them.

pub use aiw_vectors::{
    DEFAULT_MODEL, Embedder, EmbeddingModels, ModelStatus, ModelSummary, ModelsError, RUNTIME, StateName,
    remove_collected, stop_collection,
};
