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

pub use cached::{CacheProblem, CachedServers, RegistryInfo, cached_servers, list_registries};
pub use detached::{detach_if_sync, start_sync};
pub use error::RegistryError;
pub use find::{MergedSearch, Registries, RegistrySearchStatus};
pub use install::{UpdateStatus, default_key, digest, method_id, record, update_statuses};
pub use merge::MergedServer;
pub use plan::{
    Bundle, BundleError, EntryPlan, EntryPlanError, EntryValues, InstallMethod, MAX_BUNDLE_BYTES, MethodKind, Note,
    TargetMachine, UnsupportedReason, install_hint, install_methods, plan_entry,
};
pub use semantic::{rank, semantic_rank_limit};
pub use summary::{MethodSummary, RegistryServer, RequiredValue, ServerSearch, install_summary};
