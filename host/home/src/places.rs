//! Which of aiw's files may be links, and the only way to those that may not.
//!
//! People keep configuration in a repository and link to it. aiw's own state is never behind a link: writing it would
//! replace whatever the link leads to, as root any file. So each directory on the way to it is opened in the one above
//! it, without following a link, and the file is opened, replaced or removed in that open directory.
//!
//! Long: every call on a file that knows what may be a link.

use parking_lot::RwLock;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use crate::documents::{STATE_PATHS, SymlinkPolicy};

#[cfg(unix)]
pub(crate) use platform::TRAVERSE_FLAGS;
pub(crate) use platform::{Parent, check_owner};

/// The directories in which paths are found in the table: homes, and the runtime directories, which hold only state.
static STATE_ROOTS: RwLock<BTreeSet<PathBuf>> = RwLock::new(BTreeSet::new());

/// Declares a directory to be aiw's own: what is below it is state, but for the configuration of a home.
pub fn register_state_root(root: &Path) {
    let is_known = || STATE_ROOTS.read().contains(root);
    if root.is_absolute() && !is_known() {
        STATE_ROOTS.write().insert(root.to_owned());
    }
}

/// A path below one of our directories.
#[derive(Debug)]
struct StateLocation {
    root: PathBuf,
    /// The names of the path below the root.
    names: Vec<OsString>,
    /// How many of them may not be links.
    nofollow_len: usize,
}

impl StateLocation {
    /// Finds a path. `None` if it is in none of our directories, or is one of them itself.
    fn of(path: &Path) -> io::Result<Option<Self>> {
        let roots = STATE_ROOTS.read();
        let inside = roots.iter().filter_map(|root| Some((root, path.strip_prefix(root).ok()?)));
        let Some((root, below)) = inside.min_by_key(|(_, below)| below.as_os_str().len()) else { return Ok(None) };
        let names = below.components().map(|part| match part {
            Component::Normal(name) => Ok(name.to_owned()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "`..` is not used in aiw's own directory")),
        });
        let names: Vec<OsString> = names.collect::<io::Result<_>>()?;
        let nofollow_len = nofollow_len(&names);
        Ok((!names.is_empty()).then(|| Self { root: root.clone(), names, nofollow_len }))
    }
}

/// Returns how many names of a path from the home's root may not be links.
fn nofollow_len(names: &[OsString]) -> usize {
    let found = STATE_PATHS.iter().filter_map(|kept| Some((kept.matches(names)?, kept.links)));
    match found.max_by_key(|(length, _)| *length) {
        Some((length, SymlinkPolicy::Allowed)) => length - 1,
        Some((length, SymlinkPolicy::Unmanaged)) => length,
        Some((_, SymlinkPolicy::Refused)) | None => names.len(),
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenMode {
    Read,
    /// For reading and writing; created if needed.
    ReadWrite,
    /// For reading, and writing at its end; created if needed.
    Append,
    /// For writing; it must not exist yet.
    CreateNew,
}

/// Returns the path of a file or directory of ours for a program that opens it itself, such as SQLite. From the root
/// on, no part of it is a link.
///
/// # Errors
///
/// The system's error, or the refusal of a link.
pub fn nofollow_path(path: &Path) -> io::Result<PathBuf> {
    let Some(place) = StateLocation::of(path)? else { return Ok(path.to_owned()) };
    let parent = match Parent::find(path) {
        // Nothing is there, so nothing is a link.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(path.to_owned()),
        parent => parent?,
    };
    parent.check()?;
    Ok(fs::canonicalize(&place.root)?.join(place.names.iter().collect::<PathBuf>()))
}

/// Lists a directory. One of ours is not reached by a link.
///
/// # Errors
///
/// The system's error, or the refusal of a link.
pub fn read_dir(path: &Path) -> io::Result<fs::ReadDir> {
    nofollow_path(path)?;
    fs::read_dir(path)
}

/// Removes a file. One of ours is not reached by a link.
///
/// # Errors
///
/// The system's error, or the refusal of a link.
pub fn remove_file(path: &Path) -> io::Result<()> {
    let parent = Parent::find(path)?;
    parent.remove(parent.name())
}

/// Renames a file or directory, and replaces a file. Ours are not reached by links.
///
/// # Errors
///
/// The system's error, or the refusal of a link.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (Parent::find(from)?, Parent::find(to)?);
    from.rename(from.name(), &to)
}

/// Opens a file for reading and for writing at its end, and creates it if needed (0600). It is a plain file.
///
/// # Errors
///
/// The system's error, or the refusal of a link or of another user's file.
pub fn open_append(path: &Path) -> io::Result<fs::File> {
    open(path, OpenMode::Append)
}

/// Adds a line to a log, whose directory is made if needed. A log of `most` bytes becomes the older one beside it
/// (`.log.1`). Several processes may write to it: one write is one line.
///
/// # Errors
///
/// The system's error. A log that can't be written should stop nothing.
pub fn log_line(path: &Path, line: &str, most: u64) -> io::Result<()> {
    let open = || match open_append(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), make_dir)?;
            open_append(path)
        }
        opened => opened,
    };
    let mut file = open()?;
    if file.metadata()?.len() > most {
        // Two processes may both do it; then the old one is short.
        rename(path, &path.with_extension("log.1"))?;
        file = open()?;
    }
    file.write_all(format!("{} {line}\n", crate::now_rfc3339()).as_bytes())
}

