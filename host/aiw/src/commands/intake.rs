//! `aiw history import`, `watch` and `todos`: how sessions get into the history.

use std::path::Path;
use std::time::{Duration, Instant};

use aiw_core::counted;
use aiw_history::{Import, Indexer, Launch, Report, Store, Watch, excluded, give_meaning, is_off, meaning};
use aiw_home::{CliPlaces, Home, HomeError};
use aiw_tasks::{About, Scope, Task, Tasks};
use schemars::JsonSchema;
use serde::Serialize;

use super::history::amount;
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal;
use aiw_app::own_executable;

/// `aiw history import`, `aiw history watch --once`
#[derive(Serialize, JsonSchema)]
pub struct HistoryImport {
    /// The transcripts that were looked at
    pub transcripts: usize,
    /// The messages that are new
    pub messages: usize,
    /// The bytes that were read
    pub bytes: u64,
    /// The transcripts in which something could not be read; `aiw history doctor` names them
    pub with_problems: usize,
    /// The messages that were there, and that new rules about secrets have changed
    pub cleaned: usize,
    /// The messages that were taken out, because their projects are excluded now
    pub taken_out: usize,
    /// How long it took, in milliseconds
    pub took_ms: u64,
}

pub fn places() -> Result<CliPlaces, Failure> {
    Ok(CliPlaces::from_environment().ok_or(HomeError::NoHome)?)
}

/// The indexer of a home, which knows how tasks were run.
pub fn indexer(home: Home) -> Indexer {
    let tasks = Tasks::open(&home, Scope::All).and_then(|tasks| tasks.list()).unwrap_or_default();
    let launch = |task: Task| {
        let About { session, provider, isolated, .. } = task.about;
        Some((session?, Launch { provider, isolated }))
    };
    Indexer::new(home).with_launches(tasks.into_iter().filter_map(launch).collect())
}

fn answer(report: &Report, begun: Instant) -> HistoryImport {
    HistoryImport {
        transcripts: report.transcripts,
        messages: report.stored,
        bytes: report.bytes,
        with_problems: report.with_problems,
        cleaned: report.cleaned,
        taken_out: 0,
        took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// Prints the report of an indexer for people.
pub fn said(report: &Report, output: &Output) {
    let Report { transcripts, stored, with_problems, cleaned, .. } = report;
    output.line(format!("{} from {}", counted(*stored, "new message"), counted(*transcripts, "transcript")));
    if *cleaned > 0 {
        output.line(format!("{} changed by new rules about secrets", counted(*cleaned, "older message")));
    }
    if *with_problems > 0 {
        output.line(format!("{with_problems} could not be read whole: `aiw history doctor` says why"));
    }
}

/// Takes out what is excluded now, if the user agrees. Returns how many messages that were.
async fn take_out_excluded(home: &Home, yes: bool, output: &Output) -> Result<usize, Failure> {
    let Some(store) = Store::open_existing(&home.history())? else { return Ok(0) };
    let excluded = excluded(home, &store)?;
    if excluded.messages == 0 {
        return Ok(0);
    }
    let what = format!("{}, of projects that are excluded now", amount(&excluded));
    if !yes && !terminal::can_ask() {
        output.note(format!("note: the history still has {what}: `aiw history import --yes` takes them out"));
        return Ok(0);
    }
    if !terminal::confirm(&format!("Take {what}, out of the history?"), "--yes", yes).await? {
        return Ok(0);
    }
    let taken = aiw_history::take_out_excluded(home, &store)?;
    output.line(format!("took out {}", amount(&taken)));
    Ok(taken.messages)
}

/// So many messages get their vectors at once. More are given theirs in the background.
const FEW: u64 = 100;

pub async fn import(home: Home, path: Option<&Path>, yes: bool, output: &Output) -> Result<(), Failure> {
    let begun = Instant::now();
    let places = places()?;
    if is_off() {
        output.line("nothing was read: `AIW_HISTORY` is off");
        output.answer(answer(&Report::default(), begun));
        return Ok(());
    }
    let found = match path {
        Some(path) => Import::at(path, &places, &home)?,
        None => Import::everything(&places).into_iter().chain(Import::given(&home)).collect(),
    };
    let taken_out = take_out_excluded(&home, yes, output).await?;
    let indexer = indexer(home.clone());
    let observer = output.observer();
    let report = indexer.import(&found, &places, &mut |done, total| {
        observer.progress("reading transcripts, MB", done / 1_000_000, total / 1_000_000);
    })?;
    output.clear_progress();
    said(&report, output);
    output.answer(HistoryImport { taken_out, ..answer(&report, begun) });
    // A model may have come, or changed, since the messages did.
    if let Some(store) = Store::open_existing(&home.history())?
        && let Some(meaning) = meaning(&home, &store)?
    {
        if meaning.total - meaning.done <= FEW {
            give_meaning(&home, &store);
        } else {
            output.note(format!("note: meaning: {meaning}; `aiw model status` shows how far it is"));
            Indexer::start_unwatched(&home, own_executable);
        }
    }
    Ok(())
}

pub async fn watch(home: Home, interval: u64, once: bool, output: &Output) -> Result<(), Failure> {
    let begun = Instant::now();
    let places = places()?;
    let indexer = indexer(home);
    let mut watch = Watch::default();
    if is_off() {
        output.note("note: nothing is read: `AIW_HISTORY` is off");
    }
    loop {
        match watch.look(&indexer, &places) {
            Ok(report) if once => {
                said(&report, output);
                output.answer(answer(&report, begun));
                return Ok(());
            }
            Ok(report) if report.stored > 0 => {
                output.note(counted(report.stored, "new message"));
            }
            Ok(_) => {}
            Err(e) if once => return Err(e.into()),
            // The disk may have room again next time.
            Err(e) => output.note(format!("error: {e}")),
        }
        tokio::time::sleep(Duration::from_secs(interval)).await;
    }
}

pub fn todos(home: &Home, session: Option<&str>, output: &Output) -> Result<(), Failure> {
    let found = aiw_history::todos(home, &places()?, session)?;
    output.line(format!("session {}", found.session));
    let rows = found.todos.iter().map(|todo| vec![todo.id.clone(), todo.status.clone(), todo.content.clone()]);
    output.table(&["ID", "STATUS", "WHAT"], &rows.collect::<Vec<_>>());
    if found.todos.is_empty() {
        output.line("no todo list was kept in this session");
    }
    output.answer(found);
    Ok(())
}
