//! Immutable sets of files at a revision. The host fetches, checks and stores them; an extension reads them with
//! [`Tree::list`], [`Tree::read`] and [`Tree::subtree`].

use crate::__wit::aiw::plugin::trees;
use crate::{Error, GitOrigin, Origin, Tree};

/// Opens a tree. The manifest must declare its origin (`origins`).
pub fn open(origin: &Origin) -> Result<Tree, Error> {
    trees::open(origin)
}

/// Opens a git repository at a branch or tag, or at its default branch if none is given.
pub fn open_git(url: impl Into<String>, branch_or_tag: Option<&str>) -> Result<Tree, Error> {
    let ref_ = branch_or_tag.map(str::to_owned);
    open(&Origin::Git(GitOrigin { url: url.into(), ref_, sha: None, path: None }))
}

/// Opens a git repository at a commit, given by its full id.
pub fn open_commit(url: impl Into<String>, sha: impl Into<String>) -> Result<Tree, Error> {
    open(&Origin::Git(GitOrigin { url: url.into(), ref_: None, sha: Some(sha.into()), path: None }))
}

/// Opens a directory that the user named, by its absolute path.
pub fn open_directory(path: impl Into<String>) -> Result<Tree, Error> {
    open(&Origin::Directory(path.into()))
}

/// Returns the tree below the path of an entry: `./plugins/x`, or the tree itself for `./` and `""`.
pub fn entry_tree(tree: Tree, path: &str) -> Result<Tree, Error> {
    match entry_path(path)?.as_str() {
        "" => Ok(tree),
        path => tree.subtree(path),
    }
}

/// Normalizes the path of an entry: `./a//b/` becomes `a/b`, and the root becomes `""`. A path that leaves the tree
/// is an error.
pub fn entry_path(path: &str) -> Result<String, Error> {
    if path.starts_with('/') || path.contains('\\') || path.split('/').any(|part| part == "..") {
        return Err(Error::invalid(format!("path `{path}` leaves the marketplace")));
    }
    Ok(path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_path_stays_beneath_the_root() {
        assert_eq!(entry_path("./plugins//x/").as_deref(), Ok("plugins/x"));
        assert_eq!(entry_path("./").as_deref(), Ok(""));
        assert_eq!(entry_path("").as_deref(), Ok(""));
        for bad in ["../x", "./a/../../x", "/etc", "a\\b"] {
            assert!(entry_path(bad).is_err(), "{bad}");
        }
    }
}