/// Creates a file that is not there yet (0600), for writing.
///
/// # Errors
///
/// The system's error, or the refusal of a link.
pub fn create_new(path: &Path) -> io::Result<fs::File> {
    open(path, OpenMode::CreateNew)
}

/// Opens a file as its place demands.
pub(crate) fn open(path: &Path, how: OpenMode) -> io::Result<fs::File> {
    open_walking(path, how).map(|(file, _)| file)
}

/// Opens a file by a walk through each directory, which tells what is wrong. Returns also what the system says about
/// it.
fn open_walking(path: &Path, how: OpenMode) -> io::Result<(fs::File, fs::Metadata)> {
    let parent = Parent::find(path)?;
    let file = parent.open(parent.name(), how)?;
    let meta = plain(&file)?;
    parent.check_owner(&meta)?;
    if how != OpenMode::Read {
        parent.inherit_file_owner(&file)?;
    }
    Ok((file, meta))
}

/// Opens a file for reading as its place demands. Returns also what the system says about it.
pub(crate) fn open_to_read(path: &Path) -> io::Result<(fs::File, fs::Metadata)> {
    match StateLocation::of(path)? {
        Some(StateLocation { root, names, nofollow_len }) if nofollow_len == names.len() => {
            let way: PathBuf = names.iter().collect();
            OpenDirectory { path: root.clone(), opened: platform::DirHandle::open_at(&root, &[]) }.open(&way)
        }
        _ => open_walking(path, OpenMode::Read),
    }
}

/// An open directory of aiw's state, for reading many files below it. None of them is reached by a link.
pub struct OpenDirectory {
    path: PathBuf,
    opened: Option<platform::DirHandle>,
}

impl OpenDirectory {
    /// Opens a directory. One that can't be opened is tried again for each file, whose error tells why.
    pub fn new(path: &Path) -> Self {
        let opened = match StateLocation::of(path) {
            Ok(Some(StateLocation { root, names, nofollow_len })) if nofollow_len == names.len() => {
                platform::DirHandle::open_at(&root, &names)
            }
            _ => None,
        };
        Self { path: path.to_owned(), opened }
    }

    /// Opens a plain file for reading. `below` is its path from the directory on.
    ///
    /// # Errors
    ///
    /// An error of the system; a link is refused, and so is a file of somebody else's.
    pub fn open_regular(&self, below: &Path) -> io::Result<fs::File> {
        self.open(below).map(|(file, _)| file)
    }

