//! Declared MCP servers: what a declaration may contain, where declarations are, who owns a key of `mcp.json`, and
//! what `${VAR}` in them means.
//!
//! Nothing is started here.

mod add;
mod declaration;
mod file;
mod keys;
mod names;
mod owners;
mod scopes;
mod substitute;
mod transport;
mod watch;

pub use add::{AddError, add, check_free, check_name, entry_value, servers_with, unused_secrets};
pub use declaration::{
    Collected, DeclarationSource, DeclaredServer, MAX_PROJECT_FILE, MAX_SERVERS, PROJECT_FILE, declared, in_file,
    is_same, server, visible_json,
};
pub use file::McpFile;
pub use keys::{Keys, SecretFields, find_plaintext_secret, is_key, names_secret};
pub use names::{is_own_name, safe, safe_keys, unique};
pub use owners::{KeyClaim, KeyOwner, OwnedKey, Refreshed, Released};
pub use scopes::{ScopedServer, ServerScope};
pub use substitute::{
    Absent, PLUGIN_DATA, PLUGIN_ROOT, Reads, Replacement, ValueLookup, Values, expand, option_variable, placeholders,
    reads, secret_reference,
};
pub use transport::Transport;
pub use watch::{FileWatch, WatchError};
