//! The dashboard in the browser: a loopback server for one page, whose requests are the same verbs as commands.
//!
//! One table of routes ([`routes`]) serves the requests and describes them (OpenAPI). Each calls a verb, and answers what
//! `--json` prints. What a verb asks comes back as an answer of its own with a digest; the page shows it, and sends the
//! request again with the digest of what was agreed to. Who may ask at all is decided by [`access`], before any work.

mod access;
mod api;
mod assets;
mod error;
mod openapi;
mod person;
mod place;
mod progress;
mod projects;
mod routes;
mod serve;
mod stream;

pub use error::WebError;
pub use openapi::description;
pub use place::{WebState, WebStopReport, open, open_browser, state, stop};
pub use progress::PageProgress;
pub use serve::{WebOptions, WebServer, run_in_background, with_start_context, without_credentials};

#[cfg(test)]
mod tests;
