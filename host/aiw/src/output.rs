//! Standard output is for the answer, standard error for everything else.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use aiw_markets::{Observer, Quiet};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// Where a command puts its answer: text for people, or one JSON object.
pub struct Output {
    json: bool,
    text: RefCell<String>,
    answer: RefCell<Option<Value>>,
    /// A part of the answer could not be written.
    lost: Cell<bool>,
    progress: Option<Arc<ProgressLine>>,
}

impl Output {
    pub fn new(json: bool) -> Self {
        let progress = std::io::stderr().is_terminal().then(|| Arc::new(ProgressLine::default()));
        Self { json, text: RefCell::default(), answer: RefCell::default(), lost: Cell::new(false), progress }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A line of the answer for people, made printable: much of it was written by others.
    pub fn line(&self, line: impl AsRef<str>) {
        if !self.json {
            let mut text = self.text.borrow_mut();
            text.push_str(&aiw_core::printable(line.as_ref()));
            text.push('\n');
        }
    }

    /// A line that a question refers to: of the answer for people, a note beside JSON.
    pub fn before_question(&self, line: impl AsRef<str>) {
        if self.json { self.note(line) } else { self.line(line) }
    }

    /// The answer for programs.
    pub fn answer(&self, answer: impl Serialize) {
        *self.answer.borrow_mut() = Some(value(answer));
    }

    /// The answer of a command over several things, with the first of its failures: programs
    /// get the answer either way.
    pub fn conclude(&self, answer: impl Serialize, failure: Option<Failure>) -> Result<(), Failure> {
        match failure {
            None => {
                self.answer(answer);
                Ok(())
            }
            Some(failure) => Err(failure.with_answer(value(answer))),
        }
    }

    /// Prints what was collected so far, before what refers to it.
    pub fn flush(&self) {
        self.clear_progress();
        let text = std::mem::take(&mut *self.text.borrow_mut());
        if !text.is_empty() && write(&text) != ExitCode::SUCCESS {
            self.lost.set(true);
        }
    }

    /// A line about the work, not of the answer; after the lines of the answer that came before it.
    pub fn note(&self, line: impl AsRef<str>) {
        self.flush();
        let _ = writeln!(std::io::stderr().lock(), "{}", aiw_core::printable(line.as_ref()));
    }

    pub fn observer(&self) -> Arc<dyn Observer> {
        match &self.progress {
            Some(line) => line.clone(),
            None => Arc::new(Quiet),
        }
    }

    pub fn clear_progress(&self) {
        if let Some(line) = &self.progress {
            line.clear();
        }
    }

    pub fn finish(&self) -> ExitCode {
        self.clear_progress();
        let text = match (self.json, self.answer.take()) {
            (true, Some(answer)) => json_text(&answer),
            _ => std::mem::take(&mut *self.text.borrow_mut()),
        };
        match write(&text) {
            ExitCode::SUCCESS if self.lost.get() => ExitCode::from(aiw_core::ErrorKind::Unavailable.exit_code()),
            code => code,
        }
    }

    pub fn fail(&self, failure: &Failure) -> ExitCode {
        self.clear_progress();
        if self.json {
            write(&json_text(&failure.to_json()));
        } else {
            // What others say of their errors may run over lines.
            self.note(format!("error: {}", aiw_core::one_line(failure.message(), MAX_MESSAGE)));
            if let Some(hint) = failure.hint() {
                self.note(format!("hint: {hint}"));
            }
        }
        ExitCode::from(failure.code())
    }

    /// The command line is wrong.
    pub fn usage(&self, error: &clap::Error, hint: Option<&str>) -> ExitCode {
        let text = error.render().to_string();
        if self.json {
            let message = usage_message(&text);
            let hint = hint.unwrap_or("`aiw --help`");
            let answer = json!({"error": {"kind": "usage", "message": message, "hint": hint}});
            write(&json_text(&answer));
        } else if let Some(hint) = hint {
            self.note(format!("error: {}", usage_message(&text)));
            self.note(format!("hint: {hint}"));
        } else {
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
        ExitCode::from(aiw_core::ErrorKind::Usage.exit_code())
    }
}

/// An answer as JSON. Answers have text for keys, so this can't fail.
fn value(answer: impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}

/// What clap says before it shows how the command is used, on one line.
fn usage_message(text: &str) -> String {
    let is_end = |line: &&str| line.starts_with("Usage:") || line.starts_with("For more information");
    let lines: Vec<&str> = text.lines().take_while(|line| !is_end(line)).collect();
    let message = aiw_core::one_line(&lines.join(" "), MAX_MESSAGE);
    message.strip_prefix("error: ").unwrap_or(&message).to_owned()
}

/// The longest error message that is shown: the whole list of what an update changes.
const MAX_MESSAGE: usize = 4000;

/// JSON to print. Strings are whole; what could steer a terminal stands as `\u…`, which JSON
/// reads as the same.
fn json_text(value: &Value) -> String {
    let text = format!("{value:#}\n");
    if let Cow::Borrowed(_) = aiw_core::printable(&text) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        let mut buffer = [0; 4];
        match aiw_core::printable(c.encode_utf8(&mut buffer)) {
            Cow::Borrowed(_) => escaped.push(c),
            Cow::Owned(_) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped
}

/// Writes to standard output. A reader that went away is not a failure of ours.
pub fn write(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            let _ = writeln!(std::io::stderr().lock(), "error: cannot write to standard output: {e}");
            ExitCode::from(aiw_core::ErrorKind::Unavailable.exit_code())
        }
        _ => ExitCode::SUCCESS,
    }
}

pub fn write_line(line: &str) -> ExitCode {
    write(&format!("{line}\n"))
}

/// One line on a terminal that is drawn over.
struct ProgressLine {
    start: Instant,
    last: AtomicU64,
    shown: AtomicBool,
}

impl Default for ProgressLine {
    fn default() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0), shown: AtomicBool::new(false) }
    }
}

