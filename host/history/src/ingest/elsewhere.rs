//! Where hooks write what the home can't take: its disk may be full, or read-only.
//!
//! It is a directory of this user that is usually on another disk, and is empty after the machine was started again. So
//! what is there is moved into the home, or carried out, by whoever can do that first.

use std::path::{Path, PathBuf};

use aiw_home::Home;
use sha2::{Digest, Sha256};

/// The directory of this name, for this home; none where there is no place that is fit for it.
pub(super) fn fallback_dir(home: &Home, name: &str) -> Option<PathBuf> {
    // Several homes share the directory.
    let digest = Sha256::digest(home.root().as_os_str().as_encoded_bytes());
    let home = aiw_core::hex(&digest[..8]);
    Some(aiw_supervisor::runtime_dir()?.join(format!("history-{home}")).join(name))
}

/// Makes such a directory.
pub(super) fn create_fallback_dir(directory: &Path) -> std::io::Result<()> {
    aiw_home::make_private_dir(directory).map_err(std::io::Error::other)?;
    // Somebody else may have been faster in a directory that is open to all.
    match aiw_supervisor::runtime_dir() {
        Some(_) => Ok(()),
        None => Err(std::io::ErrorKind::PermissionDenied.into()),
    }
}
