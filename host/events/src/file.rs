//! The two files of events.

use std::io;
use std::path::Path;

use memchr::memmem::Finder;

use crate::event::HomeEvent;
use crate::lines::{LineFiles, LinePage};

/// The size at which a file is full, in bytes. No event is shorter than 100 bytes, so both files hold 100,000 at the most.
const MAX_FILE_BYTES: u64 = 5_000_000;

/// The events of a home.
#[derive(Debug, Clone)]
pub struct EventLog {
    files: LineFiles,
    /// A text that each line has to have to be read at all.
    text: Option<String>,
}

/// A part of the events, from a position on.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    /// The events, oldest first.
    pub events: Vec<HomeEvent>,
    /// The position behind the last one that was looked at.
    pub next: u64,
    /// Whether there were others before, which are gone.
    pub has_gap: bool,
}

impl From<LinePage<HomeEvent>> for EventPage {
    fn from(LinePage { lines, next, has_gap }: LinePage<HomeEvent>) -> Self {
        Self { events: lines, next, has_gap }
    }
}

impl EventLog {
    /// Returns the events of the home with this root. Nothing is created before the first event.
    pub fn new(home: &Path) -> Self {
        Self { files: LineFiles::new(home.join("events"), "events", MAX_FILE_BYTES), text: None }
    }

    /// Returns the same events for somebody who wants those of this name alone, and finds them fast.
    #[must_use]
    pub fn with_name_filter(self, name: &str) -> Self {
        Self { text: serde_json::to_string(name).ok(), ..self }
    }

    fn is_looked_at(&self) -> impl Fn(&[u8]) -> bool {
        let text = self.text.as_deref().map(Finder::new);
        move |line| text.as_ref().is_none_or(|text| text.find(line).is_some())
    }

    /// Returns the directory that the files are in.
    pub fn directory(&self) -> &Path {
        self.files.directory()
    }

    /// Adds an event. Once this returns, every reader finds it.
    ///
    /// # Errors
    ///
    /// The system's error. A writer goes on without its event.
    pub fn add(&self, event: &HomeEvent) -> io::Result<()> {
        self.files.add(&event.to_truncated())
    }

    /// Returns the position behind the newest event.
    pub fn end_offset(&self) -> io::Result<u64> {
        self.files.end_offset()
    }

    /// Returns the events from a position on that are wanted, at most so many. From 0 on, they are all that are there.
    pub fn read(&self, from: u64, most: usize, is_wanted: impl Fn(&HomeEvent) -> bool) -> io::Result<EventPage> {
        Ok(self.files.read_lines(from, most, self.is_looked_at(), is_wanted)?.into())
    }

    /// Returns the newest events that are wanted, at most so many, of a time and later (RFC 3339 in UTC).
    pub fn since(&self, time: &str, most: usize, is_wanted: impl Fn(&HomeEvent) -> bool) -> io::Result<EventPage> {
        const TIME_FIELD_PREFIX: &[u8] = b"{\"time\":\"";
        let is_later = |line: &[u8]| line.strip_prefix(TIME_FIELD_PREFIX).is_none_or(|line| line >= time.as_bytes());
        let is_looked_at = self.is_looked_at();
        let is_looked_at = |line: &[u8]| is_later(line) && is_looked_at(line);
        let mut page: EventPage = self.files.read_lines(0, usize::MAX, is_looked_at, is_wanted)?.into();
        page.events.drain(..page.events.len().saturating_sub(most));
        Ok(page)
    }
}

#[cfg(test)]
mod tests;
