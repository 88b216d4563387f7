//! What a tree is read through: files of a directory or of a commit.

use std::sync::Arc;

use crate::error::NetError;

/// What an item of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Another repository's commit, which is never followed.
    Submodule,
}

/// What a tree may be made of. Paths are physical: `a/b`, `""` for the root, no links on the way.
pub(super) trait Files: Send + Sync {
    /// What is at a path, a link itself included.
    fn entry(&self, path: &str) -> Result<Option<Entry>, NetError>;
    /// What is in a directory, `.git` left out, in any order.
    fn children(&self, path: &str) -> Result<Vec<Entry>, NetError>;
    /// Where a link points.
    fn link_target(&self, path: &str) -> Result<String, NetError>;
    /// Hands over a file's bytes; more than `limit` are an error, before or while they come.
    fn content(&self, path: &str, limit: u64, sink: Sink<'_>) -> Result<(), NetError>;
    /// The same beneath a directory, which is then the root that nothing leaves.
    fn beneath(&self, path: &str) -> Result<Arc<dyn Files>, NetError>;
}

pub(super) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), NetError>;

pub(super) trait Revision: Send + Sync {
    fn text(&self) -> &str;
}

impl Revision for String {
    fn text(&self) -> &str {
        self
    }
}

/// [`Item`], and what is none: devices, sockets, pipes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Option<ItemKind>,
    pub(super) size: u64,
    pub(super) executable: bool,
}

impl Entry {
    pub(super) fn root() -> Self {
        Self { name: String::new(), kind: Some(ItemKind::Directory), size: 0, executable: false }
    }
}

/// More than the largest plugin by far; 12,000 files are a whole node_modules.
pub(super) const MAX_ITEMS: usize = 20_000;

/// Deeper than any source tree; a path of them stays below `PATH_MAX`.
pub(super) const MAX_DEPTH: usize = 32;

/// A link's target is a path.
pub(super) const MAX_TARGET: u64 = 4096;

pub(super) fn is_git(name: Option<&String>) -> bool {
    name.is_some_and(|name| name.eq_ignore_ascii_case(".git"))
}
