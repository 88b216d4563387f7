//! Drives an extension in the real host, with the grants, clock, settings and answers that you choose.
//!
//! The component runs in aiw's engine, within the same limits. Only the network is simulated: an address has a
//! recorded [`Answer`] or can't be reached. A test sees what a user would see, with errors word for word. The
//! testkit is not for the host's own network code: recorded answers have no redirects or proxies.
//!
//! ```no_run
//! use aiw_testkit::{Answer, Testkit};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let notes = Testkit::read("target/wasm32-wasip2/release/notes.wasm")?
//!     .answer("https://notes.example/writing.json", Answer::ok(r#"{"name": "writing", "plugins": []}"#))
//!     .load()
//!     .await?;
//! let at = notes.claim("notes:writing").await?.ok_or("not claimed")?;
//! let snapshot = notes.fetch_marketplace(&at).await?;
//! assert!(snapshot.document.starts_with(b"{"));
//! assert_eq!(notes.requests(), ["https://notes.example/writing.json"]);
//! # Ok(())
//! # }
//! ```

mod answers;
mod driver;
mod error;
mod kit;
mod played;

pub use aiw_core::{ProcessOutcome as TaskOutcome, ProcessState as TaskState};
pub use aiw_extensions::{About, Grants};
pub use aiw_wasm::capabilities::{Level, StartTask, Task};
pub use aiw_wasm::market::{
    EntryRef, EntrySource, Field, Manifests, ReferenceForm, Registration, Snapshot, SourceInfo,
};
pub use aiw_wasm::provider;
pub use aiw_wasm::{CallError, Refusal};
pub use answers::{Answer, Answers};
pub use driver::Driver;
pub use error::TestkitError;
pub use kit::Testkit;
pub use played::{Asked, LogLine};
