//! A log on the whole screen.

use std::path::PathBuf;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::jobs::Job;
use super::text_view::{Margin, TextView};
use crate::output::OutputLine;
use crate::page::{LogHandle, LogUpdate};
use crate::paint::{BOLD, TextStyle, Theme, draw_text, row_rect};

/// As many lines are kept. More are dropped together, since the others move up.
const MAX_LINES: usize = 10_000;
const MAX_EXTRA_LINES: usize = 1_000;

/// A log that is open, with the lines that were read.
pub(super) struct LogView {
    title: String,
    pub(super) handle: LogHandle,
    pub(super) lines: Vec<OutputLine>,
    pub(super) text: TextView,
    /// The directories whose changes are new lines.
    pub(super) directories: Vec<PathBuf>,
    problem: Option<String>,
    /// Whether it is being read.
    is_reading: bool,
    /// Whether there is more by then, and whether other programs may have started.
    is_outdated: Option<bool>,
    is_read: bool,
}

impl LogView {
    pub(super) fn new(title: String, handle: LogHandle) -> Self {
        let mut text = TextView::new(true);
        text.margin = Margin { has_marks: true, ..Margin::default() };
        Self {
            title,
            handle,
            lines: Vec::new(),
            text,
            directories: Vec::new(),
            problem: None,
            is_reading: false,
            is_outdated: None,
            is_read: false,
        }
    }

    /// Returns the job that reads on, unless it is being read: then it is read on afterwards.
    pub(super) fn read(&mut self, at: usize, has_changed: bool) -> Option<Job> {
        if std::mem::replace(&mut self.is_reading, true) {
            self.is_outdated = Some(has_changed || self.is_outdated == Some(true));
            return None;
        }
        Some(Job::ReadLog(at, self.handle.clone(), has_changed))
    }

    /// Takes lines that were read. Returns the next job, and whether anything differs.
    pub(super) fn append(&mut self, at: usize, read: Result<LogUpdate, String>) -> (Option<Job>, bool) {
        self.is_reading = false;
        let mut is_changed = !std::mem::replace(&mut self.is_read, true);
        match read {
            Ok(LogUpdate { lines, names, directories }) => {
                is_changed |= !lines.is_empty() || names != self.text.margin.names || self.problem.take().is_some();
                (self.text.margin.names, self.directories) = (names, directories);
                self.lines.extend(lines);
                if self.lines.len() > MAX_LINES + MAX_EXTRA_LINES {
                    let gone = self.lines.len() - MAX_LINES;
                    self.lines.drain(..gone);
                    self.text.drop_front(gone);
                }
            }
            Err(problem) => {
                is_changed |= self.problem.as_ref() != Some(&problem);
                self.problem = Some(problem);
            }
        }
        (self.is_outdated.take().and_then(|has_changed| self.read(at, has_changed)), is_changed)
    }

    /// Follows the end, or stops there.
    pub(super) fn toggle_follow(&mut self) {
        self.text.scroll = match self.text.scroll {
            None => Some(self.text.max_scroll),
            Some(_) => None,
        };
        self.text.follows = true;
    }

    /// Returns how it is shown, for the status line.
    pub(super) fn status(&self) -> String {
        let count = self.lines.len();
        let mut words = vec![format!("{count} {}", if count == 1 { "line" } else { "lines" })];
        words.push(if self.text.scroll.is_none() { "following" } else { "f or End follows" }.to_owned());
        if !self.text.is_wrapped {
            words.push("cut: ←→".to_owned());
        }
        let query = self.text.search.query();
        if !query.is_empty() {
            words.push(match self.text.search.match_position(self.text.match_line()) {
                (_, 0) => format!("no line has: {query}"),
                (at, lines) => format!("line {at} of {lines} with: {query}"),
            });
        }
        words.join(" · ")
    }

    pub(super) fn draw(&mut self, buffer: &mut Buffer, area: Rect, theme: Theme) {
        let Some(title) = row_rect(area, 0) else { return };
        draw_text(buffer, title, 0, &self.title, BOLD);
        let mut area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        if let Some(problem) = &self.problem
            && let Some(line) = row_rect(area, 0)
        {
            draw_text(buffer, line, 0, problem, theme.tone(TextStyle::Bad));
            area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
        if self.lines.is_empty() {
            let said = if self.is_read { "nothing was written yet" } else { "…" };
            row_rect(area, 0).into_iter().for_each(|line| {
                draw_text(buffer, line, 1, said, theme.tone(TextStyle::Plain));
            });
            return;
        }
        self.text.draw(buffer, area, &self.lines, theme);
    }
}
