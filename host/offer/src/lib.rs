//! What the MCP server offers: AI CLIs as tasks that the model starts, watches, waits for and stops.
//!
//! Not for the protocol: `aiw-mcp` speaks it. Nor for how a CLI is started: `aiw_app::runs` does that, as for the
//! command line.
//!
//! ```no_run
//! # fn f(setting: aiw_offer::SessionOptions) {
//! let offer: std::sync::Arc<dyn aiw_mcp::ServerBackend> = std::sync::Arc::new(aiw_offer::SessionBackend::new(setting));
//! # }
//! ```

mod ask;
mod bounds;
mod ci;
mod context;
mod error;
mod event_messages;
mod find;
mod history;
mod input;
mod install;
mod offer;
mod planned;
mod planning;
mod processes;
mod providers;
mod registries;
mod results;
mod route;
mod runs;
mod saved;
mod servers;
mod shared;
mod start;
mod table;
mod tasks;
mod toolset;
mod upstream;
mod web;
mod workflows;

pub use offer::{SessionBackend, SessionOptions, listing_choices};
pub use table::{own_tools, read_only_tools};
pub use toolset::{SessionToolsets, Toolset, UnknownToolset};
