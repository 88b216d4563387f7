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
pub use daemon::{GatewayState, GatewayWatchdog, ensure, keep, serve_runs, state};
pub use error::GatewayError;
pub use gateway::{Gateway, NotifyFn};
pub use named::{GatewayStore, GatewayTarget, NamedGateway, Serving};
pub use pool::{CoolingDown, cooldowns, forget_pool};
pub use route::{GatewayRoute, PoolOf, RunOf, Upstream};
pub use routes::{IsRunning, RouteError, RouteGuard, RouteStore, Routes};
pub use serve::{bind, serve};
