//! Files of other programs: reached beneath a directory without following links, and looked for in bounded steps.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use aiw_core::unix_millis;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

/// How deep below a CLI's directory transcripts are looked for.
const MAX_DEPTH: usize = 8;
/// How many entries of directories are looked at.
const MAX_ENTRIES: usize = 500_000;

/// Why a file is not read: the end of a sentence about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The file is not there (any more).
    #[error("is not there")]
    Missing,
    /// The file, or a directory on the way, is a link.
    #[error("is a link, or is reached through one")]
    Symlink,
    /// The path is a directory, a pipe or a device.
    #[error("is not a regular file")]
    NotRegular,
    /// Its path leads elsewhere.
    #[error("is not in a directory in which the CLI keeps sessions")]
    OutsideRoot,
    /// The file belongs to another user.
    #[error("belongs to another user")]
    WrongOwner,
    /// The system refused.
    #[error("can't be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// A transcript that is open for reading.
#[derive(Debug)]
pub(crate) struct OpenedTranscript {
    pub(crate) file: File,
    pub(crate) size: u64,
    /// In milliseconds since 1970.
    pub(crate) modified: i64,
    pub(crate) inode: u64,
}

/// Opens a regular file of this user's beneath a directory. The directory itself may be a link; nothing below it.
pub(crate) fn open_beneath(root: &Path, path: &str) -> Result<OpenedTranscript, FileError> {
    let refused = |e: Errno| match e {
        Errno::NOENT => FileError::Missing,
        Errno::LOOP => FileError::Symlink,
        // What is on the way is a file, or a link: Linux says so of both.
        Errno::NOTDIR => FileError::Symlink,
        Errno::NXIO | Errno::ISDIR => FileError::NotRegular,
        e => FileError::Unreadable(e.into()),
    };
    let parts: Vec<&str> = path.split('/').collect();
    if path.contains('\0') || parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(FileError::OutsideRoot);
    }
    let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, root, directory, Mode::empty()).map_err(refused)?;
    let (name, above) = parts.split_last().ok_or(FileError::OutsideRoot)?;
    for part in above {
        at = openat(&at, *part, directory | OFlags::NOFOLLOW, Mode::empty()).map_err(refused)?;
    }
    // Opening a pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(&at, *name, flags, Mode::empty()).map_err(refused)?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(FileError::NotRegular);
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(FileError::WrongOwner);
    }
    let modified = milliseconds(meta.modified().ok());
    Ok(OpenedTranscript { size: meta.len(), modified, inode: meta.ino(), file })
}

fn milliseconds(time: Option<std::time::SystemTime>) -> i64 {
    i64::try_from(time.map_or(0, unix_millis)).unwrap_or(i64::MAX)
}

