//! Types that every room shares: names that are always valid, error kinds, printable text, what a verb asks and tells.
//!
//! Not for I/O or anything that knows a file format.
//!
//! ```
//! use aiw_core::PluginId;
//! let id: PluginId = "github@claude-plugins-official".parse().unwrap();
//! assert_eq!(id.market.as_str(), "claude-plugins-official");
//! ```

mod address;
mod api;
mod cli_kind;
mod diagnostic;
mod error_kind;
mod hidden;
mod json;
mod looks;
mod market;
mod names;
mod path;
mod process;
mod prompt;
pub mod provider;
mod quote;
mod reference;
pub mod registry;
mod rewind;
mod secret;
mod string_enum;
mod text;
mod time;
mod variables;

pub use address::{is_internal, is_loopback, is_public};
pub use api::{Api, Family};
pub use cli_kind::CliKind;
pub use diagnostic::Diagnostic;
pub use error_kind::ErrorKind;
pub use hidden::{is_safe, is_unsafe, is_unsafe_at, is_unsafe_in_line, unsafe_chars};
pub use json::{from_foreign_json, unpaired_surrogates, well_formed_json};
pub use looks::{fold_homoglyphs, is_confusable, skeleton};
pub use market::MarketKind;
pub use names::{
    EnvName, ExtensionId, GatewayName, HeaderName, InvalidName, MarketName, PluginId, PluginName, ProviderName,
    RoleName, SecretName, Sha, SnapshotName, SourceWord, WorkflowName, is_git_ref, is_valid_model_name,
};
pub use path::{InvalidPath, RelPath, is_windows_device};
pub use process::{ProcessId, ProcessOutcome, ProcessState};
pub use prompt::{
    BrowserStep, Choice, Effect, NonInteractive, Plan, PromptError, Prompter, Question, RecordingReporter, ReportEvent,
    Reporter,
};
pub use quote::{QuotedText, collapse_blanks, frame_line, quote_line, quote_lines, to_visible_line};
pub use reference::ReferenceForm;
pub use rewind::Rewind;
pub use secret::{
    Secret, is_credential, is_path_value, is_revision, is_secret, is_secret_name, is_secret_token, is_secret_value,
    is_setting, redact_echoed_values,
};
pub use text::{
    closest, did_you_mean, hex, is_close, mask_url_secrets, matches_wildcard, one_line, pluralize, printable, quoted,
    quoted_list, quoted_text, random_hex, shell_quote, shell_quote_printable, shell_words, toml_string, without_query,
};
pub use time::{now_seconds, unix_millis};
pub use variables::is_code_loading;
