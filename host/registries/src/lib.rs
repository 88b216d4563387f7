//! Registries of MCP servers: finding servers in all of them, keeping copies of them, and making an entry of `mcp.json` from
//! what they say.
//!
//! What a registry says is foreign. It is checked by form in `wasm`, and by meaning here, before any of it becomes part of a
//! command. Nothing is started here.

mod copy;
mod detached;
mod error;
mod find;
mod install;
mod kept;
mod meaning;
mod merge;
mod plan;
mod publisher;
mod registry;
mod summary;
mod sync;
mod terms;
mod vendor;

pub use detached::{become_sync, start_sync};
pub use error::RegistryError;
pub use find::{Answered, MergedSearch, Registries};
pub use install::{News, digest, news, record, usual_key, way_id};
pub use kept::{CopyProblem, KeptServers, KnownRegistry, kept, known};
pub use meaning::{is_request, rank};
pub use merge::MergedServer;
pub use plan::{
    Bundle, BundleError, EntryAnswers, EntryPlanError, MAX_BUNDLE, Note, PlannedEntry, TargetMachine, UnusableReason,
    Way, WayKind, entry, how_to_get, ways,
};
pub use summary::{Asked, RegistryServer, ServerSearch, ServerWay, about};
