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
mod secret;
mod string_enum;
mod text;
mod time;
mod variables;

pub use address::{is_inner, is_loopback, is_public};
pub use api::{Api, Family};
pub use cli_kind::CliKind;
pub use diagnostic::Diagnostic;
pub use error_kind::ErrorKind;
pub use hidden::{is_safe, is_unsafe, is_unsafe_at, is_unsafe_in_line, unsafe_chars};
pub use json::{from_foreign_json, unpaired_surrogates, well_formed_json};
pub use looks::{is_alike, latin_letters, skeleton};
pub use market::MarketKind;
pub use names::{
    EnvName, ExtensionId, GatewayName, HeaderName, InvalidName, MarketName, PluginId, PluginName, ProviderName,
    RoleName, SecretName, Sha, SnapshotName, SourceWord, WorkflowName, is_git_ref, is_model,
};
pub use path::{InvalidPath, RelPath, is_windows_device};
pub use process::{ProcessId, ProcessOutcome, ProcessState};
pub use prompt::{
    BrowserStep, Choice, Effect, NonInteractive, Plan, PromptError, Prompter, Question, RecordingReporter, ReportEvent,
    Reporter,
};
pub use quote::{QuotedText, collapse_blanks, framed_line, quote_line, quote_lines, visible};
pub use reference::ReferenceForm;
pub use secret::{
    Secret, is_key_value, is_path_value, is_revision, is_secret, is_secret_name, is_secret_value, is_setting,
    without_echoes,
};
pub use text::{
    closest, counted, did_you_mean, hex, is_close, one_line, printable, quoted, quoted_list, quoted_text, random_hex,
    shell_word, shell_word_in_line, shell_words, star_matches, toml_string, without_keys_in_urls, without_query,
};
pub use time::{millis_since_1970, now_seconds};
pub use variables::names_code;
