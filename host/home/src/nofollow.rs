//! Reading what a project brings, without following a link.
//!
//! A repository carries links, and trust belongs to a path. A link would lend the trust of one path to what another
//! one holds, so no component of the path may be one. Each component is opened in its parent, so nothing that is
//! renamed meanwhile leads elsewhere.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::HomeError;
use crate::files::format_size;

/// Reads a file's bytes, at most `limit`; `None` if there is no such file. The path must be absolute and hold no link.
///
/// # Errors
///
/// The file is not a plain one, is larger, or can't be reached without a link.
pub fn read_nofollow(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, HomeError> {
    Ok(read_nofollow_with_dir(path, limit)?.map(|(_, bytes)| bytes))
}

/// Reads a file as [`read_nofollow`] does, and returns the open directory in which it was found.
pub fn read_nofollow_with_dir(path: &Path, limit: u64) -> Result<Option<(OpenDir, Vec<u8>)>, HomeError> {
    let (directory, file) = match platform::open_file(path) {
        Ok(opened) => opened,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(explained(path, e)),
    };
    let directory = OpenDir::of(directory).map_err(|e| HomeError::io("read", path, e))?;
    let meta = file.metadata().map_err(|e| HomeError::io("read", path, e))?;
    if !meta.is_file() {
        return Err(HomeError::invalid(path, "is not a plain file"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| HomeError::io("read", path, e))?;
    if bytes.len() as u64 > limit {
        return Err(HomeError::invalid(path, format!("is larger than {}", format_size(limit))));
    }
    Ok(Some((directory, bytes)))
}

/// An open directory: the same one, whatever becomes of its path. Two are equal if they are one directory.
#[derive(Debug, Clone)]
pub struct OpenDir {
    file: Arc<File>,
    id: (u64, u64),
}

impl OpenDir {
    #[cfg(unix)]
    fn of(file: File) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let meta = file.metadata()?;
        Ok(Self { file: Arc::new(file), id: (meta.dev(), meta.ino()) })
    }

    #[cfg(not(unix))]
    fn of(file: File) -> io::Result<Self> {
        Ok(Self { file: Arc::new(file), id: (0, 0) })
    }

    /// Returns the handle.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl PartialEq for OpenDir {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for OpenDir {}

/// Opens a directory. The path must be absolute and hold no link.
///
/// # Errors
///
/// The system's error, or the refusal of a link on the way.
pub fn open_dir_nofollow(path: &Path) -> io::Result<File> {
    platform::open_dir(path)
}

/// The nearest file of a name in a directory or above it, not beyond `stop` (the user's home directory) and not beyond
/// the root of a repository. Whether it is a plain file turns out when it is read.
pub fn find_in_ancestors(name: &str, directory: &Path, stop: Option<&Path>) -> Option<PathBuf> {
    let real = stop.and_then(|stop| fs::canonicalize(stop).ok());
    for dir in directory.ancestors() {
        let path = dir.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            return Some(path);
        }
        if dir.join(".git").exists() || Some(dir) == stop || Some(dir) == real.as_deref() {
            return None;
        }
    }
    None
}

/// An error with the link that caused it, if there is one.
fn explained(path: &Path, source: io::Error) -> HomeError {
    match path.ancestors().find(|part| fs::symlink_metadata(part).is_ok_and(|meta| meta.is_symlink())) {
        Some(link) if link == path => HomeError::invalid(path, "is a link, which aiw doesn't follow in a project"),
        Some(link) => HomeError::invalid(
            path,
            format!("is in `{}`, a link, which aiw doesn't follow in a project", link.display()),
        ),
        None => HomeError::io("read", path, source),
    }
}

#[cfg(unix)]
mod platform {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::path::{Component, Path};

    use rustix::fd::OwnedFd;
    use rustix::fs::{Mode, OFlags, open, openat};

    use crate::places::TRAVERSE_FLAGS;

    /// Opening a pipe would otherwise wait for its writer.
    const FILE_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
    const DIR_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    /// Returns the directory of a file, and the file.
    pub(super) fn open_file(path: &Path) -> io::Result<(File, File)> {
        open_last(path, FILE_FLAGS)
    }

    pub(super) fn open_dir(path: &Path) -> io::Result<File> {
        open_last(path, DIR_FLAGS).map(|(_, directory)| directory)
    }

    fn open_last(path: &Path, flags: OFlags) -> io::Result<(File, File)> {
        let mut parts = path.components();
        if parts.next() != Some(Component::RootDir) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let name = |part| match part {
            Component::Normal(name) => Ok(name),
            _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        };
        let names: Vec<&OsStr> = parts.map(name).collect::<io::Result<_>>()?;
        let mut dir: OwnedFd = open("/", TRAVERSE_FLAGS, Mode::empty())?;
        let Some((last, above)) = names.split_last() else {
            return Ok((dir.into(), open("/", flags, Mode::empty())?.into()));
        };
        for name in above {
            dir = openat(&dir, *name, TRAVERSE_FLAGS | OFlags::NOFOLLOW, Mode::empty())?;
        }
        let last = openat(&dir, *last, flags | OFlags::NOFOLLOW, Mode::empty())?;
        Ok((dir.into(), last.into()))
    }
}

/// Without handles of directories, links are looked for before and after.
#[cfg(not(unix))]
mod platform {
    use std::fs::{self, File};
    use std::io;
    use std::path::Path;

    pub(super) fn open_file(path: &Path) -> io::Result<(File, File)> {
        without_links(path)?;
        let file = crate::files::open_regular(path)?;
        let directory = File::open(path.parent().unwrap_or(path))?;
        without_links(path)?;
        Ok((directory, file))
    }

    pub(super) fn open_dir(path: &Path) -> io::Result<File> {
        without_links(path)?;
        let file = File::open(path)?;
        without_links(path)?;
        Ok(file)
    }

    fn without_links(path: &Path) -> io::Result<()> {
        let is_link = |part: &Path| fs::symlink_metadata(part).is_ok_and(|meta| meta.is_symlink());
        match path.ancestors().any(is_link) {
            true => Err(io::ErrorKind::InvalidInput.into()),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        (dir, root)
    }

    #[test]
    fn a_link_is_refused_wherever_it_is_on_the_way() {
        let (_dir, root) = place();
        fs::create_dir_all(root.join("good/deep")).unwrap();
        fs::write(root.join("good/deep/x"), "text").unwrap();
        symlink("deep/x", root.join("good/x")).unwrap();
        symlink("good", root.join("bad")).unwrap();
        symlink("nowhere", root.join("gone")).unwrap();
        let read = |path: &str| read_nofollow(&root.join(path), 10);
        assert_eq!(read("good/deep/x").unwrap().unwrap(), b"text");
        assert_eq!(read("good/y").unwrap(), None);
        for path in ["good/x", "bad/deep/x", "gone", "good/../good/deep/x"] {
            assert!(read(path).is_err(), "{path}");
        }
        assert!(read("good/x").unwrap_err().to_string().contains("is a link"));
        assert!(read("bad/deep/x").unwrap_err().to_string().contains("/bad`, a link"));
        assert!(
            open_dir_nofollow(&root.join("good/deep")).is_ok() && open_dir_nofollow(&root.join("bad/deep")).is_err()
        );
    }

    #[test]
    fn a_directory_a_pipe_and_a_long_file_are_errors_that_take_no_time() {
        let (_dir, root) = place();
        fs::create_dir(root.join("dir")).unwrap();
        fs::write(root.join("long"), "0123456789a").unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(root.join("fifo")).status().unwrap();
        assert!(fifo.success());
        for name in ["dir", "long", "fifo"] {
            assert!(read_nofollow(&root.join(name), 10).is_err(), "{name}");
        }
    }
}
