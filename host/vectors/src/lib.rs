//! Meaning as numbers: texts become vectors, and vectors are kept and searched.
//!
//! An [`Embedder`] runs a sentence model through ONNX Runtime, which is a library that is loaded when it is needed
//! and may be missing: [`ModelFiles::state`] says so. A [`VectorStore`] keeps vectors by id: [`FileVectors`] in a file
//! that processes share.
//!
//! Not for what the texts are, and not for search by words.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aiw_vectors::{Embedder, FileVectors, ModelFiles, VectorEntry, VectorStore};
//! let files = ModelFiles::new("/models/all-MiniLM-L6-v2", "/models/libonnxruntime.so");
//! let embedder = Embedder::load(&files)?;
//! let texts = ["find news on the web", "convert a PDF file to Word"];
//! let vectors = embedder.embed(&texts)?;
//! let store = FileVectors::open("/cache/texts.vec", embedder.dimensions())?;
//! let entries: Vec<VectorEntry> = texts.iter().zip(&vectors).map(|(id, vector)| VectorEntry { id, vector }).collect();
//! store.upsert(&entries)?;
//! let nearest = store.search(&embedder.embed(&["look up headlines"])?[0], 1, None)?;
//! assert_eq!(nearest[0].id, texts[0]);
//! # Ok(()) }
//! ```

mod embed;
mod models;
mod scan;
mod store;

pub use embed::{Embedder, ModelError, ModelFiles, ModelState, disable_telemetry, remove_telemetry_files};
pub use models::{
    DEFAULT_MODEL, DownloadBody, DownloadError, DownloadProgress, EmbeddingModels, Fetch, ModelStatus, ModelSummary,
    ModelsError, RUNTIME_NAME, RuntimeStatus, StateName,
};
pub use scan::{FileVectors, kernel, remove_collection};
pub use store::{Filter, MAX_DIMENSIONS, MAX_ID_BYTES, StoreError, VectorEntry, VectorHit, VectorStore};
