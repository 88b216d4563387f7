//! A run that is being put together.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use aiw_core::CliKind;
use aiw_home::Home;
use serde_json::Value;

use crate::environment::Environment;
use crate::overlay;

/// What a project forbids in its CLI's settings, in the CLI's own form: rules for tools that are refused, and for those that
/// are asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Restrictions {
    pub(crate) deny: Vec<String>,
    pub(crate) ask: Vec<String>,
}

impl Restrictions {
    /// Returns whether nothing is forbidden.
    pub(crate) fn is_empty(&self) -> bool {
        self.deny.is_empty() && self.ask.is_empty()
    }
}

/// A run that will be started, built step by step.
pub(crate) struct RunBuilder {
    pub(crate) home: Home,
    /// The provider's name, or [`aiw_home::OWN`] without a provider.
    pub(crate) provider: String,
    /// The working directory of the CLI, absolute and without links.
    pub(crate) cwd: PathBuf,
    /// Whether the CLI gets a separate configuration directory.
    pub(crate) isolated: bool,
    pub(crate) environment: Environment,
    /// Settings that override the user's own, in the CLI's own form.
    pub(crate) settings: Option<Value>,
    /// The user's own MCP servers that the CLI would leave out together with the project's.
    pub(crate) servers: Option<Value>,
    /// What the project forbids, which counts even where nothing else of the project does.
    pub(crate) restrictions: Restrictions,
    /// The arguments before the user's own.
    pub(crate) arguments: Vec<OsString>,
    /// Sentences for the user.
    pub(crate) notes: Vec<String>,
    /// Variables that send the CLI to the provider. They can't be set in any other way.
    pub(crate) provider_variables: BTreeSet<String>,
    /// The user's own variables that could compete with those. They were removed or emptied.
    pub(crate) cleared_variables: BTreeSet<String>,
    /// Variables with the keys of providers, which the CLI does not get.
    pub(crate) withheld_variables: BTreeSet<String>,
    /// Variables for this CLI alone, not for CLIs that it starts.
    pub(crate) non_inherited_variables: BTreeSet<String>,
    /// The byte strings to mask in everything a task writes.
    pub(crate) secrets: Vec<Vec<u8>>,
}

impl RunBuilder {
    /// Returns the separate configuration directory of a CLI.
    pub(crate) fn isolated_dir(&self, cli: CliKind) -> PathBuf {
        self.home.isolated_dir(cli)
    }

    /// Sets a variable that sends the CLI to the provider.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.set(name, value);
        self.cleared_variables.remove(name);
        self.provider_variables.insert(name.to_owned());
    }

    /// Removes a variable that could compete.
    pub(crate) fn unset(&mut self, name: &str) {
        self.environment.unset(name);
        self.cleared_variables.insert(name.to_owned());
    }

    /// Empties a variable that could compete, for a CLI that fills in missing variables.
    pub(crate) fn set_empty(&mut self, name: &str) {
        self.environment.set(name, "");
        self.cleared_variables.insert(name.to_owned());
    }

    /// Sets a variable that a user gave for the run or the provider. It takes precedence over cleared variables.
    pub(crate) fn set_user_variable(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.set(name, value);
        self.cleared_variables.remove(name);
    }

    /// Merges settings on top of the existing ones.
    pub(crate) fn override_settings(&mut self, settings: Value) {
        let below = self.settings.take().unwrap_or_else(|| Value::Object(Default::default()));
        self.settings = Some(overlay::merge(below, settings));
    }

    /// Merges settings below the existing ones.
    pub(crate) fn add_default_settings(&mut self, settings: Value) {
        let over = self.settings.take().unwrap_or_else(|| Value::Object(Default::default()));
        self.settings = Some(overlay::merge(settings, over));
    }
}
