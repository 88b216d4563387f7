//! Reading with limits, and replacing files atomically.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::HomeError;

/// The readers of a new file. An existing file keeps its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0600
    Private,
    /// 0644
    Shared,
}

/// New content of a file, on disk beside it and not yet in place.
pub(crate) struct Staged {
    file: tempfile::NamedTempFile,
    target: PathBuf,
    path: PathBuf,
}

impl Staged {
    /// Writes the new content. A symlink (people keep their configuration in a repository)
    /// is followed, not replaced.
    pub(crate) fn new(path: &Path, bytes: &[u8], mode: Mode) -> Result<Self, HomeError> {
        Self::with(path, mode, |file| file.write_all(bytes))
    }

    fn with(path: &Path, mode: Mode, content: impl FnOnce(&mut File) -> io::Result<()>) -> Result<Self, HomeError> {
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
            match fs::metadata(&target) {
                Ok(meta) => {
                    platform::keep_owner(file.as_file(), &meta)?;
                    file.as_file().set_permissions(meta.permissions())?;
                }
                Err(_) => {
                    platform::keep_owner(file.as_file(), &fs::metadata(parent)?)?;
                    platform::set_mode(file.as_file(), mode)?;
                }
            }
            content(file.as_file_mut())?;
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

    /// Moves it into place.
    pub(crate) fn publish(self) -> Result<(), HomeError> {
        let publish = || -> io::Result<()> {
            self.file.persist(&self.target).map_err(|e| e.error)?;
            platform::sync_dir(self.target.parent().unwrap_or(Path::new(".")))
        };
        publish().map_err(|e| HomeError::io("write", &self.path, e))
    }
}

/// Returns when a file came to be, where the file system knows. A link is a file of its own.
pub fn created(path: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(path).and_then(|meta| meta.created()).ok()
}

/// Replaces a file as a whole: readers, and aiw after a crash, see either the old bytes or the new ones.
pub fn replace(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), HomeError> {
    Staged::new(path, bytes, mode)?.publish()
}

/// Replaces a file as [`replace`] does, with content that need not fit in memory.
pub fn replace_with(
    path: &Path,
    mode: Mode,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), HomeError> {
    Staged::with(path, mode, content)?.publish()
}

/// Gives a new file or directory of root's the owner of the directory that it is in. Otherwise `sudo aiw` would leave
/// files in a user's home that the user can't change.
pub fn inherit_owner(path: &Path) -> Result<(), HomeError> {
    platform::inherit_owner(path).map_err(|e| HomeError::io("change the owner of", path, e))
}

/// Opens a regular file for reading. Reading anything else (a pipe without a writer, a device) might never end.
pub fn open_plain(path: &Path) -> io::Result<File> {
    Ok(open_measured(path)?.0)
}

/// Opens a regular file as [`open_plain`] does. Returns its length, too.
fn open_measured(path: &Path) -> io::Result<(File, u64)> {
    let mut options = File::options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Otherwise, opening a pipe waits for a writer.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.read(true).open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    Ok((file, meta.len()))
}

/// A file's bytes, at most `limit`; `None` when there is no such file.
pub fn read_capped(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, HomeError> {
    let (file, length) = match open_measured(path) {
        Ok(opened) => opened,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
            return Err(HomeError::invalid(path, "is a directory where a file should be"));
        }
        Err(e) => return Err(HomeError::io("read", path, e)),
    };
    // The whole file at once, if it is as long as it says.
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(limit) + 1).unwrap_or_default());
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| HomeError::io("read", path, e))?;
    if bytes.len() as u64 > limit {
        return Err(HomeError::invalid(path, format!("is larger than {}", size(limit))));
    }
    Ok(Some(bytes))
}

/// A limit, for messages.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{} kB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

/// Whether a path leads to a file that can be run.
pub fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| {
        #[cfg(unix)]
        let runs = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0;
        #[cfg(not(unix))]
        let runs = true;
        meta.is_file() && runs
    })
}

/// The program of a command: a path, or the first of that name in the directories of `search`, which is a `PATH`. Relative
/// ones begin at `directory`.
pub fn find_program(command: &str, search: Option<&OsStr>, directory: &Path) -> Option<PathBuf> {
    if command.contains('/') {
        return Some(directory.join(command)).filter(|path| is_program(path));
    }
    std::env::split_paths(search?).map(|dir| directory.join(dir).join(command)).find(|path| is_program(path))
}

