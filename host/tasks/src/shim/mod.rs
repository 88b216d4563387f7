//! `aiw shim`: the small process above each CLI.

use std::process::ExitCode;

use aiw_core::CliKind;

use crate::Interpreter;

/// The whole life of `aiw shim ROOT TASK`. It must be the first thing that `main` does: whatever
/// stands before it is paid by every task. `arguments` are those of the process, its own name and
/// the word `shim` included; what runs comes over standard input.
pub fn shim_main(_arguments: std::env::ArgsOs, _interpreter: fn(CliKind) -> Box<dyn Interpreter>) -> ExitCode {
    ExitCode::FAILURE
}
