//! Runs components: the engine, limits, the compiled-code cache, and one binding file for each WIT interface.
//!
//! One component may offer several worlds: marketplaces ([`market`]) and providers ([`provider`]).
//!
//! This is the only crate that uses wasmtime directly. The capability crates do what a component asks for, behind
//! the traits of [`capabilities`]. The component's grants decide what it may ask for.
//!
//! Each call gets a fresh store, which is discarded afterward in any case. A component that loops, traps, exhausts
//! memory or returns nonsense only makes its own call fail with one clear error.

mod bindings;
mod budget;
mod cache;
pub mod capabilities;
mod compile;
mod component;
mod engine;
mod error;
mod host;
pub mod limits;
pub mod market;
pub mod provider;

pub use budget::{BoundSecret, Budget};
pub use cache::CompiledCache;
pub use compile::{COMPILE_ARGUMENT, Origin, compile_main};
pub use component::{Component, Reach};
pub use engine::{Engine, OnCompile};
pub use error::{CallError, LoadError, Refusal};
