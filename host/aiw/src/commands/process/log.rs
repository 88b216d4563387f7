//! What processes wrote: of one, or of several with their names before the lines.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aiw_processes::{Follow, FollowFrom, LogEntry, ProcessError, Stream};
use clap::builder::styling::{AnsiColor, Style};
use schemars::JsonSchema;
use serde::Serialize;

use super::{counted, looked_after};
use crate::cli::task::LogArgs;
use crate::failure::Failure;
use crate::output::{self, Output};

/// The colours of names.
const COLOURS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::BrightCyan];

/// `aiw logs` of processes
#[derive(Serialize, JsonSchema)]
pub struct ProcessLog {
    /// The lines, oldest first
    pub lines: Vec<ProcessLine>,
}

/// A line that a process wrote
#[derive(Serialize, JsonSchema)]
pub struct ProcessLine {
    /// The id of the process
    pub id: String,
    /// When
    pub time: String,
    /// `stdout`, `stderr`, or `aiw`
    pub stream: &'static str,
    /// The line
    pub text: String,
}

impl ProcessLine {
    fn of(id: &str, entry: &LogEntry) -> Self {
        let stream = match entry.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Aiw => "aiw",
        };
        Self { id: id.to_owned(), time: aiw_home::rfc3339(entry.time), stream, text: entry.text() }
    }
}

/// How a process's name stands before its lines.
pub(super) struct Name {
    id: String,
    colour: AnsiColor,
}

impl Name {
    /// Gives the `n`th name its colour.
    pub fn new(id: &str, n: usize) -> Self {
        Self { id: id.to_owned(), colour: COLOURS[n % COLOURS.len()] }
    }

    /// Returns a line behind the name. No program can write in the place of the mark between them.
    pub fn before(&self, entry: &LogEntry, width: usize, is_coloured: bool) -> String {
        let (on, off) = match is_coloured {
            true => (self.colour.on_default().render().to_string(), "\u{1b}[0m"),
            false => (String::new(), ""),
        };
        let mark = if entry.stream == Stream::Aiw { "·" } else { "│" };
        format!("{on}{:width$} {mark}{off} {}\n", self.id, entry.shown(is_coloured))
    }
}

/// A log that is printed.
struct Shown {
    name: Name,
    log: Follow,
    has_ended: bool,
}

/// `aiw logs` of processes
pub fn logs(args: &LogArgs, output: &Output) -> Result<(), Failure> {
    /// As many lines as a terminal's history holds; JSON is held in memory.
    const MOST: usize = 10_000;
    let manager = looked_after()?;
    let ids = match args.ids.as_slice() {
        [] => {
            let all = manager.list_running()?;
            all.iter().filter(|status| status.record.is_some()).map(|status| status.id.clone()).collect()
        }
        ids => ids.to_vec(),
    };
    if ids.is_empty() {
        output.line("nothing was started: `aiw up` starts the project's processes");
    }
    let from = match (args.tail, args.since) {
        (Some(lines), _) => FollowFrom::Tail(lines),
        (None, Some(since)) => FollowFrom::Since(since),
        (None, None) => FollowFrom::Start,
    };
    let mut logs = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        let log = manager.log(id)?;
        let log = if args.follow { log.follow(from) } else { log.so_far(from) }.map_err(ProcessError::from)?;
        logs.push(Shown { name: Name::new(id, n), log, has_ended: false });
    }
    let width = match logs.len() {
        1 => 0,
        _ => ids.iter().map(String::len).max().unwrap_or_default(),
    };
    let signals = counted()?;
    let is_wanted = |entry: &LogEntry| args.grep.as_ref().is_none_or(|pattern| pattern.is_match(&entry.text()));
    let (dim, is_coloured) = (Style::new().dimmed(), output::color_on(&std::io::stdout()));
    let mut lines = VecDeque::new();
    let mut print = |name: &Name, entry: &LogEntry| -> bool {
        if output.is_json() {
            if lines.len() == MOST {
                lines.pop_front();
            }
            lines.push_back(ProcessLine::of(&name.id, entry));
            return true;
        }
        let mut stdout = std::io::stdout().lock();
        let written = match (args.raw, entry.stream) {
            (true, Stream::Aiw) => Ok(()),
            (true, _) => stdout.write_all(&entry.bytes).and_then(|()| stdout.write_all(b"\n")),
            (false, _) if width > 0 => stdout.write_all(name.before(entry, width, is_coloured).as_bytes()),
            (false, Stream::Aiw) if is_coloured => writeln!(stdout, "{dim}· {}{dim:#}", entry.shown(true)),
            (false, Stream::Aiw) => writeln!(stdout, "· {}", entry.shown(false)),
            (false, _) => writeln!(stdout, "{}", entry.shown(is_coloured)),
        };
        written.is_ok()
    };
    let mut last_look = Instant::now();
    let is_over = loop {
        // Of several logs, the lines of one round are in the order in which they were written.
        let mut new: Vec<(usize, LogEntry)> = Vec::new();
        let patience = if args.follow && logs.len() == 1 { Duration::from_millis(500) } else { Duration::ZERO };
        for (n, shown) in logs.iter_mut().enumerate() {
            // What was there before is merged whole, so all of it is read first.
            loop {
                let entries = shown.log.next(patience).map_err(ProcessError::from)?;
                let is_last = entries.is_empty() || !patience.is_zero();
                new.extend(entries.into_iter().filter(is_wanted).map(|entry| (n, entry)));
                if is_last || new.len() > MOST {
                    break;
                }
            }
        }
        new.sort_by_key(|(_, entry)| entry.time);
        if !new.iter().all(|(n, entry)| print(&logs[*n].name, entry)) || signals.load(Ordering::Relaxed) > 0 {
            break false;
        }
        if !new.is_empty() {
            continue;
        }
        if !args.follow {
            break true;
        }
        if last_look.elapsed() >= Duration::from_secs(1) {
            last_look = Instant::now();
            for shown in &mut logs {
                shown.has_ended = !manager.get(&shown.name.id)?.state.is_alive();
            }
            if logs.iter().all(|shown| shown.has_ended) {
                break true;
            }
        }
        if patience.is_zero() {
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    if is_over {
        for Shown { name, log, .. } in logs {
            log.rest().iter().filter(|entry| is_wanted(entry)).all(|entry| print(&name, entry));
        }
    }
    output.answer(ProcessLog { lines: lines.into() });
    Ok(())
}
