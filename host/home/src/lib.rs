//! `~/.aiw` and its relatives: paths, where AI CLIs keep their files, documents, atomic replacement, locks, caches; and JSON and TOML of other tools.
//!
//! Every document under the home is read and written here. The rooms above define what its fields mean. Not for the
//! network, and not for what a plugin is.
//!
//! ```no_run
//! # fn main() -> Result<(), aiw_home::HomeError> {
//! let home = aiw_home::Home::find(aiw_home::ExecutionContext::from_process())?;
//! let lock = home.lock()?;
//! let mut mcp = home.mcp()?;
//! mcp.set(&["mcpServers", "time"], &serde_json::json!({"command": "uvx", "args": ["mcp-server-time"]}))?;
//! mcp.save(&lock)?;
//! # Ok(()) }
//! ```

mod blocking;
mod bundles;
mod cache;
mod child;
mod clis;
mod config_tree;
mod context;
mod document;
mod documents;
mod encryption;
mod entry;
mod error;
mod files;
mod health;
mod installed;
mod journal;
pub mod json;
mod jsonc;
mod lock;
mod lockfile;
mod models;
mod nofollow;
mod old;
mod paths;
mod places;
mod positions;
mod project;
mod providers;
mod registries;
mod secret_names;
mod settings;
mod splice;
mod sweep;
mod time;
mod token;
mod toml;
mod vault;
mod workflows;
pub mod yaml;

pub use blocking::blocking;
pub use bundles::BundleUse;
pub use cache::Cache;
pub use child::ChildGroup;
pub use clis::{CLAUDE_AGENTS, CLAUDE_LOCAL_SETTINGS, CLAUDE_RUNNING, CliFiles, CliPaths, PLACES, RedirectedHome};
pub use config_tree::ConfigTree;
pub use context::ExecutionContext;
pub use document::Document;
pub use documents::{KEPT_PATHS, StatePath, SymlinkPolicy, Travels};
pub use encryption::SealKey;
pub use error::{HomeError, edits, puts_aside, remedy_of_io};
#[cfg(unix)]
pub use files::FileStamp;
pub use files::{
    Mode, check_own, check_writable, created, find_program, first_free, inherit_owner, is_program, make_private_dir,
    open_owned, open_plain, publish_dir, read_capped, remove_tree, replace, replace_with,
};
pub use health::Problem;
pub use installed::{AddedServer, InstalledPlugin, Plugins, ServerKey};
pub use jsonc::Jsonc;
pub use lock::{ExclusiveLock, Lock, LockWait, hold, is_held, lock_holder, lock_within, say_lock_waits};
pub use lockfile::{ExtensionsLock, LockedExtension};
pub use models::{LockedFile, LockedModel, ModelsLock, is_model_name};
pub use nofollow::{OpenDir, nearest, open_dir_nofollow, read_nofollow, read_nofollow_beside};
pub use old::OldPlugins;
pub use paths::{HISTORY_VARIABLE, Home, TASK_VARIABLE, TrialDir};
pub use places::{
    OpenDirectory, create_new, log_line, nofollow_path, open_append, own_directory, read_dir, remove_file, rename,
};
pub use positions::{file_position, position_line, whole_length};
pub use project::{Project, TrustedProject};
pub use providers::{
    CLI_LOGIN_NAME, Migration, ModelFor, PoolMember, PoolOrder, Provider, ProviderPool, ProviderProblem, ProvidersFile,
    SecretRef, TextOrSecret, base_url, check_header, new_provider_id, origin, providers_schema,
};
pub use registries::{InstalledServer, RegistryChoice, RegistryLock, RegistrySettings, registry_id};
pub use secret_names::secret_names;
pub use settings::{
    Budget, BudgetLimit, BudgetPeriod, CiHostSettings, CiSettings, CliSettings, FileTrust, GoogleSettings,
    HealthSettings, HistorySettings, ListSettings, MarketSettings, McpSettings, ModelLimits, ModelPrice,
    PlannerApiName, PlannerHost, PlannerSettings, PluginSettings, ProfileSettings, ServerSettings, Settings,
    SourceSettings, SyncSettings, TaskSettings, TrustSettings, UnknownKey, UpdateSettings, ollama_host,
};
pub use time::{
    Timestamp, format_rfc3339, local_hour, millis_of_http, now_millis, now_rfc3339, parse_rfc3339, rfc3339,
};
pub use toml::Toml;
pub use vault::{MAX_SECRET_BYTES, Vault, VaultError};
pub use workflows::{ApprovedWorkflow, WorkflowsLock};
