//! Standard output is for the answer, standard error for everything else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use aiw_core::{frame_line, quote_lines};
use aiw_markets::{NoopObserver, Observer};
use clap::builder::StyledStr;
use clap::builder::styling::{AnsiColor, Style};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::{CliError, to_json_value};
use crate::layout::{self, OutputScreen};
use crate::terminal;

/// Where a command puts its answer: text for people, or one JSON object.
pub struct Output {
    json: bool,
    text: Mutex<String>,
    answer: Mutex<Option<Value>>,
    /// The answer as JSON, where it must not be written anew.
    written: Mutex<Option<String>>,
    /// A part of the answer could not be written.
    lost: AtomicBool,
    progress: Option<Arc<ProgressLine>>,
    /// The screen that lists are laid out for.
    screen: Option<OutputScreen>,
    /// Lists are their rows alone.
    no_header: bool,
}

/// An answer that is one value under its name.
pub fn single_entry_map<T>(name: &str, value: T) -> BTreeMap<&str, T> {
    BTreeMap::from([(name, value)])
}

impl Output {
    pub fn new(json: bool) -> Self {
        let progress = std::io::stderr().is_terminal().then(|| Arc::new(ProgressLine::default()));
        let screen = std::io::stdout()
            .is_terminal()
            .then(|| OutputScreen { columns: terminal::columns(), color: has_color(&std::io::stdout()) });
        Self {
            json,
            text: Mutex::default(),
            answer: Mutex::default(),
            written: Mutex::default(),
            lost: AtomicBool::new(false),
            progress,
            screen,
            no_header: false,
        }
    }

    /// Prints lists without their headers.
    pub fn without_headers(self, no_header: bool) -> Self {
        Self { no_header, ..self }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A line of the answer for people, made printable: much of it was written by others.
    pub fn line(&self, line: impl AsRef<str>) {
        if !self.json {
            let mut text = self.text.lock();
            text.push_str(&aiw_core::printable(line.as_ref()));
            text.push('\n');
        }
    }

    /// A document in JSON, as the answer for people: what can't be shown is escaped as JSON does.
    pub fn document(&self, document: impl Serialize) {
        if !self.json {
            self.text.lock().push_str(&json_text(&to_json_value(document)));
        }
    }

    /// A list with headers. On a terminal it fits the width; elsewhere it has all columns, and no cell is cut.
    pub fn table(&self, headers: &[&str], rows: &[Vec<String>]) {
        self.styled_table(headers, rows, |_, _| Style::new());
    }

    /// Prints a table with a style for each cell, by its row and column, where the terminal has colour.
    pub fn styled_table(&self, headers: &[&str], rows: &[Vec<String>], style: impl Fn(usize, usize) -> Style) {
        // A name of somebody else's may have line breaks, which would make rows of its own.
        let one_line = |cell: &String| cell.replace(['\n', '\r', '\u{2028}', '\u{2029}'], " ");
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(one_line).collect()).collect();
        let rows = rows.as_slice();
        match self.screen.filter(|_| !self.json) {
            Some(screen) => {
                let (header, lines) = layout::format_table(headers, rows, screen, style);
                let header = header.iter().filter(|_| !self.no_header);
                header.chain(&lines).for_each(|line| self.text.lock().push_str(line));
            }
            None if rows.is_empty() => {}
            None => {
                let headers = headers.iter().map(|header| (*header).to_owned()).collect();
                let lines = layout::align_columns(&[&[headers], rows].concat());
                lines.iter().skip(usize::from(self.no_header)).for_each(|line| self.line(line));
            }
        }
    }

    /// A line of the answer for people, which goes on in the next line where a terminal is too narrow for it.
    pub fn wrapped_line(&self, lead: &str, text: &str) {
        match self.screen.and_then(|screen| screen.columns) {
            Some(columns) => {
                layout::wrap_text(lead, &aiw_core::printable(text), columns).iter().for_each(|line| self.line(line));
            }
            None => self.line(format!("{lead}{text}")),
        }
    }

    /// Prints the text that a question refers to: lines of the answer for people, notes beside JSON. You see what you
    /// agree to: nothing of it is hidden or pushed out of sight.
    pub fn print_question_context(&self, text: impl AsRef<str>) {
        let show = |line: &String| if self.json { self.note(line) } else { self.line(line) };
        quote_lines(text.as_ref()).iter().for_each(show);
    }

    /// A text of somebody else's that a question is about, in a frame: none of its lines looks like one of ours, also
    /// where a terminal would break it.
    pub fn print_framed(&self, text: &str) {
        let columns = self.screen.and_then(|screen| screen.columns).map_or(usize::MAX, |columns| columns.max(20) - 3);
        for line in quote_lines(text) {
            // Nobody knows how far a terminal goes for a tab, but it is at most this far.
            let line = line.replace('\t', "        ");
            layout::split_by_width(&line, columns).for_each(|piece| self.print_question_context(frame_line(piece)));
        }
    }

    /// The answer for programs.
    pub fn set_json(&self, answer: impl Serialize) {
        // People read the lines instead.
        *self.answer.lock() = self.json.then(|| to_json_value(answer));
    }

