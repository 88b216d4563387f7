//! What synchronization makes for itself: the wishes, and the secrets of the vault, each sealed. Both are files like the others:
//! they are merged, shown, applied and undone with the rest.

mod pending_installs;
mod secrets;

use std::collections::BTreeMap;
use std::path::Path;

use aiw_home::{Home, HomeError, Lock, Mode, make_private_dir, read_capped, replace};

pub use pending_installs::PendingInstall;
pub(crate) use pending_installs::{generate_pending_installs, missing_installs};
pub(crate) use secrets::{EncryptedDigests, EncryptedSecrets, count_lost_secrets, is_encrypted};

use crate::place::{SyncPath, SyncRoot};

/// The file of what is installed on machines that synchronize.
pub(crate) const PENDING_INSTALLS_PATH: &str = "sync/pending-installs.json";

/// The secrets of the vault.
pub(crate) const SECRETS_PATH: &str = "sync/secrets.json";

const MAX_FILE_BYTES: u64 = 4 << 20;

/// Files as they are to be, before they are written.
pub(crate) type GeneratedFiles = BTreeMap<SyncPath, Vec<u8>>;

/// Returns the path of a file that is made.
pub(crate) fn generated_path(below: &str) -> Option<SyncPath> {
    SyncPath::new(SyncRoot::Aiw, below).ok()
}

/// Reads a file that is made.
fn read(home: &Home, below: &str) -> Result<Option<Vec<u8>>, HomeError> {
    read_capped(&home.root().join(below), MAX_FILE_BYTES)
}

/// Writes what differs from what is there.
pub(crate) fn write(home: &Home, made: &GeneratedFiles, _lock: &Lock) -> Result<(), HomeError> {
    for (path, bytes) in made {
        if read(home, path.relative_path())?.as_ref() == Some(bytes) {
            continue;
        }
        let place = home.root().join(path.relative_path());
        make_private_dir(place.parent().unwrap_or(Path::new("")))?;
        replace(&place, bytes, Mode::Private)?;
    }
    Ok(())
}

/// Removes what a store left, so that nothing old comes back with the next one.
pub(crate) fn remove_generated(home: &Home) -> Result<(), HomeError> {
    for below in [PENDING_INSTALLS_PATH, SECRETS_PATH] {
        let place = home.root().join(below);
        match aiw_home::remove_file(&place) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(HomeError::Io { action: "remove", path: place, source: e });
            }
            _ => {}
        }
    }
    Ok(())
}

fn text(file: &impl serde::Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(file).unwrap_or_default();
    text.push(b'\n');
    text
}
