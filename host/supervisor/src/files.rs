//! Small files of our own: private, and either complete or absent.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aiw_home::{open_owned, remove_file, rename};

use crate::error::SupervisorError;

/// Returns a number that no other process comes up with. The standard library seeds its hashers from the system, once
/// for each thread.
pub(crate) fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.write_u128(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos()));
    hasher.finish()
}

/// Creates a file that only this user may read.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    aiw_home::create_new(path)
}

/// Replaces the content of a file. The new content is not forced to the disk: a power cut that loses it has ended the
/// process as well, and forcing costs more than starting it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), SupervisorError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let write = || -> io::Result<()> {
        // The callers' locks allow one writer at a time, so an existing file was left by a writer that was killed.
        match remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        create_private(&new)?.write_all(bytes)?;
        rename(&new, path)
    };
    write().map_err(|e| {
        // A partly written file is of no use, and takes space that may be short.
        let _ = remove_file(&new);
        SupervisorError::io("write", path, e)
    })
}

/// Creates a file and reserves its space on the disk, even if the disk fills up later.
pub(crate) fn reserve(path: &Path, bytes: usize) -> io::Result<()> {
    let mut file = create_private(path)?;
    let allocated = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes as u64);
    let written = allocated.map_err(io::Error::from).or_else(|_| file.write_all(&vec![0; bytes]));
    if written.is_err() {
        let _ = remove_file(path);
    }
    written
}

/// Replaces the content of a file, using the space of a reserved file. That uses up the reserved file.
pub(crate) fn write_into(reserve: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = open_owned(reserve)?;
    if file.metadata()?.len() < bytes.len() as u64 {
        return Err(io::ErrorKind::StorageFull.into());
    }
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    rename(reserve, path)
}
