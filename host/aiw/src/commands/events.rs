//! `aiw events`: what has happened, and what happens.

use std::io::{self, Write};
use std::time::Duration;

use aiw_app::directory;
use aiw_app::events::{EventsRequest, HomeEvents};
use aiw_core::printable;
use aiw_events::HomeEvent;
use aiw_home::Home;

use crate::cli::process::EventsArgs;
use crate::failure::CliError;
use crate::output::Output;
use crate::runtime::Signals;

/// So many are shown if no time is named.
const DEFAULT_EVENT_COUNT: usize = 50;

/// `aiw events`
pub fn events(args: &EventsArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let request = EventsRequest {
        since: args.since,
        kinds: args.kinds.clone(),
        process: args.subject.clone(),
        all_projects: args.all,
        last: args.tail.or_else(|| args.since.is_none().then_some(DEFAULT_EVENT_COUNT)),
    };
    let mut reader = HomeEvents::new(home, directory(home)?, request)?;
    let list = reader.list()?;
    if !args.follow {
        list.events.iter().for_each(|event| output.line(line(event, args.all)));
        if list.events.is_empty() {
            output.line("no events");
        }
        output.set_json(list);
        return Ok(());
    }
    // With JSON, each event is a line of its own as soon as it is there.
    let print = |events: &[HomeEvent]| -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        for event in events {
            let text = if output.is_json() { serde_json::to_string(event)? } else { line(event, args.all) };
            writeln!(stdout, "{text}")?;
        }
        stdout.flush()
    };
    let mut next = list.next;
    let signals = Signals::listen()?;
    let mut printed = print(&list.events);
    while printed.is_ok() && !signals.has_received() {
        let list = reader.next(next, 1000, Duration::from_millis(500))?;
        if list.gap {
            output.note("events are missing here: they came faster than they were read");
        }
        printed = print(&list.events);
        next = list.next;
    }
    match printed {
        // Whoever read has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::user(format!("standard output can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

fn line(event: &HomeEvent, is_everywhere: bool) -> String {
    let project = event.project.as_ref().filter(|_| is_everywhere).map(|project| format!("  {}", project.display()));
    printable(&format!("{}  {event}{}", event.time, project.unwrap_or_default())).replace('\n', " ")
}
