//! `aiw shim`: the small process above each supervised one.

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

use crate::interpreter::Interpreter;
use crate::record::Labels;

/// The whole life of `aiw shim ROOT ID INSTANCE`, and of `aiw shim attached FD`. It must be the first thing that
/// `main` does: whatever stands before it is paid by every process. `arguments` are those of this one, its own name
/// and the word `shim` included; what runs comes over a pipe. `interpreter` makes what understands the output of a
/// process with these labels, if anything does.
#[cfg(unix)]
pub fn shim_main(arguments: std::env::ArgsOs, interpreter: fn(&Labels) -> Option<Box<dyn Interpreter>>) -> ExitCode {
    let mut words = arguments.skip(2).map(|word| word.into_string().unwrap_or_default()).peekable();
    let lived = match words.next_if(|word| word == crate::request::ATTACHED) {
        Some(_) => reap::reap(words),
        None => enter::enter(words, interpreter),
    };
    match lived {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// There are no shims here.
#[cfg(not(unix))]
pub fn shim_main(_arguments: std::env::ArgsOs, _interpreter: fn(&Labels) -> Option<Box<dyn Interpreter>>) -> ExitCode {
    ExitCode::FAILURE
}
