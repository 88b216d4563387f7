//! The gateway: any AI CLI with any API. It stands between clients on this machine and providers, and translates where they
//! speak different APIs.
//!
//! A client shows a token that leads to a [`Route`]; the provider's key stays here. Translation itself is the room
//! `dialects`; connections are those of `listen` and `net`.
//!
//! Not for choosing a provider, or for starting anything: `launch` and `app` do that.

mod body;
mod called;
mod daemon;
mod exchange;
mod proof;
mod route;
mod routes;
mod serve;

pub use aiw_dialects::UPSTREAMS;
pub use body::AnswerBody;
pub use daemon::{GatewayError, GatewayState, ensure, serve_runs, state};
pub use route::{Route, Upstream};
pub use routes::{Held, IsRunning, KeptRoutes, RouteError, Routes};
pub use serve::{Gateway, bind, serve};
