//! `aiw init`

use aiw_app::AppError;
use aiw_app::init::{InitReport, InitRequest, init, inspect, report_updates};
use aiw_core::{Diagnostic, Prompter, pluralize};
use aiw_home::Home;
use aiw_offer::read_only_tools;

use crate::ask::TerminalPrompter;
use crate::cli::setup::InitArgs;
use crate::components::session;
use crate::failure::CliError;
use crate::output::Output;

pub async fn run(args: &InitArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let lacking = inspect(home).map_err(unreadable)?;
    let person = TerminalPrompter::new(output, args.yes).with_back();
    if lacking.lacking.is_empty() {
        output.line("nothing is lacking; `aiw doctor` looks for problems");
        if person.is_interactive() && !output.is_json() {
            report_updates(home, output).await;
        }
    } else if output.is_json() || !person.is_interactive() {
        lacking.lacking.iter().for_each(|lacks| output.line(&lacks.command));
    } else {
        let client = session(home, output)?;
        let request = InitRequest { read_only_tools: read_only_tools() };
        let done = init(&client, &lacking, &request, &person, output).await;
        let InitReport { added: done, failed, first_error: first } =
            done.map_err(|e| CliError::from(e).with_declined_message("nothing was written"))?;
        if let Some(first) = first {
            let all = pluralize(done.len() + failed.len(), "step");
            return Err(CliError::from(first).with_message(format!("{} of {all} could not be done", failed.len())));
        }
    }
    output.set_json(lacking);
    Ok(())
}

/// Returns the failure where nobody can find out what is lacking: the hint is the command that `aiw doctor` prints for it.
fn unreadable(error: AppError) -> CliError {
    let remedy = error.fix();
    let failure = CliError::from(error);
    match remedy.filter(|_| failure.hint().is_none()) {
        Some(command) => failure.with_hint(format!("`{command}`")),
        None => failure,
    }
}