    /// The answer for programs: one field, as another program wrote it. Numbers keep all of their digits. `read` is
    /// what it says, for where that can't be shown.
    pub fn set_raw_json_field(&self, field: &str, written: &RawValue, read: &Value) {
        // What was nested too deeply was cut.
        if serde_json::from_str::<Value>(written.get()).is_ok_and(|value| value == *read) {
            let text = format!("{{{}:{}}}\n", Value::from(field), written.get());
            *self.written.lock() = Some(escaped(text));
        }
        self.set_json(single_entry_map(field, read));
    }

    /// The answer of a command over several things, with the first of its failures: programs
    /// get the answer either way.
    pub fn set_json_or_error(&self, answer: impl Serialize, failure: Option<CliError>) -> Result<(), CliError> {
        match failure {
            None => {
                self.set_json(answer);
                Ok(())
            }
            Some(failure) => Err(failure.with_json_output(answer)),
        }
    }

    /// Prints what was collected so far, before what refers to it.
    pub fn flush(&self) {
        self.clear_progress();
        let text = std::mem::take(&mut *self.text.lock());
        if !text.is_empty() && write(&text) != ExitCode::SUCCESS {
            self.lost.store(true, Ordering::Relaxed);
        }
    }

    /// A line about the work, not of the answer; after the lines of the answer that came before it. A question may
    /// refer to it.
    pub fn note(&self, line: impl AsRef<str>) {
        self.flush();
        let _ = writeln!(std::io::stderr().lock(), "{}", quote_lines(line.as_ref()).join("\n"));
    }

    /// A remark about the work. A text of somebody else's in it stays in its frame where the terminal would break it.
    pub fn prefixed_note(&self, line: &str) {
        let line = format!("note: {line}");
        if self.progress.is_none() || !line.contains(['│', '┆']) {
            self.note(line);
            return;
        }
        for line in quote_lines(&line) {
            // Nobody knows how far a terminal goes for a tab, but it is at most this far.
            let line = line.replace('\t', "        ");
            layout::wrap_framed_text(&line, terminal::size().columns).iter().for_each(|line| self.note(line));
        }
    }

    pub fn observer(&self) -> Arc<dyn Observer> {
        match &self.progress {
            Some(line) => line.clone(),
            None => Arc::new(NoopObserver),
        }
    }

    pub fn clear_progress(&self) {
        if let Some(line) = &self.progress {
            line.clear();
        }
    }

    /// Prints what a command answered, or why it failed.
    pub fn report_result(&self, result: Result<(), CliError>) -> ExitCode {
        match result {
            Ok(()) => self.finish(),
            Err(failure) => self.fail(&failure),
        }
    }

    fn finish(&self) -> ExitCode {
        self.clear_progress();
        let text = match (self.json, self.answer.lock().take()) {
            (true, Some(answer)) => self.written.lock().take().unwrap_or_else(|| json_text(&answer)),
            _ => std::mem::take(&mut *self.text.lock()),
        };
        match write(&text) {
            ExitCode::SUCCESS if self.lost.load(Ordering::Relaxed) => {
                ExitCode::from(aiw_core::ErrorKind::Unavailable.exit_code())
            }
            code => code,
        }
    }

    pub fn fail(&self, failure: &CliError) -> ExitCode {
        self.clear_progress();
        if self.json {
            write(&json_text(&failure.to_json()));
        } else if failure.is_declined() {
            self.note(failure.message());
        } else {
            // What others say of their errors may run over lines.
            let message = aiw_core::one_line(failure.message(), MAX_MESSAGE_LEN);
            // Whoever stopped it knows that. Their Ctrl-C has ended no line of the terminal.
            let message = Some(&*message).filter(|_| !failure.is_interrupted());
            if message.is_none() && self.progress.is_some() {
                self.note("");
            }
            self.error(message, failure.hint());
        }
        ExitCode::from(failure.code())
    }

