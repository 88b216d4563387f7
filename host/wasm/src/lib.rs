//! Runs components: engine, limits, compiled-code cache, one binding file per WIT interface.
//!
//! One component may offer each world: marketplaces ([`market`]) and providers ([`provider`]).
//!
//! The only crate that names wasmtime. What a component asks for is done by the capability
//! crates behind the traits of [`capabilities`]; what may be asked is decided by its grants.
//!
//! A call gets a fresh store, which is thrown away after it, whatever happened: a component
//! that loops, traps, eats memory or talks nonsense costs its own call one clear error.

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
pub use engine::Engine;
pub use error::{CallError, LoadError, Refusal};
