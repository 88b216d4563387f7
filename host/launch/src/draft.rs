//! A run that is being put together.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use aiw_core::CliKind;
use aiw_home::Home;
use serde_json::Value;

use crate::environment::Environment;
use crate::overlay;

/// What will be started, step by step.
pub(crate) struct Draft {
    pub(crate) home: Home,
    /// The provider's name; [`aiw_home::OWN`] without one.
    pub(crate) provider: String,
    /// Where the CLI works; absolute, without links.
    pub(crate) cwd: PathBuf,
    /// A configuration directory of its own.
    pub(crate) isolated: bool,
    pub(crate) environment: Environment,
    /// Settings over the user's own, in the CLI's own form.
    pub(crate) settings: Option<Value>,
    /// Before the user's own.
    pub(crate) arguments: Vec<OsString>,
    /// Sentences for the user.
    pub(crate) notes: Vec<String>,
    /// Variables that send the CLI to the provider: nobody else sets them.
    pub(crate) set: BTreeSet<String>,
    /// Variables of the user's own that could compete with those: taken away or emptied.
    pub(crate) cleared: BTreeSet<String>,
    /// Variables for this CLI alone, not for those that it starts.
    pub(crate) own: BTreeSet<String>,
    /// What is masked in all that a task writes.
    pub(crate) secrets: Vec<Vec<u8>>,
}

impl Draft {
    /// The configuration directory of a CLI's own.
    pub(crate) fn isolated_dir(&self, cli: CliKind) -> PathBuf {
        self.home.root().join("isolated").join(cli.as_str())
    }

    /// Sends the CLI to the provider by a variable.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.set(name, value);
        self.cleared.remove(name);
        self.set.insert(name.to_owned());
    }

    /// Takes a variable away that could compete.
    pub(crate) fn unset(&mut self, name: &str) {
        self.environment.unset(name);
        self.cleared.insert(name.to_owned());
    }

    /// Empties it: for a CLI that fills in what is not there.
    pub(crate) fn empty(&mut self, name: &str) {
        self.environment.set(name, "");
        self.cleared.insert(name.to_owned());
    }

    /// A variable that a user gave for the run or the provider; it beats what was cleared.
    pub(crate) fn give(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.set(name, value);
        self.cleared.remove(name);
    }

    /// Puts settings over those that are there.
    pub(crate) fn put_over(&mut self, settings: Value) {
        let below = self.settings.take().unwrap_or_else(|| Value::Object(Default::default()));
        self.settings = Some(overlay::merge(below, settings));
    }

    /// Puts settings beneath those that are there.
    pub(crate) fn put_beneath(&mut self, settings: Value) {
        let over = self.settings.take().unwrap_or_else(|| Value::Object(Default::default()));
        self.settings = Some(overlay::merge(settings, over));
    }
}
