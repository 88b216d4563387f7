//! MCP: both sides of the protocol. The only crate that uses rmcp.
//!
//! A [`McpClient`] is one connection to another server, over a process's streams or streamable HTTP. Tools, content and
//! results pass both ways as JSON values, unchanged.
//!
//! A server is an [`ServerBackend`]: what it says about itself, its current tools, and what a tool call answers.
//! [`serve_stdio`] speaks the protocol for it, in every version from 2024-11-05 to 2026-07-28, until the client
//! disconnects. [`HttpServer`] does so over streamable HTTP, with an offer for each session.
//!
//! [`oauth`] logs in to a server that asks for it; who keeps the tokens gives them to a connection as a [`TokenProvider`].
//!
//! Not for what the tools do: `aiw-offer` knows that.
//!
//! ```no_run
//! # async fn f(offer: std::sync::Arc<dyn aiw_mcp::ServerBackend>) {
//! // Standard output is the protocol's alone from here on.
//! aiw_mcp::serve_stdio(offer).await;
//! # }
//! ```

mod arguments;
mod caller;
mod client;
mod elicitation;
mod handler;
mod http;
mod incoming;
pub mod oauth;
mod offer;
mod queue;
mod serve;
mod stdio;
mod tool;
mod wire;

pub use arguments::Arguments;
pub use caller::{Call, Caller, Cancellation, LOG_LEVEL_KEY, LOG_LEVELS, UI_EXTENSION};
pub use client::{
    ClientError, ClientInfo, EventHandler, Lifecycle, McpClient, McpRequest, Params, RpcError, ServerEndpoint,
    TokenProvider, parse_result,
};
pub use http::{HttpLimits, HttpServer, ReplyBody};
pub use offer::{ServerBackend, ServerDescription, ToolResult};
pub use serve::{serve, serve_stdio};
pub use tool::{Tool, ToolEffect};
