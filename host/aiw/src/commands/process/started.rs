//! The results of starting processes, as commands print them.

use aiw_core::one_line;
use aiw_processes::{ProcessSummaries, ProcessSummary, RunState, StartResults, Started};

use crate::commands::each::{CommandFailures, FailedName};
use crate::failure::Failure;
use crate::output::Output;
use aiw_app::phrases::soon;

/// Says what was started.
pub(super) fn told(results: StartResults, output: &Output) -> Result<(), Failure> {
    let (started, failures) = sorted(results, output);
    for Started { status, is_new, is_outdated } in &started {
        let word = match (is_new, status.state) {
            (false, state) if status.next_start.is_some() && !state.is_alive() => "Scheduled",
            (false, _) if *is_outdated => "Runs already, as it was defined before (`aiw restart` starts it anew):",
            (false, _) => "Runs already",
            (true, RunState::Failed) => "Failed",
            (true, _) => "Started",
        };
        let pid = status.pid().map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let next = status.next_start.as_deref().and_then(soon).map(|soon| format!(": {soon}"));
        let why = next.or(status.reason().map(|why| format!(": {}", one_line(&why, 200)))).unwrap_or_default();
        output.line(format!("{word} `{}`{pid}{why}", status.id));
    }
    if started.is_empty() && failures.first.is_none() {
        output.line("nothing starts by itself: `aiw process start ID` starts a process");
    }
    let processes = started.iter().map(|started| ProcessSummary::of(&started.status)).collect();
    output.conclude(ProcessSummaries { processes }, failures.first)
}

/// Sorts results into started processes and the first failure. Prints the other failures.
pub(super) fn sorted(results: StartResults, output: &Output) -> (Vec<Started>, CommandFailures<FailedName>) {
    let (mut started, mut failures) = (Vec::new(), CommandFailures::default());
    for (id, result) in results {
        match result {
            Ok(one) => started.push(one),
            Err(error) => failures.add(&id, None, error, output),
        }
    }
    (started, failures)
}
