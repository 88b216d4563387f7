//! `logs/history.log`: problems of work in the background. One older file is kept beside it.

use aiw_home::Home;

const MAX_LOG_BYTES: u64 = 1 << 20;

/// Adds a line. A log that can't be written stops nothing.
pub fn log(home: &Home, line: &str) {
    let path = home.root().join("logs/history.log");
    let _ = aiw_home::log_line(&path, &aiw_core::one_line(line, 2000), MAX_LOG_BYTES);
}
