//! The runtime directory, which holds the link files of the roots' segments.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::error::SupervisorError;
use crate::names::ResourceKind;
use crate::platform;

/// The runtime directory of this user, checked to be ours, private and not a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeDir {
    path: PathBuf,
    /// The word in the names of the room's segments.
    kind: ResourceKind,
}

impl RuntimeDir {
    /// Finds the directory without creating anything. `XDG_RUNTIME_DIR` is not used: some programs pass it on
    /// to their children and some do not, which would split a set.
    pub fn find(noun: ResourceKind) -> Result<Self, SupervisorError> {
        if let Some(path) = std::env::var_os("AIW_RUNTIME_DIR").filter(|v| !v.is_empty()).map(PathBuf::from) {
            // A path relative to the current directory would split sets.
            return if path.is_absolute() {
                Ok(Self::from_path(path, noun))
            } else {
                Err(SupervisorError::RelativeRuntimeDir { path })
            };
        }
        let uid = geteuid().as_raw();
        let path = match platform::runtime_base(uid) {
            Some(base) => base.join("aiw"),
            None => PathBuf::from(format!("/tmp/aiw-{uid}")),
        };
        Ok(Self::from_path(path, noun))
    }

    /// Returns the given directory, as a starter names it to its shim.
    pub fn from_path(path: PathBuf, noun: ResourceKind) -> Self {
        aiw_home::register_state_root(&path);
        Self { path, kind: noun }
    }

    /// Returns the word in the names of the room's segments.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the directory is fit to use. Returns whether it exists.
    pub fn check(&self) -> Result<bool, SupervisorError> {
        let meta = match fs::symlink_metadata(&self.path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(SupervisorError::io("look at", &self.path, e)),
        };
        let problem = if meta.is_symlink() {
            "is a symbolic link, and must be a directory"
        } else if !meta.is_dir() {
            "is not a directory"
        } else if meta.uid() != geteuid().as_raw() {
            "belongs to somebody else"
        } else if meta.mode() & 0o077 != 0 {
            "is open to others; its mode must be 0700"
        } else {
            return Ok(true);
        };
        Err(SupervisorError::InvalidRuntimeDir { path: self.path.clone(), problem: problem.into() })
    }

    /// Creates the directory if it does not exist.
    pub fn create(&self) -> Result<(), SupervisorError> {
        if self.check()? {
            return Ok(());
        }
        match fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(SupervisorError::io("create", &self.path, e))
            }
            _ => self.check().map(|_| ()),
        }
    }
}

/// The directory of this user for what is kept until the machine is started again: `AIW_RUNTIME_DIR`, else one of
/// the system's. It is usually on another disk than the home. None if it is not fit to use; it may not exist yet.
pub fn runtime_dir() -> Option<PathBuf> {
    let directory = RuntimeDir::find("".into()).ok()?;
    directory.check().ok()?;
    Some(directory.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_a_private_directory_of_our_own_will_do() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = RuntimeDir::from_path(dir.path().join("aiw"), "test".into());
        assert!(!runtime.check().unwrap());
        runtime.create().unwrap();
        runtime.create().unwrap();
        fs::set_permissions(runtime.path(), fs::Permissions::from_mode(0o750)).unwrap();
        assert!(runtime.check().unwrap_err().to_string().ends_with("is open to others; its mode must be 0700"));
        let link = RuntimeDir::from_path(dir.path().join("link"), "test".into());
        symlink(dir.path(), link.path()).unwrap();
        assert!(link.create().unwrap_err().to_string().contains("symbolic link"));
    }
}
