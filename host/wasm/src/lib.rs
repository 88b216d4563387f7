//! Runs components: the engine, limits, the compiled-code cache, the interfaces of the host, and the kinds of components.
//!
//! One component may be of several kinds. Each kind is a view on it: [`MarketSource`], [`Provider`], [`RegistrySource`].
//!
//! This is the only crate that uses wasmtime directly. The capability crates do what a component asks for, behind
//! the traits of [`host`]. The component's grants decide what it may ask for.
//!
//! Each call gets a fresh store, which is discarded afterward in any case. A component that loops, traps, exhausts
//! memory or returns nonsense only makes its own call fail with one clear error.
//!
//! - A new interface of the host is a file in `host`, a line in its table, and its `Host` in the bindings.
//! - A new kind of component is a view beside `provider.rs`, and its exports and a line in the bindings.
//!   `aiw_extensions::World` has its name and its imports, and `limits` its limits. The compiler then shows the other
//!   places: `aiw extension info`, `call` and `new`, and the testkit.
//! - The bindings of a version of the contract are one module, `since_v0_1`. No other names a generated type.

mod budget;
mod cache;
mod call;
mod compile;
mod component;
mod compute;
mod engine;
mod error;
pub mod host;
mod invalid_response;
mod kind;
pub mod limits;
pub mod market_source;
pub mod provider;
mod reach;
pub mod registry_source;
mod scripts;
mod since_v0_1;
mod usage;

pub use budget::{BoundSecret, CallBudget};
pub use cache::CompiledCache;
pub use compile::{COMPILE_ARGUMENT, Origin, compile_main};
pub use component::Component;
pub use engine::{Engine, OnCompile};
pub use error::{CallError, CallRejection, ComponentReason, LoadError};
pub use market_source::MarketSource;
pub use provider::Provider;
pub use reach::CallPermissions;
pub use registry_source::RegistrySource;
pub use scripts::{
    BundledScripts, LogLevel, ScriptCalls, ScriptFailure, ScriptFailureKind, ScriptLimits, ScriptRunner, ScriptTool,
};
