//! Trees of directories on this machine.

use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::UNIX_EPOCH;

use aiw_core::{hex, one_line};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::files::{ItemKind, MAX_DEPTH, MAX_ITEMS, Revision, TreeEntry, TreeFiles, WriteChunk, is_git_dir};
use super::git::file_too_large;
use crate::error::NetError;

/// The files beneath a directory handle. Whatever paths and links say, nothing outside the directory is opened.
pub(super) struct DirectoryFiles {
    directory: Dir,
    revision: OnceLock<String>,
}

impl DirectoryFiles {
    pub(super) fn open(path: &Path) -> Result<Self, NetError> {
        let directory = Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|error| unreadable(&path.to_string_lossy(), error))?;
        Ok(Self { directory, revision: OnceLock::new() })
    }

    fn at(&self, path: &str) -> io::Result<Dir> {
        if path.is_empty() { self.directory.try_clone() } else { self.directory.open_dir(path) }
    }

    /// Returns one line for each entry, enough to notice a change without reading the files.
    fn stats(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let Ok(root) = self.directory.try_clone() else { return lines };
        let mut ahead = vec![(root, String::new(), 0)];
        while let Some((directory, path, depth)) = ahead.pop() {
            let Ok(entries) = directory.entries() else { continue };
            for entry in entries.flatten() {
                if lines.len() >= MAX_ITEMS {
                    return lines;
                }
                let name = entry.file_name().to_string_lossy().into_owned();
                if is_git_dir(Some(&name)) || name == "node_modules" {
                    continue;
                }
                let Ok(metadata) = entry.metadata() else { continue };
                let whole = format!("{path}/{name}");
                let kind = metadata.mode() & 0o170_111;
                if metadata.is_dir() {
                    // A directory's own time changes when its entries do, and those have lines of their own.
                    lines.push(format!("{whole}\0{kind:o}"));
                    if depth < MAX_DEPTH
                        && let Ok(below) = entry.open_dir()
                    {
                        ahead.push((below, whole, depth + 1));
                    }
                    continue;
                }
                let modified = metadata.modified().ok().map(|time| time.into_std());
                let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
                lines.push(format!("{whole}\0{kind:o} {} {}", metadata.len(), modified.as_nanos()));
            }
        }
        lines
    }
}

impl Revision for DirectoryFiles {
    fn text(&self) -> &str {
        self.revision.get_or_init(|| {
            let mut lines = self.stats();
            lines.sort_unstable();
            let mut digest = Sha256::new();
            for line in lines {
                digest.update(line.as_bytes());
                digest.update(b"\n");
            }
            format!("dir-{}", &hex(&digest.finalize())[..16])
        })
    }
}

fn described(name: String, metadata: &Metadata) -> TreeEntry {
    let kind = match metadata.file_type() {
        kind if kind.is_symlink() => Some(ItemKind::Link),
        kind if kind.is_dir() => Some(ItemKind::Directory),
        kind if kind.is_file() => Some(ItemKind::File),
        _ => None,
    };
    let file = kind == Some(ItemKind::File);
    TreeEntry {
        name,
        kind,
        size: if file { metadata.len() } else { 0 },
        // git goes by the owner's bit too.
        executable: file && metadata.mode() & 0o100 != 0,
    }
}

impl TreeFiles for DirectoryFiles {
    fn entry(&self, path: &str) -> Result<Option<TreeEntry>, NetError> {
        if path.is_empty() {
            return Ok(Some(TreeEntry::root()));
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        match self.directory.symlink_metadata(path) {
            Ok(metadata) => Ok(Some(described(name.to_owned(), &metadata))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(unreadable(path, error)),
        }
    }

    fn children(&self, path: &str) -> Result<Vec<TreeEntry>, NetError> {
        let failed = |error: io::Error| unreadable(path, error);
        let mut children = Vec::new();
        for entry in self.at(path).and_then(|directory| directory.entries()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().map_err(|name| {
                let shown = one_line(&format!("{path}/{}", name.to_string_lossy()), 160);
                NetError::invalid(format!("`{shown}` is a name that is not UTF-8"))
            })?;
            if is_git_dir(Some(&name)) {
                continue;
            }
            if children.len() >= MAX_ITEMS {
                return Err(NetError::too_large(format!("there are more than {MAX_ITEMS} files")));
            }
            match entry.metadata() {
                Ok(metadata) => children.push(described(name, &metadata)),
                // The file was removed in the meantime.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(children)
    }

    fn link_target(&self, path: &str) -> Result<String, NetError> {
        let target = self.directory.read_link_contents(path).map_err(|error| unreadable(path, error))?;
        target
            .into_os_string()
            .into_string()
            .map_err(|_| NetError::invalid(format!("link `{}` has a target that is not text", one_line(path, 120))))
    }

    fn content(&self, path: &str, limit: u64, sink: WriteChunk<'_>) -> Result<(), NetError> {
        let failed = |error: io::Error| unreadable(path, error);
        let mut options = OpenOptions::new();
        // If a pipe has replaced the file, do not wait for its writer.
        options.read(true).custom_flags((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed());
        let mut file = self.directory.open_with(path, &options).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(NetError::not_found(format!("`{}` is not a file", one_line(path, 160))));
        }
        if metadata.len() > limit {
            return Err(file_too_large(path, limit));
        }
        let (mut piece, mut length) = (vec![0; 64 << 10], 0_u64);
        loop {
            let read = match file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            // The file may grow while it is read.
            length += read as u64;
            if length > limit {
                return Err(file_too_large(path, limit));
            }
            sink(&piece[..read])?;
        }
    }

    fn subtree(&self, path: &str) -> Result<Arc<dyn TreeFiles>, NetError> {
        let directory = self.at(path).map_err(|error| unreadable(path, error))?;
        Ok(Arc::new(Self { directory, revision: OnceLock::new() }))
    }
}

fn unreadable(path: &str, error: io::Error) -> NetError {
    let path = if path.is_empty() { "." } else { path };
    let shown = one_line(path, 160);
    match error.kind() {
        ErrorKind::NotFound => NetError::not_found(format!("there is no `{shown}`")),
        ErrorKind::NotADirectory => NetError::not_found(format!("`{shown}` is not a directory")),
        ErrorKind::PermissionDenied => NetError::denied(format!("`{shown}` is not readable")),
        _ => NetError::unavailable(format!("cannot read `{shown}`: {error}")).with_source(error),
    }
}
