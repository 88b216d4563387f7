//! Where plugins and servers come from: marketplaces and registries.

use std::sync::Arc;

use aiw_app::feed::Topic;
use aiw_app::phrases::{elapsed_since, elapsed_since_rfc3339, format_ago};
use aiw_app::plugins::add_market;
use aiw_core::{Prompter, pluralize};
use aiw_markets::{AddOptions, MarketSummary, Markets};
use aiw_registries::RegistryInfo;

use crate::context::AppContext;
use crate::page::{Action, Column, Detail, ListContent, Outcome, Page, PageDescriptor, Row};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;

/// The beginning of the id of a registry's row. No marketplace has a name with it.
const REGISTRY_ID_PREFIX: &str = "registry:";

/// The page of marketplaces and registries.
pub(crate) struct SourcesPage(pub(crate) Arc<AppContext>);

fn markets(ground: &AppContext) -> Result<Markets, String> {
    ground.client.markets().map_err(|e| error_line(&e))
}

fn registries(ground: &AppContext) -> Result<Vec<RegistryInfo>, String> {
    let library = ground.client.library().map_err(|e| error_line(&e))?;
    aiw_registries::list_registries(ground.home(), library).map_err(|e| error_line(&e))
}

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "Sources",
    slug: "sources",
    cli_command: "aiw plugin marketplace list",
    topics: &[Topic::Documents],
    columns: &[
        Column::new("NAME"),
        Column::state("STATE"),
        Column::optional("HAS"),
        Column::optional("FETCHED"),
        Column::new("FROM"),
    ],
    empty_message: "no marketplaces: n adds one",
    actions: &[
        Action::new('u', "update", "fetch the marketplace again, or what is due of the registries"),
        Action::new('d', "remove", "remove the marketplace; its installed plugins stay: asks")
            .with_confirmation("Remove the marketplace {}? (y/N)"),
        Action::global('n', "new", "add a marketplace: OWNER/REPO, an address or a path"),
    ],
    ..PageDescriptor::EMPTY
};

impl Page for SourcesPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let ground = &*self.0;
        let (statuses, mut problems) = markets(ground)?.statuses().map_err(|e| error_line(&e))?;
        let mut rows: Vec<Row> = statuses.iter().map(|status| market_row(&MarketSummary::new(status))).collect();
        match registries(ground) {
            Ok(registries) => rows.extend(registries.iter().map(registry_row)),
            Err(why) => problems.push(why),
        }
        Ok(ListContent::new(rows, problems))
    }

    fn detail(&self, id: &str) -> Detail {
        let ground = &*self.0;
        let looked = match id.strip_prefix(REGISTRY_ID_PREFIX) {
            Some(registry) => registry_facts(ground, registry),
            None => market_facts(ground, id),
        };
        match looked {
            Ok(Some(facts)) => Detail::new(facts),
            Ok(None) => Detail::from_error("it is gone"),
            Err(why) => Detail::from_error(why),
        }
    }

    fn run_action(&self, key: char, id: &str, person: &TuiPrompter) -> Result<Outcome, String> {
        let ground = &*self.0;
        Ok(Outcome::Message(match key {
            'n' => {
                let question = "The marketplace: OWNER/REPO of GitHub, an address, or a path";
                let Some(reference) = ground.block_on(person.text(question))? else {
                    return Ok(Outcome::Message("nothing was added".to_owned()));
                };
                let options = AddOptions { inspect: true, ..AddOptions::default() };
                let added = ground.block_on(add_market(&markets(ground)?, &reference, options, person))?;
                let (name, count) = (added.market.name, pluralize(added.listing.plugins.len(), "plugin"));
                [vec![format!("added {name}: {count}")], added.notes].concat().join("; ")
            }
            'd' => {
                let done = ground.block_on(markets(ground)?.remove(id))?;
                let stay = done.installed_plugins.len();
                let left = if stay > 0 { format!("; {} of it stay", pluralize(stay, "plugin")) } else { String::new() };
                format!("removed {id}{left}")
            }
            _ if id.starts_with(REGISTRY_ID_PREFIX) => {
                let registries = ground.client.registries().map_err(|e| error_line(&e))?;
                ground.block_on(registries.sync())?;
                "the copies of the registries are up to date, or say why they are not".to_owned()
            }
            _ => {
                let done = ground.block_on(markets(ground)?.update(id, true))?;
                let what = if done.changed { "updated" } else { "unchanged" };
                [vec![format!("{id}: {what}, {}", pluralize(done.plugins, "plugin"))], done.notes].concat().join("; ")
            }
        }))
    }
}

/// Returns what is known of a marketplace, if it is there.
fn market_facts(ground: &AppContext, name: &str) -> Result<Option<Vec<Fact>>, String> {
    let (statuses, _) = markets(ground)?.statuses().map_err(|e| error_line(&e))?;
    let market = statuses.iter().map(MarketSummary::new).find(|market| market.name == name);
    Ok(market.map(|market| {
        let mut facts = vec![Fact::title(market.name), Fact::new("from", market.source)];
        facts.extend(market.official.then(|| Fact::new("", "one of Anthropic's own")));
        facts.extend(market.revision.map(|revision| Fact::new("revision", revision)));
        facts
    }))
}

/// Returns what is known of a registry, if it is there.
fn registry_facts(ground: &AppContext, id: &str) -> Result<Option<Vec<Fact>>, String> {
    let registry = registries(ground)?.into_iter().find(|registry| registry.id == id);
    Ok(registry.map(|registry| {
        let mut facts = vec![Fact::title(registry.id)];
        facts.extend(
            registry.fetched_at_ms.map(|time| Fact::new("copy", format!("made {}", format_ago(elapsed_since(time))))),
        );
        facts.extend(registry.problem.map(|problem| Fact::new("problem", problem).with_tone(TextStyle::Bad)));
        facts
    }))
}

/// Returns a marketplace in the list.
pub(super) fn market_row(market: &MarketSummary) -> Row {
    let (state, tone) = match (market.enabled, market.plugins) {
        (false, _) => ("off", TextStyle::Plain),
        (true, None) => ("not fetched", TextStyle::Warn),
        (true, Some(_)) => ("marketplace", TextStyle::Good),
    };
    let fetched = market.fetched_at.as_deref().and_then(elapsed_since_rfc3339);
    let cells = [
        market.name.clone(),
        state.to_owned(),
        market.plugins.map(|count| pluralize(count, "plugin")).unwrap_or_default(),
        fetched.map(format_ago).unwrap_or_default(),
        market.source.clone(),
    ];
    Row::new(market.name.clone(), tone, "ud", cells)
}

/// Returns a registry in the list.
pub(super) fn registry_row(registry: &RegistryInfo) -> Row {
    let (state, tone) = match (registry.enabled, &registry.problem) {
        (false, _) => ("off", TextStyle::Plain),
        (true, Some(_)) => ("out of date", TextStyle::Warn),
        (true, None) => ("registry", TextStyle::Good),
    };
    let cells = [
        registry.id.clone(),
        state.to_owned(),
        "MCP servers".to_owned(),
        registry.fetched_at_ms.map(elapsed_since).map(format_ago).unwrap_or_default(),
        registry.problem.clone().unwrap_or_default(),
    ];
    Row::new(format!("{REGISTRY_ID_PREFIX}{}", registry.id), tone, if registry.enabled { "u" } else { "" }, cells)
}
