//! What processes wrote: of one from a position on, and of several as one list.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use aiw_core::matches_wildcard;
use aiw_home::rfc3339;
use aiw_supervisor::{FollowFrom, Log, LogEntry, LogFollower, PageLimits, Stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ProcessError;
use crate::manager::Manager;
use crate::state::{ProcessStatus, RunState};

/// How many lines of output are shown by default, and at most.
const DEFAULT_LINES: usize = 50;
const MAX_LINES: usize = 1000;

/// How long a search through a log may take.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(5);

/// As many of what aiw says of a process are shown.
const MAX_NOTES: usize = 10;

/// As many lines of several logs are merged at once.
const MAX_MERGED_LINES: usize = 10_000;

/// The least that each of several logs shows in a page of them all.
const MIN_SHARED_LINES: u64 = 50;
const MIN_SHARED_BYTES: usize = 16 << 10;

/// `aiw logs` of processes
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProcessLog {
    /// The lines, oldest first
    pub lines: Vec<ProcessLine>,
}

/// A line that a process wrote
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProcessLine {
    /// The id of the process
    pub id: String,
    /// When
    pub time: String,
    /// `stdout`, `stderr`, or `aiw`
    #[schemars(with = "String", extend("enum" = ["stdout", "stderr", "aiw"]))]
    pub stream: Stream,
    /// The line
    pub text: String,
}

impl ProcessLine {
    /// Returns a line of a log as it is shown.
    pub fn new(id: &str, entry: &LogEntry) -> Self {
        Self { id: id.to_owned(), time: rfc3339(entry.time), stream: entry.stream, text: entry.text() }
    }
}

/// A part of a process's log, and where it goes on
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProcessLogPage {
    /// The lines, with those of aiw. They keep their colors, as escape codes
    #[serde(flatten)]
    pub log: ProcessLog,
    /// The position to read on from
    pub next: u64,
    /// Whether there is more now
    pub more: bool,
    /// Whether lines before these are no longer kept
    pub missed: bool,
    /// The state of the process
    #[schemars(with = "String")]
    pub state: RunState,
}

/// A part of the logs of a project's processes, and where each goes on
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MergedLogPage {
    /// The lines by time, with those of aiw. They keep their colors, as escape codes
    #[serde(flatten)]
    pub log: ProcessLog,
    /// The position to read on from, by the id of a process
    pub next: BTreeMap<String, u64>,
    /// Whether there is more now
    pub more: bool,
    /// Whether lines before these are not among them
    pub missed: bool,
}

/// Which output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
enum OutputStream {
    Stdout,
    Stderr,
    #[default]
    Both,
}

/// Which lines of a process's output.
#[warn(missing_docs)]
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputRequest {
    /// The process's id
    pub id: String,
    #[serde(default)]
    stream: OutputStream,
    /// How many lines
    #[schemars(range(min = 1, max = 1000))]
    lines: Option<u64>,
    /// The position to read on from: `next` of an earlier answer. Without it, the last lines
    #[schemars(extend("maximum" = 9_007_199_254_740_991_u64))]
    pub from: Option<u64>,
    /// Only lines that contain this; `*` stands for any text
    contains: Option<String>,
    /// Whether the lines of aiw are among them
    #[serde(skip)]
    with_notes: bool,
}

impl OutputRequest {
    fn most(&self) -> usize {
        self.lines.map_or(DEFAULT_LINES, |lines| usize::try_from(lines).unwrap_or(DEFAULT_LINES)).min(MAX_LINES)
    }

    fn wants(&self, entry: &LogEntry) -> bool {
        let of_stream = match (self.stream, entry.stream) {
            (OutputStream::Both, stream) => self.with_notes || stream != Stream::Aiw,
            (OutputStream::Stdout, stream) => stream == Stream::Stdout,
            (OutputStream::Stderr, stream) => stream == Stream::Stderr,
        };
        of_stream
            && self.contains.as_deref().is_none_or(|text| matches_wildcard(&substring_pattern(text), &entry.text()))
    }
}

/// Output of a process.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProcessOutput {
    /// The process's output, oldest first
    pub lines: Vec<String>,
    /// The last notes of aiw about it: started, ended, why
    pub said: Vec<String>,
    /// The position to read on from
    pub next: u64,
    /// Whether there is more now
    pub more: bool,
    /// Whether lines before these are no longer kept
    pub missed: bool,
    /// The state of the process
    #[schemars(with = "String")]
    pub state: RunState,
}

