//! `aiw mcp profile …`

use aiw_app::ClientSession;
use aiw_app::servers::profiles::{self, ProfileDetails, ProfileEntry};
use aiw_core::{one_line, quoted};
use aiw_home::{ListSettings, ProfileSettings};

use super::client::run_then_shutdown;
use crate::cli::mcp::{McpPatterns, McpProfileCommand};
use crate::failure::CliError;
use crate::output::Output;

pub async fn run(command: McpProfileCommand, client: &ClientSession, output: &Output) -> Result<(), CliError> {
    match command {
        McpProfileCommand::List => list(client, output).await,
        McpProfileCommand::Show { name } => show(client, &name, output).await,
        McpProfileCommand::Add { name, patterns } => {
            profiles::add(client, &name, settings(patterns), output)?;
            show(client, &name, output).await
        }
        McpProfileCommand::Edit { name, patterns, without } => {
            profiles::edit(client, &name, settings(patterns), &without, output)?;
            show(client, &name, output).await
        }
        McpProfileCommand::Remove { names } => {
            output.set_json_or_error(profiles::remove(client, &names, output)?, None)
        }
    }
}

fn settings(patterns: McpPatterns) -> ProfileSettings {
    let McpPatterns { allow, deny, scripts, list_tokens, list_tools, list_always, list_never } = patterns;
    let given = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    let limit = |most: Option<u32>| most.and_then(|most| usize::try_from(most).ok());
    let (tokens, tools, always, never) = (limit(list_tokens), limit(list_tools), given(list_always), given(list_never));
    ProfileSettings { allow: given(allow), deny, scripts, list: ListSettings { tokens, tools, always, never } }
}

fn allowed(settings: &ProfileSettings, list: impl Fn(&[String]) -> String) -> String {
    settings.allow.as_deref().map_or_else(|| "everything".to_owned(), list)
}

async fn list(client: &ClientSession, output: &Output) -> Result<(), CliError> {
    let all = run_then_shutdown(client, profiles::list(client, aiw_offer::own_tools(), output)).await?;
    let list = |patterns: &[String]| patterns.iter().map(|p| one_line(p, 60)).collect::<Vec<_>>().join(" ");
    let row = |profile: &ProfileDetails| {
        let (ProfileEntry { name, scope, settings }, tools) = (&profile.known, profile.tools.len());
        let count = format!("{tools} of {}", all.tools);
        vec![name.clone(), (*scope).to_owned(), count, allowed(settings, list), list(&settings.deny)]
    };
    if all.profiles.is_empty() {
        output.line("no profiles: `aiw mcp profile add NAME --allow PATTERN` defines one");
    }
    output.table(&["NAME", "FROM", "TOOLS", "ALLOWS", "DENIES"], &all.profiles.iter().map(row).collect::<Vec<_>>());
    output.set_json_or_error(all, None)
}

/// A profile as it is now, with the patterns that match nothing.
async fn show(client: &ClientSession, name: &str, output: &Output) -> Result<(), CliError> {
    let shown = run_then_shutdown(client, profiles::show(client, name, aiw_offer::own_tools(), output)).await?;
    let (profile, settings) = (&shown.profile, &shown.profile.known.settings);
    let list = |patterns: &[String]| patterns.iter().map(|p| one_line(p, 100)).collect::<Vec<_>>().join(", ");
    output.line(format!("  allows: {}", allowed(settings, list)));
    for (what, patterns) in [("denies", &settings.deny), ("scripts call without asking", &settings.scripts)] {
        if !patterns.is_empty() {
            output.line(format!("  {what}: {}", list(patterns)));
        }
    }
    let limits = [("tokens", settings.list.tokens), ("tools", settings.list.tools)];
    let limits = limits.into_iter().filter_map(|(what, most)| Some(format!("at most {} {what}", most?)));
    let named = [("always", &settings.list.always), ("never", &settings.list.never)];
    let named = named.into_iter().filter_map(|(when, servers)| Some(format!("{when} {}", list(servers.as_deref()?))));
    let listed: Vec<String> = limits.chain(named).collect();
    if !listed.is_empty() {
        output.line(format!("  lists: {}", listed.join("; ")));
    }
    output.line(format!("  tools: {}", profile.tools.len()));
    profile.tools.iter().for_each(|tool| output.line(format!("    {}", one_line(tool, 200))));
    for pattern in &profile.unmatched {
        output.note(format!("note: no tool that is known here matches {}", quoted(pattern)));
    }
    output.set_json_or_error(shown, None)
}
