//! Extensions for aiw, written in Rust.
//!
//! An extension is a WebAssembly component that adds a kind of plugin marketplace ([`MarketSource`]), a kind of API
//! provider ([`Provider`]) or a registry of MCP servers ([`RegistrySource`]). It has no file system, network, clock or environment: the modules [`http`], [`trees`],
//! [`cache`], [`settings`], [`log`], [`tasks`], [`task_starts`], [`clock`], [`embeddings`], [`vectors`] and [`mcp`] call
//! the host, which allows what the manifest declares and the user agreed to.
//!
//! `aiw extension new NAME --kind market-source` (or `provider`, or `registry-source`) creates a project with tests.
//!
//! # Marketplaces
//!
//! A market source says what a reference to a marketplace means, where the marketplace document is, and how to reach
//! the entries that only it understands:
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
//! The document is Claude Code's `marketplace.json`. A source may also write one from an index of its own. Each plugin
//! has a `source`, which is one of these:
//!
//! | `source` | who resolves it | fields |
//! |---|---|---|
//! | `"./path"` | [`download_plugin`](MarketSource::download_plugin) | relative to the marketplace's root |
//! | `{"source": "github", …}` | the host | `repo` (`owner/repo`), `ref`, `sha`, `path` |
//! | `{"source": "url", …}` | the host | `url` of a git repository, `ref`, `sha`, `path` |
//! | `{"source": "git-subdir", …}` | the host | `url`, `path` (required), `ref`, `sha` |
//! | `{"source": "notes", …}` | `download_plugin`, if [`SourceInfo::entry_form`] names `notes` | your own: [`OwnSource::field`] |
//!
//! - `ref` is a branch or tag. Without it, the default branch counts.
//! - `sha` is a full commit id of 40 hexadecimal digits. It pins the plugin and takes precedence over `ref`. If the
//!   repository doesn't have the commit, the install fails. Write it if your index knows it.
//! - `path` is the plugin's directory inside the repository, with `/` and without `..`. Without it, the plugin is the
//!   whole repository.
//!
//! # Providers
//!
//! A provider says what to tell an AI CLI so that it reaches an API. [`describe`](Provider::describe) lists presets: the
//! address for each API family, and whether a token is needed. [`plan`](Provider::plan) is called before every start and
//! returns an [`Intent`]: which API, which secret by its name, headers, and models by size. aiw turns the intent into
//! the variables, arguments and files of that CLI, so a plan need not know any CLI:
//!
//! ```
//! use aiw_extension::{Account, Error, Family, Intent, Preset, Provider, ProviderInfo, Target};
//!
//! /// The gateway of one team. It wants to know the team, and has its own names for models.
//! struct Gateway;
//!
//! impl Provider for Gateway {
//!     fn describe() -> ProviderInfo {
//!         ProviderInfo::new("Acme's gateway").preset(
//!             Preset::new("acme", "Acme's gateway")
//!                 .at(Family::Anthropic, "https://llm.acme.example")
//!                 .at(Family::Openai, "https://llm.acme.example/v1")
//!                 .token_page("https://llm.acme.example/keys")
//!                 .model("acme-large"),
//!         )
//!     }
//!
//!     fn plan(account: &Account, target: &Target) -> Result<Intent, Error> {
//!         let intent = Intent::new(account, target)?.needs_secret(account)?;
//!         Ok(intent.header("x-acme-team", "tools").medium_model("acme-medium").small_model("acme-mini"))
//!     }
//! }
//!
//! # #[cfg(any())]
//! aiw_extension::export_provider!(Gateway, manifest = "manifest.json");
//! #
//! # use aiw_extension::{Api, Auth};
//! # let preset = Gateway::describe().presets.remove(0);
//! # let account = Account { name: "acme".into(), preset: preset.id, base_urls: preset.base_urls, model: preset.model,
//! #     secrets: vec!["token".into()] };
//! # let claude = Target { cli: aiw_extension::Cli::Claude, version: None, speaks: vec![Api::Messages], model: None };
//! # let intent = Gateway::plan(&account, &claude)?;
//! # assert_eq!(intent.auth, Auth::Bearer("token".into()));
//! # assert_eq!((intent.headers.len(), intent.models.small.as_deref()), (1, Some("acme-mini")));
//! # Ok::<(), Error>(())
//! ```
//!
//! [`check`](Provider::check) and [`models`](Provider::models) ask the list of models that each API has at a known place.
//! [`Listing`] helps if the provider has it elsewhere.
//!
//! The host refuses an intent, and the CLI doesn't start, if the intent
//!
//! - names an API that the CLI doesn't speak, or that the account has no address for. An intent has no addresses: those
//!   are the user's or the preset's, and the user agrees to them when adding the provider;
//! - names a secret that the account doesn't have. An extension never sees the value of a secret: aiw inserts it, and
//!   only for the provider's own addresses;
//! - sets a header twice, or one that carries credentials or frames the message (`authorization`, `x-api-key`, `cookie`,
//!   `host`, …). [`Intent::secret`], [`Intent::as_api_key`] and [`Intent::in_header`] say how the secret is sent;
//! - has more than 16 headers or 8 notes;
//! - wants something that the CLI can't do, such as [`Quirks`] that it can't leave out.
//!
//! # Registries of MCP servers
//!
//! A registry finds MCP servers and says what each is: its packages and addresses, and what they must be given. aiw makes
//! the command from that, asks the user, and starts it; a registry never supplies a command line:
//!
//! ```
//! use aiw_extension::registry_source::{Argument, Input, Package, RegistryInfo, Server};
//! use aiw_extension::{Error, RegistrySource};
//!
//! /// The servers that one team maintains.
//! struct Tools;
//!
//! impl Tools {
//!     fn all() -> Vec<Server> {
//!         let ledger = Package::new("npm", "@acme/ledger-mcp", Some("1.4.0"))
//!             .argument(Argument::named("--team", Input::new("Your team").required()))
//!             .variable("LEDGER_TOKEN", Input::new("A token of the ledger").required().secret());
//!         vec![Server::new("acme/ledger", "1.4.0").description("Asks the ledger").package(ledger)]
//!     }
//! }
//!
//! impl RegistrySource for Tools {
//!     fn describe() -> RegistryInfo {
//!         RegistryInfo::new("Acme's tools", 10).name("acme/NAME", "acme/ledger")
//!     }
//!
//!     fn search(query: &str, limit: u32) -> Result<Vec<Server>, Error> {
//!         let found = Self::all().into_iter().filter(|server| server.name.contains(query));
//!         Ok(found.take(limit as usize).collect())
//!     }
//!
//!     fn server(name: &str, version: Option<&str>) -> Result<Server, Error> {
//!         let found = Self::all().into_iter().find(|server| server.name == name);
//!         let found = found.filter(|server| version.is_none_or(|version| server.version == version));
//!         found.ok_or_else(|| Error::not_found(format!("there is no server `{name}`")))
//!     }
//! }
//!
//! # #[cfg(any())]
//! aiw_extension::export_registry_source!(Tools, manifest = "manifest.json");
//!
//! assert_eq!(Tools::search("led", 10)?.len(), 1);
//! assert!(Tools::server("acme/ledger", Some("1.3.0")).is_err());
//! # Ok::<(), Error>(())
//! ```
//!
//! [`changes`](RegistrySource::changes) gives aiw a copy of the registry, so that a search needs no request. A registry
//! can also find its servers with a tool of one of the user's MCP servers ([`mcp`]), and rank them by meaning
//! ([`embeddings`], [`vectors`]).
//!
//! The secret that [`describe`](RegistrySource::describe) names is the user's. A header names it, and the host sends it
//! only to the hosts in the manifest. If the user has none, or the address is another, such a request is
//! [`Error::Denied`].
//!
//! The host leaves a server out of an answer if its name is not 1 to 200 of `A-Z a-z 0-9 . _ - / @`, if there are control
//! characters in a text that could become part of a command, or if it has more than 256 KiB. An answer holds at most 1,000
//! servers, and a cursor 2,048 bytes.
//!
//! # The manifest
//!
//! A crate has `crate-type = ["cdylib"]` and a `manifest.json` beside `Cargo.toml`:
//!
//! ```json
//! { "id": "notes", "version": "0.1.0", "label": "Notes team", "hosts": [], "origins": ["git:git.notes.example"], "settings": [] }
//! ```
//!
//! `hosts` are for [`http`], `origins` for [`trees`], `settings` for [`settings`]. A provider's own addresses need no
//! entry. An address on the user's machine or in a private network is reached only if the user typed it: as a
//! reference, as `--base-url`, or as the value of a setting that the manifest names.
//!
//! `cargo build --release --target wasm32-wasip2` then builds the component. The crate also compiles natively, so
//! that you can test pure functions, like `claim` and `plan`, with `cargo test`; functions that call the host panic
//! there. `aiw extension call FILE FUNCTION` calls one function of the component as aiw does, with recorded answers for
//! the network.
//!
//! # Rules
//!
//! - Each call runs in a fresh instance with 2 s of processor time, 64 MiB of memory, 200 requests, 8 started tasks and
//!   64 KiB of log.
//!   `describe`, `claim` and `plan` end after 5 s. Each call of a registry ends after 15 s, and makes 20 requests at most.
//! - `describe` and `claim` may call only [`log`]; `plan` may also call [`settings`], [`tasks::list`] and
//!   [`tasks::get`]. Any other call ends them.
//! - A request goes only to hosts that the manifest names and the user agreed to, over HTTPS. An update that asks for
//!   more needs the user's agreement again.
//! - What aiw itself reads, it reads first: `owner/repo`, paths, git URLs, URLs of a `marketplace.json`, and the standard
//!   forms of plugin sources are never an extension's.
//! - Users read the message of an [`Error`]: write one sentence without a period, with literals in backticks.

