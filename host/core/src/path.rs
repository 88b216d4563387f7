//! Relative paths that stay inside their directory on every system.

use std::fmt;

use crate::hidden::is_unsafe;

/// A path that can't be used below a directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path `{}` {reason}", crate::one_line(.path, 120))]
pub struct InvalidPath {
    /// The given text.
    pub path: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}

/// Names that Windows opens as devices, with any extension.
/// <https://learn.microsoft.com/windows/win32/fileio/naming-a-file>
pub fn is_windows_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_lowercase();
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$")
        || (stem.chars().count() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.chars().last().is_some_and(|c| matches!(c, '0'..='9' | '¹' | '²' | '³')))
}

/// A path below some root: components joined by `/`, no `.`, no `..`, nothing absolute, nothing that another system
/// reads differently. The empty path is the root itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RelPath(String);

/// Longer than any path seen in a marketplace; shorter than `PATH_MAX`.
const MAX_LEN: usize = 1024;

impl RelPath {
    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Takes `a/b`, `./a/b`, `a/b/`, `.`, `./` and the empty string.
    pub fn parse(path: &str) -> Result<Self, InvalidPath> {
        let fail = |why| Err(InvalidPath { path: path.to_owned(), reason: why });
        if path.len() > MAX_LEN {
            return fail("is longer than 1024 bytes");
        }
        if path.starts_with('/') {
            return fail("is absolute");
        }
        let mut parts = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => continue,
                ".." => return fail("leaves its directory with `..`"),
                _ => {}
            }
            if part.contains('\\') {
                return fail("contains a backslash");
            }
            if part.contains(':') {
                return fail("contains a colon");
            }
            if part.chars().any(char::is_control) {
                return fail("contains a control character");
            }
            // Users see a name before they agree to it, so it must look like what it is.
            if part.chars().any(is_unsafe) {
                return fail("contains an invisible character or one that changes text direction");
            }
            if part.len() > 255 {
                return fail("contains a name longer than 255 bytes");
            }
            if part.ends_with('.') || part.ends_with(' ') {
                return fail("contains a name that ends with a dot or a space");
            }
            if is_windows_device(part) {
                return fail("contains a Windows device name");
            }
            parts.push(part);
        }
        Ok(Self(parts.join("/")))
    }

    /// The path as text; `""` for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// This path and another below it.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        match (self.is_root(), below.is_root()) {
            (true, _) => below.clone(),
            (_, true) => self.clone(),
            _ => Self(format!("{}/{}", self.0, below.0)),
        }
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_or_trick_are_refused() {
        for bad in [
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a\\b",
            "C:x",
            "a/nul",
            "a/com1.txt",
            "a\0b",
            "a/b.",
            "a/b ",
            "a\u{202e}b",
            "a\u{200b}",
        ] {
            assert!(RelPath::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(RelPath::parse("./a//b/").unwrap().as_str(), "a/b");
        assert!(RelPath::parse("./").unwrap().is_root());
        assert_eq!(RelPath::parse("./.agents/skills").unwrap().as_str(), ".agents/skills");
    }
}
