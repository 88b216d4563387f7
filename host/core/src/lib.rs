//! The words that every room shares: names that cannot be wrong, error kinds, printable text.
//!
//! Not for I/O, async or anything that knows a file format.
//!
//! ```
//! use aiw_core::PluginId;
//! let id: PluginId = "github@claude-plugins-official".parse().unwrap();
//! assert_eq!(id.market.as_str(), "claude-plugins-official");
//! ```

mod cli_kind;
mod error_kind;
mod family;
mod names;
mod path;
pub mod provider;
mod secret;
mod task;
mod text;

pub use cli_kind::CliKind;
pub use error_kind::ErrorKind;
pub use family::Family;
pub use names::{
    EnvName, ExtensionId, InvalidName, MarketName, PluginId, PluginName, ProviderName, RoleName, SecretName, Sha,
    is_git_ref, is_model,
};
pub use path::{InvalidPath, RelPath, is_windows_device};
pub use secret::{Secret, is_secret_name};
pub use task::{TaskId, TaskOutcome, TaskState};
pub use text::{hex, one_line, printable, without_query};
