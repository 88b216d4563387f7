//! The indexer that hooks start, detached from its parent: it takes what processor time is left, and ends when all is
//! read.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aiw_home::{CliPaths, ExecutionContext, Home, HomeError, INHERITED_VARIABLES, TASK_VARIABLE};

use super::embeddings::{embed_messages, needs_embeddings};
use super::exclude::is_off;
use super::indexer::{Indexer, is_locked, lock_path};
use super::log::log;
use super::queue::IngestQueue;
use super::reprocess::is_outdated;
use crate::{Cli, HistoryError, Store};

/// The words after which `aiw` becomes the indexer.
const INDEX_ARGUMENTS: [&str; 2] = ["history", "__index"];

/// How long a search waits for sessions that hooks asked for.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it takes an indexer that was started to be at work.
const INDEXER_STARTUP_DELAY: Duration = Duration::from_millis(300);

/// Whether an indexer is at work.
fn is_at_work(home: &Home) -> bool {
    // An indexer that finds the lock taken ends.
    is_locked(&lock_path(home))
}

impl Indexer {
    /// Starts an indexer that goes on alone, if none is at work. `aiw` is the program whose `history __index` calls
    /// [`detached_main`].
    ///
    /// In a task, it starts none: it would be ended with the task, and would count as left behind by it. The task's
    /// supervisor starts one after the end.
    pub fn start(home: &Home, aiw: &Path) -> Result<(), HistoryError> {
        // If it is at work, it looks for requests once more before it ends. Where that can't be known, one too many
        // ends at once.
        if home.context().variable(TASK_VARIABLE).is_some() || is_at_work(home) {
            return Ok(());
        }
        let started = aiw_supervisor::start_unattended(
            aiw,
            &INDEX_ARGUMENTS,
            home.context().select_variables(INHERITED_VARIABLES),
        );
        started.map_err(|e| HomeError::io("start", aiw, e))?;
        Ok(())
    }

    /// Starts an indexer if hooks asked for something, which the last one may not have been able to read, or if the
    /// store was damaged, or has texts that have not gone through today's rules about secrets or lack their vectors.
    pub fn start_if_needed<E: Display>(home: &Home, store: Option<&Store>, aiw: impl FnOnce() -> Result<PathBuf, E>) {
        let is_old = || {
            store.is_some_and(|store| {
                store.needs_rebuild().unwrap_or(true)
                    || is_outdated(home, store).unwrap_or(false)
                    || needs_embeddings(home, store)
            })
        };
        if !IngestQueue::new(home).is_empty() || is_old() {
            Self::start_if_enabled(home, aiw);
        }
    }

    /// Has the sessions taken in that hooks asked for, as far as that takes no longer than two seconds. Returns how many
    /// still wait.
    pub fn catch_up<E: Display>(home: &Home, aiw: impl FnOnce() -> Result<PathBuf, E>) -> usize {
        let Some(places) = CliPaths::from_context(home.context()) else { return 0 };
        let queue = IngestQueue::new(home);
        let begun = Instant::now();
        let mut left = queue.session_count(places.directory(Cli::Claude));
        if left == 0 || is_off(home) {
            return left;
        }
        Self::start_if_enabled(home, aiw);
        while left > 0 && begun.elapsed() < CATCH_UP_TIMEOUT {
            std::thread::sleep(Duration::from_millis(20));
            left = queue.session_count(places.directory(Cli::Claude));
            // Not before: looking for it could keep it from beginning.
            if begun.elapsed() > INDEXER_STARTUP_DELAY && !is_at_work(home) {
                break;
            }
        }
        left
    }

    /// Starts an indexer, unless the history is off. Nobody waits for it, and a problem is only logged. It also gives
    /// messages the vectors that they lack.
    pub fn start_if_enabled<E: Display>(home: &Home, aiw: impl FnOnce() -> Result<PathBuf, E>) {
        if is_off(home) {
            return;
        }
        let started = aiw().map_err(|e| e.to_string());
        if let Err(problem) = started.and_then(|aiw| Self::start(home, &aiw).map_err(|e| e.to_string())) {
            log(home, &format!("the indexer can't be started: {problem}"));
        }
    }
}

/// Whether these arguments of a process ask for the indexer.
fn is_asked(mut arguments: impl Iterator<Item = OsString>) -> bool {
    INDEX_ARGUMENTS.iter().all(|word| arguments.next().is_some_and(|argument| argument == *word))
        && arguments.next().is_none()
}

/// Becomes the indexer, if `arguments` (without the program's name) ask for that; else returns false. This must come
/// before any thread is started. `indexer` makes the indexer of a home.
pub fn detached_main(arguments: impl Iterator<Item = OsString>, indexer: impl FnOnce(Home) -> Indexer) -> bool {
    if !is_asked(arguments) {
        return false;
    }
    if !matches!(aiw_supervisor::detach(), Ok(true)) {
        return true;
    }
    let Ok(home) = Home::find(ExecutionContext::from_process()) else { return true };
    let Some(places) = CliPaths::from_context(home.context()) else { return true };
    // Whoever works at this machine comes first.
    let _ = rustix::process::nice(19);
    let indexer = indexer(home.clone());
    match indexer.run(&places, false) {
        // Also without new messages: those that are there may lack what a new model makes of them.
        Ok(_) => match indexer.store() {
            Ok(store) => embed_messages(&home, &store),
            Err(e) => log(&home, &format!("indexer: {e}")),
        },
        // The requests are still there, for the next one.
        Err(e) => log(&home, &format!("indexer: {e}")),
    }
    true
}
