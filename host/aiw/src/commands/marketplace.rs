//! `aiw plugin marketplace …`

use aiw_app::plugins::add_market;
use aiw_core::counted;
use aiw_home::MarketSettings;
use aiw_markets::{AddOptions, MarketStatus, MarketSummary, Markets, UpdatedMarket};
use schemars::JsonSchema;
use serde::Serialize;

use super::each::{Failed, FailedName};
use crate::ask::Person;
use crate::cli::{AddArgs, MarketplaceCommand};
use crate::failure::Failure;
use crate::output::{Output, under};

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

pub async fn run(markets: &Markets, command: MarketplaceCommand, output: &Output) -> Result<(), Failure> {
    match command {
        MarketplaceCommand::Add(args) => add(markets, args, output).await,
        MarketplaceCommand::Remove { name } => remove(markets, &name, output).await,
        MarketplaceCommand::Update { name, no_inspect } => update(markets, name.as_deref(), !no_inspect, output).await,
        MarketplaceCommand::List => list(markets, output),
    }
}

async fn add(markets: &Markets, args: AddArgs, output: &Output) -> Result<(), Failure> {
    let options = AddOptions {
        name: args.name,
        reference: args.git_ref,
        source: args.source,
        inspect: !args.no_inspect,
        take_look_alike: args.yes,
    };
    let added = add_market(markets, &args.reference, options, &Person::new(output, args.yes)).await?;
    let verb = if added.known { "Updated" } else { "Added" };
    let count = counted(added.listing.plugins.len(), "plugin");
    output.line(format!("{verb} marketplace {} from {}: {count}", added.market.name, source(&added.market)));
    let with = added.listing.plugins.iter().filter(|p| p.has_servers() == Some(true)).count();
    let unknown = added.listing.not_inspected();
    let bring = if with == 1 { "brings" } else { "bring" };
    output.line(format!("{with} of them {bring} MCP servers{}", not_inspected(unknown)));
    let mut notes = added.notes.clone();
    if added.not_official {
        let own = aiw_core::one_line(added.listing.document_name.as_deref().unwrap_or_default(), 80);
        notes.push(format!("it calls itself `{own}`, and is not official"));
    }
    for note in &notes {
        output.note(note);
    }
    let status = MarketStatus { market: added.market, listing: Some(added.listing) };
    output.answer(MarketAdd { marketplaces: vec![MarketSummary::of(&status)], notes });
    Ok(())
}

/// Where it comes from; a query may hold a key.
fn source(market: &MarketSettings) -> String {
    aiw_core::without_query(&market.source()).into_owned()
}

/// `, 12 are not inspected yet`, or nothing.
fn not_inspected(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => ", 1 is not yet inspected".into(),
        n => format!(", {n} are not yet inspected"),
    }
}

async fn remove(markets: &Markets, name: &str, output: &Output) -> Result<(), Failure> {
    let done = markets.remove(name).await?;
    output.line(format!("Removed marketplace {}", done.removed));
    if !done.installed_plugins.is_empty() {
        let left: Vec<String> = done.installed_plugins.iter().map(ToString::to_string).collect();
        output.note(format!("its installed plugins stay: {}", left.join(", ")));
    }
    output.answer(done);
    Ok(())
}

async fn update(markets: &Markets, name: Option<&str>, inspect: bool, output: &Output) -> Result<(), Failure> {
    let names: Vec<String> = match name {
        Some(name) => vec![name.to_owned()],
        None => {
            let (statuses, problems) = markets.statuses()?;
            problems.iter().for_each(|problem| output.note(problem));
            statuses.iter().filter(|s| s.market.enabled).map(|s| s.market.name.to_string()).collect()
        }
    };
    let (mut answer, mut first) = (MarketUpdate::default(), None::<Failure>);
    let count = names.len();
    for market in names {
        match markets.update(&market, inspect).await {
            Ok(done) => {
                let what = if done.changed { "updated" } else { "unchanged" };
                output.line(format!("{}: {what}, {}", done.name, counted(done.plugins, "plugin")));
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
                let failure = Failure::from(e);
                answer.failed.push(FailedName::of(&market, &failure));
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
    let failure = first.map(|first| first.saying(format!("{failed} of {} could not be updated", counted(count, "marketplace"))));
    output.conclude(answer, failure)
}

fn list(markets: &Markets, output: &Output) -> Result<(), Failure> {
    let (statuses, problems) = markets.statuses()?;
    let mut rows = Vec::new();
    for status in &statuses {
        let state = match (&status.listing, status.market.enabled) {
            (_, false) => "off".into(),
            (None, true) => "not fetched yet".into(),
            (Some(listing), true) => {
                let with = listing.plugins.iter().filter(|p| p.has_servers() == Some(true)).count();
                let unofficial = if status.not_official() { ", not official" } else { "" };
                let unknown = not_inspected(listing.not_inspected());
                format!("{}, {with} with MCP servers{unknown}{unofficial}", counted(listing.plugins.len(), "plugin"))
            }
        };
        rows.push(vec![status.market.name.to_string(), aiw_core::one_line(&source(&status.market), 70), state]);
    }
    output.table(&["NAME", "SOURCE", "PLUGINS"], &rows);
    if statuses.is_empty() {
        output.line("No marketplaces; `aiw plugin marketplace add OWNER/REPO` adds one");
    }
    problems.iter().for_each(|problem| output.note(problem));
    output.answer(under("marketplaces", statuses.iter().map(MarketSummary::of).collect::<Vec<_>>()));
    Ok(())
}
