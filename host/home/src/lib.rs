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

pub use blocking::run_blocking;
pub use bundles::BundleGuard;
pub use cache::Cache;
pub use child::ChildGroup;
pub use clis::{
    CLAUDE_AGENTS, CLAUDE_LOCAL_SETTINGS, CLAUDE_SESSIONS_DIR, CliFiles, CliPaths, INHERITED_VARIABLES, RedirectedHome,
};
pub use config_tree::ConfigTree;
pub use context::ExecutionContext;
pub use document::Document;
pub use documents::{STATE_PATHS, StatePath, SymlinkPolicy, SyncPolicy};
pub use encryption::SealKey;
pub use error::{HomeError, edit_command, io_fix_command, move_aside_command};
#[cfg(unix)]
pub use files::FileStamp;
pub use files::{
    Mode, check_permissions, check_writable, creation_time, find_program, first_free, inherit_owner, is_program,
    make_private_dir, open_owned, open_regular, publish_dir, read_capped, remove_tree, replace, replace_with,
};
pub use health::Problem;
pub use installed::{AddedServer, InstalledPlugin, Plugins, ServerKey};
pub use jsonc::Jsonc;
pub use lock::{ExclusiveLock, Lock, LockWait, is_held, lock_holder, set_lock_wait_handler, try_lock, try_lock_for};
pub use lockfile::{ExtensionsLock, LockedExtension};
pub use models::{LockedFile, LockedModel, ModelsLock, is_model_name};
pub use nofollow::{OpenDir, find_in_ancestors, open_dir_nofollow, read_nofollow, read_nofollow_with_dir};
pub use old::PluginMigration;
pub use paths::{HISTORY_VARIABLE, Home, TASK_VARIABLE, TrialDir};
pub use places::{
    OpenDirectory, create_new, log_line, nofollow_path, open_append, read_dir, register_state_root, remove_file, rename,
};
pub use positions::{complete_lines_len, file_position, position_line};
pub use project::{Project, TrustedProject};
pub use providers::{
    CLI_LOGIN_NAME, Migration, ModelRole, PoolMember, PoolStrategy, Provider, ProviderPool, ProviderProblem,
    ProvidersFile, SecretRef, TextOrSecret, base_url, check_header, new_provider_id, origin, providers_schema,
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
    Timestamp, format_rfc3339, local_hour, now_millis, now_rfc3339, parse_http_date, parse_rfc3339, rfc3339,
};
pub use toml::Toml;
pub use vault::{MAX_SECRET_BYTES, Vault, VaultError};
pub use workflows::{ApprovedWorkflow, WorkflowsLock};
