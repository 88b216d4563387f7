//! The gateway: any AI CLI with any API. It stands between clients on this machine and providers, and translates where they
//! speak different APIs.
//!
//! A client shows a token that leads to a [`GatewayRoute`]; the provider's key stays here. Translation itself is the room
//! `dialects`; connections are those of `listen` and `net`.
//!
//! Not for choosing a provider, or for starting anything: `launch` and `app` do that.

mod body;
mod busy;
mod called;
mod daemon;
mod error;
mod exchange;
mod gateway;
mod ledger;
mod models;
mod named;
mod pool;
mod proof;
mod receipt;
mod reply;
mod route;
mod routes;
mod serve;
mod shares;
#[cfg(test)]
mod tests;
mod turn;

pub use aiw_dialects::UPSTREAMS;
pub use aiw_listen::Listener;
pub use body::AnswerBody;
pub use daemon::{GatewayState, Keeper, ensure, keep, serve_runs, state};
pub use error::GatewayError;
pub use gateway::{Gateway, Voice};
pub use named::{NamedGateway, NamedGateways, NamedRoute, Serving};
pub use pool::{Resting, forget_pool, resting};
pub use route::{GatewayRoute, PoolOf, RunOf, Upstream};
pub use routes::{HeldRoute, IsRunning, KeptRoutes, RouteError, Routes};
pub use serve::{bind, serve};
