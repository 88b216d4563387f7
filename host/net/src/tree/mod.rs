//! Immutable sets of files at a revision, from git or from a directory.

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
use files::{Entry, Files, MAX_DEPTH, MAX_ITEMS, Revision, is_git};
use git::GitFiles;
pub use materialize::{LeftOut, Materialized};

/// All files of a tree together: what a cache can hold and a user can wait for.
const MAX_BYTES: u64 = 512 << 20;

/// More links in a row are a loop.
const MAX_HOPS: usize = 8;

/// An item of one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name there.
    pub name: String,
    /// What it is.
    pub kind: ItemKind,
    /// Bytes of a file; 0 for the rest.
    pub size: u64,
    /// Whether it is a file that may be run.
    pub executable: bool,
}

/// An item anywhere in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkItem {
    /// Where it is, from the tree's root.
    pub path: RelPath,
    /// What it is.
    pub kind: ItemKind,
    /// Bytes of a file; 0 for the rest.
    pub size: u64,
    /// Whether it is a file that may be run.
    pub executable: bool,
    /// Where a link points, as it is written there.
    pub link_target: Option<String>,
}

/// An immutable set of files at a revision. (A directory's files may change under it: what is read is
/// then what is there, and never outside of it.)
#[derive(Clone)]
pub struct Tree {
    files: Arc<dyn Files>,
    /// Of the whole, for a subtree too.
    revision: Arc<dyn Revision>,
    commit: Option<Sha>,
}

/// How following links ended.
enum Followed {
    Found { path: String, entry: Entry },
    Missing,
    Leaves,
    TooManyLinks,
}

/// A walk's yield: what can be written, and what cannot and why.
struct Plan {
    items: Vec<WalkItem>,
    left_out: Vec<LeftOut>,
}

impl Tree {
    /// The tree of a commit.
    pub(crate) fn git(repository: Repository, commit: Sha) -> Result<Self, NetError> {
        let files = GitFiles::open(repository, &commit)?;
        Ok(Self { files: Arc::new(files), revision: Arc::new(commit.to_string()), commit: Some(commit) })
    }

    /// The tree of a directory, which is opened once.
    pub(crate) fn directory(path: &Path) -> Result<Self, NetError> {
        let files = Arc::new(DirectoryFiles::open(path)?);
        Ok(Self { files: files.clone(), revision: files, commit: None })
    }

    /// The commit id of a git tree; for a directory `dir-` and a digest of its files' paths, sizes and times.
    pub fn revision(&self) -> &str {
        self.revision.text()
    }

    /// The commit, if it is a git tree.
    pub fn commit(&self) -> Option<&Sha> {
        self.commit.as_ref()
    }

    /// The items of a directory, by name.
    pub fn list(&self, path: &RelPath) -> Result<Vec<Item>, NetError> {
        let (at, entry) = self.find(path)?;
        if entry.kind != Some(ItemKind::Directory) {
            return Err(NetError::not_found(format!("`{path}` is not a directory")));
        }
        let mut items: Vec<Item> = self
            .files
            .children(&at)?
            .into_iter()
            .filter_map(|Entry { name, kind, size, executable }| Some(Item { name, kind: kind?, size, executable }))
            .collect();
        items.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    }

    /// A file's bytes; more than `limit` of them are an error. Links are followed inside the tree,
    /// and refused where they leave it.
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

    /// The tree beneath a directory, of the same revision. What leaves the directory is then refused,
    /// even where it stays in the repository.
    pub fn subtree(&self, path: &RelPath) -> Result<Self, NetError> {
        if path.is_root() {
            return Ok(self.clone());
        }
        let (at, entry) = self.find(path)?;
        match entry.kind {
            Some(ItemKind::Directory) => Ok(Self {
                files: self.files.beneath(&at)?,
                revision: self.revision.clone(),
                commit: self.commit.clone(),
            }),
            Some(ItemKind::Submodule) => Err(submodule(path)),
            _ => Err(NetError::not_found(format!("`{path}` is not a directory"))),
        }
    }

    /// Every item, by path; directories come before what they hold.
    pub fn walk(&self) -> Result<Vec<WalkItem>, NetError> {
        Ok(self.scan()?.items)
    }

    /// A sha256, in hexadecimal, over the paths, kinds, executable bits and contents of all that
    /// [`Tree::materialize`] would write; the same from git and from a directory.
    pub fn digest(&self) -> Result<String, NetError> {
        materialize::digest(self)
    }

    /// Writes the tree into an empty directory. What cannot be written safely is left out and listed, or is an error.
    pub fn materialize(&self, into: &Path) -> Result<Materialized, NetError> {
        materialize::materialize(self, into)
    }

