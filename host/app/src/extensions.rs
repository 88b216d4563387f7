//! The extensions of a home: what views show of the library of components.

pub use aiw_components::{
    Candidate, ExtensionSummary, Known, Library, LibraryError, UpdatedExtension, VerifiedExtension, compiled_code,
};
pub use aiw_wasm::{COMPILE_ARGUMENT, CallError, Component, compile_main};
