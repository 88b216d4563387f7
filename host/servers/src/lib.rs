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

pub use add::{AddError, add, check_name, check_name_available, entry_value, servers_using_secret, unused_secrets};
pub use declaration::{
    DeclarationSource, DeclaredServer, DeclaredServers, MAX_PROJECT_FILE_BYTES, MAX_SERVERS, PROJECT_FILE,
    is_same_server, parse_server, parse_servers_file, parse_source, visible_json,
};
pub use file::McpFile;
pub use keys::{SecretExtractor, SecretFields, find_plaintext_secret, is_secret_variable};
pub use names::{is_reserved_name, safe_keys, sanitize_name, unique_key};
pub use owners::{KeyClaim, KeyOwner, OwnedKey, RefreshOutcome, ReleaseOutcome};
pub use scopes::{ScopedServer, ServerScope};
pub use substitute::{
    MissingValues, PLUGIN_DATA, PLUGIN_ROOT, ReferencedNames, Replacement, ValueLookup, Values, expand,
    option_variable, placeholders, referenced_names, secret_reference,
};
pub use transport::Transport;
pub use watch::{FileWatch, WatchError};
