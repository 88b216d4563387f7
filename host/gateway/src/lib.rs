//! What the MCP server offers: AI CLIs as tasks that the model starts, watches, waits for and stops.
//!
//! Not for the protocol: `aiw-mcp` speaks it. Nor for how a CLI is started: `aiw-launch` prepares
//! it and `aiw-tasks` runs it, as they do for the command line. `aiw` hands in the [`LaunchSource`].
//!
//! ```no_run
//! # fn f(source: Box<dyn aiw_gateway::LaunchSource>, home: aiw_home::Home) -> Result<(), std::io::Error> {
//! let session = aiw_launch::session();
//! let gateway = aiw_gateway::Gateway::new(home, session, std::env::current_dir()?, source);
//! # let _: std::sync::Arc<dyn aiw_mcp::Offer> = std::sync::Arc::new(gateway);
//! # Ok(()) }
//! ```

mod bounds;
mod context;
mod error;
mod find;
mod gateway;
mod input;
mod providers;
mod start;
mod table;
mod tasks;
mod toolset;
mod watch;

pub use context::LaunchSource;
pub use error::Unready;
pub use gateway::Gateway;
pub use table::read_only_tools;
pub use toolset::{Toolset, UnknownToolset};
