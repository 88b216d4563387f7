//! `logs/components.log`: what components say. One older file is kept beside it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use aiw_home::Home;
use aiw_wasm::host::{Log, LogLevel};

/// Enough for weeks of honest components; a flooding one replaces its own noise.
const ROTATE_AT: u64 = 1 << 20;

pub(super) struct FileLog {
    home: Home,
    path: PathBuf,
}

impl FileLog {
    pub(super) fn new(home: &Home) -> Self {
        Self { home: home.clone(), path: home.root().join("logs/components.log") }
    }
}

impl Log for FileLog {
    fn write(&self, component: &str, level: LogLevel, line: &str) {
        if let Some(dir) = self.path.parent()
            && self.home.make_dir(dir).is_err()
        {
            return;
        }
        if fs::metadata(&self.path).is_ok_and(|m| m.len() > ROTATE_AT) {
            let _ = fs::rename(&self.path, self.path.with_extension("log.1"));
        }
        // A log that can't be written stops nothing.
        if let Ok(mut file) = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path) {
            let _ = writeln!(file, "{} {} {component}: {line}", aiw_home::now_rfc3339(), level.as_str());
        }
    }
}
