//! The MCP servers behind aiw: starting them when they are needed, calling them, and what a client sees of them.
//!
//! A [`Pool`] has the servers of one client session. [`Records`] keeps what is known about each without starting it.
//! [`DynamicToolRegistry`] is what the client lists.
//!
//! Not for what a declaration means: `aiw-servers` knows that. Nor for the protocol: `aiw-mcp` speaks it.

mod access;
mod account;
pub mod definition;
mod error;
mod find;
mod found;
mod injection;
mod listing;
mod log;
mod names;
mod notifications;
mod numbers;
mod offered;
mod pool;
mod profile;
mod questions;
mod record;
mod registry;
mod shape;
mod slot;
mod start;
mod status;
mod summary;
mod trace;
mod uris;

pub use access::{forget_logins, is_login_expired};
pub use account::{LoginAccount, LoginOptions};
pub use definition::{Difference, ToolDefinition};
pub use error::PoolError;
pub use find::{Allows, CurrentEmbeddings, Finder, KnownServer, Match, ModelSource, ToolEmbeddings, ToolMatches};
pub use found::{ConfiguredServer, ServerSearchPaths, SkippedServers};
pub use injection::injection_findings;
pub use listing::{Cost, ListableServer, ListingChoice, ListingLimits, ListingReason, choose};
pub use names::{ToolRef, to_proxied_name};
pub use offered::CatalogItem;
pub use pool::{Pool, SharedServers};
pub use profile::{
    AIW_SERVER_NAME, KnownTool, Pattern, Profile, ProfileSource, matches_any_pattern, unmatched_patterns,
};
pub use record::{DefinitionChange, LOST_RECORD_NOTE, Records, ServerRecord, ServerUsage};
pub use registry::{DynamicToolRegistry, MAX_DYNAMIC_TOOLS, SWEEP_INTERVAL, TTL};
pub use slot::ServerState;
pub use start::{ServerContext, check_remote};
pub use status::{SlotStatus, server_findings};
pub use summary::{ServerEntry, ServerStatus, ServerTool, ToolMatch};
