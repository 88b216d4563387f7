//! Drives an extension in the real host, with the grants, clock, settings and answers that you choose.
//!
//! The component runs in aiw's engine, within the same limits. Only the network is simulated: an address has a
//! recorded [`RecordedResponse`] or can't be reached. A test sees what a user would see, with errors word for word. The
//! testkit is not for the host's own network code: recorded answers have no redirects or proxies.
//!
//! ```no_run
//! use aiw_testkit::{RecordedResponse, Testkit};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let notes = Testkit::read("target/wasm32-wasip2/release/notes.wasm")?
//!     .response("https://notes.example/writing.json", RecordedResponse::ok(r#"{"name": "writing", "plugins": []}"#))
//!     .load()
//!     .await?;
//! let source = notes.market_source();
//! let at = source.claim("notes:writing").await?.ok_or("not claimed")?;
//! let snapshot = source.fetch_marketplace(&at).await?;
//! assert!(snapshot.document.starts_with(b"{"));
//! assert_eq!(notes.requested_urls(), ["https://notes.example/writing.json"]);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod answers;
mod driver;
mod error;
mod kit;
pub mod market_source;
mod played;
pub mod provider;
pub mod registry_source;
mod tasks;

pub use answers::{RecordedResponse, RecordedResponses};
pub use driver::Driver;
pub use error::{CallError, Refusal, TestkitError};
pub use kit::{ComponentInfo, Testkit};
pub use market_source::{
    EntryRef, EntrySource, Field, Files, Manifests, MarketSource, ReferenceForm, Registration, Snapshot, SourceInfo,
};
pub use played::{LogLevel, LogLine, RecordedRequest};
pub use provider::Provider;
pub use registry_source::RegistrySource;
pub use tasks::{Cli, Task, TaskOutcome, TaskRequest, TaskState};