impl OpenedTranscript {
    /// Up to `length` bytes from a position on.
    pub(crate) fn read_range(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Returns a digest of the file up to a position: of its first bytes, and of those before the position. A different
    /// digest shows that the file was rewritten.
    pub(crate) fn prefix_digest(&self, offset: u64) -> io::Result<[u8; 32]> {
        let length = offset.min(4096);
        let mut digest = Sha256::new();
        digest.update(self.read_range(0, usize::try_from(length).unwrap_or(0))?);
        digest.update(self.read_range(offset - length, usize::try_from(length).unwrap_or(0))?);
        Ok(digest.finalize().into())
    }
}

/// Reads a small file beneath a directory.
pub(crate) fn read_small(root: &Path, path: &str, limit: u64) -> Option<Vec<u8>> {
    let opened = open_beneath(root, path).ok().filter(|opened| opened.size <= limit)?;
    let mut bytes = Vec::new();
    (&opened.file).take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A file that was found below a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileEntry {
    /// Its path below the root, with `/` between names.
    pub(crate) path: String,
    /// When it came to be there, as far as is known.
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) size: u64,
    pub(crate) is_regular: bool,
}

/// Whatever is below some directories of a root and not itself a directory, in no order. Links are not followed.
pub(crate) fn walk(root: &Path, directories: &[&str]) -> Vec<FileEntry> {
    let mut found = Vec::new();
    let mut ahead: VecDeque<(String, usize)> = VecDeque::new();
    for start in directories {
        match std::fs::symlink_metadata(root.join(start)) {
            Ok(meta) if meta.is_dir() => ahead.push_back(((*start).to_owned(), 1)),
            Ok(meta) => found.push(entry((*start).to_owned(), &meta)),
            Err(_) => {}
        }
    }
    let mut seen = 0;
    while let Some((directory, depth)) = ahead.pop_front() {
        let Ok(entries) = std::fs::read_dir(root.join(&directory)) else { continue };
        for file in entries.flatten() {
            seen += 1;
            if seen > MAX_ENTRIES {
                return found;
            }
            // A transcript's name is always text.
            let Ok(name) = file.file_name().into_string() else { continue };
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            match file.file_type() {
                // A directory with a transcript's name is named as one by who asked.
                Ok(kind) if kind.is_dir() && !path.ends_with(".jsonl") => {
                    if depth < MAX_DEPTH {
                        ahead.push_back((path, depth + 1));
                    }
                }
                Ok(_) => found.extend(file.metadata().ok().map(|meta| entry(path, &meta))),
                Err(_) => {}
            }
        }
    }
    found
}

fn entry(path: String, meta: &std::fs::Metadata) -> FileEntry {
    let modified = milliseconds(meta.modified().ok());
    let since = meta.created().ok().map_or(modified, |time| milliseconds(Some(time)).min(modified));
    FileEntry { path, created: since, modified, size: meta.len(), is_regular: meta.is_file() }
}

/// A path below a root, if it is there by its name alone. The root may be reached through links.
pub(crate) fn relative_path(root: &Path, path: &Path) -> Option<String> {
    let real = std::fs::canonicalize(root).ok();
    let roots = [Some(root.to_owned()), real];
    let rest = roots.iter().flatten().find_map(|root: &PathBuf| path.strip_prefix(root).ok())?;
    let parts = rest.components().map(|part| match part {
        std::path::Component::Normal(name) => name.to_str(),
        _ => None,
    });
    Some(parts.collect::<Option<Vec<_>>>()?.join("/")).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_regular_file_that_no_link_leads_to_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("a/b.jsonl")).unwrap();
        fs::write(root.join("a/good.jsonl"), "x").unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        symlink(dir.path().join("secret"), root.join("a/link.jsonl")).unwrap();
        symlink(root.join("a"), root.join("way")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(root.join("a/pipe.jsonl")).status().unwrap().success());
        assert_eq!(open_beneath(&root, "a/good.jsonl").unwrap().size, 1);
        for (path, said) in [
            ("a/none.jsonl", "is not there"),
            ("a/link.jsonl", "is a link, or is reached through one"),
            ("way/good.jsonl", "is a link, or is reached through one"),
            ("a/b.jsonl", "is not a regular file"),
            ("a/pipe.jsonl", "is not a regular file"),
            ("../secret", "is not in a directory in which the CLI keeps sessions"),
            ("a/../../secret", "is not in a directory in which the CLI keeps sessions"),
            ("/etc/passwd", "is not in a directory in which the CLI keeps sessions"),
            ("", "is not in a directory in which the CLI keeps sessions"),
        ] {
            assert_eq!(open_beneath(&root, path).unwrap_err().to_string(), said, "{path}");
        }
        // The root may be a link of the user's own.
        symlink(&root, dir.path().join("linked")).unwrap();
        open_beneath(&dir.path().join("linked"), "a/good.jsonl").unwrap();
        assert_eq!(relative_path(&dir.path().join("linked"), &root.join("a/good.jsonl")).unwrap(), "a/good.jsonl");
        assert_eq!(relative_path(&root, &root.join("a/../../secret")), None);
        assert_eq!(relative_path(&root, dir.path()), None);
    }

    #[test]
    fn a_walk_names_what_is_no_file_and_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("p/x/deep")).unwrap();
        fs::write(root.join("p/x/1.jsonl"), "").unwrap();
        fs::write(root.join("p/x/deep/2.jsonl"), "").unwrap();
        fs::create_dir(root.join("p/x/3.jsonl")).unwrap();
        symlink(root, root.join("p/x/loop")).unwrap();
        let mut found: Vec<_> = walk(root, &["p", "none"]).into_iter().map(|e| (e.path, e.is_regular)).collect();
        found.sort();
        let wanted = [("p/x/1.jsonl", true), ("p/x/3.jsonl", false), ("p/x/deep/2.jsonl", true), ("p/x/loop", false)];
        assert_eq!(found, wanted.map(|(path, is_regular)| (path.to_owned(), is_regular)));
    }
}
