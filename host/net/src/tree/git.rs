//! Trees of git commits.

use std::sync::Arc;

use aiw_core::{Sha, one_line};
use git2::{ErrorCode, ObjectType, Oid, Repository, Tree as GitTree};
use parking_lot::{Mutex, MutexGuard};

use super::files::{ItemKind, MAX_ITEMS, MAX_LINK_TARGET_LEN, TreeEntry, TreeFiles, WriteChunk};
use crate::error::NetError;
use crate::git::transport::take_allocation_error;

/// The files of a commit, or of a directory in it.
pub(super) struct GitFiles {
    // Two threads must not use a handle at once.
    repository: Arc<Mutex<Repository>>,
    root: Oid,
}

impl GitFiles {
    pub(super) fn open(repository: Repository, commit: &Sha) -> Result<Self, NetError> {
        let root = Oid::from_str(commit.as_str())
            .and_then(|oid| repository.find_commit(oid))
            .map(|commit| commit.tree_id())
            .map_err(|error| unreadable(&error))?;
        Ok(Self { repository: Arc::new(Mutex::new(repository)), root })
    }

    fn lock(&self) -> MutexGuard<'_, Repository> {
        self.repository.lock()
    }

    /// Returns the id and mode of the entry at a path.
    fn find(&self, repository: &Repository, path: &str) -> Result<Option<(Oid, i32)>, NetError> {
        let mut at = (self.root, DIRECTORY_MODE);
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if at.1 != DIRECTORY_MODE {
                return Ok(None);
            }
            let tree = repository.find_tree(at.0).map_err(|error| unreadable(&error))?;
            at = match tree.get_name(part) {
                Some(entry) => (entry.id(), entry.filemode()),
                None => return Ok(None),
            };
        }
        Ok(Some(at))
    }

    fn tree<'r>(&self, repository: &'r Repository, path: &str) -> Result<GitTree<'r>, NetError> {
        match self.find(repository, path)? {
            Some((oid, DIRECTORY_MODE)) => repository.find_tree(oid).map_err(|error| unreadable(&error)),
            _ => Err(missing(path)),
        }
    }

    fn blob(&self, path: &str, limit: u64, sink: WriteChunk<'_>) -> Result<(), NetError> {
        let repository = self.lock();
        let Some((oid, _)) = self.find(&repository, path)? else { return Err(missing(path)) };
        let odb = repository.odb().map_err(|error| unreadable(&error))?;
        // Check the size first: a megabyte of pack can be a gigabyte of zeros.
        let (size, kind) = odb.read_header(oid).map_err(|error| unreadable(&error))?;
        if kind != ObjectType::Blob {
            return Err(NetError::malformed(format!("`{}` has no file content", one_line(path, 120))));
        }
        if size as u64 > limit {
            return Err(file_too_large(path, limit));
        }
        let object = odb.read(oid).map_err(|error| unreadable(&error))?;
        sink(object.data())
    }
}

const DIRECTORY_MODE: i32 = 0o040_000;

fn entry(repository: &Repository, name: &str, oid: Oid, mode: i32) -> Result<TreeEntry, NetError> {
    let (kind, executable) = match mode {
        DIRECTORY_MODE => (ItemKind::Directory, false),
        0o100_755 => (ItemKind::File, true),
        // Very old versions of git wrote the second mode.
        0o100_644 | 0o100_664 => (ItemKind::File, false),
        0o120_000 => (ItemKind::Link, false),
        0o160_000 => (ItemKind::Submodule, false),
        _ => return Err(NetError::malformed(format!("`{}` has an unknown kind: {mode:o}", one_line(name, 120)))),
    };
    let size = match kind {
        ItemKind::File => {
            let header = repository.odb().and_then(|odb| odb.read_header(oid));
            header.map_err(|error| unreadable(&error))?.0 as u64
        }
        _ => 0,
    };
    Ok(TreeEntry { name: name.to_owned(), kind: Some(kind), size, executable })
}

impl TreeFiles for GitFiles {
    fn entry(&self, path: &str) -> Result<Option<TreeEntry>, NetError> {
        let repository = self.lock();
        let name = path.rsplit('/').next().unwrap_or_default();
        match self.find(&repository, path)? {
            Some((oid, mode)) => entry(&repository, name, oid, mode).map(Some),
            None => Ok(None),
        }
    }

    fn children(&self, path: &str) -> Result<Vec<TreeEntry>, NetError> {
        let repository = self.lock();
        let tree = self.tree(&repository, path)?;
        if tree.len() > MAX_ITEMS {
            return Err(NetError::too_large(format!("there are more than {MAX_ITEMS} files")));
        }
        let entries = tree.iter().map(|child| {
            let name = String::from_utf8_lossy(child.name_bytes());
            let shown = one_line(&format!("{path}/{name}"), 160);
            if is_trap(&name) {
                return Err(NetError::invalid(format!("`{shown}` is a name that a repository may not contain")));
            }
            if child.name().is_err() {
                return Err(NetError::invalid(format!("`{shown}` is a name that is not UTF-8")));
            }
            entry(&repository, &name, child.id(), child.filemode())
        });
        entries.collect()
    }

    fn link_target(&self, path: &str) -> Result<String, NetError> {
        let mut target = Vec::new();
        self.blob(path, MAX_LINK_TARGET_LEN, &mut |piece| {
            target.extend_from_slice(piece);
            Ok(())
        })?;
        String::from_utf8(target)
            .ok()
            .filter(|target| !target.contains('\0'))
            .ok_or_else(|| NetError::invalid(format!("link `{}` has a target that is not text", one_line(path, 120))))
    }

    fn content(&self, path: &str, limit: u64, sink: WriteChunk<'_>) -> Result<(), NetError> {
        self.blob(path, limit, sink)
    }

    fn subtree(&self, path: &str) -> Result<Arc<dyn TreeFiles>, NetError> {
        let root = self.tree(&self.lock(), path)?.id();
        Ok(Arc::new(Self { repository: self.repository.clone(), root }))
    }
}

/// Returns whether git itself refuses a name because checking it out would leave the tree or write into `.git`.
/// Considers file systems that fold case, drop invisible characters or have short names.
fn is_trap(name: &str) -> bool {
    let seen: String = name
        .chars()
        .filter(
            |c| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'),
        )
        .collect();
    let seen = seen.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    seen.is_empty() || name.contains(['/', '\0']) || seen == ".git" || seen == "git~1"
}

fn missing(path: &str) -> NetError {
    NetError::not_found(format!("there is no `{}`", one_line(path, 160)))
}

pub(super) fn file_too_large(path: &str, limit: u64) -> NetError {
    NetError::too_large(format!("`{}` is longer than {limit} bytes", one_line(path, 160)))
}

fn unreadable(error: &git2::Error) -> NetError {
    if let Some(too_large) = take_allocation_error("the repository") {
        return too_large;
    }
    let why = one_line(error.message(), 200);
    if error.code() == ErrorCode::NotFound {
        return NetError::malformed(format!("the repository is incomplete: {why}"));
    }
    NetError::unavailable(format!("cannot read the repository: {why}"))
}

#[cfg(test)]
mod tests {
    use super::is_trap;

    #[test]
    fn names_that_git_refuses_are_refused() {
        for bad in ["", ".", "..", "...", ".git", ".GIT", ".git ", ".git.", "git~1", "GIT~1", ".g\u{200c}it", "a/b"] {
            assert!(is_trap(bad), "{bad:?}");
        }
        for good in [".gitignore", ".github", "git", "..a", ".git2"] {
            assert!(!is_trap(good), "{good:?}");
        }
    }
}