    pub(crate) fn open(&self, below: &Path) -> io::Result<(fs::File, fs::Metadata)> {
        match self.opened.as_ref().and_then(|opened| opened.read(below)) {
            Some(opened) => opened,
            None => open_walking(&self.path.join(below), OpenMode::Read),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Refuses anything but a plain file.
fn plain(file: &fs::File) -> io::Result<fs::Metadata> {
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    Ok(meta)
}

/// Makes a directory and those above it, accessible only to the owner.
pub(crate) fn make_dir(directory: &Path) -> io::Result<()> {
    match StateLocation::of(directory)? {
        None => platform::make_external_dir(directory),
        Some(place) => {
            if !place.root.is_dir() {
                platform::make_external_dir(&place.root)?;
            }
            Parent::find_or_create(directory)?.make_dir()
        }
    }
}

/// The error for a link where none may be.
fn linked(link: &Path, is_last: bool) -> io::Error {
    let problem = match is_last {
        true => "it is a link, and aiw keeps its own files behind none".to_owned(),
        false => format!("`{}` is a link, and aiw keeps its own files behind none", link.display()),
    };
    io::Error::new(io::ErrorKind::InvalidInput, problem)
}

#[cfg(unix)]
mod platform {
    use std::ffi::{OsStr, OsString};
    use std::fs::{self, File, Metadata};
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;

    use rustix::fd::OwnedFd;
    use rustix::fs::{
        AtFlags, Dir, FileType, Gid, Mode, OFlags, RawMode, RenameFlags, Stat, Uid, fchown, mkdirat, open, openat,
        renameat, renameat_with, statat, unlinkat,
    };
    use rustix::io::Errno;
    use rustix::process::geteuid;

    use super::{OpenMode, StateLocation, linked, plain};

    /// Refuses a file or directory that somebody's home names and that isn't theirs, if this is root: a link or a
    /// record in their home would give them root's hand.
    pub(crate) fn check_owner(root: &Path, path: &Path) -> io::Result<()> {
        check_owner_of_named(root, || fs::metadata(path))
    }

    fn check_owner_of_named(root: &Path, named: impl Fn() -> io::Result<Metadata>) -> io::Result<()> {
        if !user().is_root() {
            return Ok(());
        }
        let home = fs::metadata(root)?.uid();
        match home == 0 || named()?.uid() == home {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not a file of this home's owner")),
        }
    }

    /// On Linux, a directory that the user can't list can still be passed through.
    #[cfg(target_os = "linux")]
    pub(crate) const TRAVERSE_FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    #[cfg(not(target_os = "linux"))]
    pub(crate) const TRAVERSE_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    const DIR_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    /// Opens what is below a directory, in one call. No part of the way may be a link.
    #[cfg(target_os = "linux")]
    fn at_once(root: &OwnedFd, way: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        use rustix::fs::{ResolveFlags, openat2};
        const NO_LINKS: ResolveFlags =
            ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::BENEATH);
        openat2(root, way, flags, Mode::empty(), NO_LINKS)
    }

    #[cfg(not(target_os = "linux"))]
    fn at_once(_root: &OwnedFd, _way: &Path, _flags: OFlags) -> rustix::io::Result<OwnedFd> {
        Err(Errno::NOSYS)
    }

    /// A directory that was reached by no link, in one call.
    pub(crate) struct DirHandle {
        directory: OwnedFd,
        root: PathBuf,
    }

    impl DirHandle {
        /// Opens a directory below a root of ours. `None` where the system can't do that, or the way is not as it
        /// should be.
        pub(crate) fn open_at(root: &Path, names: &[OsString]) -> Option<Self> {
            if !cfg!(target_os = "linux") {
                return None;
            }
            let mut directory = open(root, TRAVERSE_FLAGS, Mode::empty()).ok()?;
            if !names.is_empty() {
                directory = at_once(&directory, &names.iter().collect::<PathBuf>(), TRAVERSE_FLAGS).ok()?;
            }
            Some(Self { directory, root: root.to_owned() })
        }

        /// Opens a file below the directory for reading. `None` where the system can't do that, or the way is not as it
        /// should be.
        pub(crate) fn read(&self, below: &Path) -> Option<io::Result<(File, Metadata)>> {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = match at_once(&self.directory, below, flags) {
                Ok(file) => File::from(file),
                Err(Errno::NOENT) => return Some(Err(io::ErrorKind::NotFound.into())),
                Err(_) => return None,
            };
            Some(plain(&file).and_then(|meta| match is_ours(&self.root, meta.uid(), meta.nlink()) {
                true => Ok((file, meta)),
                false => Err(foreign()),
            }))
        }
    }

    /// Returns whether a file is its home's owner's, or root's with no other name.
    fn is_ours(root: &Path, owner: u32, links: u64) -> bool {
        let user = user();
        owner == user.as_raw() && !user.is_root()
            || owner == 0 && links == 1
            || user.is_root() && fs::metadata(root).is_ok_and(|root| root.uid() == owner)
    }

    /// The user of this process, which stays the same.
    fn user() -> Uid {
        static USER: OnceLock<Uid> = OnceLock::new();
        *USER.get_or_init(geteuid)
    }

    /// The open directory of a file, and the file's name in it.
    pub(crate) struct Parent {
        directory: OwnedFd,
        path: PathBuf,
        name: OsString,
        /// The root of ours that the file is below.
        below: Option<PathBuf>,
        /// The root whose state the file is. `None` where the file may be a link.
        root: Option<PathBuf>,
    }

    impl Parent {
        /// Opens the directory of a file, by the way that is allowed.
        pub(crate) fn find(path: &Path) -> io::Result<Self> {
            Self::reached(path, |_, _| Ok(()))
        }

        /// Opens the directory of a file of which the directories that are missing are made, accessible only to the
        /// owner.
        pub(crate) fn find_or_create(path: &Path) -> io::Result<Self> {
            Self::reached(path, make_dir)
        }

        fn reached(path: &Path, missing: fn(&OwnedFd, &OsStr) -> io::Result<()>) -> io::Result<Self> {
            let Some(place) = StateLocation::of(path)? else { return Self::find_external(path) };
            let mut directory = open(&place.root, TRAVERSE_FLAGS, Mode::empty())?;
            let mut at = place.root.clone();
            let Some((name, above)) = place.names.split_last() else { return Self::find_external(path) };
            let mut walked = above.len().min(place.nofollow_len);
            // Where that fails, a walk through each tells why.
            if walked > 1
                && let Ok(reached) = at_once(&directory, &above[..walked].iter().collect::<PathBuf>(), TRAVERSE_FLAGS)
            {
                directory = reached;
                at.extend(&above[..walked]);
            } else {
                walked = 0;
            }
            for (n, name) in above.iter().enumerate().skip(walked) {
                let is_free = n >= place.nofollow_len;
                let flags = if is_free { TRAVERSE_FLAGS } else { TRAVERSE_FLAGS | OFlags::NOFOLLOW };
                at.push(name);
                let step = || openat(&directory, name, flags, Mode::empty());
                let next = match step() {
                    Err(Errno::NOENT) => {
                        missing(&directory, name)?;
                        step()
                    }
                    next => next,
                };
                directory = next.map_err(|e| match is_link(&directory, name) && !is_free {
                    true => linked(&at, false),
                    false => e.into(),
                })?;
            }
            let is_ours = place.nofollow_len == place.names.len();
            if !is_ours && at != place.root {
                check_owner_of_named(&place.root, || File::from(directory.try_clone()?).metadata())?;
            }
            let root = is_ours.then(|| place.root.clone());
            Ok(Self { directory, path: at, name: name.clone(), below: Some(place.root), root })
        }

        /// Opens the directory of a file that is not aiw's own.
        pub(crate) fn find_external(path: &Path) -> io::Result<Self> {
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Ok(Self {
                directory: open(parent, TRAVERSE_FLAGS, Mode::empty())?,
                path: parent.to_owned(),
                name,
                below: None,
                root: None,
            })
        }

        pub(crate) fn name(&self) -> &OsStr {
            &self.name
        }

        /// The path of the directory, for messages.
        pub(crate) fn path(&self) -> &Path {
            &self.path
        }

        /// Returns the file that is to be replaced: what a configuration's link leads to, else this one.
        pub(crate) fn resolve_link(self) -> io::Result<Self> {
            if !is_link(&self.directory, &self.name) {
                return Ok(self);
            }
            self.refuse_link()?;
            let target = fs::canonicalize(self.path.join(&self.name))?;
            if let Some(root) = &self.below {
                check_owner(root, &target)?;
            }
            Self::find_external(&target)
        }

        /// Refuses a link where none may be.
        pub(crate) fn refuse_link(&self) -> io::Result<()> {
            match self.root.is_some() && is_link(&self.directory, &self.name) {
                true => Err(linked(&self.path.join(&self.name), true)),
                false => Ok(()),
            }
        }

        /// Refuses a link where none may be, and a file of somebody else's.
        pub(crate) fn check(&self) -> io::Result<()> {
            if self.root.is_some() { self.look().map(drop) } else { Ok(()) }
        }

        /// Looks at what has this name, and refuses a link and a file of somebody else's.
        fn look(&self) -> io::Result<Option<Stat>> {
            let stat: Stat = match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => return Err(e.into()),
            };
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::Symlink {
                return Err(linked(Path::new(&self.name), true));
            }
            // A directory has as many names as directories in it.
            let links = if kind == FileType::Directory { 1 } else { stat.st_nlink as u64 };
            match self.is_ours(stat.st_uid, links) {
                true => Ok(Some(stat)),
                false => Err(foreign()),
            }
        }

        /// Refuses a file of ours that somebody else owns. What a name leads to can be another user's file without a
        /// symbolic link, too: a hard link. A file of root's that has no other name was made by root here.
        pub(crate) fn check_owner(&self, meta: &Metadata) -> io::Result<()> {
            match self.is_ours(meta.uid(), meta.nlink()) {
                true => Ok(()),
                false => Err(foreign()),
            }
        }

        fn is_ours(&self, owner: u32, links: u64) -> bool {
            self.root.as_deref().is_none_or(|root| is_ours(root, owner, links))
        }

        pub(crate) fn open(&self, name: &OsStr, how: OpenMode) -> io::Result<File> {
            let flags = match how {
                // Otherwise, opening a pipe waits for its other end.
                OpenMode::Read => OFlags::RDONLY | OFlags::NONBLOCK,
                OpenMode::ReadWrite => OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK,
                OpenMode::Append => {
                    OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK
                }
                OpenMode::CreateNew => OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
            };
            let nofollow = if self.root.is_some() { OFlags::NOFOLLOW } else { OFlags::empty() };
            let mode = Mode::RUSR | Mode::WUSR;
            match openat(&self.directory, name, flags | nofollow | OFlags::CLOEXEC, mode) {
                Ok(file) => Ok(File::from(file)),
                Err(Errno::LOOP | Errno::MLINK) => Err(linked(Path::new(name), true)),
                Err(e) => Err(e.into()),
            }
        }

        /// Gives a file that root made the owner of its directory.
        pub(crate) fn inherit_file_owner(&self, file: &File) -> io::Result<()> {
            if user().is_root() { preserve_owner(file, &self.meta()?) } else { Ok(()) }
        }

        /// Gives a file that replaces another one its owner and mode. Returns whether there is another one.
        pub(crate) fn preserve_attributes(&self, file: &File) -> io::Result<bool> {
            let Some(old) = self.look()? else { return Ok(false) };
            if FileType::from_raw_mode(old.st_mode) == FileType::Directory {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if user().is_root() {
                fchown(file, Some(Uid::from_raw(old.st_uid)), Some(Gid::from_raw(old.st_gid)))?;
            }
            rustix::fs::fchmod(file, Mode::from_raw_mode((old.st_mode & 0o7777) as RawMode))?;
            Ok(true)
        }

        /// Gives the file, or the directory of this name, the owner of the directory that it is in, if root made it.
        pub(crate) fn inherit_owner(&self) -> io::Result<()> {
            if !user().is_root() {
                return Ok(());
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            preserve_owner(&File::from(openat(&self.directory, &self.name, flags, Mode::empty())?), &self.meta()?)
        }

        fn meta(&self) -> io::Result<Metadata> {
            File::from(self.directory.try_clone()?).metadata()
        }

        pub(crate) fn sync(&self) -> io::Result<()> {
            File::from(openat(&self.directory, ".", DIR_FLAGS, Mode::empty())?).sync_all()
        }

        pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
            Ok(unlinkat(&self.directory, name, AtFlags::empty())?)
        }

        /// Removes the directory of this name with everything in it. A link is removed, not followed.
        pub(crate) fn remove_tree(&self) -> io::Result<()> {
            remove_tree(&self.directory, &self.name)
        }

        pub(crate) fn rename(&self, name: &OsStr, to: &Self) -> io::Result<()> {
            Ok(renameat(&self.directory, name, &to.directory, &to.name)?)
        }

        /// Exchanges two directories. `None` if the file system can't.
        pub(crate) fn exchange(&self, other: &Self) -> Option<io::Result<()>> {
            match renameat_with(&self.directory, &self.name, &other.directory, &other.name, RenameFlags::EXCHANGE) {
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => None,
                result => Some(result.map_err(Into::into)),
            }
        }

        /// Makes the directory of this name, accessible only to the owner, if it is not there.
        pub(crate) fn make_dir(&self) -> io::Result<()> {
            self.refuse_link()?;
            match openat(&self.directory, &self.name, TRAVERSE_FLAGS, Mode::empty()) {
                Err(Errno::NOENT) => make_dir(&self.directory, &self.name),
                opened => Ok(opened.map(drop)?),
            }
        }

        /// Returns whether something has this name.
        pub(crate) fn exists(&self) -> bool {
            statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        }
    }

    fn foreign() -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to somebody else")
    }

    fn is_link(directory: &OwnedFd, name: &OsStr) -> bool {
        statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    }

    fn make_dir(directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
        match mkdirat(directory, name, Mode::RWXU) {
            Ok(()) if user().is_root() => {
                let made = File::from(openat(directory, name, DIR_FLAGS | OFlags::NOFOLLOW, Mode::empty())?);
                preserve_owner(&made, &File::from(directory.try_clone()?).metadata()?)
            }
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn remove_tree(directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let refused = match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // It may be a directory, as each system says it.
            Err(e @ (Errno::ISDIR | Errno::PERM)) => e,
            Err(e) => return Err(e.into()),
        };
        let inside = match openat(directory, name, DIR_FLAGS | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(inside) => inside,
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(refused.into()),
            Err(e) => return Err(e.into()),
        };
        for entry in Dir::read_from(&inside)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                remove_tree(&inside, name)?;
            }
        }
        match unlinkat(directory, name, AtFlags::REMOVEDIR) {
            Err(e) if e != Errno::NOENT => Err(e.into()),
            _ => Ok(()),
        }
    }

