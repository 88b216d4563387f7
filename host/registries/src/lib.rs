//! Registries of MCP servers: finding servers in all of them, keeping copies of them, and making an entry of `mcp.json` from
//! what they say.
//!
//! What a registry says is foreign. It is checked by form in `wasm`, and by meaning here, before any of it becomes part of a
//! command. Nothing is started here.

mod plan;

pub use plan::{
    Answers, Bundle, BundleError, Entry, MAX_BUNDLE, Machine, Note, PlanError, Question, Reason, Way, WayKind, entry,
    how_to_get, ways,
};
