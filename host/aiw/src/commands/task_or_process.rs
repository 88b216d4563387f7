//! `logs`, `stop` and `wait`, which take tasks as well as processes.

use aiw_home::Home;
use aiw_processes::WaitFor;

use super::{process, task};
use crate::cli::task::{LogArgs, StopArgs, WaitArgs};
use crate::failure::CliError;
use crate::output::Output;

/// Returns `true` if the first id is that of a process of the project. It goes before a task with the same id: a person
/// chose it.
fn names_process(ids: &[String], home: &Home) -> bool {
    ids.first().is_some_and(|id| process::is_process(home, id))
}

/// Shows the logs of processes, or of a task. Without an id, those of the project's processes.
pub fn logs(args: &LogArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    match args.ids.is_empty() || names_process(&args.ids, home) {
        true => process::logs(args, home, output),
        false => task::logs(args, home, output),
    }
}

/// Stops processes, or tasks.
pub fn stop(args: &StopArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    match names_process(&args.ids, home) {
        true => process::down(&args.ids, home, output),
        false => task::stop(&args.ids, args.all, home, output),
    }
}

/// Waits for processes, or for tasks.
pub fn wait(args: &WaitArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    match names_process(&args.ids, home) {
        true => {
            let event = if args.ready { WaitFor::Ready } else { WaitFor::Ended };
            process::wait(&args.ids, &event, args.timeout, home, output)
        }
        false => task::wait(args, home, output),
    }
}
