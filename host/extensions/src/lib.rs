//! What a component says about itself and what it is allowed to do: manifests, imports and grants.
//!
//! This crate is pure: bytes in, facts out. `aiw-wasm` runs components, and `aiw-home` keeps the lock file.
//!
//! ```no_run
//! let bytes = std::fs::read("acme.wasm").unwrap();
//! let about = aiw_extensions::inspect(&bytes).unwrap();
//! println!("{} offers {:?}", about.manifest.id, about.worlds);
//! ```

mod error;
mod grants;
mod inspect;
mod manifest;
mod structure;
mod tools;

pub use error::{ExtensionError, MAX_COMPONENT_BYTES, MAX_PARTS};
pub use grants::{Capability, CapabilityKind, Grants};
pub use inspect::{ComponentFacts, World, inspect, sha256_hex};
pub use manifest::{Manifest, is_lower_version};
pub use tools::ToolPattern;

/// The version of `aiw:plugin` that this aiw offers.
pub const CONTRACT: (u32, u32, u32) = (0, 1, 0);

/// The host interfaces of [`CONTRACT`], with a description for people of what each lets a component do.
pub const INTERFACES: [(&str, &str); 12] = [
    ("types", "share the words of the contract"),
    ("http", "read from the hosts it names, and send to them, over HTTPS"),
    ("trees", "read git repositories and directories of the origins it names"),
    ("cache", "store up to 16 MiB that may be dropped"),
    ("settings", "read its own settings"),
    ("log", "write lines to the log"),
    ("clock", "tell the time"),
    ("tasks", "see the tasks of your session"),
    ("task-starts", "start tasks in your session"),
    ("embeddings", "turn texts into vectors with your sentence model"),
    ("vectors", "keep vectors in the collections it names"),
    ("mcp", "list and call the tools of your MCP servers that it names"),
];
