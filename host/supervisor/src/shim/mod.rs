//! `aiw shim`: the small process above each supervised process.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod control;
#[cfg(unix)]
mod end;
#[cfg(unix)]
mod enter;
#[cfg(unix)]
mod input;
#[cfg(unix)]
mod needs;
#[cfg(unix)]
mod probes;
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
#[cfg(unix)]
mod watched;

use std::process::ExitCode;

#[cfg(unix)]
pub use enter::detach;

use crate::interpreter::ProcessKind;

/// Runs the whole life of `aiw shim ROOT ID INSTANCE`, and of `aiw shim attached FD [here]`. This must be the first thing
/// that `main` does, because every process pays for anything that comes before it. `arguments` are those of this
/// process, including its own name and the word `shim`; the program to run comes over a pipe. `kinds` says what to do for
/// the processes of each room.
#[cfg(unix)]
pub fn shim_main(arguments: std::env::ArgsOs, kinds: &[ProcessKind]) -> ExitCode {
    let mut words = arguments.skip(2).map(|word| word.into_string().unwrap_or_default()).peekable();
    let lived = match words.next_if(|word| word == crate::request::ATTACHED) {
        Some(_) => reap::reap(words),
        None => enter::run_shim(words, kinds),
    };
    match lived {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Fails: there are no shims on this system.
#[cfg(not(unix))]
pub fn shim_main(_arguments: std::env::ArgsOs, _kinds: &[ProcessKind]) -> ExitCode {
    ExitCode::FAILURE
}
