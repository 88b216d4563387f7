//! Records of what the daemon is to be awake for, as the home keeps them.

use std::path::{Path, PathBuf};

use aiw_home::{Home, HomeError, Mode, make_private_dir, read_capped, remove_file, replace};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::boot_id;

/// The longest record, in bytes.
const MAX_RECORD_BYTES: u64 = 256 << 10;

/// A record of what the daemon is to be awake for. Commands write it, in the home's turn; the daemon reads it. It says nothing
/// after a reboot, because nothing starts by itself then.
pub trait DaemonRecord: Serialize + DeserializeOwned {
    /// Returns the directory of these records.
    fn directory(home: &Home) -> PathBuf;

    /// Returns the name of its file.
    fn file_name(&self) -> String;

    /// Returns the boot of the system in which it was written, as [`boot`] says it.
    fn boot_id(&self) -> Option<&str>;

    /// Returns its file.
    fn path(&self, home: &Home) -> PathBuf {
        Self::directory(home).join(self.file_name())
    }

    /// Reads a record of this boot.
    fn read_at(path: &Path) -> Option<Self> {
        let found: Self = serde_json::from_slice(&read_capped(path, MAX_RECORD_BYTES).ok()??).ok()?;
        (found.boot_id() == boot_id()).then_some(found)
    }

    /// Reads all records of this boot, in no order.
    fn read_all(home: &Home) -> Vec<Self> {
        let entries = std::fs::read_dir(Self::directory(home)).into_iter().flatten().flatten();
        // Whoever is killed while it writes leaves a file of another name.
        let is_whole = |at: &Path, one: &Self| at.file_name().is_some_and(|name| *name == *one.file_name());
        let read = |at: PathBuf| Self::read_at(&at).filter(|one| is_whole(&at, one));
        entries.filter_map(|entry| read(entry.path())).collect()
    }

    /// Writes it, in the home's turn that the caller has.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    fn write(&self, home: &Home) -> Result<(), HomeError> {
        make_private_dir(&Self::directory(home))?;
        replace(&self.path(home), &serde_json::to_vec(self).unwrap_or_default(), Mode::Private)
    }

    /// Removes it, in the home's turn that the caller has. It may be gone.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    fn remove(&self, home: &Home) -> Result<(), HomeError> {
        let path = self.path(home);
        match remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(HomeError::io("remove", &path, e)),
            _ => Ok(()),
        }
    }
}
