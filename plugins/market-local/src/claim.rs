//! Recognizes references to directories.

use aiw_extension::Registration;

pub const DIRECTORY: &str = "directory";
pub const FILE: &str = "file";

/// Claims paths as typed. The host makes them absolute.
pub fn claim(reference: &str) -> Option<Registration> {
    let path = matches!(reference, "." | ".." | "~")
        || ["./", "../", "~/", "/", ".\\", "..\\", "~\\"].iter().any(|prefix| reference.starts_with(prefix))
        || has_drive(reference);
    if !path || reference.contains(char::is_control) {
        return None;
    }
    let kind = if reference.to_ascii_lowercase().ends_with(".json") { FILE } else { DIRECTORY };
    Some(Registration::new(kind, reference, None))
}

/// Returns whether a path begins with a drive: `C:\…` or `C:/…`.
fn has_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

/// The location of a marketplace and its document.
#[derive(Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// The directory that relative entries are relative to.
    pub root: &'a str,
    /// The path of the document beneath the root, if it was given.
    pub path: Option<String>,
}

impl<'a> Document<'a> {
    /// Finds the root for a document: the parent of its `.claude-plugin`, otherwise its own directory.
    pub fn from_file(file: &'a str) -> Option<Self> {
        let (directory, name) = split_last(file)?;
        if let Some((root, ".claude-plugin")) = split_last(directory) {
            return Some(Self { root, path: Some(format!(".claude-plugin/{name}")) });
        }
        Some(Self { root: directory, path: Some(name.to_owned()) })
    }
}

/// Splits an absolute path into its parent and its last name. A backslash is a separator on Windows only.
fn split_last(path: &str) -> Option<(&str, &str)> {
    let separators: &[char] = if has_drive(path) { &['/', '\\'] } else { &['/'] };
    let end = path.rfind(separators)?;
    // A root keeps its separator.
    let root = if has_drive(path) { 2 } else { 0 };
    let parent = &path[..end.max(root + usize::from(end == root))];
    Some((parent, &path[end + 1..])).filter(|(_, name)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_claimed_as_typed() {
        let directories = [
            ".",
            "..",
            "~",
            "./x",
            "../x/y",
            "~/x",
            "/",
            "/srv/market",
            ".\\x",
            "C:\\market",
            "d:/market",
            "./a b",
            "/é",
        ];
        for path in directories {
            assert_eq!(claim(path), Some(Registration::new(DIRECTORY, path, None)), "{path}");
        }
        for path in ["./marketplace.json", "/x/.claude-plugin/marketplace.json", "C:\\m\\market.JSON"] {
            assert_eq!(claim(path), Some(Registration::new(FILE, path, None)), "{path}");
        }
        for other in ["", "x", "owner/repo", "~user/x", ".hidden", "...", "file:///x", "C:x", "https://x/y", "/a\0b"] {
            assert_eq!(claim(other), None, "{other}");
        }
    }

    #[test]
    fn the_root_of_a_file_is_above_its_claude_plugin() {
        let document =
            |file| Document::from_file(file).map(|document| (document.root, document.path.unwrap_or_default()));
        let found = |root, path: &str| Some((root, path.to_owned()));
        assert_eq!(document("/x/.claude-plugin/marketplace.json"), found("/x", ".claude-plugin/marketplace.json"));
        assert_eq!(document("/.claude-plugin/marketplace.json"), found("/", ".claude-plugin/marketplace.json"));
        assert_eq!(document("/x/market.json"), found("/x", "market.json"));
        assert_eq!(document("/market.json"), found("/", "market.json"));
        assert_eq!(document("/x\\y/market.json"), found("/x\\y", "market.json"));
        assert_eq!(document("C:\\m\\.claude-plugin\\m.json"), found("C:\\m", ".claude-plugin/m.json"));
        assert_eq!(document("C:\\m.json"), found("C:\\", "m.json"));
        assert_eq!(document("/x/"), None);
        assert_eq!(document("m.json"), None);
    }
}
