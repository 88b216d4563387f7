//! A folder: on this disk, mounted, or kept in sync by another program.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_home::{HomeError, create_new, make_private_dir, read_capped, remove_file, rename, run_blocking};
use async_trait::async_trait;

use super::{ObjectListing, Remote, RemoteError, RemoteObject, address, check_name, check_object};

/// How long an object may take to be written.
const MAX_WRITE_DURATION: Duration = Duration::from_secs(24 * 3600);

/// A folder whose plain files are the objects.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Runs work on files, which may take long on a mounted folder.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, RemoteError> + Send + 'static,
    ) -> Result<T, RemoteError> {
        let this = Self::new(&self.path);
        run_blocking(move || work(&this)).await
    }

    fn io(&self, action: &'static str) -> impl Fn(io::Error) -> RemoteError {
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                RemoteError::StorageFull { place: address::display_path(&self.path) }
            }
            _ => HomeError::io(action, &self.path, source).into(),
        }
    }

    /// Makes the folder, if it is not there. Its parent must be: else a disk that is not mounted would look like an empty
    /// remote.
    fn make(&self) -> Result<(), RemoteError> {
        if self.path.is_dir() {
            return Ok(());
        }
        let parent = self.path.parent().unwrap_or(&self.path);
        if !parent.is_dir() {
            return Err(RemoteError::ParentNotFound { path: parent.to_owned() });
        }
        Ok(make_private_dir(&self.path)?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RemoteError> {
        self.make()?;
        let target = self.path.join(name);
        if fs::symlink_metadata(&target).is_err() {
            let mark = aiw_core::random_hex::<8>().map_err(|error| self.io("write in")(error.into()))?;
            self.forget_partial();
            // No object, until it is whole. Programs that sync folders leave such names alone, too.
            let partial = self.path.join(format!(".{mark}.tmp"));
            let written = self.write_partial(&partial, &target, bytes);
            let _ = remove_file(&partial);
            match written {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(self.io("write in")(error)),
                _ => {}
            }
        }
        match self.read(name, bytes.len() as u64) {
            Ok(kept) if kept == bytes => Ok(()),
            Ok(_) | Err(RemoteError::TooLarge { .. } | RemoteError::NotFound { .. }) => {
                Err(RemoteError::AlreadyExists { name: name.to_owned(), place: address::display_path(&self.path) })
            }
            Err(error) => Err(error),
        }
    }

    /// Removes what processes that were killed left, once nobody can be writing it any more.
    fn forget_partial(&self) {
        let is_partial = |name: &str| {
            let mark = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
            mark.is_some_and(|mark| mark.len() == 16 && mark.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        let is_old = |entry: &fs::DirEntry| {
            let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
            age.is_some_and(|age| age > MAX_WRITE_DURATION)
        };
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(is_partial) && is_old(&entry) {
                let _ = remove_file(&entry.path());
            }
        }
    }

    fn write_partial(&self, partial: &Path, target: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = create_new(partial)?;
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).or_else(|error| {
            match error.kind() {
                // Some mounted systems know no modes.
                ErrorKind::PermissionDenied | ErrorKind::Unsupported => Ok(()),
                _ => Err(error),
            }
        })?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        // A link can't replace a file, as a renaming could.
        match fs::hard_link(partial, target) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
            // Not every file system has links.
            Err(_) if fs::symlink_metadata(target).is_err() => rename(partial, target)?,
            Err(error) => return Err(error),
        }
        // The folder is written by the time that the object is read back.
        Ok(())
    }

    /// Reads a file that is not a link.
    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, RemoteError> {
        let path = self.path.join(name);
        let missing = || RemoteError::NotFound { name: name.to_owned(), place: address::display_path(&self.path) };
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
            Err(error) => return Err(self.io("read in")(error)),
        };
        if !meta.is_file() {
            return Err(missing());
        }
        if meta.len() > limit {
            return Err(RemoteError::TooLarge { name: name.to_owned(), limit });
        }
        // It may have grown since.
        read_capped(&path, limit)?.ok_or_else(missing)
    }

    fn all(&self) -> Result<Vec<RemoteObject>, RemoteError> {
        let mut found = ObjectListing::new(&address::display_path(&self.path));
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            // The parent is there, so nothing was put yet.
            Err(error) if error.kind() == ErrorKind::NotFound && self.path.parent().is_some_and(Path::is_dir) => {
                return Ok(Vec::new());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(RemoteError::ParentNotFound { path: self.path.parent().unwrap_or(&self.path).to_owned() });
            }
            Err(error) => return Err(self.io("read")(error)),
        };
        for entry in entries {
            let entry = entry.map_err(self.io("read"))?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if !super::is_object_name(name) {
                found.add(name, None)?;
                continue;
            }
            match entry.metadata() {
                // It says what a link is, not where it leads.
                Ok(meta) if meta.is_file() => found.add(name, Some(meta.len()))?,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(self.io("read in")(error)),
            }
        }
        Ok(found.into_objects())
    }
}

#[async_trait]
impl Remote for Folder {
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<Option<String>, RemoteError> {
        check_object(name, bytes)?;
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        self.with(move |folder| folder.write(&name, &bytes)).await?;
        Ok(None)
    }

    fn is_consistent(&self) -> bool {
        true
    }

    async fn list(&self) -> Result<Vec<RemoteObject>, RemoteError> {
        self.with(Self::all).await
    }

    async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, RemoteError> {
        check_name(name)?;
        let name = name.to_owned();
        self.with(move |folder| folder.read(&name, limit)).await
    }

    async fn delete(&self, name: &str) -> Result<(), RemoteError> {
        check_name(name)?;
        let name = name.to_owned();
        self.with(move |folder| match remove_file(&folder.path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(folder.io("remove from")(error)),
            _ => Ok(()),
        })
        .await
    }
}
