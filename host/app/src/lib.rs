//! The application under every view: the command line, the screens, and what `aiw mcp serve` offers.
//!
//! [`App`] opens the parts of the host once, each when it is first asked for. A [`ClientSession`] is one client of it:
//! a command in a terminal, a screen, or a client of the MCP server. It hands out the services of the domains as that
//! client may use them. What spans two domains is here too: [`runs`] starts AI CLIs and attends to them, and the
//! components see what their client may reach.
//!
//! ```no_run
//! # fn f(bundled: &'static [aiw_app::BundledComponent], scripts: aiw_app::BundledScripts) -> Result<(), aiw_app::AppError> {
//! let app = aiw_app::App::open(aiw_home::Home::find(aiw_home::ExecutionContext::from_process())?, bundled, scripts, std::sync::Arc::new(aiw_app::NoopObserver));
//! let markets = aiw_app::ClientSession::from_app(app)?.markets()?;
//! # Ok(())
//! # }
//! ```

pub mod accounts;
mod app;
pub mod attention;
mod attention_state;
pub mod browser;
pub mod budgets;
pub mod ci;
pub mod cli_updates;
mod client;
mod components;
pub mod daemon;
pub mod doctor;
mod downloads;
mod error;
pub mod events;
mod executable;
pub mod extension_projects;
pub mod extensions;
mod failures;
pub mod feed;
pub mod gateways;
pub mod health;
pub mod history;
pub mod init;
pub mod installation;
pub mod installs;
pub mod models;
mod old;
pub mod overview;
pub mod phrases;
mod planner;
pub mod planners;
pub mod planning;
pub mod plugins;
pub mod pools;
mod project_uses;
pub mod providers;
pub mod queries;
mod reach;
pub mod runs;
pub mod secrets;
pub mod servers;
pub mod setup;
pub mod status;
pub mod sync;
pub mod tasks;
pub mod trust;
pub mod workflows;

pub use aiw_components::BundledComponent;
pub use aiw_markets::{NoopObserver, Observer};
pub use aiw_orchestrator::BundledScripts;
pub use app::{App, compile_progress, usable_settings};
pub use client::{Builder, ClientSession, ListingFn, directory, set_listing};
pub use downloads::Downloads;
pub use error::AppError;
pub use executable::{ExecutableError, own_executable, own_path, stable_executable};
pub use failures::{FailedId, FailedName, Failures, RecoverableError};
pub use project_uses::ProjectFeatures;
