//! `aiw plugin …`

pub mod look;

use std::path::Path;

use aiw_app::plugins::{self, PluginRequest};
use aiw_app::usable_settings;
use aiw_home::Home;
use aiw_markets::Markets;

use crate::ask::{PluginReporter, TerminalPrompter};
use crate::cli::{EnableArgs, InstallArgs, PluginCommand, UpdateArgs};
use crate::commands::{browse, marketplace};
use crate::components::session;
use crate::failure::CliError;
use crate::output::Output;
use crate::runtime;

pub fn run(command: PluginCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    match command {
        // It has a runtime of its own, under its screen.
        PluginCommand::Browse { query, all, no_color } => browse::run(query, all, no_color, home, output),
        PluginCommand::Marketplace(command) => {
            on_markets(home, output, async |markets| marketplace::run(markets, command, output).await)
        }
        PluginCommand::Search(args) => {
            on_markets(home, output, async |markets| look::search(markets, args, output).await)
        }
        PluginCommand::List(args) => runtime::run(output, async {
            let client = session(home, output)?;
            let markets = client.markets()?;
            client.notes().iter().for_each(|note| output.note(note));
            // What is installed is known without the settings.
            let has_settings = client.home().settings().is_ok();
            match has_settings {
                true => markets.reconcile().await?.iter().for_each(|note| output.note(note)),
                false => drop(usable_settings(client.home(), output)?),
            }
            look::list(&markets, &args, has_settings, output)
        }),
        PluginCommand::Info { plugin } => {
            on_markets(home, output, async |markets| look::info(markets, &plugin, output).await)
        }
        PluginCommand::Install(InstallArgs { plugins: names, env: set, on_conflict, yes }) => {
            let request = PluginRequest { names, set, on_conflict: on_conflict.map(Into::into) };
            on_markets(home, output, async |markets| {
                let (person, said) = (TerminalPrompter::new(output, yes), PluginReporter(output));
                let (answer, first) = plugins::install(markets, &request, &person, &said).await?;
                if answer.installed.iter().any(|done| !done.servers.is_empty()) {
                    output.line("Use it: aiw claude --mcp");
                }
                output.set_json_or_error(answer, first.map(Into::into))
            })
        }
        PluginCommand::Update(UpdateArgs { plugins: names, env: set, on_conflict, no_fetch, accept_changes }) => {
            let request = PluginRequest { names, set, on_conflict: on_conflict.map(Into::into) };
            on_markets(home, output, async |markets| {
                let (person, said) = (TerminalPrompter::new(output, false), PluginReporter(output));
                let updated = plugins::update(markets, &request, !no_fetch, accept_changes, &person, &said).await;
                let (answer, first) = updated?;
                output.set_json_or_error(answer, first.map(Into::into))
            })
        }
        PluginCommand::Remove { plugins } => on_markets(home, output, async |markets| {
            let (answer, first) = plugins::remove(markets, &plugins, &PluginReporter(output)).await?;
            output.set_json_or_error(answer, first.map(Into::into))
        }),
        PluginCommand::Enable(args) => switch(args, true, home, output),
        PluginCommand::Disable { plugins } => switch(EnableArgs { plugins, on_conflict: None }, false, home, output),
        PluginCommand::Validate { path } => {
            on_markets(home, output, async |markets| validate(markets, &path, output).await)
        }
    }
}

/// Works with the marketplaces, once what the user wrote by hand is carried out.
fn on_markets(
    home: &Home,
    output: &Output,
    work: impl AsyncFnOnce(&Markets) -> Result<(), CliError>,
) -> Result<(), CliError> {
    runtime::run(output, async {
        let client = session(home, output)?;
        let markets = client.markets()?;
        client.notes().iter().for_each(|note| output.note(note));
        markets.reconcile().await?.iter().for_each(|note| output.note(note));
        work(&markets).await
    })
}

fn switch(args: EnableArgs, enabled: bool, home: &Home, output: &Output) -> Result<(), CliError> {
    let EnableArgs { plugins: names, on_conflict } = args;
    let request = PluginRequest { names, on_conflict: on_conflict.map(Into::into), ..PluginRequest::default() };
    on_markets(home, output, async |markets| {
        let (answer, first) = plugins::switch(markets, &request, enabled, &PluginReporter(output)).await?;
        output.set_json_or_error(answer, first.map(Into::into))
    })
}

async fn validate(markets: &Markets, path: &Path, output: &Output) -> Result<(), CliError> {
    let report = markets.validate(path).await?;
    report.errors.iter().for_each(|line| output.line(format!("error: {line}")));
    report.warnings.iter().for_each(|line| output.line(format!("warning: {line}")));
    let failure = match report.errors.len() {
        0 => {
            output.line(format!("The {} is valid", report.kind));
            None
        }
        n => Some(CliError::user(format!("the {} has {}", report.kind, aiw_core::pluralize(n, "error")))),
    };
    output.set_json_or_error(report, failure)
}