    /// What is at a path, links followed.
    fn find(&self, path: &RelPath) -> Result<(String, Entry), NetError> {
        match self.follow("", path.as_str(), true)? {
            Followed::Found { path: _, entry: Entry { kind: None, .. } } => {
                Err(NetError::invalid(format!("`{path}` is neither a file nor a directory nor a link")))
            }
            Followed::Found { path: at, entry } => {
                // Only the end of the way may be one, and only itself be looked at.
                if entry.kind == Some(ItemKind::Submodule) && at != path.as_str() {
                    return Err(submodule(path));
                }
                Ok((at, entry))
            }
            Followed::Missing => Err(NetError::not_found(format!("there is no `{path}`"))),
            Followed::Leaves => Err(self.leaving(path)),
            Followed::TooManyLinks => Err(NetError::invalid(format!("`{path}` is more than {MAX_HOPS} links away"))),
        }
    }

    fn leaving(&self, path: &RelPath) -> NetError {
        let target = self.files.link_target(path.as_str()).map(|target| format!(": -> {}", one_line(&target, 120)));
        NetError::denied(format!("link `{path}` leaves the plugin{}", target.unwrap_or_default()))
    }

    /// Goes from the directory `from` along `way`, part by part, as a file system would, but never up
    /// from the root. With `strict`, a way through a submodule is an error of its own.
    fn follow(&self, from: &str, way: &str, strict: bool) -> Result<Followed, NetError> {
        let mut at: Vec<String> = from.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let mut ahead: VecDeque<String> = way.split('/').map(str::to_owned).collect();
        let mut here = Entry::root();
        let mut hops = 0;
        if way.starts_with('/') {
            return Ok(Followed::Leaves);
        }
        while let Some(part) = ahead.pop_front() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    if at.pop().is_none() {
                        return Ok(Followed::Leaves);
                    }
                    here = Entry::root();
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
            let found = if here.kind == Some(ItemKind::Directory) && !is_git(at.last()) {
                self.files.entry(&path)?
            } else {
                None
            };
            let Some(entry) = found else {
                // Where nothing is, nobody can say what `..` would lead to.
                let unknown = ahead.iter().any(|part| part == "..");
                return Ok(if unknown { Followed::Leaves } else { Followed::Missing });
            };
            if entry.kind == Some(ItemKind::Link) {
                hops += 1;
                if hops > MAX_HOPS {
                    return Ok(Followed::TooManyLinks);
                }
                let target = self.files.link_target(&path)?;
                if target.starts_with('/') {
                    return Ok(Followed::Leaves);
                }
                at.pop();
                here = Entry::root();
                for part in target.split('/').rev() {
                    ahead.push_front(part.to_owned());
                }
                continue;
            }
            here = entry;
        }
        Ok(Followed::Found { path: at.join("/"), entry: here })
    }

    /// Walks, within the limits.
    fn scan(&self) -> Result<Plan, NetError> {
        let mut plan = Plan { items: Vec::new(), left_out: Vec::new() };
        let mut bytes = 0_u64;
        let mut ahead = vec![(RelPath::root(), 0_usize)];
        while let Some((directory, depth)) = ahead.pop() {
            if depth > MAX_DEPTH {
                return Err(NetError::too_large(format!("`{directory}` is more than {MAX_DEPTH} directories deep")));
            }
            for Entry { name, kind, size, executable } in self.files.children(directory.as_str())? {
                let whole = if directory.is_root() { name } else { format!("{directory}/{name}") };
                let path = RelPath::parse(&whole).map_err(|error| NetError::invalid(error.to_string()))?;
                if plan.items.len() + plan.left_out.len() >= MAX_ITEMS {
                    return Err(NetError::too_large(format!("there are more than {MAX_ITEMS} files")));
                }
                let Some(kind) = kind else {
                    plan.left_out
                        .push(LeftOut { path, reason: "neither a file nor a directory nor a link".to_owned() });
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

    /// What [`Tree::materialize`] writes.
    fn plan(&self) -> Result<Plan, NetError> {
        let Plan { items, mut left_out } = self.scan()?;
        let mut kept = Vec::with_capacity(items.len());
        for item in items {
            let reason = match item.kind {
                ItemKind::File | ItemKind::Directory => None,
                ItemKind::Submodule => Some("git submodule, not followed".to_owned()),
                ItemKind::Link => {
                    let from = item.path.as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
                    let target = item.link_target.as_deref().unwrap_or_default();
                    match self.follow(from, target, false)? {
                        Followed::Found { .. } | Followed::Missing if !target.is_empty() => None,
                        Followed::Found { .. } | Followed::Missing => Some("link to nowhere".to_owned()),
                        Followed::Leaves => Some(format!("link that leaves the plugin: -> {}", one_line(target, 120))),
                        Followed::TooManyLinks => Some(format!("more than {MAX_HOPS} links in a row")),
                    }
                }
            };
            match reason {
                Some(reason) => left_out.push(LeftOut { path: item.path, reason }),
                None => kept.push(item),
            }
        }
        left_out.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(Plan { items: kept, left_out })
    }
}

fn submodule(path: &RelPath) -> NetError {
    NetError::invalid(format!("`{path}` is a git submodule, which is not followed"))
}
