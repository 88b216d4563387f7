//! `aiw attention …`: what needs a person.

use aiw_app::attention::{Attention, Severity};
use aiw_app::directory;
use aiw_app::phrases::{elapsed_since_rfc3339, format_ago};
use aiw_home::Home;

use crate::cli::AttentionCommand;
use crate::failure::CliError;
use crate::output::Output;

/// The most entries that other commands print before their own result.
const MAX_PRINTED: usize = 8;

pub fn run(command: AttentionCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    let cwd = directory(home)?;
    match command {
        AttentionCommand::List { muted } => {
            let listed = if muted { Attention::collect_with_muted(home, cwd) } else { Attention::collect(home, cwd) };
            if listed.items.is_empty() {
                let muted = if listed.muted > 0 { format!(" ({} muted)", listed.muted) } else { String::new() };
                output.line(format!("nothing needs you{muted}"));
            }
            let rows: Vec<Vec<String>> = listed
                .items
                .iter()
                .map(|item| {
                    let age = item.checked_at.as_deref().and_then(elapsed_since_rfc3339).map(format_ago);
                    let found = age.map(|age| format!(" (found {age})")).unwrap_or_default();
                    let state = if item.muted { "muted" } else { item.severity.as_str() };
                    let problem = format!("{}{found}", item.problem);
                    vec![item.id.clone(), state.to_owned(), problem, item.next.clone()]
                })
                .collect();
            output.table(&["ID", "STATE", "PROBLEM", "NEXT"], &rows);
            output.set_json(listed);
        }
        AttentionCommand::Mute { ids } => {
            let done = Attention::set_muted(home, cwd, &ids, true)?;
            output.line(format!("Muted {}, until it changes", done.ids.join(", ")));
            output.set_json(done);
        }
        AttentionCommand::Unmute { ids } => {
            let done = Attention::set_muted(home, cwd, &ids, false)?;
            output.line(format!("Unmuted {}", done.ids.join(", ")));
            output.set_json(done);
        }
    }
    Ok(())
}

/// Prints what needs a person, before the result of another command. It prints nothing if nothing does.
pub fn print(attention: &Attention, output: &Output) {
    for item in attention.items.iter().take(MAX_PRINTED) {
        let lead = if item.severity == Severity::Error { "! " } else { "- " };
        let age = item.checked_at.as_deref().and_then(elapsed_since_rfc3339).map(format_ago);
        let found = age.map(|age| format!(" (`aiw doctor` found it {age})")).unwrap_or_default();
        output.wrapped_line(lead, &format!("{}{found}: {}", item.problem, item.next));
    }
    let more = attention.items.len().saturating_sub(MAX_PRINTED);
    if more > 0 {
        output.line(format!("{more} more: `aiw attention list`"));
    }
    if !attention.items.is_empty() {
        output.line("");
    }
}
