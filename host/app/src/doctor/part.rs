//! A part that was looked at.

use aiw_home::FoundProblem;
use schemars::JsonSchema;
use serde::Serialize;

/// A part of aiw in `aiw doctor`
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckedPart {
    /// `home`, `clis`, `providers`, `budgets`, `processes`, `mcp`, `workflows`, `installed`, `models`, `history` or `sync`
    pub name: &'static str,
    /// A summary, in a few words
    pub summary: String,
    /// The problems
    pub problems: Vec<FoundProblem>,
}

impl CheckedPart {
    /// Returns a part whose document can't be read: the home's part tells why.
    pub(super) fn told(name: &'static str) -> Self {
        Self { name, summary: "can't be read".to_owned(), problems: Vec::new() }
    }

    pub(super) fn unread(name: &'static str, problem: FoundProblem) -> Self {
        Self { name, summary: "can't be read".to_owned(), problems: vec![problem] }
    }
}
