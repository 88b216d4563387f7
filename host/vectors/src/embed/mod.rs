//! Texts as vectors.

mod embedder;
mod files;
mod runtime;

pub use embedder::Embedder;
pub use files::{ModelError, ModelFiles, ModelState};
