//! `aiw tui`, `aiw top`, and `aiw` alone on a terminal: everything on a screen.

use std::io::IsTerminal;
use std::sync::Arc;

use aiw_app::ClientSession;
use aiw_core::ErrorKind;
use aiw_home::Home;
use aiw_tui::{ScreenOptions, ScreenProgress};

use crate::cli::TuiArgs;
use crate::components::app;
use crate::failure::CliError;
use crate::output::Output;

/// Whether a screen can be shown: somebody is there on both sides, and their terminal moves its cursor.
pub fn is_supported() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !is_dumb
}

/// Whether the user has anything against colour.
pub fn has_color() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether the terminal shows more than ASCII, as its locale says.
pub fn has_unicode() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Runs by itself, not under the signal handling of other commands: the view gives the terminal back first.
pub fn run(args: TuiArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let screen = args.screen.as_deref();
    let printed_by = aiw_tui::screen_names().iter().find(|(word, _)| screen.is_none_or(|screen| screen == *word));
    let printed_by = printed_by.map_or("aiw", |(_, command)| if screen.is_none() { "aiw" } else { *command });
    if output.is_json() {
        let json = format!("`{printed_by} --json` answers other programs");
        return Err(CliError::new(ErrorKind::Usage, "a screen has no JSON output").with_hint(json));
    }
    if !is_supported() {
        let hint = format!("`{printed_by}` prints the same in lines");
        return Err(CliError::user("a screen needs a terminal that moves its cursor").with_hint(hint));
    }
    let progress = Arc::new(ScreenProgress::default());
    let client = ClientSession::from_app(app(home, progress.clone()))?;
    let options = ScreenOptions {
        initial_screen: args.screen,
        color: has_color(),
        ascii: args.view.ascii || !has_unicode(),
        mouse: !args.view.no_mouse,
        ..ScreenOptions::default()
    };
    Ok(aiw_tui::open(client, Arc::new(super::doctor::run_checks), progress, &options)?)
}
