//! What the readers of these files share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aiw_core::one_line;

use crate::definition::EnvValue;
use crate::file::Definitions;

/// A file of another tool, as it was read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Foreign {
    pub(super) definitions: Definitions,
    /// The parts that are left out and why, a sentence each.
    pub(super) left_out: Vec<String>,
}

impl Foreign {
    /// Notes that something of a process is left out.
    pub(super) fn leave(&mut self, id: &str, what: &str, why: &str) {
        self.left_out.push(one_line(&format!("`{id}`: {what} is left out: {why}"), 300));
    }
}

/// The surroundings of a file that its reader needs.
pub(super) struct Beside {
    /// The variables of the `.env` beside the file.
    pub(super) variables: BTreeMap<String, String>,
    /// The path of this `.env` from the project's directory on, if it is there and in the project.
    pub(super) env_file: Option<String>,
    /// The directory of the file, from the project's directory on.
    pub(super) directory: PathBuf,
}

impl Beside {
    /// Returns a path that is written from the file's directory on, as it is from the project's directory on.
    pub(super) fn path(&self, path: &str) -> String {
        let path = Path::new(path.strip_prefix("./").unwrap_or(path));
        let joined = self.directory.join(path);
        let text = joined.to_string_lossy();
        if text.is_empty() || text == "." { ".".into() } else { text.into_owned() }
    }
}

/// Returns variables as a definition has them.
pub(super) fn literal(variables: BTreeMap<String, String>) -> BTreeMap<String, EnvValue> {
    variables.into_iter().map(|(name, value)| (name, EnvValue::Literal(value))).collect()
}
