//! The runtime directory: where the sessions' segments are named.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::{TaskError, platform};

/// The directory of this user, checked: ours, private, not a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeDir {
    path: PathBuf,
}

impl RuntimeDir {
    /// Finds it without creating anything. `XDG_RUNTIME_DIR` is not asked: some CLIs pass it on to
    /// their children and some do not, and one session would fall apart.
    pub fn find() -> Result<Self, TaskError> {
        if let Some(path) = std::env::var_os("AIW_RUNTIME_DIR").filter(|v| !v.is_empty()).map(PathBuf::from) {
            // Relative to the current directory, sessions would fall apart.
            return if path.is_absolute() { Ok(Self { path }) } else { Err(TaskError::RelativeRuntime { path }) };
        }
        let uid = geteuid().as_raw();
        let path = match platform::runtime_base(uid) {
            Some(base) => base.join("aiw"),
            None => PathBuf::from(format!("/tmp/aiw-{uid}")),
        };
        Ok(Self { path })
    }

    /// A given one, as a starter names it to its shim.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there, and fit to use.
    pub fn check(&self) -> Result<bool, TaskError> {
        let meta = match fs::symlink_metadata(&self.path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(TaskError::io("look at", &self.path, e)),
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
        Err(TaskError::Runtime { path: self.path.clone(), problem: problem.into() })
    }

    /// Creates it if it is not there.
    pub fn create(&self) -> Result<(), TaskError> {
        if self.check()? {
            return Ok(());
        }
        match fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(TaskError::io("create", &self.path, e)),
            _ => self.check().map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_a_private_directory_of_our_own_will_do() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = RuntimeDir::at(dir.path().join("aiw"));
        assert!(!runtime.check().unwrap());
        runtime.create().unwrap();
        runtime.create().unwrap();
        fs::set_permissions(runtime.path(), fs::Permissions::from_mode(0o750)).unwrap();
        assert!(runtime.check().unwrap_err().to_string().ends_with("is open to others; its mode must be 0700"));
        let link = RuntimeDir::at(dir.path().join("link"));
        symlink(dir.path(), link.path()).unwrap();
        assert!(link.create().unwrap_err().to_string().contains("symbolic link"));
    }
}
