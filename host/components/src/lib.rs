//! The library of components: bundled ones and those that the user added.
//!
//! It reads components from files and URLs, keeps what the user agreed to in `extensions.lock`, and loads them with
//! their digest checked. `aiw-wasm` runs them.

mod error;
mod install;
mod library;
mod source;
mod summary;

pub use error::LibraryError;
pub use library::{BundledComponent, ComponentEntry, Library, compiled_cache_dir, find_damaged};
pub use source::CandidateComponent;
pub use summary::{ExtensionSummary, UpdatedExtension, VerifiedExtension};
