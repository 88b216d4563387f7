//! A part that was looked at.

use std::path::Path;

use aiw_home::{Home, Problem};
use schemars::JsonSchema;
use serde::Serialize;

use crate::directory;

/// A part of aiw in `aiw doctor`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckedPart {
    /// `aiw`, `home`, `clis`, `clients`, `providers`, `budgets`, `tasks`, `processes`, `mcp`, `trust`, `workflows`, `installed`, `models`, `history` or `sync`
    pub name: &'static str,
    /// A summary, in a few words
    pub summary: String,
    /// The problems
    pub problems: Vec<Problem>,
}

impl CheckedPart {
    /// Returns a part whose document can't be read: the home's part tells why.
    pub(super) fn already_reported(name: &'static str) -> Self {
        Self { name, summary: "can't be read".to_owned(), problems: Vec::new() }
    }

    pub(super) fn unreadable(name: &'static str, problem: Problem) -> Self {
        Self { name, summary: "can't be read".to_owned(), problems: vec![problem] }
    }
}

/// Returns the current directory, or the part that can't be looked at without one.
pub(super) fn current_dir<'a>(home: &'a Home, name: &'static str) -> Result<&'a Path, CheckedPart> {
    directory(home).map_err(|e| CheckedPart::unreadable(name, Problem::from_diagnostic(&e, "cd")))
}
