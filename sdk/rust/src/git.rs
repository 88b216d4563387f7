//! Marketplaces in git repositories, and the names of branches and tags.

use crate::{EntryRef, EntrySource, Error, GitOrigin, Origin, Snapshot, Tree, market_document, trees};

/// A marketplace that is a git repository, as on any forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitMarket {
    url: String,
    revision: Option<String>,
}

impl GitMarket {
    /// The repository at `url`, at a branch, a tag or a full commit id, or at its default branch if none is given.
    pub fn new(url: impl Into<String>, revision: Option<&str>) -> Self {
        Self { url: url.into(), revision: revision.map(str::to_owned) }
    }

    /// Fetches the document at the repository's root. Its revision is the commit.
    pub fn fetch(&self) -> Result<Snapshot, Error> {
        market_document(&self.open(None)?, &self.url)
    }

    /// Fetches the files of an entry whose source is a relative path, at the commit of its document.
    pub fn plugin(&self, entry: &EntryRef) -> Result<Tree, Error> {
        // Check the path before anything is fetched.
        let path = trees::entry_path(entry.source.relative()?)?;
        trees::entry_tree(self.open(Some(&entry.revision))?, &path)
    }

    fn open(&self, commit: Option<&str>) -> Result<Tree, Error> {
        let pinned = self.revision.as_deref().filter(|name| is_sha(name));
        trees::open(&Origin::Git(GitOrigin {
            url: self.url.clone(),
            // Kept along with a commit, because not every server serves a commit by its id alone.
            ref_: self.revision.clone().filter(|name| !is_sha(name)),
            sha: commit.or(pinned).map(str::to_owned),
            path: None,
        }))
    }
}

impl EntrySource {
    /// Returns the path of an entry that is relative to its marketplace. Any other entry is an error.
    pub fn relative(&self) -> Result<&str, Error> {
        match self {
            Self::Relative(path) => Ok(path),
            Self::Own(own) => {
                Err(Error::invalid(format!("source form `{}` is unknown to this marketplace source", own.form)))
            }
        }
    }
}

fn is_sha(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns whether git accepts the text as the name of a branch or tag, for use in `claim`. Stricter than `git
/// check-ref-format`: at most 255 bytes, no leading `-` or `.`.
pub fn is_ref(name: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"~^:?*[\\".contains(c);
    name.len() <= 255
        && name != "@"
        && name.chars().all(plain)
        && !["..", "@{"].iter().any(|pair| name.contains(pair))
        && !name.starts_with('-')
        && !name.ends_with('.')
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ref_names_follow_git() {
        for good in ["main", "v1.5.5", "feature/x", "a@b", "a#b", "release-2"] {
            assert!(is_ref(good), "{good}");
        }
        for bad in
            ["", "-x", "a..b", "a b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.", "a~1", "a:b", "@", "@{u}"]
        {
            assert!(!is_ref(bad), "{bad}");
        }
    }
}
