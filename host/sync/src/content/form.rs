//! How a file is read, and which keys of it travel.

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentForm {
    /// JSON, with comments and trailing commas.
    Json,
    /// TOML.
    Toml,
    /// Lines of text.
    Text,
    /// Anything else.
    Binary,
}

impl ContentForm {
    /// Whether a file of this form has keys.
    pub fn has_keys(self) -> bool {
        matches!(self, Self::Json | Self::Toml)
    }
}

/// Which keys of a structured file travel, and how lists are merged.
#[derive(Clone, Copy)]
pub struct KeyRules<'a> {
    /// Says for a path of keys whether it travels: `Some(true)` with all beneath, `Some(false)` never with all beneath,
    /// `None`: look deeper. The empty path is the whole file. A value that is not a table, and of which nothing is said, stays.
    pub is_synced: &'a dyn Fn(&[String]) -> Option<bool>,
    /// Whether the list at this path is a set: merged by its items.
    pub is_set: &'a dyn Fn(&[String]) -> bool,
}