    /// Gives a file of root's the owner of the one that it replaces, or of the directory that it is in. For other
    /// users, there is nothing to do.
    pub(crate) fn preserve_owner(file: &File, old: &Metadata) -> io::Result<()> {
        if !user().is_root() {
            return Ok(());
        }
        let new = file.metadata()?;
        if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
            return Ok(());
        }
        Ok(fchown(file, Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())))?)
    }

    /// Makes a directory that is not one of ours, or is our root.
    pub(crate) fn make_external_dir(directory: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = directory.ancestors().take_while(|path| !path.exists()).collect();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        missing.into_iter().rev().try_for_each(|made| Parent::find(made)?.inherit_owner())
    }
}

/// Without handles of directories, links are looked for before each step. The home is in the user's profile, whose
/// access list keeps others out.
#[cfg(not(unix))]
mod platform {
    use std::ffi::{OsStr, OsString};
    use std::fs::{self, File, Metadata};
    use std::io;
    use std::path::{Path, PathBuf};

    use super::{OpenMode, StateLocation, linked};

    /// The system can't open a directory once and for all.
    pub(crate) struct DirHandle;

    impl DirHandle {
        pub(crate) fn open_at(_root: &Path, _names: &[OsString]) -> Option<Self> {
            None
        }

        pub(crate) fn read(&self, _below: &Path) -> Option<io::Result<(File, Metadata)>> {
            None
        }
    }

