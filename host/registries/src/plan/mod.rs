//! From a row of a registry to an entry of `mcp.json`: the ways to run a server, what each asks for, and the entry that the
//! answers make. Pure, except for [`Bundle::unpack`]; nothing is started or downloaded.
//!
//! A row is foreign. Each word of a command is either aiw's own, a checked name with its version, an argument of the row
//! or one answer; the words are a list and never pass a shell. Secrets are in the environment or in headers, as references
//! to the vault.
//!
//! Decisions, where rows and the schema leave room:
//!
//! - The first way is the default. Remotes come first, because nothing of theirs runs on this machine; then packages, in
//!   the publisher's order; what can't be used is last.
//! - `--flag=value` is one argument, as the schema has it: a value can't become an option. A short flag and its value are
//!   two.
//! - A named argument without a value is asked for if the row says anything about it, and is a bare flag otherwise. An
//!   empty answer gives the flag alone. `format: boolean` gives the bare flag for `true` and nothing for `false`, unless
//!   it is on by default.
//! - An argument, a variable or a header is there as a whole or not at all: if one place in it has no answer, it is left out.
//! - What can't be passed is left out, with a note, if it is left to the person and not required. What has a value of its own
//!   is a part of the publisher's command: then the way is refused.
//! - `{x}` is the same question wherever it is. If nothing declares it, it is asked for where it is required or secret.
//! - There is no escape for `${` in `mcp.json`, so a row that fixes one is refused.

mod answer;
mod builder;
mod bundle;
mod command;
mod docker;
mod entry;
mod error;
mod inputs;
mod method;
mod methods;
mod names;
mod passed;
mod remote;
mod runners;
mod runtime;
#[cfg(test)]
pub(crate) mod tests;

pub use bundle::{Bundle, BundleError, MAX_BUNDLE_BYTES, TargetMachine};
pub use entry::{EntryPlan, EntryValues, plan_entry};
pub use error::{EntryPlanError, Note, UnsupportedReason};
pub use method::{InstallMethod, MethodKind, install_hint};
pub use methods::install_methods;
pub(crate) use names::split_image;
