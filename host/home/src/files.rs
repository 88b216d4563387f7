//! Reading with limits, and replacing files atomically.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::HomeError;
use crate::places::{self, OpenDirectory, OpenMode, Parent};

/// The readers of a new file. An existing file keeps its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0600
    Private,
    /// 0644
    Shared,
}

/// A file's inode, its time of change, and its length: one of them changes with the file.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp(u64, i64, i64, u64);

#[cfg(unix)]
impl FileStamp {
    /// Returns the stamp in a file's metadata.
    pub fn from_metadata(meta: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.len())
    }
}

/// New content of a file, on disk beside it and not yet in place.
pub(crate) struct StagedFile {
    parent: Parent,
    /// Its name until then.
    name: OsString,
    is_published: bool,
    path: PathBuf,
}

impl StagedFile {
    /// Writes the new content. The link of a configuration (people keep it in a repository) is followed, not replaced.
    pub(crate) fn new(path: &Path, bytes: &[u8], mode: Mode) -> Result<Self, HomeError> {
        Self::with(path, mode, |_| {}, |file| file.write_all(bytes))
    }

    /// Writes the new content as [`Self::new`] does, once a function knows in which directory it is about to be.
    pub(crate) fn with_dir_callback(
        path: &Path,
        bytes: &[u8],
        mode: Mode,
        note: impl FnOnce(&Path),
    ) -> Result<Self, HomeError> {
        Self::with(path, mode, note, |file| file.write_all(bytes))
    }

    fn with(
        path: &Path,
        mode: Mode,
        note: impl FnOnce(&Path),
        content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Self, HomeError> {
        let write = || -> io::Result<Self> {
            let parent = Parent::find(path)?.resolve_link()?;
            note(parent.path());
            let name = OsString::from(format!(".aiw-{}", aiw_core::random_hex::<8>()?));
            let mut file = parent.open(&name, OpenMode::CreateNew)?;
            let staged = Self { parent, name, is_published: false, path: path.to_owned() };
            if !staged.parent.preserve_attributes(&file)? {
                staged.parent.inherit_file_owner(&file)?;
                set_mode(&file, mode)?;
            }
            content(&mut file)?;
            file.sync_all()?;
            Ok(staged)
        };
        write().map_err(|e| match e.kind() {
            io::ErrorKind::IsADirectory => HomeError::invalid(path, "is a directory where a file should be"),
            _ => HomeError::io("write", path, e),
        })
    }

    /// Where it is until then.
    pub(crate) fn staging_path(&self) -> PathBuf {
        self.parent.path().join(&self.name)
    }

    /// Moves it into place.
    pub(crate) fn publish(mut self) -> Result<(), HomeError> {
        let mut publish = || -> io::Result<()> {
            self.parent.rename(&self.name, &self.parent)?;
            self.is_published = true;
            self.parent.sync()
        };
        publish().map_err(|e| HomeError::io("write", &self.path, e))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = self.parent.remove(&self.name);
        }
    }
}

/// Returns when a file came to be, where the file system knows. A link is a file of its own.
pub fn creation_time(path: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(path).and_then(|meta| meta.created()).ok()
}

/// Replaces a file as a whole: readers, and aiw after a crash, see either the old bytes or the new ones.
pub fn replace(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), HomeError> {
    StagedFile::new(path, bytes, mode)?.publish()
}

/// Replaces a file as [`replace`] does, with content that need not fit in memory.
pub fn replace_with(
    path: &Path,
    mode: Mode,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), HomeError> {
    StagedFile::with(path, mode, |_| {}, content)?.publish()
}

/// Gives a new file or directory of root's the owner of the directory that it is in. Otherwise `sudo aiw` would leave
/// files in a user's home that the user can't change.
pub fn inherit_owner(path: &Path) -> Result<(), HomeError> {
    Parent::find(path)
        .and_then(|parent| parent.inherit_owner())
        .map_err(|e| HomeError::io("change the owner of", path, e))
}

/// Opens a regular file for reading. Reading anything else (a pipe without a writer, a device) might never end.
pub fn open_regular(path: &Path) -> io::Result<File> {
    places::open_to_read(path).map(|(file, _)| file)
}

/// A file's bytes, at most `limit`; `None` when there is no such file.
pub fn read_capped(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, HomeError> {
    read_opened(places::open_to_read(path), path, limit)
}

impl OpenDirectory {
    /// Reads a whole file below the directory, as [`read_capped`] does.
    pub fn read_capped(&self, below: &Path, limit: u64) -> Result<Option<Vec<u8>>, HomeError> {
        read_opened(self.open(below), &self.path().join(below), limit)
    }
}

fn read_opened(
    opened: io::Result<(File, fs::Metadata)>,
    path: &Path,
    limit: u64,
) -> Result<Option<Vec<u8>>, HomeError> {
    let (mut file, meta) = match opened {
        Ok(opened) => opened,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
            return Err(HomeError::invalid(path, "is a directory where a file should be"));
        }
        Err(e) => return Err(HomeError::io("read", path, e)),
    };
    // The whole file at once, if it is as long as it says.
    let mut bytes = vec![0; usize::try_from(meta.len().min(limit + 1)).unwrap_or_default()];
    let read = file.read(&mut bytes).map_err(|e| HomeError::io("read", path, e))?;
    if read != bytes.len() || read == 0 {
        bytes.truncate(read);
        let rest = (limit + 1).saturating_sub(read as u64);
        file.take(rest).read_to_end(&mut bytes).map_err(|e| HomeError::io("read", path, e))?;
    }
    if bytes.len() as u64 > limit {
        return Err(HomeError::invalid(path, format!("is larger than {}", format_size(limit))));
    }
    Ok(Some(bytes))
}

