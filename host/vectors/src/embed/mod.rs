//! Texts as vectors.

mod embedder;
mod error;
mod files;
mod runtime;

pub use embedder::Embedder;
pub use error::ModelError;
pub use files::{ModelFiles, ModelState};
