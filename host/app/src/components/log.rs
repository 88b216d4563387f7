//! `logs/components.log`: what components say. One older file is kept beside it.

use std::path::PathBuf;

use aiw_home::Home;
use aiw_wasm::host::{ComponentLog, LogLevel};

/// Enough for weeks of honest components; a flooding one replaces its own noise.
const MAX_LOG_BYTES: u64 = 1 << 20;

pub(super) struct FileLog {
    path: PathBuf,
}

impl FileLog {
    pub(super) fn new(home: &Home) -> Self {
        Self { path: home.root().join("logs/components.log") }
    }
}

impl ComponentLog for FileLog {
    fn write(&self, component: &str, level: LogLevel, line: &str) {
        // A log that can't be written stops nothing.
        let _ = aiw_home::log_line(&self.path, &format!("{} {component}: {line}", level.as_str()), MAX_LOG_BYTES);
    }
}
