//! `aiw plugin …`

pub mod install;
pub mod look;

use aiw_app::usable_settings;
use aiw_home::Home;
use aiw_markets::Markets;

use crate::cli::{EnableArgs, PluginCommand};
use crate::commands::{browse, marketplace};
use crate::components::session;
use crate::failure::Failure;
use crate::output::Output;
use crate::runtime;

pub fn run(command: PluginCommand, output: &Output) -> Result<(), Failure> {
    match command {
        // It has a runtime of its own, under its screen.
        PluginCommand::Browse { query, all, no_color } => browse::run(query, all, no_color, output.is_json()),
        PluginCommand::Marketplace(command) => {
            on_markets(output, async |markets| marketplace::run(markets, command, output).await)
        }
        PluginCommand::Search(args) => on_markets(output, async |markets| look::search(markets, args, output).await),
        PluginCommand::List(args) => runtime::run(output, async {
            let client = session(&Home::find()?, output)?;
            let markets = client.markets()?;
            // What is installed is known without the settings.
            let has_settings = client.home().settings().is_ok();
            match has_settings {
                true => markets.reconcile().await?.iter().for_each(|note| output.note(note)),
                false => drop(usable_settings(client.home(), output)?),
            }
            look::list(&markets, &args, has_settings, output)
        }),
        PluginCommand::Info { plugin } => {
            on_markets(output, async |markets| look::info(markets, &plugin, output).await)
        }
        PluginCommand::Install(args) => {
            on_markets(output, async |markets| install::install(markets, args, output).await)
        }
        PluginCommand::Update(args) => on_markets(output, async |markets| install::update(markets, args, output).await),
        PluginCommand::Remove { plugins } => {
            on_markets(output, async |markets| install::remove(markets, &plugins, output).await)
        }
        PluginCommand::Enable(EnableArgs { plugins, on_conflict }) => on_markets(output, async |markets| {
            install::toggle(markets, &plugins, true, on_conflict.map(Into::into), output).await
        }),
        PluginCommand::Disable { plugins } => {
            on_markets(output, async |markets| install::toggle(markets, &plugins, false, None, output).await)
        }
        PluginCommand::Validate { path } => {
            on_markets(output, async |markets| install::validate(markets, &path, output).await)
        }
    }
}

/// Works with the marketplaces, once what the user wrote by hand is carried out.
fn on_markets(output: &Output, work: impl AsyncFnOnce(&Markets) -> Result<(), Failure>) -> Result<(), Failure> {
    runtime::run(output, async {
        let client = session(&Home::find()?, output)?;
        let markets = client.markets()?;
        markets.reconcile().await?.iter().for_each(|note| output.note(note));
        work(&markets).await
    })
}
