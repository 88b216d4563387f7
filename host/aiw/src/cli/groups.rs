//! The help of `aiw` itself: its commands in groups, those of every day first. clap lists them without groups.

use std::fmt::Write;

use clap::builder::StyledStr;
use clap::{CommandFactory, FromArgMatches};

use super::{Cli, STYLES};
use crate::layout;

/// Each command in its group, in the order in which they are shown.
const GROUPS: [(&str, &[&str]); 8] = [
    ("Run", &["claude", "codex", "gemini"]),
    ("Watch", &["tui", "top", "web", "status", "attention", "logs", "wait", "stop", "task"]),
    ("Processes", &["up", "down", "ps", "restart", "process", "events", "ci"]),
    ("Providers", &["provider", "pool", "gateway", "usage", "budget"]),
    ("Tools", &["mcp", "workflow", "planner", "model"]),
    ("History", &["history"]),
    ("Plugins and extensions", &["plugin", "extension"]),
    ("Set-up", &["init", "setup", "sync", "doctor", "update", "cli", "role", "secret", "trust", "completions", "help"]),
];

/// The columns of a name, with the blanks around it.
const NAME_WIDTH: usize = 15;

/// Parses a command line as [`clap::Parser::try_parse_from`] does, with groups in the help of `aiw` itself. They take
/// time, so it is for a command line without a command.
pub fn parse<T: Into<std::ffi::OsString> + Clone>(words: impl IntoIterator<Item = T>) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command().try_get_matches_from(words)?)
}

/// Returns the definition of the command line, with groups in the help of `aiw` itself.
pub fn command() -> clap::Command {
    let commands = Cli::command();
    let template = template(&commands);
    commands.help_template(template)
}

fn template(commands: &clap::Command) -> StyledStr {
    let (header, literal) = (STYLES.get_header(), STYLES.get_literal());
    let columns = crate::terminal::columns().unwrap_or(100).clamp(40, 100);
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (group, names) in GROUPS {
        let _ = writeln!(text, "\n{header}{group}:{header:#}");
        for name in names {
            let about = commands.find_subcommand(name).and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let lead = format!("{:NAME_WIDTH$}", format!("  {name}"));
            let about = layout::wrap_with_indent(&lead, NAME_WIDTH, &about, columns + 1).join("\n");
            // The name has a style, which takes no columns.
            let about = about.strip_prefix(&lead).unwrap_or(&about);
            let _ = writeln!(text, "  {literal}{name}{literal:#}{}{about}", &lead[2 + name.len()..]);
        }
    }
    let _ = write!(text, "\n{header}Options:{header:#}\n{{options}}{{after-help}}");
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_in_one_group() {
        let commands = Cli::command();
        let mut shown: Vec<&str> =
            commands.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name()).collect();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        shown.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(shown, grouped);
    }
}
