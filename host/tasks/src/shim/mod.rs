//! `aiw shim`: the small process above each CLI.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod end;
#[cfg(unix)]
mod enter;
#[cfg(unix)]
pub(crate) mod mask;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod streams;
#[cfg(unix)]
mod supervisor;

use std::process::ExitCode;
#[cfg(unix)]
use std::time::Duration;

use aiw_core::CliKind;

use crate::Interpreter;

/// How often it is looked whether the session has another segment by now, and whether the task's
/// directory asks for its end.
#[cfg(unix)]
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The whole life of `aiw shim ROOT TASK INSTANCE`. It must be the first thing that `main` does: whatever
/// stands before it is paid by every task. `arguments` are those of the process, its own name and
/// the word `shim` included; what runs comes over standard input.
#[cfg(unix)]
pub fn shim_main(arguments: std::env::ArgsOs, interpreter: fn(CliKind) -> Box<dyn Interpreter>) -> ExitCode {
    match enter::enter(arguments, interpreter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// There are no shims here.
#[cfg(not(unix))]
pub fn shim_main(_arguments: std::env::ArgsOs, _interpreter: fn(CliKind) -> Box<dyn Interpreter>) -> ExitCode {
    ExitCode::FAILURE
}