/// A limit, for messages.
pub(crate) fn format_size(bytes: u64) -> String {
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
    match Parent::find(path).and_then(|parent| parent.remove_tree()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(HomeError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Moves a new directory into place in one step. The old one ends up at `staged`, or is gone if the file system can't
/// exchange them.
pub fn publish_dir(staged: &Path, target: &Path) -> Result<(), HomeError> {
    let publish = || -> io::Result<()> {
        let (from, to) = (Parent::find(staged)?, Parent::find(target)?);
        if to.exists() {
            to.refuse_link()?;
            match from.exchange(&to) {
                Some(result) => return result,
                None => to.remove_tree()?,
            }
        }
        from.rename(from.name(), &to)
    };
    publish().map_err(|e| HomeError::io("write", target, e))
}

/// Creates a directory and its parents, accessible only to the owner.
pub fn make_private_dir(dir: &Path) -> Result<(), HomeError> {
    match places::make_dir(dir) {
        Ok(()) => Ok(()),
        Err(_) if fs::symlink_metadata(dir).is_ok_and(|meta| !meta.is_dir() && !meta.is_symlink()) => {
            Err(HomeError::invalid(dir, "is a file where a directory should be"))
        }
        Err(e) => Err(HomeError::io("create", dir, e)),
    }
}

/// Takes a file from everyone but the owner, if it is there.
pub(crate) fn make_private(path: &Path) {
    if let Ok(file) = open_regular(path) {
        let _ = set_mode(&file, Mode::Private);
    }
}

/// Returns the first of these paths at which nothing is, not even a link to nothing. `named` gets the numbers from 1 on.
pub fn first_free(named: impl Fn(u32) -> PathBuf) -> PathBuf {
    let is_free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    (1..).map(&named).find(is_free).unwrap_or_else(|| named(1))
}

/// Whether anyone but the owner can read a file.
pub(crate) fn is_readable_by_others(path: &Path) -> bool {
    has_any(path, 0o077)
}

/// Whether anyone but the owner can get at what is in a directory, if they know its name.
#[cfg(unix)]
pub(crate) fn is_searchable_by_others(path: &Path) -> bool {
    has_any(path, 0o011)
}

/// Whether anyone but the owner can change a file, or what is in a directory.
pub(crate) fn is_writable_by_others(path: &Path) -> bool {
    has_any(path, 0o022)
}

#[cfg(unix)]
fn has_any(path: &Path, bits: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & bits != 0)
}

// The home is in the user's profile, whose access list keeps others out.
#[cfg(not(unix))]
fn has_any(_: &Path, _: u32) -> bool {
    false
}

/// Refuses a file or a directory that other users can change.
///
/// # Errors
///
/// They can.
pub fn check_permissions(path: &Path) -> Result<(), HomeError> {
    match is_writable_by_others(path) {
        true => Err(HomeError::invalid(path, "can be written by other users")),
        false => Ok(()),
    }
}

/// Makes a file, if it exists, accessible only to its owner.
pub(crate) fn make_private_file(path: &Path) -> Result<(), HomeError> {
    if !is_readable_by_others(path) {
        return Ok(());
    }
    let protect = || set_mode(&open_regular(path)?, Mode::Private);
    protect().map_err(|e| HomeError::io("protect", path, e))
}

/// Checks that files can be written in a directory of ours, by writing one. Something that can't be undone may come
/// after that.
pub fn check_writable(directory: &Path) -> Result<(), HomeError> {
    make_private_dir(directory)?;
    match StagedFile::new(&directory.join("check"), &[0; 4096], Mode::Private) {
        Err(HomeError::Io { source, .. }) => Err(HomeError::io("write in", directory, source)),
        staged => staged.map(drop),
    }
}

/// Opens a file that several processes lock or write in turn, and creates it if needed (0600). A link is not followed.
pub fn open_owned(path: &Path) -> io::Result<File> {
    places::open(path, OpenMode::ReadWrite)
}

#[cfg(unix)]
fn set_mode(file: &File, mode: Mode) -> io::Result<()> {
    let mode = if mode == Mode::Private { 0o600 } else { 0o644 };
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_file: &File, _mode: Mode) -> io::Result<()> {
    Ok(())
}
