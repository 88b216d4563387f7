//! Registering aiw in MCP clients: where each keeps its servers, and edits of those files that touch nothing else, can
//! be undone exactly, and can move the servers found there to `mcp.json`.
//!
//! [`Hooks`] puts aiw's hooks into Claude Code's settings in the same way.
//!
//! A [`SetupPlan`] says what would change; nothing is written before [`Setup::apply`]. Each file is replaced as a whole. Not
//! for starting clients, and not for finding out which command-line clients are installed: the caller knows that.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aiw_setup::{ClientPaths, AiwEntry, Setup, SetupOptions, SetupScope, client};
//! let home = aiw_home::Home::find(aiw_home::ExecutionContext::from_process())?;
//! let places = ClientPaths::from_context(home.context()).ok_or("no home")?;
//! let ours = AiwEntry { command: "aiw".into(), ..AiwEntry::default() };
//! let setup = Setup::new(home, places, ours);
//! let plan = setup.plan(client("codex").ok_or("no such client")?, &SetupScope::User, &SetupOptions::default())?;
//! for change in plan.changes() {
//!     println!("{change}");
//! }
//! setup.apply(&plan)?;
//! # Ok(()) }
//! ```

mod approve;
mod before;
mod clients;
mod config;
mod entries;
mod error;
mod hooks;
mod import;
mod old;
mod ours;
mod plan;
mod record;
mod scope;
mod setup;
mod summary;
mod translate;
mod undo;

pub use clients::{ClientPaths, SetupClient, all, client};
pub use entries::{ServerConfigEntry, parse_entries};
pub use error::SetupError;
pub use hooks::{HookPlan, HookScope, HookStatus, HookSummary, Hooks};
pub use old::{ServerMigration, migrate_servers};
pub use ours::AiwEntry;
pub use plan::{FileChange, SetupPlan};
pub use scope::{SetupOptions, SetupScope};
pub use setup::{ClientCheck, Setup};
pub use summary::{ClientChange, ClientSummary};