    /// The command line is wrong.
    pub fn report_usage_error(&self, error: &clap::Error, hint: Option<&str>) -> ExitCode {
        let text = error.render().to_string();
        let (message, tip) = usage_message(&text);
        if self.json {
            let hint = hint.or(tip.as_deref()).unwrap_or("`aiw --help`");
            let failure = CliError::new(aiw_core::ErrorKind::Usage, message).with_hint(hint);
            write(&json_text(&failure.to_json()));
        } else if hint.is_some() {
            self.error(Some(&message), hint);
        } else {
            let text = in_words(&render_styled(&error.render(), &std::io::stderr()));
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
        ExitCode::from(aiw_core::ErrorKind::Usage.exit_code())
    }

    /// The two lines of a failure.
    fn error(&self, message: Option<&str>, hint: Option<&str>) {
        self.flush();
        let color = has_color(&std::io::stderr());
        let said = [("error:", ERROR_STYLE, message), ("hint:", HINT_STYLE, hint)];
        for (word, style, text) in said.into_iter().filter_map(|(word, style, text)| Some((word, style, text?))) {
            let word = if color { format!("{style}{word}{style:#}") } else { word.to_owned() };
            let _ = writeln!(std::io::stderr().lock(), "{word} {}", aiw_core::printable(text));
        }
    }
}

/// Rewrites the standard library's messages about numbers in words.
fn in_words(text: &str) -> String {
    let said = [
        ("invalid digit found in string", "it is not a whole number"),
        ("cannot parse integer from empty string", "it is empty"),
        ("number too large to fit in target type", "it is too large"),
        ("number too small to fit in target type", "it is too small"),
    ];
    said.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}

/// Returns clap's message without the usage, on one line, and its tip apart.
fn usage_message(text: &str) -> (String, Option<String>) {
    let is_end = |line: &&str| line.starts_with("Usage:") || line.starts_with("For more information");
    let lines = text.lines().take_while(|line| !is_end(line)).map(str::trim);
    let (tips, lines): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("tip: "));
    let message = aiw_core::one_line(&in_words(&lines.join(" ")), MAX_MESSAGE_LEN);
    let tip =
        tips.first().and_then(|tip| tip.strip_prefix("tip: ")).map(|tip| aiw_core::one_line(tip, MAX_MESSAGE_LEN));
    (message.strip_prefix("error: ").unwrap_or(&message).to_owned(), tip)
}

/// The longest error message that is shown: the whole list of what an update changes.
const MAX_MESSAGE_LEN: usize = 4000;

/// JSON to print. Strings are whole; what could steer a terminal stands as `\u…`, which JSON
/// reads as the same.
fn json_text(value: &Value) -> String {
    escaped(format!("{value:#}\n"))
}

/// JSON in which what can't be shown is escaped.
fn escaped(text: String) -> String {
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
            static WRITE_ERROR_REPORTED: AtomicBool = AtomicBool::new(false);
            if !WRITE_ERROR_REPORTED.swap(true, Ordering::Relaxed) {
                let _ = writeln!(std::io::stderr().lock(), "error: cannot write to standard output: {e}");
            }
            ExitCode::from(aiw_core::ErrorKind::Unavailable.exit_code())
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Says a sentence on standard error, from any thread.
pub fn print_note(sentence: &str) {
    let _ = writeln!(std::io::stderr().lock(), "note: {}", aiw_core::one_line(sentence, 400));
}

pub fn write_line(line: &str) -> ExitCode {
    write(&format!("{line}\n"))
}

/// One line on a terminal that is drawn over.
struct ProgressLine {
    start: Instant,
    last: AtomicU64,
    is_drawn: AtomicBool,
}

impl Default for ProgressLine {
    fn default() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0), is_drawn: AtomicBool::new(false) }
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
        self.is_drawn.store(true, Ordering::Relaxed);
        let count = if total > 0 { format!(" {done}/{total}") } else { String::new() };
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K{}{count}…", aiw_core::one_line(what, 60));
        let _ = std::io::stderr().flush();
    }

    fn is_visible(&self) -> bool {
        true
    }
}

impl ProgressLine {
    fn clear(&self) {
        if self.is_drawn.swap(false, Ordering::Relaxed) {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// The style of the word that begins a failure or a hint: the colours of cargo and uv.
const ERROR_STYLE: Style = AnsiColor::Red.on_default().bold();
const HINT_STYLE: Style = AnsiColor::Cyan.on_default().bold();

/// Whether to use colour there: only on a terminal that has it, and never against `NO_COLOR`.
pub fn has_color(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    stream.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}

/// Help or a usage error, with clap's colours where they are shown.
pub fn render_styled(text: &StyledStr, stream: &impl IsTerminal) -> String {
    if has_color(stream) { text.ansi().to_string() } else { text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_is_told_up_to_the_usage() {
        let text = "error: the following required arguments were not provided:\n  <PLUGINS>...\n\n  tip: name one\n\n\
                    Usage: aiw plugin install <PLUGINS>...\n\nFor more information, try '--help'.\n";
        let message = "the following required arguments were not provided: <PLUGINS>...";
        assert_eq!(usage_message(text), (message.to_owned(), Some("name one".to_owned())));
        let text =
            "error: invalid value 'x' for '--kind'\n  [possible values: a]\n\nFor more information, try '--help'.";
        assert_eq!(usage_message(text), ("invalid value 'x' for '--kind' [possible values: a]".to_owned(), None));
    }

    #[test]
    fn a_line_of_the_answer_steers_no_terminal() {
        let output = Output::new(false);
        output.line("a\u{1b}[2Jb\u{202e}");
        assert_eq!(*output.text.lock(), "a\\u{1b}[2Jb\\u{202e}\n");
    }

    #[test]
    fn nothing_that_is_agreed_to_is_hidden_or_pushed_out_of_sight() {
        let output = Output::new(false);
        output.print_question_context(format!("  runs: sh{}-c evil\u{e0101}", " ".repeat(8000)));
        output.print_question_context(format!("one{}two", "\n".repeat(3001)));
        let shown = "  runs: sh⟨8000 blanks⟩-c evil\\u{e0101}\none\n\n\n⟨2998 empty lines more⟩\ntwo\n";
        assert_eq!(*output.text.lock(), shown);
    }
}
