//! The library of ONNX Runtime.
//!
//! Since 1.31 the library collects data about its use on Linux and macOS too: it writes an id of this machine and a
//! database below the cache directory, and sends them to its maker. Only a variable that is set before its environment
//! exists stops that; `DisableTelemetryEvents` comes too late.

use aiw_home::ExecutionContext;
use parking_lot::Mutex;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use std::{env, fs};

use aiw_core::one_line;
use ort::environment::Environment;

use super::error::{ModelError, unreadable};

/// The variable that stops the collection of data.
const TELEMETRY_OFF_VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Marks of a library that collects data.
const TELEMETRY_MARKERS: [&[u8]; 2] = [b"Microsoft/DeveloperTools/.onnxruntime", b"OneDsTelemetry"];

/// A symbol that every ONNX Runtime exports.
const ENTRY_SYMBOL: &[u8] = b"OrtGetApiBase";

/// The files with collected data.
const TELEMETRY_FILES: [&str; 6] = [
    "deviceid",
    "deviceid.lock",
    "onnxruntime.db",
    "onnxruntime.db-journal",
    "onnxruntime.db-shm",
    "onnxruntime.db-wal",
];

/// The library that this process has loaded, and its environment. Both stay.
static LOADED_RUNTIME: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Stops ONNX Runtime from collecting data in this process. Call it before there is a second thread; without it no
/// library is loaded that collects data.
pub fn disable_telemetry() {
    // SAFETY: no other thread reads or writes the environment, because there is none.
    #[expect(unsafe_code, reason = "the environment of a process is not locked")]
    unsafe {
        env::set_var(TELEMETRY_OFF_VARIABLE, "1");
    }
}

/// Whether a library is told not to collect data.
pub(super) fn is_telemetry_disabled() -> bool {
    env::var_os(TELEMETRY_OFF_VARIABLE).is_some_and(|value| value == "1")
}

/// Removes what ONNX Runtime has collected for this user, in this program or another one. Returns the directory in which
/// something was.
pub fn remove_telemetry_files(around: &ExecutionContext) -> Option<PathBuf> {
    let home = || around.user_home().map(|home| home.join(".cache"));
    let named = around.variable("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = named.filter(|path| path.is_absolute()).or_else(home)?;
    let directory = cache.join("Microsoft/DeveloperTools/.onnxruntime");
    let removed = TELEMETRY_FILES.into_iter().filter(|name| fs::remove_file(directory.join(name)).is_ok()).count();
    // Only those that are empty go.
    for directory in directory.ancestors().take(3) {
        if fs::remove_dir(directory).is_err() {
            break;
        }
    }
    (removed > 0).then_some(directory)
}

/// Checks that a library is ONNX Runtime, and that it collects nothing or can be stopped from it. It is not loaded.
pub(crate) fn check_library(path: &Path) -> Result<(), ModelError> {
    let mut bytes = Vec::new();
    let read = aiw_home::open_regular(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map_err(|e| unreadable(path, e))?;
    let has = |mark: &[u8]| memchr::memmem::find(&bytes, mark).is_some();
    if !has(ENTRY_SYMBOL) {
        return Err(ModelError::RuntimeLoadFailed {
            path: path.to_owned(),
            reason: "it has no `OrtGetApiBase`, so it is not ONNX Runtime".to_owned(),
        });
    }
    if TELEMETRY_MARKERS.into_iter().any(has) && !(has(TELEMETRY_OFF_VARIABLE.as_bytes()) && is_telemetry_disabled()) {
        return Err(ModelError::ForcedTelemetry { path: path.to_owned() });
    }
    Ok(())
}

/// Loads the library, which is checked unless it was, and returns its environment, or says why it can't be loaded.
/// Otherwise, whatever uses `ort` first would look for a library by itself, and panic if it found none.
pub(super) fn load(path: &Path, is_checked: bool) -> Result<Environment, ModelError> {
    // The loader's own words for a missing file differ from system to system.
    aiw_home::open_regular(path).map_err(|e| unreadable(path, e))?;
    let path = std::path::absolute(path).map_err(|e| unreadable(path, e))?;
    let failed = |reason: String| ModelError::RuntimeLoadFailed { path: path.clone(), reason: one_line(&reason, 300) };
    let mut loaded = LOADED_RUNTIME.lock();
    match &*loaded {
        Some((loaded, environment)) if *loaded == path => return Ok(environment.clone()),
        // `ort` would go on with the first, and say nothing.
        Some((loaded, _)) => {
            return Err(failed(format!("this process already uses `{}`, and can use only one", loaded.display())));
        }
        None => {}
    }
    if !is_checked {
        check_library(&path)?;
    }
    let begun = catch_panic(|| ort::init_from(&path).map_err(|e| e.to_string())).map_err(&failed)?.map_err(&failed)?;
    let environment = catch_panic(|| begun.with_telemetry(false).build().map_err(|e| e.to_string()));
    let environment = environment.map_err(&failed)?.map_err(&failed)?;
    *loaded = Some((path, environment.clone()));
    Ok(environment)
}

/// Runs what may panic on a damaged library or model.
pub(super) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "panic".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_collects_data_and_can_not_be_stopped_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libonnxruntime.so");
        let checked = |content: &str| {
            fs::write(&path, content).unwrap();
            check_library(&path)
        };
        assert!(checked("OrtGetApiBase").is_ok());
        assert!(checked("a library").unwrap_err().to_string().contains("it is not ONNX Runtime"));
        assert!(
            checked(&format!("OrtGetApiBase OneDsTelemetry x {TELEMETRY_OFF_VARIABLE}")).is_ok(),
            "the tests set the variable"
        );
        for mark in ["OrtGetApiBase OneDsTelemetry x", "OrtGetApiBase Microsoft/DeveloperTools/.onnxruntime"] {
            let refused = checked(mark).unwrap_err();
            assert!(refused.to_string().contains("can't switch that off"), "{refused}");
            assert!(matches!(load(&path, false), Err(ModelError::ForcedTelemetry { .. })));
        }
    }
}