#![warn(missing_docs)]

mod error;
mod git;
mod intent;
mod listing;
mod market_source;
mod provider;
mod value;

pub mod http;
pub mod registry_source;
pub mod trees;

/// The generated bindings for [`export_market_source!`], and the types that all worlds share.
#[doc(hidden)]
pub mod __wit {
    wit_bindgen::generate!({
        path: "wit",
        world: "market-source-extension",
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
        world: "provider-extension",
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

/// The generated bindings for [`export_registry_source!`].
#[doc(hidden)]
pub mod __wit_registry {
    wit_bindgen::generate!({
        path: "wit",
        world: "registry-source-extension",
        pub_export_macro: true,
        export_macro_name: "__export_registry_source",
        default_bindings_module: "aiw_extension::__wit_registry",
        additional_derives: [PartialEq, Eq],
        additional_derives_ignore: ["vector-entry", "vector-hit"],
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

pub use __wit::aiw::plugin::http::{Method, Request, Response};
pub use __wit::aiw::plugin::trees::{GitOrigin, Item, ItemKind, Origin, Tree};
pub use __wit::aiw::plugin::types::{Cli, Error, Field, Header, ReferenceForm, Secret, Unavailability, Value};
pub use __wit::exports::aiw::plugin::market_source::{
    EntryRef, EntrySource, Manifests, OwnSource, Registration, Snapshot, SourceInfo,
};
pub use __wit_provider::exports::aiw::plugin::provider::{
    Account, Api, Auth, BaseUrl, Family, Health, Intent, KeyState, Model, Models, Need, Preset, ProviderInfo, Quirks,
    Target, Tuning,
};
pub use git::{GitMarket, is_ref};
pub use listing::Listing;
#[doc(hidden)]
pub use market_source::Exported as __ExportedMarketSource;
pub use market_source::{MarketSource, digest, market_document, plugin_manifests};
#[doc(hidden)]
pub use provider::Exported as __ExportedProvider;
pub use provider::Provider;
#[doc(hidden)]
pub use registry_source::Exported as __ExportedRegistrySource;
pub use registry_source::RegistrySource;

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

/// Texts as vectors, by the sentence model that the user chose. There may be none.
pub mod embeddings {
    pub use crate::__wit_registry::aiw::plugin::embeddings::{ModelState, SentenceModel};
    use crate::Error;

    /// Returns the model, or why there is none.
    pub fn state() -> ModelState {
        crate::__wit_registry::aiw::plugin::embeddings::state()
    }

    /// Returns a vector of length 1 for each text: at most 256 texts, 1 MiB in total.
    pub fn embed(texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        crate::__wit_registry::aiw::plugin::embeddings::embed(texts)
    }
}

/// Collections of vectors, private to this extension. The manifest must name them (`collections`).
pub mod vectors {
    pub use crate::__wit_registry::aiw::plugin::vectors::{
        VectorEntry, VectorHit, clear, count, delete, get, search, upsert,
    };
}

/// The tools of the user's MCP servers that the manifest names: `"mcp": ["time/*", "notes/delete_note"]`.
pub mod mcp {
    pub use crate::__wit_registry::aiw::plugin::mcp::{FinishedCall, McpResult, McpTool};
    use crate::Error;

    /// Returns the tools that this extension may call, as far as they are known without starting a server.
    pub fn list() -> Result<Vec<McpTool>, Error> {
        crate::__wit_registry::aiw::plugin::mcp::list()
    }

    /// Calls a tool with arguments, a JSON object. A pattern with `*` does not cover a tool that may destroy
    /// something: the manifest must name it.
    pub fn call(server: &str, tool: &str, arguments: &str) -> Result<McpResult, Error> {
        crate::__wit_registry::aiw::plugin::mcp::call(server, tool, arguments)
    }

    /// Starts a call without waiting for its result, and returns a number for it. At most 8 may be under way.
    pub fn start_call(server: &str, tool: &str, arguments: &str) -> Result<u32, Error> {
        crate::__wit_registry::aiw::plugin::mcp::start_call(server, tool, arguments)
    }

    /// Waits for the first of the started calls to end. `None` if none is under way. A call that is under way when the
    /// extension returns is cancelled.
    pub fn next_result() -> Option<FinishedCall> {
        crate::__wit_registry::aiw::plugin::mcp::next_result()
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

/// The tasks of the user's session: AI CLIs that aiw runs and supervises. A plan can see them, but can't wait for
/// them.
pub mod tasks {
    use std::time::Duration;

    use crate::__wit_provider::aiw::plugin::tasks;
    pub use crate::__wit_provider::aiw::plugin::tasks::{Outcome, State, Task};
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
}

/// Starting tasks. An extension that uses this module asks the user to agree to it. A plan can't start tasks.
pub mod task_starts {
    pub use crate::__wit_provider::aiw::plugin::task_starts::{StartRequest, start};
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
            type AiwExported = $crate::__ExportedMarketSource<$source>;
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

/// Makes the crate an extension: exports a [`RegistrySource`] and writes the manifest into the component, like
/// [`export_market_source!`].
///
/// ```ignore
/// aiw_extension::export_registry_source!(Acme, manifest = "manifest.json");
/// ```
#[macro_export]
macro_rules! export_registry_source {
    ($registry:ty, manifest = $manifest:literal) => {
        const _: () = {
            type AiwExported = $crate::__ExportedRegistrySource<$registry>;
            $crate::__manifest!($manifest);
            #[cfg(target_family = "wasm")]
            $crate::__wit_registry::__export_registry_source! { AiwExported with_types_in $crate::__wit_registry }
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
