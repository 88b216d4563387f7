//! A folder of role files. Whatever names and links say, nothing outside the folder is opened.

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use aiw_core::RoleName;
use aiw_home::open_dir_nofollow;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use super::error::{MAX_ROLE_BYTES, RoleError, RoleProblem};

/// The treatment of a role that already exists.
#[derive(Debug, Clone, Copy)]
pub enum Overwrite<'a> {
    /// The role stays, and writing it is an error.
    Never,
    /// The role is replaced.
    Always,
    /// The role is replaced if its file still has these bytes.
    IfUnchanged(&'a [u8]),
}

/// More files than anybody writes by hand, but few enough to read them all.
const MAX_FILES: usize = 4096;

/// New content before it is put in place. It is written only under the home's lock, so one name is enough; a file
/// left by a killed process is replaced.
const STAGED_NAME: &str = ".aiw-new";

/// An open folder.
pub(super) struct RoleFolder {
    dir: Dir,
    path: PathBuf,
}

/// A role's file and its content.
pub(super) struct RoleFile {
    pub name: String,
    pub path: PathBuf,
    pub bytes: u64,
    pub content: Result<Vec<u8>, RoleProblem>,
}

impl RoleFolder {
    /// Opens a folder. The folder itself may be a link, because people keep their configuration in a repository.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, RoleError> {
        Self::opened(path, Dir::open_ambient_dir(path, ambient_authority()))
    }

    /// Opens a folder in somebody else's project, which must not lead out of the project. The path of the project must
    /// hold no link.
    pub(super) fn open_beneath(root: &Path, below: &str) -> Result<Option<Self>, RoleError> {
        let dir = open_dir_nofollow(root).and_then(|root| Dir::from_std_file(root).open_dir(below));
        Self::opened(&root.join(below), dir)
    }

    fn opened(path: &Path, dir: io::Result<Dir>) -> Result<Option<Self>, RoleError> {
        match dir {
            Ok(dir) => Ok(Some(Self { dir, path: path.to_owned() })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(RoleError::Io { action: "read", path: path.to_owned(), source }),
        }
    }

    /// Returns all `*.md` files of the folder by name. Hidden ones are left out: they belong to editors, or to us.
    pub(super) fn files(&self) -> Result<Vec<RoleFile>, RoleError> {
        let failed = |source| RoleError::Io { action: "read", path: self.path.clone(), source };
        let mut names = Vec::new();
        for entry in self.dir.entries().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let shown = name.to_string_lossy();
            if shown.ends_with(".md") && !shown.starts_with('.') {
                names.push(name);
            }
            if names.len() > MAX_FILES {
                return Err(RoleError::TooManyFiles { path: self.path.clone(), limit: MAX_FILES });
            }
        }
        names.sort();
        let file = |name: std::ffi::OsString| {
            let shown = name.to_string_lossy();
            RoleFile {
                name: shown.strip_suffix(".md").unwrap_or(&shown).to_owned(),
                path: self.path.join(&name),
                bytes: self.dir.metadata(&name).or_else(|_| self.dir.symlink_metadata(&name)).map_or(0, |m| m.len()),
                content: self.read(Path::new(&name)),
            }
        };
        Ok(names.into_iter().map(file).collect())
    }

    /// Returns the role's file, if it exists.
    pub(super) fn file(&self, name: &RoleName) -> Option<RoleFile> {
        let file = format!("{name}.md");
        let bytes = self.dir.symlink_metadata(&file).ok()?.len();
        let content = self.read(Path::new(&file));
        let bytes = content.as_ref().map_or(bytes, |content| content.len() as u64);
        Some(RoleFile { name: name.to_string(), path: self.path.join(&file), bytes, content })
    }

    fn read(&self, file: &Path) -> Result<Vec<u8>, RoleProblem> {
        let mut options = OpenOptions::new();
        options.read(true);
        // Opening a pipe would otherwise wait for its writer.
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits() as i32);
        let opened = self.dir.open_with(file, &options).map_err(|source| {
            // cap-std itself refuses a path that leads out, without a system error number.
            if source.kind() == ErrorKind::PermissionDenied && source.raw_os_error().is_none() {
                RoleProblem::OutsideFolder
            } else if self.dir.metadata(file).is_ok_and(|meta| !meta.is_file()) {
                RoleProblem::NotAFile
            } else {
                RoleProblem::Io { source }
            }
        })?;
        let io = |source| RoleProblem::Io { source };
        let metadata = opened.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(RoleProblem::NotAFile);
        }
        if metadata.len() > MAX_ROLE_BYTES {
            return Err(RoleProblem::TooLarge { bytes: metadata.len() });
        }
        let mut bytes = Vec::new();
        opened.take(MAX_ROLE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        Ok(bytes)
    }

    /// Checks that the role's path is free, or that its file may be replaced.
    pub(super) fn check(&self, name: &RoleName, over: Overwrite<'_>) -> Result<(), RoleError> {
        let file = format!("{name}.md");
        let path = self.path.join(&file);
        match (self.dir.symlink_metadata(&file), over) {
            (Err(e), Overwrite::Never | Overwrite::Always) if e.kind() == ErrorKind::NotFound => Ok(()),
            (Err(e), Overwrite::IfUnchanged(_)) if e.kind() == ErrorKind::NotFound => {
                Err(RoleError::Changed { name: name.clone() })
            }
            (Err(source), _) => Err(RoleError::Io { action: "read", path, source }),
            (Ok(_), Overwrite::Never) => Err(RoleError::Exists { name: name.clone(), path }),
            (Ok(meta), _) if !meta.is_file() => Err(RoleError::NotAFile { path }),
            (Ok(_), Overwrite::Always) => Ok(()),
            (Ok(_), Overwrite::IfUnchanged(old)) => match self.read(Path::new(&file)) {
                Ok(now) if now == old => Ok(()),
                _ => Err(RoleError::Changed { name: name.clone() }),
            },
        }
    }

    /// Removes the role's file. The home's lock must be held.
    pub(super) fn remove(&self, name: &RoleName) -> Result<PathBuf, RoleError> {
        let file = format!("{name}.md");
        let path = self.path.join(&file);
        match self.dir.remove_file(&file) {
            Ok(()) => Ok(path),
            Err(source) => Err(RoleError::Io { action: "remove", path, source }),
        }
    }

    /// Replaces the role's file atomically. The home's lock must be held.
    pub(super) fn replace(&self, name: &RoleName, bytes: &[u8]) -> Result<PathBuf, RoleError> {
        let file = format!("{name}.md");
        let write = || -> io::Result<()> {
            match self.dir.remove_file(STAGED_NAME) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut staged = self.dir.open_with(STAGED_NAME, &options)?;
            if let Ok(old) = self.dir.symlink_metadata(&file) {
                staged.set_permissions(old.permissions())?;
            }
            staged.write_all(bytes)?;
            staged.sync_all()?;
            self.dir.rename(STAGED_NAME, &self.dir, &file)?;
            // The handle itself only has a path to the directory, which cannot be synced.
            self.dir.open(".")?.sync_all()
        };
        let path = self.path.join(&file);
        write().map_err(|source| {
            let _ = self.dir.remove_file(STAGED_NAME);
            RoleError::Io { action: "write", path: path.clone(), source }
        })?;
        Ok(path)
    }
}
