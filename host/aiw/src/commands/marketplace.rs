//! `aiw plugin marketplace …`

use std::pin::pin;

use aiw_app::plugins::add_market;
use aiw_core::pluralize;
use aiw_markets::{AddOptions, MarketListing, MarketStatus, MarketSummary, Markets, UpdatedMarket};
use schemars::JsonSchema;
use serde::Serialize;

use super::each::FailedName;
use futures::StreamExt;

use crate::ask::TerminalPrompter;
use crate::cli::{AddArgs, MarketplaceCommand};
use crate::failure::CliError;
use crate::output::{Output, single_entry_map};

/// `aiw plugin marketplace add`
#[derive(Serialize, JsonSchema)]
pub struct MarketAdd {
    /// The marketplace
    pub marketplaces: Vec<MarketSummary>,
    /// Notes for you, a sentence each
    pub notes: Vec<String>,
}

/// `aiw plugin marketplace update`
#[derive(Default, Serialize, JsonSchema)]
pub struct MarketUpdate {
    /// The marketplaces that were fetched
    pub marketplaces: Vec<UpdatedMarket>,
    /// The marketplaces that could not be fetched
    pub failed: Vec<FailedName>,
}

pub async fn run(markets: &Markets, command: MarketplaceCommand, output: &Output) -> Result<(), CliError> {
    match command {
        MarketplaceCommand::Add(args) => add(markets, args, output).await,
        MarketplaceCommand::Remove { name } => remove(markets, &name, output).await,
        MarketplaceCommand::Update { name, no_inspect } => update(markets, name.as_deref(), !no_inspect, output).await,
        MarketplaceCommand::List => list(markets, output),
    }
}

async fn add(markets: &Markets, args: AddArgs, output: &Output) -> Result<(), CliError> {
    let options = AddOptions {
        name: args.name,
        reference: args.git_ref,
        source: args.source,
        inspect: !args.no_inspect,
        accept_confusable: args.yes,
    };
    let added = add_market(markets, &args.reference, options, &TerminalPrompter::new(output, args.yes)).await?;
    let (verb, with) = (if added.already_registered { "Updated" } else { "Added" }, with_servers(&added.listing));
    let mut notes = added.notes;
    if added.has_spoofed_name {
        let own = aiw_core::one_line(added.listing.document_name.as_deref().unwrap_or_default(), 80);
        notes.push(format!("it calls itself `{own}`, and is not official"));
    }
    let status = MarketStatus { market: added.market, listing: Some(added.listing) };
    let market = MarketSummary::new(&status);
    let count = pluralize(market.plugins.unwrap_or_default(), "plugin");
    output.line(format!("{verb} marketplace {} from {}: {count}", market.name, market.source));
    let bring = if with == 1 { "brings" } else { "bring" };
    let unknown = not_inspected(market.not_inspected.unwrap_or_default());
    output.line(format!("{with} of them {bring} MCP servers{unknown}"));
    notes.iter().for_each(|note| output.note(note));
    output.set_json(MarketAdd { marketplaces: vec![market], notes });
    Ok(())
}

/// How many plugins are known to bring MCP servers.
fn with_servers(listing: &MarketListing) -> usize {
    listing.plugins.iter().filter(|plugin| plugin.has_servers() == Some(true)).count()
}

/// `, 12 are not inspected yet`, or nothing.
fn not_inspected(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => ", 1 is not yet inspected".into(),
        n => format!(", {n} are not yet inspected"),
    }
}

async fn remove(markets: &Markets, name: &str, output: &Output) -> Result<(), CliError> {
    let done = markets.remove(name).await?;
    output.line(format!("Removed marketplace {}", done.removed));
    if !done.installed_plugins.is_empty() {
        let left: Vec<String> = done.installed_plugins.iter().map(ToString::to_string).collect();
        output.note(format!("its installed plugins stay: {}", left.join(", ")));
    }
    output.set_json(done);
    Ok(())
}

async fn update(markets: &Markets, name: Option<&str>, inspect: bool, output: &Output) -> Result<(), CliError> {
    let names: Vec<String> = match name {
        Some(name) => vec![name.to_owned()],
        None => {
            let (statuses, problems) = markets.statuses()?;
            problems.iter().for_each(|problem| output.note(problem));
            statuses.iter().filter(|s| s.market.enabled).map(|s| s.market.name.to_string()).collect()
        }
    };
    let (mut answer, mut first) = (MarketUpdate::default(), None::<CliError>);
    let count = names.len();
    let mut updates = pin!(markets.update_each(names, inspect));
    while let Some((market, updated)) = updates.next().await {
        match updated {
            Ok(done) => {
                let what = if done.changed { "updated" } else { "unchanged" };
                output.line(format!("{}: {what}, {}", done.name, pluralize(done.plugins, "plugin")));
                for (word, names) in [("new", &done.added), ("gone", &done.removed)] {
                    if done.changed && !names.is_empty() && names.len() < done.plugins.max(1) {
                        output.line(format!("  {word}: {}", aiw_core::one_line(&names.join(", "), 400)));
                    }
                }
                for note in &done.notes {
                    output.note(format!("{}: {note}", done.name));
                }
                answer.marketplaces.push(done);
            }
            Err(e) => {
                let failure = CliError::from(e);
                let (error, hint) = (failure.message().to_owned(), failure.hint().map(str::to_owned));
                answer.failed.push(FailedName { name: market.clone(), error, hint });
                // Of one that was named, the error alone.
                if name.is_some() {
                    return Err(failure);
                }
                output.note(format!("{market}: not updated: {}", failure.message()));
                if let Some(hint) = failure.hint() {
                    output.note(format!("  hint: {hint}"));
                }
                first.get_or_insert(failure);
            }
        }
    }
    let failed = answer.failed.len();
    let failure = first.map(|first| {
        first.with_message(format!("{failed} of {} could not be updated", pluralize(count, "marketplace")))
    });
    output.set_json_or_error(answer, failure)
}

fn list(markets: &Markets, output: &Output) -> Result<(), CliError> {
    let (statuses, problems) = markets.statuses()?;
    let markets: Vec<MarketSummary> = statuses.iter().map(MarketSummary::new).collect();
    let mut rows = Vec::new();
    for (status, market) in statuses.iter().zip(&markets) {
        let state = match (&status.listing, market.enabled) {
            (_, false) => "off".into(),
            (None, true) => "not fetched yet".into(),
            (Some(listing), true) => {
                let unofficial = if status.has_spoofed_name() { ", not official" } else { "" };
                let (count, with) = (pluralize(listing.plugins.len(), "plugin"), with_servers(listing));
                format!("{count}, {with} with MCP servers{}{unofficial}", not_inspected(listing.uninspected_count()))
            }
        };
        rows.push(vec![market.name.clone(), aiw_core::one_line(&market.source, 70), state]);
    }
    output.table(&["NAME", "SOURCE", "PLUGINS"], &rows);
    if statuses.is_empty() {
        output.line("No marketplaces; `aiw plugin marketplace add OWNER/REPO` adds one");
    }
    problems.iter().for_each(|problem| output.note(problem));
    output.set_json(single_entry_map("marketplaces", markets));
    Ok(())
}
