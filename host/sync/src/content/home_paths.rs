//! The user's home in values: a path in it is another one on each machine.

use std::path::{MAIN_SEPARATOR, Path};

/// Stands for the home.
const HOME_PLACEHOLDER: &str = "${aiw:home}";

/// Stands before a value that looks like one of aiw's own, and is the user's.
const LITERAL_PLACEHOLDER: &str = "${aiw:literal}";

/// How values of aiw's own begin.
const PLACEHOLDER_PREFIX: &str = "${aiw:";

/// The home of this machine, in values.
pub(super) struct HomePaths {
    home: Option<String>,
}

impl HomePaths {
    pub(super) fn new(home: &Path) -> Self {
        let home = home.to_str().filter(|_| home.is_absolute());
        Self { home: home.map(|home| home.trim_end_matches(['/', MAIN_SEPARATOR]).to_owned()) }
    }

    /// The value that travels, if it is another one.
    pub(super) fn replace_home(&self, text: &str) -> Option<String> {
        if text.starts_with(PLACEHOLDER_PREFIX) {
            return Some(format!("{LITERAL_PLACEHOLDER}{text}"));
        }
        // A home that is the root says nothing about a path.
        let home = self.home.as_ref().filter(|home| !home.is_empty())?;
        let rest = text.strip_prefix(home.as_str()).filter(|rest| is_end(rest))?;
        Some(format!("{HOME_PLACEHOLDER}{rest}"))
    }

    /// The value on this machine, if it is another one.
    pub(super) fn expand_home(&self, text: &str) -> Result<Option<String>, String> {
        if let Some(text) = text.strip_prefix(LITERAL_PLACEHOLDER).filter(|rest| rest.starts_with(PLACEHOLDER_PREFIX)) {
            return Ok(Some(text.to_owned()));
        }
        let Some(rest) = text.strip_prefix(HOME_PLACEHOLDER).filter(|rest| is_end(rest)) else { return Ok(None) };
        let home = self.home.as_ref().ok_or("has a path in the home, and the home of this machine is not text")?;
        Ok(Some(if home.is_empty() && rest.is_empty() { "/".into() } else { format!("{home}{rest}") }))
    }

    /// Whether a value that travels has a path in the home.
    pub(super) fn has_home_placeholder(&self, text: &str) -> bool {
        text.strip_prefix(HOME_PLACEHOLDER).is_some_and(is_end)
    }
}

fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['/', MAIN_SEPARATOR])
}
