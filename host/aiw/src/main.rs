//! The binary `aiw`: command line → domain calls → output. It owns no logic.

mod ask;
mod cli;
mod commands;
mod complete;
mod components;
mod editor;
mod failure;
mod layout;
mod output;
mod parse;
mod runtime;
mod schema;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use aiw_core::{CliKind, ErrorKind};
use aiw_home::{ExecutionContext, Home};

use crate::cli::history::HistoryCommand;
use crate::cli::run::RunArgs;
use crate::cli::sync::SyncCommand;
use crate::cli::{Command, TuiArgs};
use crate::failure::CliError;
use crate::output::Output;
use crate::parse::{ParseError, ParsedArgs};

fn main() -> ExitCode {
    or_bug(begin)
}

/// Does work. A panic was told by its hook, and is a bug in aiw.
fn or_bug(work: fn() -> ExitCode) -> ExitCode {
    std::panic::catch_unwind(work).unwrap_or_else(|_| ExitCode::from(ErrorKind::Internal.exit_code()))
}

// Long: the order in which a command begins.
fn begin() -> ExitCode {
    // The system calls a process that was started through /proc `exe`.
    #[cfg(target_os = "linux")]
    if std::env::args_os().next().is_some_and(|name| name == "aiw") {
        let _ = rustix::thread::set_name(c"aiw");
    }
    // A task's supervisor: fifty of them run at once, so nothing else is set up for one.
    if std::env::args_os().nth(1).is_some_and(|a| a == "shim") {
        let task = aiw_tasks::ProcessKind {
            kind: aiw_tasks::RESOURCE_KIND,
            interpreter: |record| {
                let listeners = aiw_tasks::Listeners {
                    on_begin: aiw_app::gateways::watch_task_gateway,
                    on_session: aiw_app::runs::record_private_session,
                    on_end: aiw_app::accounts::record_task_usage,
                };
                aiw_tasks::interpreter(record, aiw_launch::interpreter, listeners)
            },
            on_exit: commands::hooks::start_deferred_indexing,
        };
        return aiw_tasks::shim_main(std::env::args_os(), &[task]);
    }
    // A component of somebody else's, compiled in a process that is ended where it takes too much.
    if std::env::args_os().nth(1).is_some_and(|a| a == aiw_app::extensions::COMPILE_ARGUMENT) {
        return aiw_app::extensions::compile_main();
    }
    // A shell that completes a command line: nothing else may be printed.
    if std::env::var_os(commands::general::COMPLETE_ENV).is_some() {
        commands::general::complete();
    }
    // The commonest question, before anything is set up.
    if std::env::args_os().len() == 2 && std::env::args_os().nth(1).is_some_and(|a| a == "--version" || a == "-V") {
        return output::write_line(&format!("aiw {}", env!("CARGO_PKG_VERSION")));
    }
    // Secrets pass through this process: it leaves no core file, and no other program of the user
    // looks into it. What it becomes by `exec` is not concerned.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // The library that runs models tells its maker about them otherwise.
    aiw_app::models::disable_telemetry();
    // A client waits for it, so nothing else is set up either.
    let words: Vec<_> = std::env::args_os().skip(1).take(4).collect();
    if commands::hooks::is_hook_invocation(&words) {
        return commands::hooks::handle_hook();
    }
    // They leave the session of what starts them, before there is a second thread.
    if !aiw_registries::detach_if_sync(&words) {
        return ExitCode::SUCCESS;
    }
    if aiw_history::detached_main(words.into_iter(), aiw_app::history::indexer) {
        return ExitCode::SUCCESS;
    }
    aiw_home::set_lock_wait_handler(output::print_note);
    // A file-size limit is an error of the write that meets it, not a death.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
    let words: Vec<OsString> = std::env::args_os().collect();
    let ParsedArgs { cli, passthrough_args: theirs } = match parse::parse(&words) {
        Ok(parsed) => parsed,
        Err(ParseError::Help(help)) => {
            return output::write(&output::render_styled(&help.render(), &std::io::stdout()));
        }
        Err(ParseError::InvalidUsage { error, hint, json }) => {
            return Output::new(json).report_usage_error(&error, hint.as_deref());
        }
    };
    let output = Output::new(cli.json).without_headers(cli.no_header);
    let home = runtime::home().map_err(CliError::from);
    let result = match (cli.command, home) {
        (Some(Command::Docs { directory }), _) => commands::docs::write(&directory),
        (Some(Command::Man { directory }), _) => commands::general::write_man_pages(&directory),
        (Some(Command::Completions { shell }), _) => commands::general::completions(shell),
        (Some(Command::Help { command }), _) => return commands::general::help(&command, &output),
        // Without a home nothing is remembered, and the answer is the same.
        (Some(Command::Cli(command)), home) => {
            commands::cli_list::run(&command, home.ok().as_ref(), &ExecutionContext::from_process(), &output)
        }
        (Some(Command::Update { check }), _) => runtime::run(&output, commands::update::run(check, &output)),
        (Some(Command::Extension(command)), home) => {
            runtime::run(&output, commands::extension::run(command, home, &output))
        }
        (_, Err(failure)) => Err(failure),
        (None, Ok(home)) if !output.is_json() && commands::tui::is_supported() => {
            commands::tui::run(TuiArgs::default(), &home, &output)
        }
        (None, Ok(home)) => commands::general::overview(&home, &output),
        (Some(command), Ok(home)) => run(command, theirs, &home, &output),
    };
    output.report_result(result)
}

