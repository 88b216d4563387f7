//! `cargo xtask`: builds the chores, and runs one of them. It depends on nothing, so that it is there within a second and
//! says what takes minutes.

#![expect(clippy::print_stderr, reason = "what a chore says, it says to a terminal")]

use std::io::IsTerminal;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// The help of `cargo xtask try`. The chores count on from the second step.
const TRY: &str = "\
This builds aiw and shows what it does, in a home that is removed afterward.
Nothing of yours is read or changed, and nothing is asked. The first time takes
10 to 15 minutes on two cores; after that, one.

Step 1 of 4: build the chores of this repository";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let chore = arguments.first().and_then(|chore| chore.to_str()).unwrap_or_default();
    if chore == "try" && arguments.len() == 1 {
        eprintln!("{TRY}");
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // With the features that the binary and the tests have: see the example.
    cargo.args(["build", "--workspace", "--example", "dev-features", "--bin", "xtask"]);
    let builds = matches!(chore, "try" | "setup" | "install" | "plugins" | "test" | "bench");
    if !(builds && std::io::stderr().is_terminal()) {
        cargo.arg("--quiet");
    }
    let start = Instant::now();
    match run(&mut cargo) {
        Some(0) => {}
        failed => return exit_code(failed),
    }
    let seconds = start.elapsed().as_secs().to_string();
    // Cargo has put it beside this program.
    let xtask = std::env::current_exe().unwrap_or_default().with_file_name("xtask");
    exit_code(run(Command::new(xtask).args(arguments).env("AIW_XTASK_BUILD_SECONDS", seconds)))
}

/// Runs a command and returns its exit code, if it ended with one.
fn run(command: &mut Command) -> Option<i32> {
    match command.status() {
        Ok(status) => status.code(),
        Err(e) => {
            eprintln!("error: cannot run `{}`: {e}", command.get_program().display());
            None
        }
    }
}

fn exit_code(code: Option<i32>) -> ExitCode {
    code.map_or(ExitCode::FAILURE, |code| ExitCode::from(code.clamp(0, 255) as u8))
}
