//! What a foreground run shows on standard error: a line at the start, and on a terminal a live line below the rest.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use aiw_core::one_line;
use aiw_launch::{OutputTarget, PreparedRun};
use aiw_tasks::Task;

use crate::layout::truncate_cell;
use crate::terminal;
use aiw_app::phrases::format_tokens;

/// The line that says what was started.
pub fn format_started(id: &str, cli: &str, provider: Option<&str>, model: Option<&str>) -> String {
    let provider = provider.map_or_else(|| "its own configuration".to_owned(), |name| format!("provider `{name}`"));
    let model = model.map(|model| format!(", model {}", one_line(model, 80))).unwrap_or_default();
    format!("task {id}: {cli} with {provider}{model}")
}

/// Returns the provider that runs the CLI, and the model.
pub fn describe(prepared: &PreparedRun) -> (Option<String>, Option<String>) {
    (prepared.provider.as_ref().map(ToString::to_string), prepared.model.clone())
}

/// Returns the line that says what a run used. `None` if its CLI did not say.
pub fn format_usage(task: &Task) -> Option<String> {
    let usage = task.about.usage.filter(|usage| usage.input > 0 || usage.output > 0)?;
    let cost = task.about.cost_usd.map_or_else(|| "?".to_owned(), |cost| format!("${cost:.4}"));
    Some(format!("used: {} tokens read, {} written, {cost}", format_tokens(usage.input), format_tokens(usage.output)))
}

/// The live line: how long the run has taken, what it did last, and the tokens that it has used.
pub struct LiveLine {
    start: Instant,
    action: String,
    is_drawn: bool,
    /// Whether the cursor is at the beginning of a line: there is no place for the live line beside unfinished text.
    is_free: bool,
    on_terminal: bool,
    last: Instant,
    has_answered: bool,
}

/// The shortest time between two frames.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

impl LiveLine {
    pub fn new() -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        let now = Instant::now();
        Self {
            start: now,
            action: "starting".into(),
            is_drawn: false,
            is_free: true,
            on_terminal,
            last: now,
            has_answered: false,
        }
    }

    /// Notes a piece of the run's text, which the caller writes after [`clear`](Self::clear).
    pub fn note(&mut self, place: OutputTarget, text: &str) {
        let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        match (place, last) {
            (OutputTarget::Progress, Some(line)) => self.action = line.to_owned(),
            (OutputTarget::Answer, Some(_)) => {
                self.action = "answering".into();
                self.has_answered = true;
            }
            (_, None) => {}
        }
    }

    /// Whether the model has said anything.
    pub fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Remembers whether written text ended its line.
    pub fn track_line_end(&mut self, text: &[u8]) {
        if let Some(last) = text.last() {
            self.is_free = *last == b'\n';
        }
    }

    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }

    pub fn draw(&mut self, tokens: impl FnOnce() -> Option<u64>) {
        let is_early = self.is_drawn && self.last.elapsed() < REDRAW_INTERVAL;
        if !self.on_terminal || !self.is_free || is_early {
            return;
        }
        let line = line(self.start.elapsed().as_secs(), &self.action, tokens(), terminal::size().columns);
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "\r\x1b[K{line}");
        let _ = stderr.flush();
        self.is_drawn = true;
        self.last = Instant::now();
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Cuts the action, so that the line fits and can be drawn over.
fn line(seconds: u64, action: &str, tokens: Option<u64>, columns: usize) -> String {
    let elapsed = format!("{}:{:02}", seconds / 60, seconds % 60);
    let tokens = tokens.map(|tokens| format!(" · {tokens} tokens")).unwrap_or_default();
    let room = columns.saturating_sub(elapsed.len() + 3 + tokens.chars().count() + 1);
    format!("{elapsed} · {}{tokens}", truncate_cell(&one_line(action, 400), room.max(8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_line_fits_the_terminal() {
        let line = line(75, &"cargo test ".repeat(20), Some(1234), 60);
        assert!(line.starts_with("1:15 · cargo test") && line.ends_with(" · 1234 tokens"), "{line}");
        assert!(line.chars().count() < 60, "{line}");
    }
}
