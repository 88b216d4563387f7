//! Immutable sets of files at a revision, from git or a directory.

mod directory;
mod files;
mod git;
mod materialize;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use aiw_core::{RelPath, Sha, one_line};
use git2::Repository;

use crate::error::NetError;
use directory::DirectoryFiles;
pub use files::ItemKind;
use files::{MAX_DEPTH, MAX_ITEMS, Revision, TreeEntry, TreeFiles, is_git_dir};
use git::GitFiles;
pub use materialize::MaterializeSummary;

/// The maximum size of all files of a tree: what a cache can hold and a user can wait for.
const MAX_BYTES: u64 = 512 << 20;

/// The maximum number of links in a row. More are a loop.
const MAX_HOPS: usize = 8;

/// An item of one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The name in its directory.
    pub name: String,
    /// The kind of the item.
    pub kind: ItemKind,
    /// The size of a file in bytes; 0 for other kinds.
    pub size: u64,
    /// Whether the item is an executable file.
    pub executable: bool,
}

/// An item anywhere in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkItem {
    /// The path from the root of the tree.
    pub path: RelPath,
    /// The kind of the item.
    pub kind: ItemKind,
    /// The size of a file in bytes; 0 for other kinds.
    pub size: u64,
    /// Whether the item is an executable file.
    pub executable: bool,
    /// The target of a link, as written.
    pub link_target: Option<String>,
}

/// An item that was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedEntry {
    /// The path in the tree.
    pub path: RelPath,
    /// The reason, in a few words.
    pub reason: String,
}

/// An immutable set of files at a revision. (The files of a directory may change in the meantime. Then the tree
/// reads their new content, but never anything outside the directory.)
#[derive(Clone)]
pub struct Tree {
    files: Arc<dyn TreeFiles>,
    /// The revision of the whole tree, also in a subtree.
    revision: Arc<dyn Revision>,
    commit: Option<Sha>,
}

/// The result of following links.
enum LinkEnd {
    Found { path: String, entry: TreeEntry },
    Missing,
    OutsideTree,
    TooManyLinks,
}

/// The result of a walk: the items that can be written, and those that cannot, with reasons.
struct Walk {
    items: Vec<WalkItem>,
    skipped: Vec<SkippedEntry>,
}

impl Tree {
    /// Opens the tree of a commit.
    pub(crate) fn open_commit(repository: Repository, commit: Sha) -> Result<Self, NetError> {
        let files = GitFiles::open(repository, &commit)?;
        Ok(Self { files: Arc::new(files), revision: Arc::new(commit.to_string()), commit: Some(commit) })
    }

    /// Opens the tree of a directory. The directory is opened only once.
    pub(crate) fn open_directory(path: &Path) -> Result<Self, NetError> {
        let files = Arc::new(DirectoryFiles::open(path)?);
        Ok(Self { files: files.clone(), revision: files, commit: None })
    }

    /// Returns the commit id of a git tree. For a directory, returns `dir-` and a digest of its files' paths, sizes
    /// and times.
    pub fn revision(&self) -> &str {
        self.revision.text()
    }

    /// Returns the commit of a git tree.
    pub fn commit(&self) -> Option<&Sha> {
        self.commit.as_ref()
    }

    /// Returns the items of a directory, sorted by name.
    pub fn list(&self, path: &RelPath) -> Result<Vec<Item>, NetError> {
        let (at, entry) = self.find(path)?;
        if entry.kind != Some(ItemKind::Directory) {
            return Err(NetError::not_found(format!("`{path}` is not a directory")));
        }
        let mut items: Vec<Item> = self
            .files
            .children(&at)?
            .into_iter()
            .filter_map(|TreeEntry { name, kind, size, executable }| Some(Item { name, kind: kind?, size, executable }))
            .collect();
        items.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    }

