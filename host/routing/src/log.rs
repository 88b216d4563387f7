//! What servers write to standard error: one file per server, without secrets and within bounds.

use std::io::Read;
use std::path::Path;

use aiw_home::log_line;
use aiw_redact::known::Mask;

/// When a log is this long, it becomes the old one.
const MAX_LOG: u64 = 1 << 20;

/// The longest piece of a line that is kept.
const MAX_LINE: usize = 16 << 10;

/// Copies a stream to a log, line by line, until it ends. It runs on a thread of its own. A log that can't be written
/// must not block the server, so the stream is read on.
pub(crate) fn keep(mut stream: impl Read, path: &Path, secrets: &[Vec<u8>], last: &dyn Fn(String)) {
    let mut mask = Mask::of(secrets);
    let (mut line, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        let read = stream.read(&mut piece).unwrap_or(0);
        // A secret may begin in one piece and end in the next.
        let masked = if read == 0 { mask.rest() } else { mask.take(&piece[..read]) };
        for byte in masked {
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() == MAX_LINE {
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
        let _ = log_line(path, &text, MAX_LOG);
    }
}

/// One line of aiw's own.
pub(crate) fn note(path: &Path, text: &str) {
    let _ = log_line(path, &format!("aiw: {}", aiw_core::printable(text).replace('\n', " ")), MAX_LOG);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_log_holds_no_secret_and_stays_within_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/a.log");
        let text = format!("token sk-canary-12345678\n\n\u{1b}[31mred\n{}\nlast", "x".repeat(100_000));
        let last = std::cell::RefCell::new(String::new());
        keep(text.as_bytes(), &path, &[b"sk-canary-12345678".to_vec()], &|line| *last.borrow_mut() = line);
        let log = fs::read_to_string(&path).unwrap();
        assert!(!log.contains("canary") && log.contains("[secret]") && !log.contains('\u{1b}'), "{log}");
        assert_eq!(*last.borrow(), "last");
        // Across the end of a piece.
        let text = format!("{}sk-canary-12345678 end", "z".repeat(MAX_LINE - 8));
        keep(text.as_bytes(), &path, &[b"sk-canary-12345678".to_vec()], &|_| {});
        let log = fs::read_to_string(&path).unwrap();
        assert!(!log.contains("canary") && !log.contains("12345678"), "{}", &log[log.len() - 100..]);
        for _ in 0..100 {
            keep("y".repeat(30_000).as_bytes(), &path, &[], &|_| {});
        }
        let length = |path: &Path| fs::metadata(path).unwrap().len();
        assert!(length(&path) < MAX_LOG + 100_000 && length(&path.with_extension("log.1")) < MAX_LOG + 100_000);
    }
}
