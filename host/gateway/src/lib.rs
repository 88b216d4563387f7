//! What the MCP server offers: AI CLIs as tasks that the model starts, watches, waits for and ends.
//!
//! Not for the protocol: `aiw-mcp` speaks it. Nor for how a CLI is started: `aiw-launch` prepares
//! it and `aiw-tasks` runs it, as they do for the command line. `aiw` hands in the [`Means`].
//!
//! ```no_run
//! # fn f(means: Box<dyn aiw_gateway::Means>, home: aiw_home::Home) -> Result<(), std::io::Error> {
//! let session = aiw_launch::session();
//! let gateway = aiw_gateway::Gateway::new(home, session, std::env::current_dir()?, means);
//! # let _: std::sync::Arc<dyn aiw_mcp::Offer> = std::sync::Arc::new(gateway);
//! # Ok(()) }
//! ```

mod arguments;
mod bounds;
mod error;
mod find;
mod gateway;
mod start;
mod tasks;
mod tools;
mod watch;

pub use error::Unready;
pub use gateway::{Gateway, Means};
