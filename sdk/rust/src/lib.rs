//! Extensions for aiw, written in Rust.
//!
//! An extension is a WebAssembly component. It says what a reference to a marketplace means, where
//! the marketplace document is, and how to reach the entries that only it understands. It has no
//! file system, network, clock or environment of its own: the modules [`http`], [`trees`],
//! [`cache`], [`settings`], [`log`] and [`clock`] ask the host, which answers within what the
//! manifest declares and the user agreed to.
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
//! `cargo build --release --target wasm32-wasip2` then makes the component. The crate compiles for
//! the author's own machine as well, so that what is pure, like `claim`, can be tested with
//! `cargo test`; functions that ask the host panic there.
//!
//! Messages of an [`Error`] are read by the user: one sentence without a full stop, literals in
//! backticks.

#![warn(missing_docs)]

mod error;
mod git;
mod market;

pub mod http;
pub mod trees;

/// The generated bindings, for [`export_market_source!`] alone.
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

pub use __wit::aiw::plugin::http::{Header, Request, Response};
pub use __wit::aiw::plugin::trees::{GitOrigin, Item, ItemKind, Origin, Tree};
pub use __wit::aiw::plugin::types::{Error, Unavailability};
pub use __wit::exports::aiw::plugin::market::{
    EntryRef, EntrySource, Field, Manifests, OwnSource, ReferenceForm, Registration, Snapshot, SourceInfo,
};
pub use git::{GitMarket, is_ref};
#[doc(hidden)]
pub use market::Exported as __Exported;
pub use market::{MarketSource, digest, market_document, plugin_manifests};

/// Bytes that may be lost at any time, for this extension alone.
pub mod cache {
    use std::time::Duration;

    use crate::__wit::aiw::plugin::cache;

    /// What [`put`] kept; `None` when absent, expired or unreadable.
    pub fn get(key: &str) -> Option<Vec<u8>> {
        cache::get(key)
    }

    /// Keeps `value`, for at most `time`. Refused without a word beyond the extension's quota.
    pub fn put(key: &str, value: &[u8], time: Duration) {
        cache::put(key, value, u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    }
}

/// The user's settings for this extension: `sources.<id>` in `settings.json`.
pub mod settings {
    /// The value as text; `None` when the user set none. The manifest names the keys.
    pub fn get(key: &str) -> Option<String> {
        crate::__wit::aiw::plugin::settings::get(key)
    }
}

/// Lines for the user's log. The host limits their size and rate.
pub mod log {
    use crate::__wit::aiw::plugin::log::{Level, write};

    /// For whoever looks into a failure.
    pub fn debug(message: impl AsRef<str>) {
        write(Level::Debug, message.as_ref());
    }

    /// What happened.
    pub fn info(message: impl AsRef<str>) {
        write(Level::Info, message.as_ref());
    }

    /// What went wrong without an end to the work.
    pub fn warn(message: impl AsRef<str>) {
        write(Level::Warn, message.as_ref());
    }

    /// What ended the work.
    pub fn error(message: impl AsRef<str>) {
        write(Level::Error, message.as_ref());
    }
}

/// The time. `SystemTime::now` panics on a target without WASI.
pub mod clock {
    use std::time::{Duration, SystemTime};

    /// The time of the user's machine, in milliseconds.
    pub fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(crate::__wit::aiw::plugin::clock::now())
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
            type AiwMarketSource = $crate::__Exported<$source>;
            const MANIFEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $manifest));

            #[cfg(target_family = "wasm")]
            const _: () = {
                // The section must be written in the crate that is linked: from a dependency it is lost.
                #[unsafe(link_section = "aiw:manifest")]
                #[used]
                static SECTION: [u8; MANIFEST.len()] = *MANIFEST.as_array().unwrap();

                $crate::__wit::__export_market_source! { AiwMarketSource with_types_in $crate::__wit }
            };

            // Elsewhere nothing is exported, but what is wrong is said by `cargo check` too.
            #[cfg(not(target_family = "wasm"))]
            const _: (&[u8], ()) = (MANIFEST, AiwMarketSource::CHECK);
        };
    };
}
