use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::HomeError;

/// Who may read a new file. A file that exists keeps its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0600
    Private,
    /// 0644
    Shared,
}

/// New content of a file, on disk beside it and not yet in its place.
pub(crate) struct Staged {
    file: tempfile::NamedTempFile,
    target: PathBuf,
    path: PathBuf,
}

impl Staged {
    /// Writes the new content. A symlink (people keep their configuration in a repository)
    /// is followed, not replaced.
    pub(crate) fn new(path: &Path, bytes: &[u8], mode: Mode) -> Result<Self, HomeError> {
        let target = match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_symlink() => {
                fs::canonicalize(path).map_err(|e| HomeError::io("follow the link", path, e))?
            }
            Ok(meta) if meta.is_dir() => return Err(HomeError::invalid(path, "is a directory where a file should be")),
            _ => path.to_owned(),
        };
        let parent = target.parent().ok_or_else(|| HomeError::invalid(path, "has no directory"))?;
        let write = || -> io::Result<tempfile::NamedTempFile> {
            let mut file = tempfile::Builder::new().prefix(".aiw-").tempfile_in(parent)?;
            let permissions = match fs::metadata(&target) {
                Ok(meta) => meta.permissions(),
                Err(_) => Permissions::from_mode(if mode == Mode::Private { 0o600 } else { 0o644 }),
            };
            file.as_file().set_permissions(permissions)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        let file = write().map_err(|e| HomeError::io("write", path, e))?;
        Ok(Self { file, target: target.clone(), path: path.to_owned() })
    }

    /// Where it is until then.
    pub(crate) fn place(&self) -> &Path {
        self.file.path()
    }

    /// Puts it in its place.
    pub(crate) fn publish(self) -> Result<(), HomeError> {
        let publish = || -> io::Result<()> {
            self.file.persist(&self.target).map_err(|e| e.error)?;
            let parent = self.target.parent().unwrap_or(Path::new("."));
            File::open(parent)?.sync_all()
        };
        publish().map_err(|e| HomeError::io("write", &self.path, e))
    }
}

/// Replaces a file as a whole: readers, and we after a crash, see the old bytes or the new.
pub fn replace(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), HomeError> {
    Staged::new(path, bytes, mode)?.publish()
}

/// A file's bytes, at most `limit`; `None` when there is no such file.
pub fn read_capped(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, HomeError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(HomeError::io("read", path, e)),
    };
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(HomeError::invalid(path, "is a directory where a file should be"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| HomeError::io("read", path, e))?;
    if bytes.len() as u64 > limit {
        return Err(HomeError::invalid(path, format!("is larger than {} MiB", limit >> 20)));
    }
    Ok(Some(bytes))
}

/// Removes a directory and all beneath it; one that is absent is fine.
pub fn remove_tree(path: &Path) -> Result<(), HomeError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(HomeError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Puts a new directory in its place in one step; what was there before ends up at `staged`.
pub fn publish_dir(staged: &Path, target: &Path) -> Result<(), HomeError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    let result = match fs::symlink_metadata(target) {
        Ok(_) => match renameat_with(CWD, staged, CWD, target, RenameFlags::EXCHANGE) {
            // A file system that can't exchange: the old one goes first.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                remove_tree(target)?;
                fs::rename(staged, target)
            }
            result => result.map_err(Into::into),
        },
        Err(_) => fs::rename(staged, target),
    };
    result.map_err(|e| HomeError::io("write", target, e))
}
