//! Texts as vectors.

mod embedder;
mod error;
mod files;
mod prepared;
mod runtime;

pub use embedder::Embedder;
pub use error::ModelError;
pub(crate) use files::{MODEL_FILES, file_sha256};
pub use files::{ModelFiles, ModelState};
pub(crate) use runtime::check_library;
pub use runtime::{disable_telemetry, remove_telemetry_files};
