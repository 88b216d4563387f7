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
mod listing;
mod log;
mod names;
mod numbers;
mod offered;
mod pool;
mod profile;
mod questions;
mod record;
mod registry;
mod relay;
mod shape;
mod signs;
mod slot;
mod start;
mod status;
mod summary;
mod trace;
mod uris;

pub use access::{forget_logins, is_login_over};
pub use account::{LoginAccount, LoginWishes};
pub use definition::{Difference, ToolDefinition};
pub use error::PoolError;
pub use find::{Allows, CurrentMeaning, Finder, FoundTools, KnownServer, Match, ModelSource, ToolMeaning};
pub use found::{Configured, LeftOutServers, ServerPlaces};
pub use listing::{Cost, ListableServer, ListingChoice, ListingLimits, ListingReason, choose};
pub use names::{NamedTool, proxied};
pub use offered::Offered;
pub use pool::{Pool, SharedServers};
pub use profile::{KnownTool, OWN, Pattern, Profile, ProfileSource, idle_patterns, scripts_may_call};
pub use record::{DefinitionChange, LOST, Records, ServerRecord};
pub use registry::{DynamicToolRegistry, MAX_DYNAMIC_TOOLS, SWEEP_INTERVAL, TTL};
pub use signs::signs;
pub use slot::ServerState;
pub use start::{Ground, check_remote};
pub use status::{SlotStatus, suspicions};
pub use summary::{FoundTool, ServerEntry, ServerStatus, ServerTool};