    /// Reads a file of at most `limit` bytes; a longer one is an error. Links are followed inside the tree, and
    /// refused if they leave it.
    pub fn read(&self, path: &RelPath, limit: u64) -> Result<Vec<u8>, NetError> {
        let (at, entry) = self.find(path)?;
        if entry.kind != Some(ItemKind::File) {
            return Err(NetError::not_found(format!("`{path}` is not a file")));
        }
        let mut bytes = Vec::new();
        self.files.content(&at, limit, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Returns the tree beneath a directory, at the same revision. A link that leaves the directory is then
    /// refused, even if it stays in the repository.
    pub fn subtree(&self, path: &RelPath) -> Result<Self, NetError> {
        if path.is_root() {
            return Ok(self.clone());
        }
        let (at, entry) = self.find(path)?;
        match entry.kind {
            Some(ItemKind::Directory) => Ok(Self {
                files: self.files.subtree(&at)?,
                revision: self.revision.clone(),
                commit: self.commit.clone(),
            }),
            Some(ItemKind::Submodule) => Err(submodule(path)),
            _ => Err(NetError::not_found(format!("`{path}` is not a directory"))),
        }
    }

    /// Returns all items, sorted by path. Directories come before their contents.
    pub fn walk(&self) -> Result<Vec<WalkItem>, NetError> {
        Ok(self.scan()?.items)
    }

    /// Returns the entry at a path, after following links.
    fn find(&self, path: &RelPath) -> Result<(String, TreeEntry), NetError> {
        match self.follow("", path.as_str(), true)? {
            LinkEnd::Found { path: _, entry: TreeEntry { kind: None, .. } } => {
                Err(NetError::invalid(format!("`{path}` is neither a file nor a directory nor a link")))
            }
            LinkEnd::Found { path: at, entry } => {
                // Only the last part of the path may be a submodule, and only if no link led there.
                if entry.kind == Some(ItemKind::Submodule) && at != path.as_str() {
                    return Err(submodule(path));
                }
                Ok((at, entry))
            }
            LinkEnd::Missing => Err(NetError::not_found(format!("there is no `{path}`"))),
            LinkEnd::OutsideTree => Err(self.leaving(path)),
            LinkEnd::TooManyLinks => Err(NetError::invalid(format!("`{path}` is more than {MAX_HOPS} links away"))),
        }
    }

    fn leaving(&self, path: &RelPath) -> NetError {
        let target = self.files.link_target(path.as_str()).map(|target| format!(": -> {}", one_line(&target, 120)));
        NetError::denied(format!("link `{path}` leaves the plugin{}", target.unwrap_or_default()))
    }

    /// Follows `way` from the directory `from`, part by part, as a file system would, but never above the root.
    /// With `strict`, a path through a submodule is an error.
    fn follow(&self, from: &str, way: &str, strict: bool) -> Result<LinkEnd, NetError> {
        let mut at: Vec<String> = from.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let mut ahead: VecDeque<String> = way.split('/').map(str::to_owned).collect();
        let mut here = TreeEntry::root();
        let mut hops = 0;
        if way.starts_with('/') {
            return Ok(LinkEnd::OutsideTree);
        }
        while let Some(part) = ahead.pop_front() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    if at.pop().is_none() {
                        return Ok(LinkEnd::OutsideTree);
                    }
                    here = TreeEntry::root();
                    continue;
                }
                _ => {}
            }
            if here.kind == Some(ItemKind::Submodule) && strict {
                let path = RelPath::parse(&at.join("/")).unwrap_or_default();
                return Err(submodule(&path));
            }
            at.push(part);
            let path = at.join("/");
            let found = if here.kind == Some(ItemKind::Directory) && !is_git_dir(at.last()) {
                self.files.entry(&path)?
            } else {
                None
            };
            let Some(entry) = found else {
                // Nothing exists here, so it is unknown where `..` would lead.
                let unknown = ahead.iter().any(|part| part == "..");
                return Ok(if unknown { LinkEnd::OutsideTree } else { LinkEnd::Missing });
            };
            if entry.kind == Some(ItemKind::Link) {
                hops += 1;
                if hops > MAX_HOPS {
                    return Ok(LinkEnd::TooManyLinks);
                }
                let target = self.files.link_target(&path)?;
                if target.starts_with('/') {
                    return Ok(LinkEnd::OutsideTree);
                }
                at.pop();
                here = TreeEntry::root();
                for part in target.split('/').rev() {
                    ahead.push_front(part.to_owned());
                }
                continue;
            }
            here = entry;
        }
        Ok(LinkEnd::Found { path: at.join("/"), entry: here })
    }

    /// Walks the tree within the limits.
    fn scan(&self) -> Result<Walk, NetError> {
        let mut plan = Walk { items: Vec::new(), skipped: Vec::new() };
        let mut bytes = 0_u64;
        let mut ahead = vec![(RelPath::root(), 0_usize)];
        while let Some((directory, depth)) = ahead.pop() {
            if depth > MAX_DEPTH {
                return Err(NetError::too_large(format!("`{directory}` is more than {MAX_DEPTH} directories deep")));
            }
            for TreeEntry { name, kind, size, executable } in self.files.children(directory.as_str())? {
                let whole = if directory.is_root() { name } else { format!("{directory}/{name}") };
                let path = RelPath::parse(&whole).map_err(|error| NetError::invalid(error.to_string()))?;
                if plan.items.len() + plan.skipped.len() >= MAX_ITEMS {
                    return Err(NetError::too_large(format!("there are more than {MAX_ITEMS} files")));
                }
                let Some(kind) = kind else {
                    plan.skipped
                        .push(SkippedEntry { path, reason: "neither a file nor a directory nor a link".to_owned() });
                    continue;
                };
                bytes = bytes.saturating_add(size);
                if bytes > MAX_BYTES {
                    return Err(NetError::too_large(format!(
                        "all files together are larger than {} MiB",
                        MAX_BYTES >> 20
                    )));
                }
                let link_target = match kind {
                    ItemKind::Link => Some(self.files.link_target(path.as_str())?),
                    _ => None,
                };
                if kind == ItemKind::Directory {
                    ahead.push((path.clone(), depth + 1));
                }
                plan.items.push(WalkItem { path, kind, size, executable, link_target });
            }
        }
        plan.items.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(plan)
    }

    /// Returns what [`Tree::materialize`] writes.
    fn plan(&self) -> Result<Walk, NetError> {
        let Walk { items, skipped: mut left_out } = self.scan()?;
        let mut kept = Vec::with_capacity(items.len());
        for item in items {
            let reason = match item.kind {
                ItemKind::File | ItemKind::Directory => None,
                ItemKind::Submodule => Some("git submodule, not followed".to_owned()),
                ItemKind::Link => {
                    let from = item.path.as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
                    let target = item.link_target.as_deref().unwrap_or_default();
                    match self.follow(from, target, false)? {
                        LinkEnd::Found { .. } | LinkEnd::Missing if !target.is_empty() => None,
                        LinkEnd::Found { .. } | LinkEnd::Missing => Some("link to nowhere".to_owned()),
                        LinkEnd::OutsideTree => {
                            Some(format!("link that leaves the plugin: -> {}", one_line(target, 120)))
                        }
                        LinkEnd::TooManyLinks => Some(format!("more than {MAX_HOPS} links in a row")),
                    }
                }
            };
            match reason {
                Some(reason) => left_out.push(SkippedEntry { path: item.path, reason }),
                None => kept.push(item),
            }
        }
        left_out.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(Walk { items: kept, skipped: left_out })
    }
}

fn submodule(path: &RelPath) -> NetError {
    NetError::invalid(format!("`{path}` is a git submodule, which is not followed"))
}
