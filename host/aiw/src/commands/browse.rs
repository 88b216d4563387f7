//! `aiw plugin browse`: the plugins of the marketplaces on a screen.

use std::io::IsTerminal;
use std::sync::Arc;

use aiw_app::ClientSession;
use aiw_app::plugins;
use aiw_core::ErrorKind;
use aiw_home::Home;
use aiw_tui::{ScreenOptions, ScreenProgress};

use crate::ask::{PluginReporter, TerminalPrompter};
use crate::components::app;
use crate::failure::CliError;
use crate::output::Output;
use crate::runtime;

/// Runs by itself, not under the signal handling of other commands: the view gives the
/// terminal back first.
pub fn run(query: Option<String>, all: bool, no_color: bool, home: &Home, output: &Output) -> Result<(), CliError> {
    if output.is_json() {
        return Err(
            CliError::new(ErrorKind::Usage, "browsing has no JSON output").with_hint("`aiw plugin search --json`")
        );
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(CliError::user("browsing needs a terminal").with_hint("`aiw plugin search` prints a list"));
    }
    let progress = Arc::new(ScreenProgress::default());
    let client = ClientSession::from_app(app(home, progress.clone()))?;
    let markets = client.markets()?;
    let runtime = runtime::new_runtime()?;
    // What could not be carried out is said by every other command.
    runtime.block_on(markets.reconcile())?;
    let person = TerminalPrompter::new(output, false);
    runtime.block_on(plugins::offer_market(&markets, &person, &PluginReporter(output)))?;
    output.flush();
    let options = ScreenOptions {
        initial_screen: Some("plugins".to_owned()),
        query: query.unwrap_or_default(),
        show_all: all,
        color: !no_color && super::tui::has_color(),
        ascii: !super::tui::has_unicode(),
        mouse: true,
    };
    Ok(aiw_tui::open(client, Arc::new(super::doctor::run_checks), progress, &options)?)
}