/// Runs a command over the user's home.
fn run(command: Command, theirs: Vec<OsString>, home: &Home, output: &Output) -> Result<(), CliError> {
    match command {
        Command::Plugin(command) => commands::plugin::run(command, home, output),
        // They are screens, which have their own signal handling.
        Command::Tui(args) => commands::tui::run(args, home, output),
        Command::Top { look } => {
            commands::tui::run(TuiArgs { screen: Some("processes".into()), view: look }, home, output)
        }
        Command::Web(args) => runtime::run(output, commands::web::run(args, home, output)),
        Command::WebInBackground => runtime::run(output, commands::web::serve_in_background(home)),
        Command::Provider(command) => runtime::run(output, commands::provider::run(command, home, output)),
        Command::Pool(command) => runtime::run(output, commands::pool::run(command, home, output)),
        // They read files alone.
        Command::Usage(args) => commands::usage::usage(&args, home, output),
        Command::Budget(command) => commands::usage::budget(command, home, output),
        Command::Secret(command) => runtime::run(output, commands::secret::run(command, home, output)),
        Command::Trust(command) => runtime::run(output, commands::trust::run(command, home, output)),
        Command::Init(args) => runtime::run(output, commands::init::run(&args, home, output)),
        Command::Setup(args) => runtime::run(output, commands::setup::run(args, home, output)),
        // It may show a screen, which has its own signal handling.
        Command::History(HistoryCommand::Search(args)) => commands::history::search(&args, home, output),
        Command::History(command) => runtime::run(output, commands::history::run(command, home, output)),
        Command::Gateway(command) => runtime::run(output, commands::gateway::run(command, home, output)),
        Command::Planner(command) => runtime::run(output, commands::planner::run(command, home, output)),
        Command::Model(command) => runtime::run(output, commands::model::run(command, home, output)),
        Command::Mcp(command) => runtime::run(output, commands::mcp::run(command, home, output)),
        Command::Workflow(command) => runtime::run(output, commands::workflow::run(command, home, output)),
        Command::Doctor { online: true } => runtime::run(output, commands::doctor::run_online_checks(home, output)),
        // They read files: neither components nor a runtime are set up for them.
        Command::Doctor { online: false } => commands::doctor::doctor(commands::doctor::run_checks(home), output),
        Command::Role(command) => commands::role::run(command, home, output),
        Command::Task(command) => commands::task::run(command, home, output),
        Command::Status(scope) => commands::task::status(scope.all_namespaces, home, output),
        Command::Attention(command) => commands::attention::run(command, home, output),
        Command::Logs(args) => commands::task_or_process::logs(&args, home, output),
        Command::Stop(args) => commands::task_or_process::stop(&args, home, output),
        Command::Up(args) => commands::process::up(&args, home, output),
        Command::Down(args) => commands::process::down(&args.ids, home, output),
        Command::Ps(args) => commands::process::ps(&args, home, output),
        Command::Restart(args) => commands::process::restart(&args, home, output),
        Command::Events(args) => commands::events::events(&args, home, output),
        Command::Sync(command) => runtime::run(output, commands::sync::run(command, home, output)),
        Command::Hooks(command) => runtime::run(output, commands::hooks::run(home, command, output)),
        Command::Push(args) => runtime::run(output, commands::sync::run(SyncCommand::Push(args), home, output)),
        Command::Pull(args) => runtime::run(output, commands::sync::run(SyncCommand::Pull(args), home, output)),
        Command::List(args) => runtime::run(output, commands::sync::run(SyncCommand::List(args), home, output)),
        Command::Ci(command) => runtime::run(output, commands::ci::run(command, home, output)),
        Command::Daemon => Ok(aiw_app::daemon::run_daemon(home, output::print_note)?),
        Command::CheckProviders => runtime::run(output, commands::provider::check_providers(home, output)),
        Command::Process(command) => commands::process::run(&command, home, output),
        Command::Wait(args) => commands::task_or_process::wait(&args, home, output),
        Command::Claude(args) => {
            commands::run::run(CliKind::Claude, RunArgs { arguments: theirs, ..args }, home, output)
        }
        Command::Codex(args) => commands::run::run(CliKind::Codex, RunArgs { arguments: theirs, ..args }, home, output),
        Command::Gemini(args) => {
            commands::run::run(CliKind::Gemini, RunArgs { arguments: theirs, ..args }, home, output)
        }
        // Answered without a home.
        Command::Docs { .. }
        | Command::Man { .. }
        | Command::Completions { .. }
        | Command::Help { .. }
        | Command::Update { .. }
        | Command::Extension(_)
        | Command::Cli(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_as_a_bug() {
        let code = or_bug(|| std::panic::resume_unwind(Box::new("a bug")));
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(70)));
    }
}
