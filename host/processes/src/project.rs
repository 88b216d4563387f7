//! Which project a directory belongs to.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::ProcessId;
use aiw_home::{find_in_ancestors, read_nofollow};
use aiw_supervisor::{Root, digest};

use crate::error::ProcessError;
use crate::file::MAX_BYTES;

/// The file that defines a project's processes.
pub const FILE: &str = ".ichimi/processes.kdl";

/// A project: the directory that processes belong to, by its real path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessProject {
    root: PathBuf,
}

impl ProcessProject {
    /// Returns the project of a directory: the nearest one upwards with a [`FILE`], at most up to the root of a repository;
    /// else that root; else the directory.
    pub fn discover(directory: &Path) -> Result<Self, ProcessError> {
        let real = fs::canonicalize(directory);
        let real = real.map_err(|source| ProcessError::Project { path: directory.to_owned(), source })?;
        let with_file = find_in_ancestors(FILE, &real, None).and_then(|file| Some(file.parent()?.parent()?.to_owned()));
        let repository = || real.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned);
        Ok(Self { root: with_file.or_else(repository).unwrap_or(real) })
    }

    /// Returns the project that was found to have this directory, which may be gone by now.
    pub(crate) fn known(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns the project's directory, without links.
    pub fn directory(&self) -> &Path {
        &self.root
    }

    /// Returns where its file of processes is, whether it is there or not.
    pub fn file(&self) -> PathBuf {
        self.root.join(FILE)
    }

    /// Returns its file of processes on one line.
    pub fn display_file(&self) -> String {
        aiw_core::one_line(&self.file().to_string_lossy(), 1000)
    }

    /// Returns the bytes of its file of processes.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, ProcessError> {
        Ok(read_nofollow(&self.file(), MAX_BYTES as u64 + 1)?)
    }

    /// Returns the root of its processes for the supervisor.
    pub(crate) fn root(&self) -> Result<Root, ProcessError> {
        Root::for_directory(&self.root).map_err(|source| ProcessError::Project { path: self.root.clone(), source })
    }

    /// Returns the number of a text that belongs to this project: the same in every build.
    pub(crate) fn hash_text(&self, text: &str) -> u64 {
        digest(&[self.root.as_os_str().as_encoded_bytes(), text.as_bytes()].join(&0))
    }

    /// Returns the supervisor's id of a process. Two processes with one id are told apart by their records.
    pub(crate) fn process_id(&self, id: &str) -> ProcessId {
        ProcessId::from_number(self.hash_text(id) >> 2)
    }

    /// Returns a path in the project, without links.
    pub(crate) fn resolve_path(&self, id: &str, path: &str) -> Result<PathBuf, ProcessError> {
        let joined = self.root.join(path);
        let id = id.to_owned();
        match fs::canonicalize(&joined) {
            Ok(real) if real.starts_with(&self.root) => Ok(real),
            Err(e) if joined.starts_with(&self.root) => {
                Err(ProcessError::EnvFile { id, path: joined, problem: format!("cannot be found: {e}") })
            }
            _ => Err(ProcessError::OutsideProject { id, path: joined }),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_counts_then_the_repository_then_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let deep = root.join("repo/app/src");
        fs::create_dir_all(&deep).unwrap();
        let find = |path: &Path| ProcessProject::discover(path).unwrap().root;
        assert_eq!(find(&deep), deep);
        fs::create_dir(root.join("repo/.git")).unwrap();
        assert_eq!(find(&deep), root.join("repo"));
        fs::create_dir(root.join("repo/app/.ichimi")).unwrap();
        fs::write(root.join("repo/app").join(FILE), "").unwrap();
        assert_eq!(find(&deep), root.join("repo/app"));
        std::os::unix::fs::symlink(&deep, root.join("link")).unwrap();
        assert_eq!(find(&root.join("link")), root.join("repo/app"));
    }

    #[test]
    fn a_link_leads_nowhere_outside() {
        let dir = tempfile::tempdir().unwrap();
        let project = ProcessProject::discover(dir.path()).unwrap();
        std::os::unix::fs::symlink("/", project.root.join("out")).unwrap();
        fs::create_dir(project.root.join("in")).unwrap();
        assert!(project.resolve_path("a", "in").is_ok());
        assert!(matches!(project.resolve_path("a", "out/tmp"), Err(ProcessError::OutsideProject { .. })));
        assert!(matches!(project.resolve_path("a", "gone"), Err(ProcessError::EnvFile { .. })));
    }
}
