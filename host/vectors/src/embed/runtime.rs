//! The library of ONNX Runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aiw_core::one_line;

use super::error::{ModelError, unreadable};

/// The library that this process has loaded. It stays.
static LOADED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Loads the library, or says why it can't be loaded. Otherwise, whatever uses `ort` first would look for a library
/// by itself, and panic if it found none.
pub(super) fn load(path: &Path) -> Result<(), ModelError> {
    // The loader's own words for a missing file differ from system to system.
    aiw_home::open_plain(path).map_err(|e| unreadable(path, e))?;
    let path = std::path::absolute(path).map_err(|e| unreadable(path, e))?;
    let failed = |reason: String| ModelError::Runtime { path: path.clone(), reason: one_line(&reason, 300) };
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*loaded {
        Some(loaded) if *loaded == path => return Ok(()),
        // `ort` would go on with the first, and say nothing.
        Some(loaded) => {
            return Err(failed(format!("this process already uses `{}`, and can use only one", loaded.display())));
        }
        None => {}
    }
    caught(|| ort::init_from(&path).map(drop)).map_err(&failed)?.map_err(|e| failed(e.to_string()))?;
    *loaded = Some(path.clone());
    Ok(())
}

/// Runs what may panic on a damaged library or model.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "panic".into())
    })
}