/// Removes a directory and everything in it; a missing one is fine.
pub fn remove_tree(path: &Path) -> Result<(), HomeError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(HomeError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Moves a new directory into place in one step. The old one ends up at `staged`, or is gone if the file system can't
/// exchange them.
pub fn publish_dir(staged: &Path, target: &Path) -> Result<(), HomeError> {
    let result = match fs::symlink_metadata(target) {
        Ok(_) => match platform::exchange(staged, target) {
            Some(result) => result,
            None => {
                remove_tree(target)?;
                fs::rename(staged, target)
            }
        },
        Err(_) => fs::rename(staged, target),
    };
    result.map_err(|e| HomeError::io("write", target, e))
}

/// Creates a directory and its parents, accessible only to the owner.
pub fn make_private_dir(dir: &Path) -> Result<(), HomeError> {
    if dir.is_dir() {
        return Ok(());
    }
    match platform::make_private_dir(dir) {
        Ok(()) => Ok(()),
        Err(_) if fs::symlink_metadata(dir).is_ok_and(|m| !m.is_dir()) => {
            Err(HomeError::invalid(dir, "is a file where a directory should be"))
        }
        Err(e) => Err(HomeError::io("create", dir, e)),
    }
}

/// Takes a file from everyone but the owner, if it is there.
pub(crate) fn make_private(path: &Path) {
    if let Ok(file) = open_plain(path) {
        let _ = platform::set_mode(&file, Mode::Private);
    }
}

/// Whether anyone but the owner can read a file.
pub(crate) fn others_may_read(path: &Path) -> bool {
    platform::others_may_read(path)
}

/// Makes a file, if it exists, accessible only to its owner.
pub(crate) fn make_private_file(path: &Path) -> Result<(), HomeError> {
    if !others_may_read(path) {
        return Ok(());
    }
    let protect = || platform::set_mode(&File::open(path)?, Mode::Private);
    protect().map_err(|e| HomeError::io("protect", path, e))
}

/// Opens a file that several processes lock or write in turn, and creates it if needed (0600). A link is not followed.
pub fn open_owned(path: &Path) -> io::Result<File> {
    platform::open_owned(path)
}

#[cfg(unix)]
mod platform {
    use std::fs::{self, DirBuilder, File, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    use std::path::Path;

    use rustix::fs::{CWD, Gid, Mode as RawMode, OFlags, RenameFlags, Uid, fchown, open, renameat_with};
    use rustix::process::geteuid;

    use super::Mode;

    pub(super) fn set_mode(file: &File, mode: Mode) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(if mode == Mode::Private { 0o600 } else { 0o644 }))
    }

    /// Gives a file of root's the owner of the one that it replaces, or of the directory that it is in. For other users,
    /// there is nothing to do.
    pub(super) fn keep_owner(file: &File, old: &fs::Metadata) -> io::Result<()> {
        let new = file.metadata()?;
        if !geteuid().is_root() || (new.uid(), new.gid()) == (old.uid(), old.gid()) {
            return Ok(());
        }
        Ok(fchown(file, Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())))?)
    }

    pub(super) fn inherit_owner(path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        if !geteuid().is_root() {
            return Ok(());
        }
        let owner = fs::metadata(parent)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        keep_owner(&File::from(open(path, flags, RawMode::empty())?), &owner)
    }

    pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    pub(super) fn make_private_dir(dir: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = dir.ancestors().take_while(|path| !path.exists()).collect();
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        missing.into_iter().rev().try_for_each(inherit_owner)
    }

    pub(super) fn others_may_read(path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
    }

    pub(super) fn open_owned(path: &Path) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = File::from(open(path, flags, RawMode::from_raw_mode(0o600))?);
        if let Some(parent) = path.parent() {
            keep_owner(&file, &fs::metadata(parent)?)?;
        }
        Ok(file)
    }

    /// `None` if the file system can't.
    pub(super) fn exchange(a: &Path, b: &Path) -> Option<io::Result<()>> {
        match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => None,
            result => Some(result.map_err(Into::into)),
        }
    }
}

/// The home is in the user's profile, whose access list keeps others out.
#[cfg(not(unix))]
mod platform {
    use std::fs::{self, File, OpenOptions};
    use std::io;
    use std::path::Path;

    use super::Mode;

    pub(super) fn set_mode(_file: &File, _mode: Mode) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn keep_owner(_file: &File, _old: &fs::Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn inherit_owner(_path: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn sync_dir(_dir: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn make_private_dir(dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    pub(super) fn others_may_read(_path: &Path) -> bool {
        false
    }

    pub(super) fn open_owned(path: &Path) -> io::Result<File> {
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
    }

    pub(super) fn exchange(_a: &Path, _b: &Path) -> Option<io::Result<()>> {
        None
    }
}