/// Returns a pattern of a text that may be anywhere in a line.
pub fn substring_pattern(text: &str) -> String {
    format!("*{text}*")
}

impl Manager {
    /// Returns the last lines that a process wrote, or those from a position on, of these at most `bytes`.
    ///
    /// # Errors
    ///
    /// There is no such process, it was not started, or its log can't be read.
    pub fn output(&self, request: &OutputRequest, bytes: usize) -> Result<ProcessOutput, ProcessError> {
        let log = self.log(&request.id)?;
        let state = self.get(&request.id)?.state;
        let LogPart { entries, next, more, missed } = part(&log, request, bytes)?;
        let last = log.tail(20 * MAX_NOTES)?;
        let said: Vec<String> = last.iter().filter(|entry| entry.stream == Stream::Aiw).map(LogEntry::text).collect();
        let said = said[said.len().saturating_sub(MAX_NOTES)..].to_vec();
        let lines = entries.iter().map(LogEntry::text).collect();
        Ok(ProcessOutput { lines, said, next, more, missed, state })
    }

    /// Returns the last lines of a process's log, or those from a position on, of these at most `bytes`. One that was
    /// never started has an empty log.
    ///
    /// # Errors
    ///
    /// There is no such process, or its log can't be read.
    pub fn log_page(&self, request: &OutputRequest, bytes: usize) -> Result<ProcessLogPage, ProcessError> {
        let status = self.get(&request.id)?;
        let part = match status.record {
            None => LogPart::default(),
            Some(_) => {
                let request = OutputRequest { with_notes: true, ..request.clone() };
                part(&self.log(&request.id)?, &request, bytes)?
            }
        };
        let line = |entry: &LogEntry| ProcessLine {
            text: entry.to_terminal_string(true),
            ..ProcessLine::new(&request.id, entry)
        };
        let log = ProcessLog { lines: part.entries.iter().map(line).collect() };
        Ok(ProcessLogPage { log, next: part.next, more: part.more, missed: part.missed, state: status.state })
    }

    /// Returns a part of the logs of all processes that were started: from the position of each on, or its last lines. They
    /// share `lines` and `bytes`; each has at least [`MIN_SHARED_LINES`] and [`MIN_SHARED_BYTES`].
    ///
    /// # Errors
    ///
    /// A log can't be read.
    pub fn merged_log_page(
        &self,
        from: &BTreeMap<String, u64>,
        lines: u64,
        bytes: usize,
    ) -> Result<MergedLogPage, ProcessError> {
        let mut merged = Vec::new();
        let (mut next, mut more, mut missed) = (BTreeMap::new(), false, false);
        let started: Vec<_> = self.list_running()?.into_iter().filter(|status| status.record.is_some()).collect();
        let lines = (lines / started.len().max(1) as u64).max(MIN_SHARED_LINES);
        let bytes = (bytes / started.len().max(1)).max(MIN_SHARED_BYTES);
        for ProcessStatus { id, .. } in started {
            let request = OutputRequest {
                from: from.get(&id).copied(),
                id,
                stream: OutputStream::Both,
                lines: Some(lines),
                contains: None,
                with_notes: true,
            };
            let page = self.log_page(&request, bytes)?;
            more |= page.more;
            missed |= page.missed;
            // Each log keeps its order, whatever its clock said.
            let mut latest = String::new();
            merged.extend(page.log.lines.into_iter().map(|line| {
                latest = line.time.clone().max(std::mem::take(&mut latest));
                (latest.clone(), line)
            }));
            next.insert(request.id, page.next);
        }
        merged.sort_by(|(one, _), (other, _)| one.cmp(other));
        let log = ProcessLog { lines: merged.into_iter().map(|(_, line)| line).collect() };
        Ok(MergedLogPage { log, next, more, missed })
    }

    /// Opens the logs of processes, or of all that were started.
    ///
    /// # Errors
    ///
    /// There is no such process, it was not started, or its log can't be read.
    pub fn logs(&self, ids: &[String], from: FollowFrom, follows: bool) -> Result<ProcessLogs, ProcessError> {
        let ids = match ids {
            [] => {
                let all = self.list_running()?;
                all.into_iter().filter(|status| status.record.is_some()).map(|status| status.id).collect()
            }
            ids => self.expand_replica_ids(ids),
        };
        let mut logs = ProcessLogs::default();
        for id in ids {
            let log = self.log(&id)?;
            logs.push(id, if follows { log.follow(from)? } else { log.existing_lines(from)? });
        }
        Ok(logs)
    }
}