/// Drawing costs; the eye needs no more than ten a second, and nothing that is over at once.
const REDRAW_MS: u64 = 100;

impl Observer for ProgressLine {
    fn progress(&self, what: &str, done: u64, total: u64) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now < self.last.load(Ordering::Relaxed) + REDRAW_MS {
            return;
        }
        self.last.store(now, Ordering::Relaxed);
        self.shown.store(true, Ordering::Relaxed);
        let count = if total > 0 { format!(" {done}/{total}") } else { String::new() };
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K{}{count}…", aiw_core::one_line(what, 60));
        let _ = std::io::stderr().flush();
    }

    fn is_seen(&self) -> bool {
        true
    }
}

impl ProgressLine {
    fn clear(&self) {
        if self.shown.swap(false, Ordering::Relaxed) {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Columns, as wide as their longest cell; the last one runs on.
pub fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_is_told_up_to_the_usage() {
        let text = "error: the following required arguments were not provided:\n  <PLUGINS>...\n\n  tip: name one\n\n\
                    Usage: aiw plugin install <PLUGINS>...\n\nFor more information, try '--help'.\n";
        let message = "the following required arguments were not provided: <PLUGINS>... tip: name one";
        assert_eq!(usage_message(text), message);
        let text =
            "error: invalid value 'x' for '--kind'\n  [possible values: a]\n\nFor more information, try '--help'.";
        assert_eq!(usage_message(text), "invalid value 'x' for '--kind' [possible values: a]");
    }

    #[test]
    fn a_line_of_the_answer_steers_no_terminal() {
        let output = Output::new(false);
        output.line("a\u{1b}[2Jb\u{202e}");
        assert_eq!(*output.text.borrow(), "a\\u{1b}[2Jb\\u{202e}\n");
    }
}
