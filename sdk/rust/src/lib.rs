//! Extensions for aiw, written in Rust.
//!
//! An extension is a WebAssembly component. It says what a reference to a marketplace means, where the marketplace
//! document is, and how to reach the entries that only it understands. It has no file system, network, clock or
//! environment: the modules [`http`], [`trees`], [`cache`], [`settings`], [`log`] and [`clock`] call the host, which
//! allows what the manifest declares and the user agreed to.
//!
//! Implement [`MarketSource`] and export it:
//!
//! ```
//! use aiw_extension::{EntryRef, Error, GitMarket, MarketSource, Registration, Snapshot, SourceInfo, Tree};
//!
//! /// `notes:NAME` is the repository NAME of one team.
//! struct Notes;
//!
//! impl Notes {
//!     fn market(at: &Registration) -> GitMarket {
//!         GitMarket::new(format!("https://git.notes.example/{}.git", at.location), at.ref_.as_deref())
//!     }
//! }
//!
//! impl MarketSource for Notes {
//!     fn describe() -> SourceInfo {
//!         SourceInfo::new("Marketplaces of the notes team").reference("notes:NAME", "notes:writing")
//!     }
//!
//!     fn claim(reference: &str) -> Option<Registration> {
//!         let name = reference.strip_prefix("notes:")?;
//!         let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase());
//!         valid.then(|| Registration::new("notes", name, None))
//!     }
//!
//!     fn fetch_marketplace(at: &Registration) -> Result<Snapshot, Error> {
//!         Self::market(at).fetch()
//!     }
//!
//!     fn download_plugin(at: &Registration, entry: &EntryRef) -> Result<Tree, Error> {
//!         Self::market(at).plugin(entry)
//!     }
//! }
//!
//! # #[cfg(any())]
//! aiw_extension::export_market_source!(Notes, manifest = "manifest.json");
//!
//! assert_eq!(Notes::claim("notes:writing"), Some(Registration::new("notes", "writing", None)));
//! assert_eq!(Notes::claim("other:writing"), None);
//! ```
//!
//! with `crate-type = ["cdylib"]` and a `manifest.json` beside `Cargo.toml`:
//!
//! ```json
//! { "id": "notes", "version": "0.1.0", "label": "Notes team", "hosts": [], "origins": ["git:git.notes.example"], "settings": [] }
//! ```
//!
//! `cargo build --release --target wasm32-wasip2` then builds the component. The crate also compiles natively, so
//! that you can test pure functions, like `claim`, with `cargo test`; functions that call the host panic there.
//!
//! Users read the message of an [`Error`]: write one sentence without a period, with literals in backticks.

#![warn(missing_docs)]

mod error;
mod git;
mod intent;
mod listing;
mod market;
mod provider;
mod value;

pub mod http;
pub mod trees;

/// The generated bindings for [`export_market_source!`], and the types that both worlds share.
#[doc(hidden)]
pub mod __wit {
    wit_bindgen::generate!({
        path: "wit",
        world: "market-source",
        pub_export_macro: true,
        export_macro_name: "__export_market_source",
        default_bindings_module: "aiw_extension::__wit",
        additional_derives: [PartialEq, Eq],
        additional_derives_ignore: ["manifests"],
    });
}

/// The generated bindings for [`export_provider!`].
#[doc(hidden)]
pub mod __wit_provider {
    wit_bindgen::generate!({
        path: "wit",
        world: "provider",
        pub_export_macro: true,
        export_macro_name: "__export_provider",
        default_bindings_module: "aiw_extension::__wit_provider",
        additional_derives: [PartialEq, Eq],
        with: {
            "aiw:plugin/types@0.1.0": crate::__wit::aiw::plugin::types,
            "aiw:plugin/http@0.1.0": crate::__wit::aiw::plugin::http,
            "aiw:plugin/cache@0.1.0": crate::__wit::aiw::plugin::cache,
            "aiw:plugin/settings@0.1.0": crate::__wit::aiw::plugin::settings,
            "aiw:plugin/log@0.1.0": crate::__wit::aiw::plugin::log,
            "aiw:plugin/clock@0.1.0": crate::__wit::aiw::plugin::clock,
        },
    });
}

pub use __wit::aiw::plugin::http::{Field as RequestHeader, Header, Request, Response};
pub use __wit::aiw::plugin::trees::{GitOrigin, Item, ItemKind, Origin, Tree};
pub use __wit::aiw::plugin::types::{Error, Secret, Unavailability, Value};
pub use __wit::exports::aiw::plugin::market::{
    EntryRef, EntrySource, Field, Manifests, OwnSource, ReferenceForm, Registration, Snapshot, SourceInfo,
};
pub use __wit_provider::exports::aiw::plugin::adapter::{
    Account, Api, Auth, BaseUrl, Family, Header as IntentHeader, Health, Intent, KeyState, Model, Models, NamedSecret,
    Need, Preset, ProviderInfo, Quirks, Target, Tuning,
};
pub use git::{GitMarket, is_ref};
pub use listing::Listing;
#[doc(hidden)]
pub use market::Exported as __ExportedMarket;
pub use market::{MarketSource, digest, market_document, plugin_manifests};
#[doc(hidden)]
pub use provider::Exported as __ExportedProvider;
pub use provider::Provider;

