//! The results of starting processes, as commands print them.

use aiw_app::phrases;
use aiw_processes::{ProcessSummaries, ProcessSummary, StartResults, StartedProcess};

use crate::commands::each::{CommandFailures, FailedName};
use crate::failure::CliError;
use crate::output::Output;

/// Says what was started.
pub(super) fn report(results: StartResults, output: &Output) -> Result<(), CliError> {
    let (started, failures) = split_results(results, output);
    started.iter().for_each(|one| output.line(phrases::format_started(one)));
    if started.is_empty() && failures.first_error.is_none() {
        output.line("nothing starts by itself: `aiw process start ID` starts a process");
    }
    let processes = started.iter().map(|started| ProcessSummary::new(&started.status)).collect();
    output.set_json_or_error(ProcessSummaries { processes }, failures.first_error)
}

/// Sorts results into started processes and the first failure. Prints the other failures.
pub(super) fn split_results(
    results: StartResults,
    output: &Output,
) -> (Vec<StartedProcess>, CommandFailures<FailedName>) {
    let (mut started, mut failures) = (Vec::new(), CommandFailures::default());
    for (id, result) in results {
        match result {
            Ok(one) => started.push(one),
            Err(error) => failures.add(&id, None, error, output),
        }
    }
    (started, failures)
}
