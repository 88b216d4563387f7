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
    Collected, Declared, DeclaredServer, MAX_PROJECT_FILE, MAX_SERVERS, PROJECT_FILE, declared, in_file, is_same,
    server, visible_json,
};
pub use file::McpFile;
pub use keys::{Keys, SecretFields, is_key, left_in_clear, names_secret};
pub use names::{is_own_name, safe, safe_keys, unique};
pub use owners::{Claim, Clash, OwnedKey, Refreshed, Released};
pub use scopes::{ScopedServer, ServerScope};
pub use substitute::{
    Absent, Given, PLUGIN_DATA, PLUGIN_ROOT, Reads, ValueLookup, Values, expand, option_variable, placeholders, reads,
    secret_reference,
};
pub use transport::Transport;
pub use watch::{FileWatch, WatchError};
