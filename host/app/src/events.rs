//! What has happened and what happens, for views: of a project or of the whole home.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_events::{EventKind, EventLog, EventPage, HomeEvent};
use aiw_home::{Home, HomeError, make_private_dir, rfc3339};
use aiw_processes::{ProcessProject, Watch};
use aiw_tasks::{Sources, TaskError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::AppError;

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventsRequest {
    /// Of this time and later, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Of these kinds; all if there are none.
    pub kinds: Vec<EventKind>,
    /// Of the process with this id, or what else has this name.
    pub process: Option<String>,
    /// Of all projects.
    pub all_projects: bool,
    /// The newest, so many at the most.
    pub last: Option<usize>,
}

/// A part of the events
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventList {
    /// The events, oldest first
    pub events: Vec<HomeEvent>,
    /// The position behind the last of them
    pub next: u64,
    /// Whether others before them are gone: only the newest are kept
    pub gap: bool,
}

/// The events of one home that somebody reads.
#[derive(Debug)]
pub struct HomeEvents {
    events: EventLog,
    request: EventsRequest,
    project: PathBuf,
    /// Listens from the first wait on.
    watch: Option<Watch>,
}

impl HomeEvents {
    /// Returns a reader, for somebody in this directory.
    pub fn new(home: &Home, cwd: &Path, request: EventsRequest) -> Result<Self, AppError> {
        let project = ProcessProject::discover(cwd)?.directory().to_owned();
        let mut events = EventLog::new(home.root());
        if let Some(name) = &request.process {
            events = events.with_name_filter(name);
        }
        Ok(Self { events, request, project, watch: None })
    }

    fn is_wanted(&self, event: &HomeEvent) -> bool {
        let EventsRequest { kinds, process, all_projects: all, .. } = &self.request;
        let is_here = || event.project.as_ref().is_none_or(|project| project.starts_with(&self.project));
        (kinds.is_empty() || kinds.contains(&event.kind))
            && process.as_ref().is_none_or(|id| event.name.as_ref() == Some(id))
            && (*all || is_here())
    }

    fn list_of(&self, page: std::io::Result<EventPage>) -> Result<EventList, AppError> {
        let page = page.map_err(|e| HomeError::io("read", self.events.directory(), e))?;
        Ok(EventList { events: page.events, next: page.next, gap: page.has_gap })
    }

    /// Returns the newest events.
    pub fn list(&self) -> Result<EventList, AppError> {
        let since = self.request.since.map(rfc3339).unwrap_or_default();
        self.list_of(self.events.since(&since, self.request.last.unwrap_or(usize::MAX), |event| self.is_wanted(event)))
    }

    /// Returns the position of what comes next.
    pub fn end_offset(&self) -> Result<u64, AppError> {
        Ok(self.events.end_offset().map_err(|e| HomeError::io("read", self.events.directory(), e))?)
    }

    /// Returns the events from a position on, so many at the most.
    pub fn read(&self, from: u64, most: usize) -> Result<EventList, AppError> {
        self.list_of(self.events.read(from, most, |event| self.is_wanted(event)))
    }

    /// Returns the events from a position on, so many at the most. If there are none, it waits for some, but no longer than
    /// this, and also ends when a signal was handled.
    pub fn next(&mut self, from: u64, most: usize, patience: Duration) -> Result<EventList, AppError> {
        let listening = match self.watch.take() {
            Some(watch) => watch,
            None => self.listening()?,
        };
        let mut list = self.read(from, most)?;
        if list.events.is_empty() && !list.gap && !patience.is_zero() {
            listening.wait(Some(patience));
            list = self.read(from, most)?;
        }
        self.watch = Some(listening);
        Ok(list)
    }

    fn listening(&self) -> Result<Watch, AppError> {
        make_private_dir(self.events.directory())?;
        let watch = Watch::new().map_err(TaskError::from)?;
        let mut sources = Sources::default();
        sources.directories.insert(self.events.directory().to_owned(), true);
        watch.listen(sources);
        Ok(watch)
    }
}
