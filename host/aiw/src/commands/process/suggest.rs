//! `aiw process suggest`: what is usually started, and what that adds to the project's file.

use aiw_core::{ErrorKind, NonInteractive};
use aiw_home::Home;
use aiw_processes::{HabitSuggestion, Manager};

use super::opened::manager;
use crate::ask::TerminalPrompter;
use crate::cli::process::{SuggestArgs, SuggestCommand};
use crate::failure::CliError;
use crate::output::Output;
use crate::{runtime, terminal};

/// So many of the events behind a suggestion are printed.
const MAX_SHOWN_EVENTS: usize = 3;

/// `aiw process suggest`
pub fn suggest(args: &SuggestArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    if args.answer.is_some() && args.after.is_some() {
        let problem = "`--after` goes with `aiw process suggest` alone";
        return Err(CliError::new(ErrorKind::Usage, problem).with_hint("leave it out"));
    }
    let manager = manager(home)?;
    match &args.answer {
        None => list(&manager, args.after.as_deref(), output),
        Some(SuggestCommand::Accept(args)) => accept(&manager, &args.id, output),
        Some(SuggestCommand::Dismiss(args)) => {
            let answer = manager.dismiss_suggestion(&args.id)?;
            output.line(format!("`{}` is not suggested again", answer.id));
            output.set_json(answer);
            Ok(())
        }
        Some(SuggestCommand::Forget(args)) => {
            let answer = manager.forget_habits(args.id.as_deref())?;
            let what = args.id.as_ref().map_or_else(|| "the processes of this project".into(), |id| format!("`{id}`"));
            output.line(format!("Forgot when {what} started, and your answers about that"));
            output.set_json(answer);
            Ok(())
        }
    }
}

fn list(manager: &Manager, after: Option<&str>, output: &Output) -> Result<(), CliError> {
    let answer = manager.suggestions(after)?;
    if answer.suggestions.is_empty() {
        output.line("no suggestions: they come once you have started processes in the same way several times");
    }
    for HabitSuggestion {
        id,
        habit,
        confidence_level: strength,
        times,
        of,
        confidence,
        added_line: gains,
        events,
        ..
    } in &answer.suggestions
    {
        let share = (confidence * 100.0).round();
        output.line(format!("{id}  {strength}: {habit}, {times} of {of} times: at least {share} %"));
        if let Some(gains) = gains {
            output.line(format!("    `aiw process suggest accept {id}` adds to it: {gains}"));
        }
        let last = events.iter().rev().take(MAX_SHOWN_EVENTS);
        let last = last.map(|event| match &event.by {
            Some(by) => format!("{} by {by}", event.time),
            None => event.time.clone(),
        });
        output.line(format!("    last: {}", last.collect::<Vec<_>>().join(", ")));
    }
    output.set_json(answer);
    Ok(())
}

fn accept(manager: &Manager, id: &str, output: &Output) -> Result<(), CliError> {
    aiw_app::usable_settings(manager.home(), output)?;
    let runtime = runtime::new_runtime()?;
    let answer = match terminal::is_interactive() {
        true => runtime.block_on(manager.accept_suggestion(id, &TerminalPrompter::new(output, false)))?,
        false => runtime.block_on(manager.accept_suggestion(id, &NonInteractive))?,
    };
    let gains = answer.added_line.as_deref().unwrap_or_default();
    output.line(format!("`{}` of `{}` says now: {gains}", answer.process, manager.project().display_file()));
    output.set_json(answer);
    Ok(())
}
