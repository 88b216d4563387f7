//! `aiw shim`: the small process above each CLI.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod end;
#[cfg(unix)]
mod enter;
#[cfg(unix)]
mod mask;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod streams;
#[cfg(unix)]
mod supervisor;

use std::process::ExitCode;

use aiw_core::CliKind;

use crate::Interpreter;

/// The whole life of `aiw shim ROOT TASK`. It must be the first thing that `main` does: whatever
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
