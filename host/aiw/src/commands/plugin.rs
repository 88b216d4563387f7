//! `aiw plugin …`

pub mod install;
pub mod look;

use crate::cli::{EnableArgs, PluginCommand};
use crate::commands::{browse, marketplace};
use crate::components::Host;
use crate::failure::Failure;
use crate::output::Output;
use crate::runtime;

pub fn run(command: PluginCommand, output: &Output) -> Result<(), Failure> {
    match command {
        // It has a runtime of its own, under its screen.
        PluginCommand::Browse { query, all, no_color } => browse::run(query, all, no_color, output.is_json()),
        PluginCommand::Marketplace(command) => {
            on_host(output, async |host| marketplace::run(host, command, output).await)
        }
        PluginCommand::Search(args) => on_host(output, async |host| look::search(host, args, output).await),
        PluginCommand::List(args) => on_host(output, async |host| look::list(host, &args, output)),
        PluginCommand::Info { plugin } => on_host(output, async |host| look::info(host, &plugin, output).await),
        PluginCommand::Install(args) => on_host(output, async |host| install::install(host, args, output).await),
        PluginCommand::Update(args) => on_host(output, async |host| install::update(host, args, output).await),
        PluginCommand::Remove { plugins } => {
            on_host(output, async |host| install::remove(host, &plugins, output).await)
        }
        PluginCommand::Enable(EnableArgs { plugins, on_conflict }) => on_host(output, async |host| {
            install::toggle(host, &plugins, true, on_conflict.map(Into::into), output).await
        }),
        PluginCommand::Disable { plugins } => {
            on_host(output, async |host| install::toggle(host, &plugins, false, None, output).await)
        }
        PluginCommand::Validate { path } => on_host(output, async |host| install::validate(host, &path, output).await),
    }
}

/// Works with the components and the marketplaces, once what the user wrote by hand is carried out.
fn on_host(output: &Output, work: impl AsyncFnOnce(&Host) -> Result<(), Failure>) -> Result<(), Failure> {
    runtime::run(output, async {
        let host = Host::open(output)?;
        host.markets.reconcile().await?.iter().for_each(|note| output.note(note));
        work(&host).await
    })
}
