//! `aiw shim`: the small process above each supervised process.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod end;
#[cfg(unix)]
mod enter;
#[cfg(unix)]
mod reap;
#[cfg(unix)]
mod register;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod starter;
#[cfg(unix)]
mod streams;
#[cfg(unix)]
mod supervisor;
#[cfg(unix)]
mod turn;

use std::process::ExitCode;

#[cfg(unix)]
pub use enter::detach;

use crate::interpreter::Interpreter;
use crate::record::Labels;

/// Runs the whole life of `aiw shim ROOT ID INSTANCE`, and of `aiw shim attached FD`. This must be the first thing
/// that `main` does, because every process pays for anything that comes before it. `arguments` are those of this
/// process, including its own name and the word `shim`; the program to run comes over a pipe. `interpreter` returns
/// the interpreter for the output of a process with the given labels, if there is one. `after` is called at the end of a
/// supervised process, once its record says so and nothing of it is left: what it starts outlives the process.
#[cfg(unix)]
pub fn shim_main(
    arguments: std::env::ArgsOs,
    interpreter: fn(&Labels) -> Option<Box<dyn Interpreter>>,
    after: fn(),
) -> ExitCode {
    let mut words = arguments.skip(2).map(|word| word.into_string().unwrap_or_default()).peekable();
    let lived = match words.next_if(|word| word == crate::request::ATTACHED) {
        Some(_) => reap::reap(words),
        None => enter::enter(words, interpreter, after),
    };
    match lived {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Fails: there are no shims on this system.
#[cfg(not(unix))]
pub fn shim_main(
    _arguments: std::env::ArgsOs,
    _interpreter: fn(&Labels) -> Option<Box<dyn Interpreter>>,
    _after: fn(),
) -> ExitCode {
    ExitCode::FAILURE
}
