//! Logging in to a server over OAuth, as the MCP authorization specification describes it.
//!
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization>
//!
//! Every address that a server names is checked before it is reached, and every request goes through `net`. A token is
//! bound to the URL that it was given for; who keeps it must send it nowhere else.

mod challenge;
mod discovery;
mod error;
mod form;
mod login;
mod reach;
mod tokens;

pub use challenge::Challenge;
pub use error::OAuthError;
pub use login::{Login, OAuthRequest};
pub use tokens::OAuthTokens;