    /// There is no root here.
    pub(crate) fn check_owner(_root: &Path, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// The directory of a file, and the file's name in it.
    pub(crate) struct Parent {
        path: PathBuf,
        name: OsString,
        may_be_link: bool,
    }

    impl Parent {
        pub(crate) fn find(path: &Path) -> io::Result<Self> {
            let Some(place) = StateLocation::of(path)? else { return Self::find_external(path) };
            let mut at = place.root;
            let Some((name, above)) = place.names.split_last() else { return Self::find_external(path) };
            for (n, name) in above.iter().enumerate() {
                at.push(name);
                if n < place.nofollow_len && is_link(&at) {
                    return Err(linked(&at, false));
                }
            }
            Ok(Self { path: at, name: name.clone(), may_be_link: place.nofollow_len < place.names.len() })
        }

        pub(crate) fn find_or_create(path: &Path) -> io::Result<Self> {
            let parent = Self::find(path)?;
            fs::create_dir_all(&parent.path)?;
            Ok(parent)
        }

        pub(crate) fn find_external(path: &Path) -> io::Result<Self> {
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
            Ok(Self { path: path.parent().unwrap_or(Path::new(".")).to_owned(), name, may_be_link: true })
        }

        pub(crate) fn name(&self) -> &OsStr {
            &self.name
        }

        pub(crate) fn path(&self) -> &Path {
            &self.path
        }

        pub(crate) fn resolve_link(self) -> io::Result<Self> {
            self.refuse_link()?;
            match is_link(&self.whole()) {
                true => Self::find_external(&fs::canonicalize(self.whole())?),
                false => Ok(self),
            }
        }

        pub(crate) fn refuse_link(&self) -> io::Result<()> {
            match !self.may_be_link && is_link(&self.whole()) {
                true => Err(linked(&self.whole(), true)),
                false => Ok(()),
            }
        }

        pub(crate) fn check(&self) -> io::Result<()> {
            self.refuse_link()
        }

        pub(crate) fn check_owner(&self, _meta: &Metadata) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn open(&self, name: &OsStr, how: OpenMode) -> io::Result<File> {
            self.refuse_link()?;
            let mut options = File::options();
            match how {
                OpenMode::Read => options.read(true),
                OpenMode::ReadWrite => options.read(true).write(true).create(true).truncate(false),
                OpenMode::Append => options.read(true).append(true).create(true),
                OpenMode::CreateNew => options.write(true).create_new(true),
            };
            options.open(self.path.join(name))
        }

        pub(crate) fn inherit_file_owner(&self, _file: &File) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn preserve_attributes(&self, file: &File) -> io::Result<bool> {
            match fs::symlink_metadata(self.whole()) {
                Ok(old) if old.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
                Ok(old) => file.set_permissions(old.permissions()).map(|()| true),
                Err(_) => Ok(false),
            }
        }

        pub(crate) fn inherit_owner(&self) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn sync(&self) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
            fs::remove_file(self.path.join(name))
        }

        pub(crate) fn remove_tree(&self) -> io::Result<()> {
            match fs::remove_dir_all(self.whole()) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            }
        }

