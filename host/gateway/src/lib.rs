//! The gateway: any AI CLI with any API. It stands between clients on this machine and providers, and translates where they
//! speak different APIs.
//!
//! A client shows a token that leads to a [`GatewayRoute`]; the provider's key stays here. Translation itself is the room
//! `dialects`; connections are those of `listen` and `net`.
//!
//! Not for choosing a provider, or for starting anything: `launch` and `app` do that.

mod body;
mod daemon;
mod endpoint;
mod error;
mod exchange;
mod gateway;
mod in_flight;
mod ledger;
mod models;
mod named;
mod pool;
mod proof;
mod reply;
mod route;
mod routes;
mod serve;
#[cfg(test)]
mod tests;
mod token_counts;
mod turn;
mod usage;

pub use aiw_dialects::UPSTREAMS;
pub use aiw_listen::Listener;
pub use body::ResponseBody;
pub use daemon::{GatewayState, GatewayWatchdog, ensure_running, serve_runs, spawn_watchdog, state};
pub use error::GatewayError;
pub use gateway::{Gateway, NotifyFn};
pub use named::{GatewayStore, GatewayTarget, NamedGateway, ServeLock};
pub use pool::{CooldownEntry, cooldowns, remove_pool_state};
pub use route::{GatewayRoute, RoutePool, RouteRun, Upstream};
pub use routes::{IsRunningFn, RouteError, RouteGuard, RouteStore, Routes};
pub use serve::{bind, serve};
