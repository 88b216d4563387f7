//! What processes wrote: of one, or of several with their names before the lines.
use aiw_home::Home;

use std::collections::VecDeque;
use std::io::{self, Write};

use aiw_app::feed::{Feed, Topic, TopicSubscription, Waker};
use aiw_processes::{FollowFrom, LogEntry, ProcessLine, ProcessLog, ProcessLogs, Stream};
use clap::builder::styling::{AnsiColor, Style};

use super::opened::open_reconciled;
use crate::cli::task::LogArgs;
use crate::failure::CliError;
use crate::output::{self, Output};
use crate::runtime::Signals;

/// The colours of names.
const NAME_COLORS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::BrightCyan];

/// Returns a line behind the name of the `n`th process. No program can write in the place of the mark between them.
pub(super) fn format_entry_with_id(ids: &[String], n: usize, entry: &LogEntry, is_coloured: bool) -> String {
    let (on, off) = match is_coloured {
        true => (NAME_COLORS[n % NAME_COLORS.len()].on_default().render().to_string(), "\u{1b}[0m"),
        false => (String::new(), ""),
    };
    let mark = if entry.stream == Stream::Aiw { "·" } else { "│" };
    let width = ids.iter().map(String::len).max().unwrap_or_default();
    format!("{on}{:width$} {mark}{off} {}\n", ids[n], entry.to_terminal_string(is_coloured))
}

/// Returns a line of a single process.
pub(super) fn format_entry(entry: &LogEntry, is_coloured: bool) -> String {
    let dim = Style::new().dimmed();
    match entry.stream {
        Stream::Aiw if is_coloured => format!("{dim}· {}{dim:#}\n", entry.to_terminal_string(true)),
        Stream::Aiw => format!("· {}\n", entry.to_terminal_string(false)),
        _ => format!("{}\n", entry.to_terminal_string(is_coloured)),
    }
}

/// The lines as they are printed, or kept for JSON.
struct Printer<'a> {
    ids: Vec<String>,
    args: &'a LogArgs,
    is_json: bool,
    lines: VecDeque<ProcessLine>,
}

impl Printer<'_> {
    fn print(&mut self, n: usize, entry: &LogEntry) -> io::Result<()> {
        /// As many lines as a terminal's history holds; JSON is held in memory.
        const MAX_LINES: usize = 10_000;
        if self.is_json {
            if self.lines.len() == MAX_LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(ProcessLine::new(&self.ids[n], entry));
            return Ok(());
        }
        let is_coloured = output::has_color(&io::stdout());
        let mut stdout = io::stdout().lock();
        match (self.args.raw, entry.stream) {
            (true, Stream::Aiw) => Ok(()),
            (true, _) => stdout.write_all(&entry.bytes).and_then(|()| stdout.write_all(b"\n")),
            (false, _) if self.ids.len() > 1 => {
                write!(stdout, "{}", format_entry_with_id(&self.ids, n, entry, is_coloured))
            }
            (false, _) => write!(stdout, "{}", format_entry(entry, is_coloured)),
        }
    }
}

/// `aiw logs` of processes
pub fn logs(args: &LogArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let manager = open_reconciled(home)?;
    let from = match (args.tail, args.since) {
        (Some(lines), _) => FollowFrom::Tail(lines),
        (None, Some(since)) => FollowFrom::Since(since),
        (None, None) => FollowFrom::Start,
    };
    let mut logs = manager.logs(&args.ids, from, args.follow)?;
    let ids = logs.ids();
    if ids.is_empty() {
        output.line("nothing was started: `aiw up` starts the project's processes");
    }
    let mut printer = Printer { ids, args, is_json: output.is_json(), lines: VecDeque::new() };
    let is_wanted = |entry: &LogEntry| args.grep.as_ref().is_none_or(|pattern| pattern.is_match(&entry.text()));
    let changes = args.follow.then(|| followed(home, &logs)).transpose()?;
    let waker = changes.as_ref().map(TopicSubscription::waker);
    let signals = Signals::listen_with_callback(move || waker.iter().for_each(Waker::wake))?;
    let mut has_ended = !args.follow;
    let is_over = loop {
        let (new, has_read) = logs.next(&is_wanted)?;
        let is_read = new.iter().all(|(n, entry)| printer.print(*n, entry).is_ok());
        if !is_read || signals.has_received() {
            break false;
        }
        if has_read {
            continue;
        }
        if has_ended {
            break true;
        }
        // What they wrote last is read once more.
        has_ended = !printer.ids.iter().any(|id| manager.is_alive(id));
        if let Some(changes) = changes.as_ref().filter(|_| !has_ended) {
            changes.wait(None);
        }
    };
    if is_over {
        let rest = logs.finish();
        rest.iter().filter(|(_, entry)| is_wanted(entry)).all(|(n, entry)| printer.print(*n, entry).is_ok());
    }
    output.set_json(ProcessLog { lines: printer.lines.into() });
    Ok(())
}

/// Subscribes to new lines and to the ends of these processes.
fn followed(home: &Home, logs: &ProcessLogs) -> Result<TopicSubscription, CliError> {
    let changes = Feed::open(home).changes(&[Topic::Processes])?;
    logs.directories().for_each(|directory| changes.follow_directory(directory));
    Ok(changes)
}