/// Bytes that may disappear at any time, private to this extension.
pub mod cache {
    use std::time::Duration;

    use crate::__wit::aiw::plugin::cache;

    /// Returns what [`put`] stored, or `None` if it is missing, expired or unreadable.
    pub fn get(key: &str) -> Option<Vec<u8>> {
        cache::get(key)
    }

    /// Stores `value` for at most `time`. Silently ignored beyond the extension's quota.
    pub fn put(key: &str, value: &[u8], time: Duration) {
        cache::put(key, value, u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    }
}

/// The user's settings for this extension: `sources.<id>` in `settings.json`.
pub mod settings {
    /// Returns the value as text, or `None` if the user set none. The manifest must name the key.
    pub fn get(key: &str) -> Option<String> {
        crate::__wit::aiw::plugin::settings::get(key)
    }
}

/// Lines for the user's log. The host limits the length of each line and the bytes logged in one call.
pub mod log {
    use crate::__wit::aiw::plugin::log::{Level, write};

    /// Logs a detail for debugging a failure.
    pub fn debug(message: impl AsRef<str>) {
        write(Level::Debug, message.as_ref());
    }

    /// Logs what happened.
    pub fn info(message: impl AsRef<str>) {
        write(Level::Info, message.as_ref());
    }

    /// Logs a problem that didn't stop the work.
    pub fn warn(message: impl AsRef<str>) {
        write(Level::Warn, message.as_ref());
    }

    /// Logs a problem that stopped the work.
    pub fn error(message: impl AsRef<str>) {
        write(Level::Error, message.as_ref());
    }
}

/// The tasks of the user's session: AI CLIs that aiw runs and supervises. A plan can see them, but can't wait for or
/// start them.
pub mod tasks {
    use std::time::Duration;

    use crate::__wit_provider::aiw::plugin::tasks;
    pub use crate::__wit_provider::aiw::plugin::tasks::{Outcome, StartRequest, State, Task};
    use crate::Error;

    /// Returns the tasks that have not been removed, newest first.
    pub fn list() -> Result<Vec<Task>, Error> {
        tasks::list()
    }

    /// Returns one task.
    pub fn get(id: &str) -> Result<Task, Error> {
        tasks::get(id)
    }

    /// Returns the task once it has ended, or after `time`, 45 seconds at most.
    pub fn wait(id: &str, time: Duration) -> Result<Task, Error> {
        tasks::wait(id, u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
    }

    /// Starts a task. The manifest must ask for it (`"tasks": ["start"]`) and the user must agree.
    pub fn start(request: &StartRequest) -> Result<Task, Error> {
        tasks::start(request)
    }
}

/// The time. `SystemTime::now` panics on a target without WASI.
pub mod clock {
    use std::time::{Duration, SystemTime};

    /// Returns the time of the user's machine, in milliseconds.
    pub fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(crate::__wit::aiw::plugin::clock::now())
    }
}

/// Logs panics: the host sees a panic as a bare trap, so its message reaches the user only through the log.
fn log_panics() {
    use std::sync::atomic::{AtomicBool, Ordering};

    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if !INSTALLED.swap(true, Ordering::Relaxed) {
        std::panic::set_hook(Box::new(|panic| log::error(panic.to_string())));
    }
}

/// Makes the crate an extension: exports a [`MarketSource`] and writes the manifest, a file beside
/// `Cargo.toml`, into the component. A panic is logged before it ends the call.
///
/// ```ignore
/// aiw_extension::export_market_source!(Notes, manifest = "manifest.json");
/// ```
#[macro_export]
macro_rules! export_market_source {
    ($source:ty, manifest = $manifest:literal) => {
        const _: () = {
            type AiwExported = $crate::__ExportedMarket<$source>;
            $crate::__manifest!($manifest);
            #[cfg(target_family = "wasm")]
            $crate::__wit::__export_market_source! { AiwExported with_types_in $crate::__wit }
        };
    };
}

/// Makes the crate an extension: exports a [`Provider`] and writes the manifest into the component, like
/// [`export_market_source!`].
///
/// ```ignore
/// aiw_extension::export_provider!(Acme, manifest = "manifest.json");
/// ```
#[macro_export]
macro_rules! export_provider {
    ($provider:ty, manifest = $manifest:literal) => {
        const _: () = {
            type AiwExported = $crate::__ExportedProvider<$provider>;
            $crate::__manifest!($manifest);
            #[cfg(target_family = "wasm")]
            $crate::__wit_provider::__export_provider! { AiwExported with_types_in $crate::__wit_provider }
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __manifest {
    ($manifest:literal) => {
        const MANIFEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $manifest));

        #[cfg(target_family = "wasm")]
        const _: () = {
            // The section must be in the crate that is linked; one in a dependency would be lost.
            #[unsafe(link_section = "aiw:manifest")]
            #[used]
            static SECTION: [u8; MANIFEST.len()] = *MANIFEST.as_array().unwrap();
        };

        // On other targets nothing is exported, but `cargo check` still reports errors.
        #[cfg(not(target_family = "wasm"))]
        const _: (&[u8], ()) = (MANIFEST, AiwExported::CHECK);
    };
}
