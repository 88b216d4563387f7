//! `logs/history.log`: problems of work in the background. One older file is kept beside it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use aiw_home::Home;

const ROTATE_AT: u64 = 1 << 20;

/// Adds a line. A log that can't be written stops nothing.
pub fn log(home: &Home, line: &str) {
    let path = home.root().join("logs/history.log");
    let Some(directory) = path.parent() else { return };
    if home.make_dir(directory).is_err() {
        return;
    }
    if fs::metadata(&path).is_ok_and(|meta| meta.len() > ROTATE_AT) {
        let _ = fs::rename(&path, path.with_extension("log.1"));
    }
    if let Ok(mut file) = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path) {
        let line = aiw_core::one_line(line, 2000);
        let _ = writeln!(file, "{} {line}", aiw_home::now_rfc3339());
    }
}
