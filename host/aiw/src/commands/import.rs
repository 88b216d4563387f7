//! `aiw history import`, `watch` and `todos`: how sessions get into the history.

use std::path::Path;
use std::time::{Duration, Instant};

use aiw_app::history::{self, HistoryImport};
use aiw_core::pluralize;
use aiw_history::{TranscriptWatch, is_off};
use aiw_home::Home;

use crate::ask::TerminalPrompter;
use crate::failure::CliError;
use crate::output::Output;

pub async fn import(home: &Home, path: Option<&Path>, yes: bool, output: &Output) -> Result<(), CliError> {
    let observer = output.observer();
    let mut progress = |done: u64, total: u64| {
        observer.progress("reading transcripts, MB", done / 1_000_000, total / 1_000_000);
    };
    let answer = history::import(home, path, &TerminalPrompter::new(output, yes), output, &mut progress).await;
    output.clear_progress();
    output.set_json(answer?);
    Ok(())
}

pub async fn watch(home: Home, interval: u64, once: bool, output: &Output) -> Result<(), CliError> {
    let begun = Instant::now();
    let places = history::cli_paths(&home)?;
    let is_off = is_off(&home);
    let indexer = history::indexer(home);
    let mut watch = TranscriptWatch::default();
    if is_off {
        output.note("note: nothing is read: `AIW_HISTORY` is off");
    }
    loop {
        match watch.poll(&indexer, &places) {
            Ok(report) if once => {
                history::report_import(&report, output);
                output.set_json(HistoryImport::new(&report, begun));
                return Ok(());
            }
            Ok(report) if report.new_messages > 0 => {
                output.note(pluralize(report.new_messages, "new message"));
            }
            Ok(_) => {}
            Err(e) if once => return Err(e.into()),
            // The disk may have room again next time.
            Err(e) => output.note(format!("error: {e}")),
        }
        tokio::time::sleep(Duration::from_secs(interval)).await;
    }
}

pub fn todos(home: &Home, session: Option<&str>, output: &Output) -> Result<(), CliError> {
    let found = aiw_history::todos(home, &history::cli_paths(home)?, session)?;
    output.line(format!("session {}", found.session));
    let rows = found.todos.iter().map(|todo| vec![todo.id.clone(), todo.status.clone(), todo.content.clone()]);
    output.table(&["ID", "STATUS", "WHAT"], &rows.collect::<Vec<_>>());
    if found.todos.is_empty() {
        output.line("no todo list was kept in this session");
    }
    output.set_json(found);
    Ok(())
}
