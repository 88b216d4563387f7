//! Registries of MCP servers: finding servers in all of them, keeping copies of them, and making an entry of `mcp.json` from
//! what they say.
//!
//! What a registry says is foreign. It is checked by form in `wasm`, and by meaning here, before any of it becomes part of a
//! command. Nothing is started here.

mod cached;
mod copy;
mod detached;
mod error;
mod find;
mod install;
mod merge;
mod plan;
mod publisher;
mod registry;
mod semantic;
mod summary;
mod sync;
mod terms;
mod vendor;

pub use cached::{CachedServers, CopyProblem, RegistryInfo, cached_servers, known};
pub use detached::{become_sync, start_sync};
pub use error::RegistryError;
pub use find::{MergedSearch, Registries, RegistrySearchStatus};
pub use install::{UpdateStatus, digest, method_id, news, record, usual_key};
pub use merge::MergedServer;
pub use plan::{
    Bundle, BundleError, EntryPlan, EntryPlanError, EntryValues, InstallMethod, MAX_BUNDLE, MethodKind, Note,
    TargetMachine, UnsupportedReason, entry, how_to_get, install_methods,
};
pub use semantic::{is_request, rank};
pub use summary::{MethodSummary, RegistryServer, RequiredValue, ServerSearch, about};