        pub(crate) fn rename(&self, name: &OsStr, to: &Self) -> io::Result<()> {
            fs::rename(self.path.join(name), to.whole())
        }

        pub(crate) fn exchange(&self, _other: &Self) -> Option<io::Result<()>> {
            None
        }

        pub(crate) fn make_dir(&self) -> io::Result<()> {
            self.refuse_link()?;
            fs::create_dir_all(self.whole())
        }

        pub(crate) fn exists(&self) -> bool {
            fs::symlink_metadata(self.whole()).is_ok()
        }

        fn whole(&self) -> PathBuf {
            self.path.join(&self.name)
        }
    }

    fn is_link(path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
    }

    pub(crate) fn make_external_dir(directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    use aiw_core::Diagnostic;

    use crate::{
        Home, HomeError, Mode, make_private_dir, open_owned, open_regular, publish_dir, read_capped, remove_tree,
    };
    use crate::{replace, replace_with};

    /// A home with something of every kind in it, and a directory that is not ours, with files of the same names.
    fn homes() -> (tempfile::TempDir, Home, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let elsewhere = dir.path().join("elsewhere");
        for root in [home.root(), &elsewhere] {
            fs::create_dir_all(root.join("deep/er")).unwrap();
            ["x", "deep/x", "deep/er/x"].iter().for_each(|name| fs::write(root.join(name), "theirs").unwrap());
        }
        (dir, home, elsewhere)
    }

    /// Everything that this room does with a file of the home.
    type Act = fn(&Path) -> Result<(), HomeError>;
    const ACTS: [(&str, Act); 10] = [
        ("replace", |path| replace(path, b"ours", Mode::Private)),
        ("replace_with", |path| replace_with(path, Mode::Private, |_| Ok(()))),
        ("read_capped", |path| read_capped(path, 100).map(drop)),
        ("open_regular", |path| open_regular(path).map(drop).map_err(|e| HomeError::io("open", path, e))),
        ("open_owned", |path| open_owned(path).map(drop).map_err(|e| HomeError::io("open", path, e))),
        ("open_append", |path| open_append(path).map(drop).map_err(|e| HomeError::io("open", path, e))),
        ("create_new", |path| create_new(path).map(drop).map_err(|e| HomeError::io("open", path, e))),
        ("make_private_dir", |path| make_private_dir(&path.with_file_name("made/deep"))),
        ("nofollow_path", |path| nofollow_path(path).map(drop).map_err(|e| HomeError::io("open", path, e))),
        ("turn", |path| crate::ExclusiveLock::acquire(path).map(drop)),
    ];

    #[test]
    fn no_state_is_read_or_written_through_a_link() {
        let (_dir, home, elsewhere) = homes();
        for (name, act) in &ACTS {
            for (place, link, to) in [
                ("servers/x", "servers/x", "x"),
                ("servers/x", "servers", ""),
                ("tasks/a1/x", "tasks/a1", "deep"),
                ("a/er/x", "a", "deep"),
                ("mcp-token", "mcp-token", "x"),
                ("workflows/runs/x", "workflows/runs", "deep"),
                ("workflows/runs/x", "workflows", "deep"),
                ("workflows/tools.d.ts", "workflows/tools.d.ts", "x"),
                ("isolated/claude", "isolated/claude", "deep"),
                ("isolated/claude/x", "isolated", "deep"),
                ("data/p/x", "data/p", "deep"),
                ("gemini/work/er/x", "gemini/work", "deep"),
                ("cache/x", "cache/x", "gone"),
            ] {
                // It makes the directories above.
                if *name == "make_private_dir" && place == link {
                    continue;
                }
                let link = home.root().join(link);
                fs::create_dir_all(link.parent().unwrap()).unwrap();
                symlink(elsewhere.join(to), &link).unwrap();
                let found = act(&home.root().join(place));
                let count = |dir: &Path| fs::read_dir(dir).unwrap().count();
                assert!(found.is_err(), "{name} {place}");
                assert_eq!((count(&elsewhere), count(&elsewhere.join("deep"))), (2, 2), "{name} {place}");
                for name in ["x", "deep/x", "deep/er/x"] {
                    assert_eq!(fs::read(elsewhere.join(name)).unwrap(), b"theirs", "{place}");
                }
                let said = found.unwrap_err().to_string();
                let is_said = said.contains("is a link") || *name == "create_new" && said.contains("exists");
                assert!(is_said, "{name} {place}: {said}");
                let top = home.root().join(place.split('/').next().unwrap());
                remove_tree(&top).unwrap();
            }
        }
    }

    #[test]
    fn nothing_is_removed_renamed_or_listed_through_a_link() {
        let (_dir, home, elsewhere) = homes();
        symlink(&elsewhere, home.root().join("servers")).unwrap();
        let (inside, own) = (home.root().join("servers/x"), home.root().join("x"));
        assert!(remove_file(&inside).is_err() && rename(&inside, &own).is_err() && rename(&own, &inside).is_err());
        assert!(read_dir(&home.root().join("servers")).is_err());
        assert!(read_dir(&home.root().join("servers/deep")).is_err());
        assert!(remove_tree(&home.root().join("servers/deep")).is_err());
        assert!(publish_dir(&home.root().join("deep"), &home.root().join("servers/deep")).is_err());
        assert!(home.temporary_dir(&home.root().join("servers")).is_err());
        assert!(elsewhere.join("deep/er/x").exists() && elsewhere.join("x").exists() && own.exists());
        // The link itself goes, and what it leads to stays.
        symlink(elsewhere.join("x"), home.root().join("deep/link")).unwrap();
        symlink(elsewhere.join("deep"), home.root().join("deep/er/link")).unwrap();
        remove_file(&home.root().join("deep/link")).unwrap();
        remove_tree(&home.root().join("deep")).unwrap();
        remove_tree(&home.root().join("servers")).unwrap();
        assert!(!home.root().join("deep").exists() && fs::symlink_metadata(home.root().join("servers")).is_err());
        assert!(elsewhere.join("deep/er/x").exists() && elsewhere.join("x").exists());
    }

    #[test]
    fn configuration_may_be_a_link_and_stays_one() {
        let (_dir, home, elsewhere) = homes();
        for name in ["mcp.json", "settings.json", "providers.json", "registry.yaml", "workflows/a.js", "role/a.md"] {
            let link = home.root().join(name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(elsewhere.join("x"), &link).unwrap();
            replace(&link, name.as_bytes(), Mode::Private).unwrap();
            assert_eq!(read_capped(&link, 100).unwrap().unwrap(), name.as_bytes());
            assert_eq!(fs::read(elsewhere.join("x")).unwrap(), name.as_bytes());
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{name}");
        }
        fs::remove_dir_all(home.root().join("role")).unwrap();
        symlink(elsewhere.join("deep"), home.root().join("role")).unwrap();
        assert_eq!(read_capped(&home.root().join("role/x"), 100).unwrap().unwrap(), b"theirs");
        // Other programs may link what they like in their directories.
        make_private_dir(&home.root().join("isolated/claude")).unwrap();
        symlink(elsewhere.join("deep"), home.root().join("isolated/claude/er")).unwrap();
        assert!(read_capped(&home.root().join("isolated/claude/er/x"), 100).unwrap().is_some());
        // The home itself may be on another disk.
        let moved = home.root().with_file_name("moved");
        fs::rename(home.root(), &moved).unwrap();
        symlink(&moved, home.root()).unwrap();
        replace(&home.root().join("servers"), b"ours", Mode::Private).unwrap();
        assert_eq!(fs::read(moved.join("servers")).unwrap(), b"ours");
        assert_eq!(nofollow_path(&home.root().join("x")).unwrap(), fs::canonicalize(&moved).unwrap().join("x"));
    }

    #[test]
    fn what_is_not_ours_is_as_the_system_has_it() {
        let (_dir, _home, elsewhere) = homes();
        let link = elsewhere.join("link");
        symlink(elsewhere.join("deep"), &link).unwrap();
        replace(&link.join("x"), b"ours", Mode::Private).unwrap();
        assert_eq!(fs::read(elsewhere.join("deep/x")).unwrap(), b"ours");
        symlink(elsewhere.join("x"), elsewhere.join("to")).unwrap();
        replace(&elsewhere.join("to"), b"ours", Mode::Private).unwrap();
        assert_eq!(read_capped(&elsewhere.join("to"), 10).unwrap().unwrap(), b"ours");
        assert!(fs::symlink_metadata(elsewhere.join("to")).unwrap().is_symlink());
    }

    #[test]
    fn a_path_that_leads_back_is_no_path_to_state() {
        let (_dir, home, elsewhere) = homes();
        symlink(&elsewhere, home.root().join("role")).unwrap();
        for path in ["role/../servers/x", "servers/../role/x", "isolated/../../elsewhere/x"] {
            assert!(read_capped(&home.root().join(path), 100).is_err(), "{path}");
        }
    }

    /// Only root can give files away, and reads everybody's.
    #[test]
    fn a_file_of_somebody_elses_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (_dir, home, elsewhere) = homes();
        let file = home.root().join("mcp-token");
        fs::write(&file, "theirs").unwrap();
        std::os::unix::fs::chown(&file, Some(4321), Some(4321)).unwrap();
        for (name, act) in &ACTS[..6] {
            assert!(act(&file).unwrap_err().to_string().contains("belongs to somebody else"), "{name}");
        }
        fs::remove_file(&file).unwrap();
        // In a home of that user's, it is theirs, and a file of root's with another name is not.
        std::os::unix::fs::chown(home.root(), Some(4321), Some(4321)).unwrap();
        fs::hard_link(elsewhere.join("x"), &file).unwrap();
        for (name, act) in &ACTS[..6] {
            assert!(act(&file).unwrap_err().to_string().contains("belongs to somebody else"), "{name}");
        }
        assert_eq!(fs::read(elsewhere.join("x")).unwrap(), b"theirs");
        fs::remove_file(&file).unwrap();
        for (_, act) in &ACTS[..6] {
            act(&file).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().uid(), 4321);
        }
        make_private_dir(&home.root().join("tasks/a1")).unwrap();
        assert_eq!(fs::metadata(home.root().join("tasks/a1")).unwrap().uid(), 4321);
    }

    #[test]
    fn a_pipe_or_a_link_in_place_of_a_file_is_to_be_moved_out_of_the_way() {
        let (_dir, home, elsewhere) = homes();
        let (pipe, link) = (home.root().join("pipe"), home.root().join("link"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        symlink(elsewhere.join("x"), &link).unwrap();
        for odd in [pipe, link] {
            let hint = read_capped(&odd, 100).unwrap_err().hint();
            assert_eq!(hint, Some(format!("move `{}` out of the way", odd.display())));
        }
    }

    #[test]
    fn a_pipe_and_a_directory_are_errors_that_take_no_time() {
        let (_dir, home, _elsewhere) = homes();
        let pipe = home.root().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (name, act) in &ACTS[2..6] {
            assert!(act(&pipe).is_err() && act(&home.root().join("deep")).is_err(), "{name}");
        }
    }
}
