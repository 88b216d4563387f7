//! The files that a tree reads: those of a directory or of a commit.

use std::sync::Arc;

use crate::error::NetError;

/// The kind of an item in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// The commit of another repository, which is never followed.
    Submodule,
}

/// The source of a tree's files. Paths are physical: `a/b`, or `""` for the root, with no links on the way.
pub(super) trait TreeFiles: Send + Sync {
    /// Returns the entry at a path. A link is returned as a link.
    fn entry(&self, path: &str) -> Result<Option<TreeEntry>, NetError>;
    /// Returns the entries of a directory in any order, without `.git`.
    fn children(&self, path: &str) -> Result<Vec<TreeEntry>, NetError>;
    /// Returns the target of a link.
    fn link_target(&self, path: &str) -> Result<String, NetError>;
    /// Passes a file's bytes to `sink`. Returns an error before or during that if there are more than `limit`.
    fn content(&self, path: &str, limit: u64, sink: WriteChunk<'_>) -> Result<(), NetError>;
    /// Returns the files beneath a directory, which becomes the root that nothing can leave.
    fn subtree(&self, path: &str) -> Result<Arc<dyn TreeFiles>, NetError>;
}

pub(super) type WriteChunk<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), NetError>;

pub(super) trait Revision: Send + Sync {
    fn text(&self) -> &str;
}

impl Revision for String {
    fn text(&self) -> &str {
        self
    }
}

/// Like [`Item`], but also for devices, sockets and pipes, which have no kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TreeEntry {
    pub(super) name: String,
    pub(super) kind: Option<ItemKind>,
    pub(super) size: u64,
    pub(super) executable: bool,
}

impl TreeEntry {
    pub(super) fn root() -> Self {
        Self { name: String::new(), kind: Some(ItemKind::Directory), size: 0, executable: false }
    }
}

/// The maximum number of items, far more than in the largest plugin. A whole node_modules has 12,000 files.
pub(super) const MAX_ITEMS: usize = 20_000;

/// The maximum depth, greater than in any source tree. A path of this depth stays below `PATH_MAX`.
pub(super) const MAX_DEPTH: usize = 32;

/// The maximum length of a link's target, which is a path.
pub(super) const MAX_LINK_TARGET_LEN: u64 = 4096;

pub(super) fn is_git_dir(name: Option<&String>) -> bool {
    name.is_some_and(|name| name.eq_ignore_ascii_case(".git"))
}
