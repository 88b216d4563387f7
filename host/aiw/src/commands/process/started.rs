//! The results of starting processes, as commands print them.

use aiw_app::phrases;
use aiw_processes::{ProcessSummaries, ProcessSummary, StartResults, Started};

use crate::commands::each::{CommandFailures, FailedName};
use crate::failure::CliError;
use crate::output::Output;

/// Says what was started.
pub(super) fn report(results: StartResults, output: &Output) -> Result<(), CliError> {
    let (started, failures) = sorted(results, output);
    started.iter().for_each(|one| output.line(phrases::started(one)));
    if started.is_empty() && failures.first.is_none() {
        output.line("nothing starts by itself: `aiw process start ID` starts a process");
    }
    let processes = started.iter().map(|started| ProcessSummary::new(&started.status)).collect();
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
