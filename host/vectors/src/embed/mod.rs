//! Texts as vectors.

mod embedder;
mod error;
mod files;
mod prepared;
mod runtime;

pub use embedder::Embedder;
pub use error::ModelError;
pub(crate) use files::{FILES, file_sha256};
pub use files::{ModelFiles, ModelState};
pub(crate) use runtime::check_library;
pub use runtime::{remove_collected, stop_collection};
