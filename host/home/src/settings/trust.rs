//! `trustedDirectories`, `trustedFiles` and `untrustedDirectories`: the projects whose files aiw uses, or not.
//!
//! Trust belongs to a path as it is found. Nothing here asks the file system: the bytes that trust is asked about come
//! from [`read_nofollow`](crate::read_nofollow), which found them under that path and no other.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Settings;
use crate::{Home, HomeError, Lock};

/// The trusted directories, each with everything below it, and the files in them that start programs. Such a file is
/// trusted only as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustSettings {
    directories: Vec<PathBuf>,
    /// Digests by path.
    files: BTreeMap<PathBuf, String>,
    /// Directories that the user did not trust when asked.
    declined: Vec<PathBuf>,
}

/// Whether a file that starts programs may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileTrust {
    /// The file is as it was when its directory was trusted.
    Trusted,
    /// The file has changed since then.
    Changed,
    /// Its directory is not trusted.
    Unknown,
}

impl TrustSettings {
    /// Returns the directories in the file's order.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Returns whether a file may be used that has these bytes.
    pub fn file_trust(&self, path: &Path, bytes: &[u8]) -> FileTrust {
        match self.files.get(path) {
            _ if !path.parent().is_some_and(|directory| self.is_trusted(directory)) => FileTrust::Unknown,
            Some(known) if *known == digest(bytes) => FileTrust::Trusted,
            _ => FileTrust::Changed,
        }
    }

    /// Returns whether a file was trusted by itself as it is now, whatever its directory.
    pub fn has_file(&self, path: &Path, bytes: &[u8]) -> bool {
        self.files.get(path).is_some_and(|known| *known == digest(bytes))
    }

    /// Trusts a file as it is now. Returns whether that is new.
    pub fn add_file(&mut self, path: &Path, bytes: &[u8]) -> bool {
        let digest = digest(bytes);
        self.files.insert(path.to_owned(), digest.clone()).as_ref() != Some(&digest)
    }

    /// Stops trusting a file. Returns whether it was trusted.
    pub fn remove_file(&mut self, path: &Path) -> bool {
        self.files.remove(path).is_some()
    }

    /// Returns the trusted directory that a directory is, or is below.
    pub fn trusted_ancestor(&self, directory: &Path) -> Option<&Path> {
        // `/trusted/../other` begins with `/trusted`.
        let is_plain = directory.is_absolute() && !directory.components().any(|part| part == Component::ParentDir);
        self.directories.iter().map(PathBuf::as_path).find(|trusted| is_plain && directory.starts_with(trusted))
    }

    /// Returns whether a directory is a trusted one, or below one.
    pub fn is_trusted(&self, directory: &Path) -> bool {
        self.trusted_ancestor(directory).is_some()
    }

    /// Trusts a directory. Returns whether it is new, or the user did not trust it when asked.
    pub fn add(&mut self, directory: &Path) -> bool {
        let was_declined = self.is_declined(directory);
        self.declined.retain(|known| known != directory);
        let is_new = !self.directories.iter().any(|known| known == directory);
        if is_new {
            self.directories.push(directory.to_owned());
        }
        is_new || was_declined
    }

    /// Remembers that the user did not trust a directory when asked.
    pub fn decline(&mut self, directory: &Path) {
        if !self.is_declined(directory) {
            self.declined.push(directory.to_owned());
        }
    }

    /// Returns whether the user did not trust a directory when asked.
    pub fn is_declined(&self, directory: &Path) -> bool {
        self.declined.iter().any(|known| known == directory)
    }

    /// Stops trusting a directory and everything beneath it. Returns the directories that are no longer in the list, or
    /// the directory itself if only files in it were trusted.
    pub fn remove(&mut self, directory: &Path) -> Vec<PathBuf> {
        let files = self.files.len();
        self.files.retain(|file, _| !file.starts_with(directory));
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.directories).into_iter().partition(|known| known.starts_with(directory));
        self.directories = kept;
        match gone.is_empty() && self.files.len() < files {
            true => vec![directory.to_owned()],
            false => gone,
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", aiw_core::hex(&Sha256::digest(bytes)))
}

impl Home {
    /// Goes on trusting a file that aiw itself has changed for the user, if it was trusted as it was before, or is a new one in a
    /// trusted directory.
    ///
    /// # Errors
    ///
    /// The settings can't be read or written.
    pub fn refresh_file_trust(
        &self,
        lock: &Lock,
        path: &Path,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<(), HomeError> {
        let mut settings = self.settings()?;
        let mut trust = settings.trust();
        let was_trusted = match old {
            Some(old) => trust.has_file(path, old),
            None => path.parent().is_some_and(|directory| trust.is_trusted(directory)),
        };
        if was_trusted && trust.add_file(path, new) {
            settings.set_trust(&trust)?;
            settings.save(lock)?;
        }
        Ok(())
    }
}

impl Settings {
    /// `trustedDirectories`, `trustedFiles` and `untrustedDirectories`
    pub fn trust(&self) -> TrustSettings {
        let paths = |key: &str| {
            let list = self.document.get(&[key]).and_then(Value::as_array).into_iter().flatten();
            let paths = list.filter_map(Value::as_str).map(PathBuf::from);
            paths.filter(|directory| directory.is_absolute()).collect()
        };
        let files = self.document.get(&["trustedFiles"]).and_then(Value::as_object).into_iter().flatten();
        let files = files.filter_map(|(path, digest)| Some((PathBuf::from(path), digest.as_str()?.to_owned())));
        TrustSettings {
            directories: paths("trustedDirectories"),
            files: files.collect(),
            declined: paths("untrustedDirectories"),
        }
    }

    /// Replaces `trustedDirectories`, `trustedFiles` and `untrustedDirectories`.
    pub fn set_trust(&mut self, trust: &TrustSettings) -> Result<(), HomeError> {
        let list = |paths: &[PathBuf]| -> Vec<Value> {
            paths.iter().map(|directory| directory.to_string_lossy().into()).collect()
        };
        self.document.set(&["trustedDirectories"], &list(&trust.directories).into())?;
        match trust.declined.as_slice() {
            [] => drop(self.document.remove(&["untrustedDirectories"])?),
            declined => self.document.set(&["untrustedDirectories"], &list(declined).into())?,
        }
        let files: serde_json::Map<String, Value> =
            trust.files.iter().map(|(path, digest)| (path.to_string_lossy().into(), digest.as_str().into())).collect();
        if files.is_empty() {
            return self.document.remove(&["trustedFiles"]).map(drop);
        }
        self.document.set(&["trustedFiles"], &files.into())
    }
}
