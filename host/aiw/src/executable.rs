//! aiw's own file.

use std::path::{Path, PathBuf};

use aiw_core::ErrorKind;

use crate::failure::Failure;

/// The executable that shims are started from.
pub fn own_executable() -> Result<PathBuf, Failure> {
    // After an update has replaced it, the same file is still available through /proc.
    match std::env::current_exe() {
        Ok(path) if path.is_file() => Ok(path),
        _ if Path::new("/proc/self/exe").exists() => Ok("/proc/self/exe".into()),
        Ok(path) => {
            Err(Failure::new(ErrorKind::Internal, format!("aiw's own executable is gone: `{}`", path.display())))
        }
        Err(e) => Err(Failure::new(ErrorKind::Internal, format!("aiw cannot find its own executable: {e}"))),
    }
}

/// The same, with the reason alone where there is none.
pub fn own_executable_or_reason() -> Result<PathBuf, String> {
    own_executable().map_err(|e| e.message().to_owned())
}

/// The path by which other programs start aiw.
pub fn own_path() -> Result<PathBuf, Failure> {
    match own_executable()? {
        // In another process, that is another program.
        path if path.starts_with("/proc/self") => {
            let failure = Failure::new(ErrorKind::Unavailable, "aiw's own executable was replaced or removed");
            Err(failure.with_hint("run the command again"))
        }
        path => Ok(path),
    }
}
