//! AI CLIs and roles as programs see them.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{DetectedCli, Role, RoleEntry, install_command};

/// An AI CLI in a list.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CliSummary {
    /// `claude`, `codex` or `gemini`
    pub kind: &'static str,
    /// Where it was found in PATH
    pub path: Option<String>,
    /// Its version
    pub version: Option<String>,
    /// How it was installed: `npm`, `native`, …
    pub install: Option<&'static str>,
    /// Whether it was found
    pub available: bool,
}

impl CliSummary {
    /// Returns the fields of lists for an AI CLI.
    pub fn new(cli: &DetectedCli) -> Self {
        Self {
            kind: cli.kind.as_str(),
            path: cli.path.as_deref().map(text),
            version: cli.version.clone(),
            install: cli.install.map(|install| install.as_str()),
            available: cli.path.is_some(),
        }
    }
}

/// An AI CLI with all that is known.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CliDetails {
    /// The fields of lists.
    #[serde(flatten)]
    pub summary: CliSummary,
    /// The file behind the links
    pub real_path: Option<String>,
    /// The command that installs it
    pub install_command: String,
}

impl CliDetails {
    /// All that is known of an AI CLI.
    pub fn new(cli: &DetectedCli) -> Self {
        Self {
            summary: CliSummary::new(cli),
            real_path: cli.real_path.as_deref().map(text),
            install_command: install_command(cli.kind),
        }
    }
}

/// A role in a list.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoleSummary {
    /// Its name
    pub name: String,
    /// Its purpose
    pub description: Option<String>,
    /// The owner of the file
    #[schemars(extend("enum" = ["aiw", "project", "user"]))]
    pub source: &'static str,
    /// The file
    pub path: String,
    /// Its size
    pub bytes: u64,
    /// Why it can't be used
    pub problem: Option<String>,
    /// The file that comes first
    pub shadowed_by: Option<String>,
    /// Whether it may be used: false for a project that you don't trust
    pub trusted: bool,
}

impl RoleSummary {
    /// Returns the fields of lists for a role.
    pub fn new(listed: &RoleEntry) -> Self {
        Self {
            name: listed.name.clone(),
            description: listed.description.clone(),
            source: listed.source.as_str(),
            path: text(&listed.path),
            bytes: listed.bytes,
            problem: listed.problem.as_ref().map(ToString::to_string),
            shadowed_by: listed.shadowed_by.as_deref().map(text),
            trusted: listed.trusted,
        }
    }

    /// Returns the fields of lists for a role that can be used.
    pub fn from_role(role: &Role) -> Self {
        Self {
            name: role.name.to_string(),
            description: Some(role.description.clone()),
            source: role.source.as_str(),
            path: text(&role.path),
            bytes: role.bytes,
            problem: None,
            shadowed_by: None,
            trusted: role.trusted,
        }
    }
}

/// A role with its text.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoleDetails {
    /// The fields of lists.
    #[serde(flatten)]
    pub summary: RoleSummary,
    /// The instructions
    pub content: String,
}

impl RoleDetails {
    /// A role with its text.
    pub fn new(role: &Role) -> Self {
        Self { summary: RoleSummary::from_role(role), content: role.content.clone() }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
