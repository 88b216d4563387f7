//! What servers write to standard error: one file per server, without secrets and within bounds.

use std::io::Read;
use std::path::Path;

use aiw_home::log_line;
use aiw_redact::known::Mask;

/// When a log is this long, it becomes the old one.
const MAX_LOG_BYTES: u64 = 1 << 20;

/// The longest piece of a line that is kept.
const MAX_LINE_BYTES: usize = 16 << 10;

/// Copies a stream to a log, line by line, until it ends. It runs on a thread of its own. A log that can't be written
/// must not block the server, so the stream is read on.
pub(crate) fn copy_to_log(mut stream: impl Read, path: &Path, secrets: &[Vec<u8>], last: &dyn Fn(String)) {
    let mut mask = Mask::new(secrets);
    let (mut line, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        let read = stream.read(&mut piece).unwrap_or(0);
        // A secret may begin in one piece and end in the next.
        let masked = if read == 0 { mask.finish() } else { mask.push(&piece[..read]) };
        for byte in masked {
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() == MAX_LINE_BYTES {
                write(&std::mem::take(&mut line), path, last);
            }
        }
        if read == 0 {
            return write(&line, path, last);
        }
    }
}

fn write(line: &[u8], path: &Path, last: &dyn Fn(String)) {
    let text = String::from_utf8_lossy(line);
    let text = aiw_core::printable(text.trim_end());
    if !text.trim().is_empty() {
        last(text.clone().into_owned());
        let _ = log_line(path, &text, MAX_LOG_BYTES);
    }
}

/// One line of aiw's own.
pub(crate) fn write_note(path: &Path, text: &str) {
    let _ = log_line(path, &format!("aiw: {}", aiw_core::printable(text).replace('\n', " ")), MAX_LOG_BYTES);
}

/// The last lines that a server wrote to standard error, which may say why it ended.
#[derive(Default)]
pub(crate) struct StderrTail {
    error: Option<String>,
    last: String,
    /// Whether it has begun to serve: what went wrong before ended nothing.
    serves: bool,
}

impl StderrTail {
    pub(crate) fn push(&mut self, line: String) {
        if self.error.is_none() && !self.serves && names_error(&line) {
            self.error = Some(line.clone());
        }
        self.last = line;
    }

    pub(crate) fn set_serving(&mut self) {
        self.serves = true;
        self.error = None;
    }

    /// Returns the line that names an error if one does: programs go on with a trace, a version or the path of a log.
    pub(crate) fn error_line(&self) -> Option<String> {
        let (what, line) = match &self.error {
            Some(error) => ("it wrote", error),
            None => ("it last wrote", &self.last),
        };
        (!line.is_empty()).then(|| format!("{what} {}", aiw_core::quoted_text(line, 200)))
    }
}

/// Whether a line of a program says what has gone wrong.
fn names_error(line: &str) -> bool {
    const ERROR_MARKERS: [&str; 8] =
        ["error:", "npm error ", "npm err! ", "fatal", "cannot ", "not found", "no such file", "panicked"];
    let line = line.to_lowercase();
    // npm says the code alone first, and then what it means.
    let is_code = ["npm error code ", "npm err! code "].iter().any(|begin| line.starts_with(begin));
    !is_code && ERROR_MARKERS.iter().any(|sign| line.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_line_that_names_the_error_tells_more_than_the_last_one() {
        let told = |text: &str| {
            let mut words = StderrTail::default();
            text.lines().for_each(|line| words.push(line.to_owned()));
            words.error_line().unwrap()
        };
        let node = "node:internal/modules/cjs/loader:1210\n  throw err;\n  ^\nError: Cannot find module '/srv/index.js'\n    \
                    at Module._load\n  code: 'MODULE_NOT_FOUND'\n}\nNode.js v20.20.2";
        assert_eq!(told(node), "it wrote `Error: Cannot find module '/srv/index.js'`");
        let npm = "npm error code E404\nnpm error 404 Not Found - GET https://registry.npmjs.org/no-such\nnpm error A complete \
                   log of this run can be found in: /srv/.npm/_logs/a.log";
        assert_eq!(told(npm), "it wrote `npm error 404 Not Found - GET https://registry.npmjs.org/no-such`");
        let python = "Traceback (most recent call last):\n  File \"server.py\", line 1\nModuleNotFoundError: No module named 'x'";
        assert_eq!(told(python), "it wrote `ModuleNotFoundError: No module named 'x'`");
        assert_eq!(told("starting\nno license"), "it last wrote `no license`");
        // An error that it lived with is not why it ended.
        let mut words = StderrTail::default();
        words.push("error: no cache, going on".into());
        words.set_serving();
        words.push("bye".into());
        assert_eq!(words.error_line().as_deref(), Some("it last wrote `bye`"));
    }

    #[test]
    fn a_log_holds_no_secret_and_stays_within_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/a.log");
        let text = format!("token sk-canary-12345678\n\n\u{1b}[31mred\n{}\nlast", "x".repeat(100_000));
        let last = std::cell::RefCell::new(String::new());
        copy_to_log(text.as_bytes(), &path, &[b"sk-canary-12345678".to_vec()], &|line| *last.borrow_mut() = line);
        let log = fs::read_to_string(&path).unwrap();
        assert!(!log.contains("canary") && log.contains("[secret]") && !log.contains('\u{1b}'), "{log}");
        assert_eq!(*last.borrow(), "last");
        // Across the end of a piece.
        let text = format!("{}sk-canary-12345678 end", "z".repeat(MAX_LINE_BYTES - 8));
        copy_to_log(text.as_bytes(), &path, &[b"sk-canary-12345678".to_vec()], &|_| {});
        let log = fs::read_to_string(&path).unwrap();
        assert!(!log.contains("canary") && !log.contains("12345678"), "{}", &log[log.len() - 100..]);
        for _ in 0..100 {
            copy_to_log("y".repeat(30_000).as_bytes(), &path, &[], &|_| {});
        }
        let length = |path: &Path| fs::metadata(path).unwrap().len();
        assert!(
            length(&path) < MAX_LOG_BYTES + 100_000 && length(&path.with_extension("log.1")) < MAX_LOG_BYTES + 100_000
        );
    }
}
