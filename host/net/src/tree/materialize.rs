//! Writes a tree to disk.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use aiw_core::{RelPath, hex, one_line};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use sha2::{Digest, Sha256};

use super::{ItemKind, MAX_BYTES, SkippedEntry, Tree, Walk, WalkItem};
use crate::error::NetError;

/// The result of writing a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaterializeSummary {
    /// The [`Tree::digest`] of the written files.
    pub digest: String,
    /// The number of files and links.
    pub files: u32,
    /// The size of the files in bytes.
    pub bytes: u64,
    /// The items that were not written, sorted by path.
    pub skipped: Vec<SkippedEntry>,
}

/// The digest of a tree that is read in path order. Directories do not count, because git has no empty ones.
struct TreeDigest(Sha256);

impl TreeDigest {
    fn add(&mut self, kind: u8, path: &RelPath, content: Sha256) {
        self.0.update([kind]);
        self.0.update((path.as_str().len() as u64).to_le_bytes());
        self.0.update(path.as_str().as_bytes());
        self.0.update(content.finalize());
    }

    fn add_file(&mut self, item: &WalkItem, content: Sha256) {
        self.add(if item.executable { b'x' } else { b'f' }, &item.path, content);
    }

    fn add_link(&mut self, item: &WalkItem, target: &str) {
        self.add(b'l', &item.path, Sha256::new_with_prefix(target.as_bytes()));
    }
}

impl Tree {
    /// Returns a SHA-256 digest, in hexadecimal, of the paths, kinds, executable bits and contents of everything
    /// that [`Tree::materialize`] would write. It is the same for git and for a directory.
    pub fn digest(&self) -> Result<String, NetError> {
        let mut digest = TreeDigest(Sha256::new());
        let mut left = MAX_BYTES;
        for item in &self.plan()?.items {
            match (item.kind, &item.link_target) {
                (ItemKind::File, _) => {
                    let mut content = Sha256::new();
                    let mut length = 0;
                    self.files.content(item.path.as_str(), left, &mut |piece| {
                        length += piece.len() as u64;
                        content.update(piece);
                        Ok(())
                    })?;
                    left -= length;
                    digest.add_file(item, content);
                }
                (ItemKind::Link, Some(target)) => digest.add_link(item, target),
                _ => {}
            }
        }
        Ok(hex(&digest.0.finalize()))
    }

    /// Writes the tree into an empty directory. An item that cannot be written safely is left out and listed, or is
    /// an error.
    pub fn materialize(&self, into: &Path) -> Result<MaterializeSummary, NetError> {
        let Walk { items, skipped: left_out } = self.plan()?;
        check_case(&items)?;
        let root = Dir::open_ambient_dir(into, ambient_authority()).map_err(|error| unwritable(".", error))?;
        let late = fails_late(&root);
        let mut digest = TreeDigest(Sha256::new());
        let (mut files, mut bytes) = (0_u32, 0_u64);
        for item in &items {
            let path = item.path.as_str();
            match (item.kind, &item.link_target) {
                // Sorted by path, a directory comes before its contents.
                (ItemKind::Directory, _) => root.create_dir(path).map_err(|error| unwritable(path, error))?,
                (ItemKind::File, _) => {
                    let mut options = OpenOptions::new();
                    options.write(true).create_new(true).mode(if item.executable { 0o755 } else { 0o644 });
                    let mut file = root.open_with(path, &options).map_err(|error| unwritable(path, error))?;
                    let mut content = Sha256::new();
                    let mut length = 0;
                    self.files.content(path, MAX_BYTES - bytes, &mut |piece| {
                        length += piece.len() as u64;
                        content.update(piece);
                        file.write_all(piece).map_err(|error| unwritable(path, error))
                    })?;
                    if late {
                        file.sync_data().map_err(|error| unwritable(path, error))?;
                    }
                    bytes += length;
                    files += 1;
                    digest.add_file(item, content);
                }
                (ItemKind::Link, Some(target)) => {
                    root.symlink(target, path).map_err(|error| unwritable(path, error))?;
                    files += 1;
                    digest.add_link(item, target);
                }
                _ => {}
            }
        }
        Ok(MaterializeSummary { digest: hex(&digest.0.finalize()), files, bytes, skipped: left_out })
    }
}

/// Returns whether a file system may report a full disk or an exceeded quota only when a file is closed. The
/// standard library ignores errors of closing, so files on such a file system are flushed.
fn fails_late(directory: &Dir) -> bool {
    // NFS, SMB and CIFS, FUSE, AFS, Ceph (statfs(2)).
    const REMOTE_FS_MAGIC: [u32; 7] = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42, 0x6573_5546, 0x5346_414f, 0x00c3_6400];
    rustix::fs::fstatfs(directory).is_ok_and(|stat| REMOTE_FS_MAGIC.contains(&(stat.f_type as u32)))
}

/// Refuses two names that are the same on a file system that folds case.
fn check_case(items: &[WalkItem]) -> Result<(), NetError> {
    let mut seen: HashMap<String, &RelPath> = HashMap::with_capacity(items.len());
    for item in items {
        if let Some(other) = seen.insert(item.path.as_str().to_lowercase(), &item.path) {
            return Err(NetError::invalid(format!(
                "`{}` and `{}` differ only in case, which some file systems do not distinguish",
                one_line(other.as_str(), 120),
                one_line(item.path.as_str(), 120)
            )));
        }
    }
    Ok(())
}

fn unwritable(path: &str, error: io::Error) -> NetError {
    NetError::unavailable(format!("cannot write `{}`: {error}", one_line(path, 160))).with_source(error)
}
