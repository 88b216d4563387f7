//! The binary `aiw`: command line → domain calls → output. It owns no logic.

mod cli;
mod commands;
mod component_tasks;
mod components;
mod failure;
mod logs;
mod output;
mod starter;
mod terminal;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aiw_core::{CliKind, ErrorKind};
use clap::Parser;

use crate::cli::run::RunArgs;
use crate::cli::{Cli, Command, PluginCommand};
use crate::failure::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    // A task's supervisor: fifty of them run at once, so nothing else is set up for one.
    if std::env::args_os().nth(1).is_some_and(|a| a == "shim") {
        return aiw_tasks::shim_main(std::env::args_os(), aiw_launch::interpreter);
    }
    // A component of somebody else's, compiled in a process that is ended where it takes too much.
    if std::env::args_os().nth(1).is_some_and(|a| a == aiw_wasm::COMPILE_ARGUMENT) {
        return aiw_wasm::compile_main();
    }
    // The commonest question, before anything is set up.
    if std::env::args_os().len() == 2 && std::env::args_os().nth(1).is_some_and(|a| a == "--version" || a == "-V") {
        return output::write_line(&format!("aiw {}", env!("CARGO_PKG_VERSION")));
    }
    // Secrets pass through this process: it leaves no core file, and no other program of the user
    // looks into it. What it becomes by `exec` is not concerned.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // A file-size limit is an error of the write that meets it, not a death.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
    let (arguments, theirs) = commands::run::part(std::env::args_os());
    let json = arguments.iter().any(|a| a == "--json");
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(e) if !e.use_stderr() => {
            return output::write(&e.render().to_string());
        }
        Err(mut e) => {
            let command = std::env::args_os().skip(1).find_map(|word| word.to_str()?.parse::<CliKind>().ok());
            let hint = command.and_then(|command| commands::run::line::hint(command, &mut e));
            return Output::new(json).usage(&e, hint.as_deref());
        }
    };
    let output = Output::new(cli.json);
    let result = match cli.command {
        Command::Docs { directory } => commands::docs::write(&directory),
        Command::Plugin(PluginCommand::Browse { query, all, no_color }) => {
            commands::browse::run(query, all, no_color, output.is_json())
        }
        // They read files: neither components nor a runtime are set up for them.
        Command::Cli(command) => commands::cli_list::run(&command, &output),
        Command::Role(command) => commands::role::run(command, &output),
        Command::Task(command) => commands::task::run(command, &output),
        Command::Status(scope) => commands::task::status(scope.all_namespaces, &output),
        Command::Wait(args) => commands::task::wait(&args, &output),
        Command::Trust(command) => commands::secret::trust(command, &output),
        Command::Claude(args) => commands::run::run(CliKind::Claude, RunArgs { arguments: theirs, ..args }, &output),
        Command::Codex(args) => commands::run::run(CliKind::Codex, RunArgs { arguments: theirs, ..args }, &output),
        Command::Gemini(args) => commands::run::run(CliKind::Gemini, RunArgs { arguments: theirs, ..args }, &output),
        command => run(command, &output),
    };
    match result {
        Ok(()) => output.finish(),
        Err(failure) => output.fail(&failure),
    }
}

fn run(command: Command, output: &Output) -> Result<(), Failure> {
    // One thread is enough: guests yield every tick, git works on the blocking pool.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(ErrorKind::Internal, format!("the runtime does not start: {e}")))?;
    end_what_does_not_wait(output.is_json());
    let result = runtime.block_on(async {
        let work = async {
            match command {
                Command::Plugin(command) => commands::plugin::run(command, output).await,
                Command::Extension(command) => commands::extension::run(command, output).await,
                Command::Provider(command) => commands::provider::run(command, output).await,
                Command::Secret(command) => commands::secret::run(command, output).await,
                Command::Mcp(command) => commands::mcp::run(command, output).await,
                // Dispatched before.
                _ => Ok(()),
            }
        };
        tokio::select! {
            biased;
            failure = interrupted() => Err(failure),
            result = work => result,
        }
    });
    output.clear_progress();
    // A thread that still reads the terminal must not hold the process.
    runtime.shutdown_background();
    result
}

/// How long a command may take to stop where it waits.
const GRACE: Duration = Duration::from_secs(1);

/// Work that does not wait in the runtime (for the lock, for a file system that hangs) does
/// not hear of a signal: after the grace period the process ends in its middle, as by a kill.
fn end_what_does_not_wait(json: bool) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            std::thread::sleep(GRACE);
            let failure = Failure::interrupted(128 + u8::try_from(signal).unwrap_or(0));
            let _ = Output::new(json).fail(&failure);
            std::process::exit(failure.code().into());
        }
    });
}

/// Ends when the user or the system asks us to. The work is dropped where it waits, which
/// cancels it; what is committed is committed as a whole.
async fn interrupted() -> Failure {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate()).ok();
    let mut hang_up = signal(SignalKind::hangup()).ok();
    let next = async |signal: &mut Option<tokio::signal::unix::Signal>| match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    };
    let code = tokio::select! {
        _ = tokio::signal::ctrl_c() => 130,
        _ = next(&mut terminate) => 143,
        _ = next(&mut hang_up) => 129,
    };
    Failure::interrupted(code)
}