/// A part of a log.
#[derive(Debug, Default)]
struct LogPart {
    entries: Vec<LogEntry>,
    /// The position after them.
    next: u64,
    more: bool,
    missed: bool,
}

/// Reads from the position of a request on, or the newest lines.
fn part(log: &Log, request: &OutputRequest, bytes: usize) -> Result<LogPart, ProcessError> {
    let until = Some(Instant::now() + SEARCH_TIMEOUT);
    let end = log.end_position()?;
    let Some(from) = request.from else { return newest(log, end, request, until) };
    let limits = PageLimits { lines: request.most(), bytes, deadline: until };
    let page = log.page(from.min(end), &|entry| request.wants(entry), limits)?;
    // A position behind the end is of a log that was removed.
    let missed = page.has_gap || from > end;
    let more = page.next < page.end;
    Ok(LogPart { entries: page.lines.into_iter().map(|one| one.entry).collect(), next: page.next, more, missed })
}

/// Reads the last lines. All that is kept is looked through.
fn newest(log: &Log, mut end: u64, request: &OutputRequest, until: Option<Instant>) -> Result<LogPart, ProcessError> {
    let (most, wants) = (request.most(), |entry: &LogEntry| request.wants(entry));
    let mut newest = VecDeque::new();
    let (mut from, mut missed) = (0, false);
    if request.contains.is_none() && request.stream == OutputStream::Both {
        let (entries, position) = log.tail_with_position(most + 20 * MAX_NOTES)?;
        missed = entries.len() >= most;
        newest.extend(entries.into_iter().filter(wants));
        (from, end) = (position, position);
    }
    let limits = PageLimits { lines: MAX_LINES, bytes: 4 << 20, deadline: until };
    while from < end {
        let page = log.page(from, &wants, limits)?;
        newest.extend(page.lines.into_iter().map(|one| one.entry));
        newest.drain(..newest.len().saturating_sub(most));
        if page.next == from || until.is_some_and(|until| Instant::now() >= until) {
            missed = true;
            break;
        }
        from = page.next;
    }
    newest.drain(..newest.len().saturating_sub(most));
    Ok(LogPart { entries: newest.into(), next: end.max(from), more: false, missed })
}

/// The logs of several processes, as one.
#[derive(Debug, Default)]
pub struct ProcessLogs {
    logs: Vec<(String, LogFollower)>,
}

impl ProcessLogs {
    /// Adds the log of a process.
    pub fn push(&mut self, id: String, log: LogFollower) {
        self.logs.push((id, log));
    }

    /// Returns the ids of the processes, in the order in which their logs were added.
    pub fn ids(&self) -> Vec<String> {
        self.logs.iter().map(|(id, _)| id.clone()).collect()
    }

    /// Returns the directories of the logs.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.logs.iter().map(|(_, log)| log.directory())
    }

    /// Returns the new lines, each with the number of its process, in the order in which they were written, and whether
    /// anything was read. It waits for none: the directories of the logs tell when there are more.
    ///
    /// # Errors
    ///
    /// A log can't be read.
    pub fn next(&mut self, wanted: &dyn Fn(&LogEntry) -> bool) -> Result<(Vec<(usize, LogEntry)>, bool), ProcessError> {
        let mut new = Vec::new();
        let mut has_read = false;
        for (n, (_, log)) in self.logs.iter_mut().enumerate() {
            // Each log keeps its order, whatever its clock said.
            let mut latest = 0;
            // What was there before is merged whole, so all of it is read first.
            loop {
                let entries = log.next(Duration::ZERO)?;
                let is_last = entries.is_empty();
                has_read |= !is_last;
                new.extend(entries.into_iter().filter(wanted).map(|entry| {
                    latest = entry.time.max(latest);
                    (latest, n, entry)
                }));
                if is_last || new.len() > MAX_MERGED_LINES {
                    break;
                }
            }
        }
        new.sort_by_key(|(time, ..)| *time);
        Ok((new.into_iter().map(|(_, n, entry)| (n, entry)).collect(), has_read))
    }

    /// Returns the last lines that have no line break, once the processes have ended.
    pub fn finish(self) -> Vec<(usize, LogEntry)> {
        let rest =
            |(n, (_, log)): (usize, (String, LogFollower))| log.finish().into_iter().map(move |entry| (n, entry));
        self.logs.into_iter().enumerate().flat_map(rest).collect()
    }
}
