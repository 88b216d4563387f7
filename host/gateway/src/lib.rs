//! What the MCP server offers: AI CLIs as tasks that the model starts, watches, waits for and stops.
//!
//! Not for the protocol: `aiw-mcp` speaks it. Nor for how a CLI is started: `aiw-launch` prepares
//! it and `aiw-tasks` runs it, as they do for the command line. `aiw` hands in the [`LaunchSource`].
//!
//! ```no_run
//! # fn f(setting: aiw_gateway::Setting, source: Box<dyn aiw_gateway::LaunchSource>) {
//! let offer: std::sync::Arc<dyn aiw_mcp::Offer> = std::sync::Arc::new(aiw_gateway::Gateway::new(setting, source));
//! # }
//! ```

mod behind;
mod bounds;
mod context;
mod error;
mod find;
mod gateway;
mod history;
mod input;
mod kept;
mod providers;
mod route;
mod servers;
mod shared;
mod start;
mod table;
mod tasks;
mod toolset;
mod watch;

pub use context::LaunchSource;
pub use error::Unready;
pub use gateway::{Gateway, Setting};
pub use table::{own_tools, read_only_tools};
pub use toolset::{Toolset, UnknownToolset};
