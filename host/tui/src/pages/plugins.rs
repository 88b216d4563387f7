//! Plugins of the marketplaces: what they bring, installing and removing them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use aiw_app::plugins::{self, PluginRequest};
use aiw_markets::{MarketError, Markets, OnConflict, PluginDetails, PluginMatch, PluginQuery, PluginServerDetails};
use parking_lot::Mutex;

use crate::context::AppContext;
use crate::page::{Action, Column, Detail, Facet, HiddenRows, ListContent, Outcome, Page, PageDescriptor, Row, Search};
use crate::paint::{Fact, TextStyle};
use crate::progress::error_line;
use crate::prompter::TuiPrompter;
use crate::text::clean;

/// The maximum number of characters in a name.
const MAX_NAME_LEN: usize = 120;
/// The maximum number of characters of what a search covers besides names.
const MAX_TEXT_LEN: usize = 2_000;
/// The maximum number of servers, notes or kinds that are shown for one plugin.
const MAX_ITEMS: usize = 100;

/// The page of plugins.
pub(crate) struct PluginsPage {
    ground: Arc<AppContext>,
    /// What is known of each plugin, by its id, since the list was read.
    facts: Mutex<HashMap<String, Vec<Fact>>>,
    is_reconciled: OnceLock<()>,
}

/// A plugin, as it is shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plugin {
    /// `name@market`.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) market: String,
    pub(crate) version: Option<String>,
    pub(crate) description: String,
    pub(crate) author: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) category: Option<String>,
    /// The kinds of content: `mcp`, `skills` and so on; none if the plugin is not inspected yet.
    pub(crate) kinds: Option<Vec<String>>,
    pub(crate) source: String,
    pub(crate) homepage: Option<String>,
    /// The MCP servers that it brings, a line each.
    pub(crate) servers: Vec<String>,
    pub(crate) notes: Vec<String>,
    /// Why it can't be installed.
    pub(crate) broken_reason: Option<String>,
    pub(crate) is_installed: bool,
    /// Whether its servers are in use, if it is installed.
    pub(crate) is_enabled: bool,
}

/// The screen in words.
pub(super) static PAGE: PageDescriptor = PageDescriptor {
    title: "Plugins",
    slug: "plugins",
    cli_command: "aiw plugin search",
    columns: &[
        Column::new("NAME"),
        Column::state("STATE"),
        Column::optional("MARKET"),
        Column::optional("CATEGORY"),
        Column::new("BRINGS"),
    ],
    empty_message: "No plugins: `aiw plugin marketplace update`, or u on the Sources screen, fetches their lists; `add`, or n there, adds a marketplace",
    actions: &[
        Action::new('i', "install", "install it: shows what it would add, then asks"),
        Action::new('d', "remove", "remove it with everything that it added: asks")
            .with_confirmation("Remove {} with everything that it added? (y/N)"),
        Action::new('e', "on/off", "use its servers, or leave them aside"),
    ],
    search: Search::Fuzzy,
    facets: &[
        Facet { key: 'm', name: "market", help: "market: each in turn" },
        Facet { key: 'c', name: "category", help: "category: each in turn" },
        Facet { key: 't', name: "kind", help: "kind of what plugins bring: each in turn" },
    ],
    hidden_rows: Some(HiddenRows {
        key: 'a',
        help: "all plugins, or those with MCP servers or not inspected yet",
        shown: "with MCP servers or not inspected yet",
    }),
    has_failed_first: false,
    ..PageDescriptor::EMPTY
};

impl PluginsPage {
    pub(crate) fn new(ground: Arc<AppContext>) -> Self {
        Self { ground, facts: Mutex::default(), is_reconciled: OnceLock::new() }
    }

    /// Returns the marketplaces. What other commands left half done is finished first.
    fn markets(&self) -> Result<Markets, String> {
        let markets = self.ground.client.markets().map_err(|e| error_line(&e))?;
        if self.is_reconciled.get().is_none() {
            self.ground.block_on(markets.reconcile())?;
            self.is_reconciled.get_or_init(|| ());
        }
        Ok(markets)
    }

    /// Takes plugins in, sorted by name and then by market.
    pub(crate) fn content(&self, plugins: Vec<Plugin>) -> ListContent {
        let mut shown: Vec<(Row, Vec<Fact>)> = plugins.iter().map(|plugin| (row(plugin), facts(plugin))).collect();
        shown.sort_by_cached_key(|(row, _)| [0, 2].map(|at| row.cells.get(at).map(|cell| cell.to_lowercase())));
        let ids = shown.iter().map(|(row, _)| row.id.clone()).collect::<Vec<_>>();
        let (rows, facts): (Vec<Row>, Vec<Vec<Fact>>) = shown.into_iter().unzip();
        *self.facts.lock() = ids.into_iter().zip(facts).collect();
        ListContent::new(rows, [])
    }
}

impl Page for PluginsPage {
    fn descriptor(&self) -> &'static PageDescriptor {
        &PAGE
    }

    fn list(&self, _: &str) -> Result<ListContent, String> {
        let query = PluginQuery { all: true, ..PluginQuery::default() };
        let found = self.markets()?.search(&query).map_err(|e| error_line(&e))?;
        Ok(self.content(found.plugins.iter().map(plugin).collect()))
    }

    fn detail(&self, id: &str) -> Detail {
        match self.facts.lock().get(id) {
            Some(facts) => Detail::new(facts.clone()),
            None => Detail::from_error("it is gone"),
        }
    }

    fn run_action(&self, key: char, id: &str, person: &TuiPrompter) -> Result<Outcome, String> {
        let (ground, markets) = (&*self.ground, self.markets()?);
        // Where two servers have one name, the plugin's gets another.
        let on_conflict = Some(OnConflict::Rename);
        let request = PluginRequest { names: vec![id.to_owned()], on_conflict, ..PluginRequest::default() };
        match key {
            'i' => finish(ground.block_on(plugins::install(&markets, &request, person, person))?, person),
            'd' => finish(ground.block_on(plugins::remove(&markets, &request.names, person))?, person),
            _ => {
                let own = markets.find_installed(id).map_err(|e| error_line(&e))?;
                let installed = markets.home().plugins().and_then(|plugins| plugins.get(&own));
                let is_on = installed.map_err(|e| error_line(&e))?.is_some_and(|plugin| plugin.enabled);
                finish(ground.block_on(plugins::switch(&markets, &request, !is_on, person))?, person)
            }
        }
    }
}

/// Returns what a verb told, or its error.
fn finish<T>((_, error): (T, Option<MarketError>), person: &TuiPrompter) -> Result<Outcome, String> {
    match error {
        Some(error) => Err(error_line(&error)),
        None => person.finish(|| "nothing was changed".to_owned()).map(Outcome::Message),
    }
}

fn plugin(found: &PluginMatch) -> Plugin {
    let (listed, PluginDetails { summary, skipped: left_out, .. }) = (&found.listing_entry, PluginDetails::new(found));
    let missing = found.id().into_iter().flat_map(|id| found.missing.iter().map(move |one| one.advice(&id)));
    let server = |server: PluginServerDetails| {
        format!("{} ({}) {}", server.summary.name, server.summary.transport, server.target)
    };
    Plugin {
        id: summary.id,
        name: summary.name,
        market: summary.marketplace,
        version: summary.version,
        description: summary.description.unwrap_or_default(),
        author: summary.author,
        tags: summary.tags,
        category: summary.category,
        // A broken plugin brings nothing: it is not among those with servers.
        kinds: listed.inspection.as_ref().map(|_| found.kinds()).or_else(|| listed.broken_reason().map(|_| Vec::new())),
        source: summary.source.unwrap_or_default(),
        homepage: listed.entry.text("homepage"),
        servers: summary.mcp_servers.into_iter().flatten().map(server).collect(),
        notes: missing.chain(left_out).collect(),
        broken_reason: listed.broken_reason().map(str::to_owned),
        is_installed: summary.installed,
        is_enabled: summary.enabled,
    }
}

fn kinds(plugin: &Plugin) -> Vec<String> {
    plugin.kinds.iter().flatten().take(MAX_ITEMS).map(|kind| clean(kind, 40)).collect()
}

/// Returns a plugin in the list.
pub(crate) fn row(plugin: &Plugin) -> Row {
    let kinds = kinds(plugin);
    let category: Vec<String> = plugin.category.iter().map(|category| clean(category, MAX_NAME_LEN)).collect();
    let (state, tone) = match (&plugin.broken_reason, plugin.is_installed, plugin.is_enabled) {
        (Some(_), ..) => ("! broken", TextStyle::Bad),
        (None, true, true) => ("✓ enabled", TextStyle::Good),
        (None, true, false) => ("• disabled", TextStyle::Plain),
        (None, false, _) => ("", TextStyle::Plain),
    };
    let keys = match (plugin.is_installed, &plugin.broken_reason) {
        (true, _) => "de",
        (false, None) => "i",
        (false, Some(_)) => "",
    };
    let cells = [
        clean(&plugin.name, MAX_NAME_LEN),
        state.to_owned(),
        clean(&plugin.market, MAX_NAME_LEN),
        category.concat(),
        if plugin.kinds.is_some() { kinds.join(" ") } else { "?".to_owned() },
    ];
    let serves = plugin.kinds.is_none() || !plugin.servers.is_empty() || kinds.iter().any(|kind| kind == "mcp");
    let mut words = vec![plugin.market.clone(), category.concat(), kinds.join(" ")];
    words.extend(plugin.servers.iter().take(MAX_ITEMS).cloned());
    words.push(plugin.description.clone());
    Row {
        facets: vec![vec![clean(&plugin.market, MAX_NAME_LEN)], category, kinds],
        search_text: clean(&words.join(" "), 2 * MAX_TEXT_LEN),
        is_hidden: !serves,
        ..Row::new(plugin.id.clone(), tone, keys, cells)
    }
}

/// Returns what is known of a plugin.
pub(crate) fn facts(plugin: &Plugin) -> Vec<Fact> {
    let mut facts = vec![Fact::title(&plugin.id)];
    if let Some(reason) = &plugin.broken_reason {
        facts.push(Fact::new("", format!("! broken: {reason}")).with_tone(TextStyle::Bad));
    }
    let mut fact = |label, text: &str| {
        if !text.is_empty() {
            facts.push(Fact::new(label, text));
        }
    };
    fact("", &plugin.description);
    fact(
        "state",
        match (plugin.is_installed, plugin.is_enabled) {
            (true, true) => "installed, enabled",
            (true, false) => "installed, disabled",
            (false, _) => "not installed",
        },
    );
    fact("version", plugin.version.as_deref().unwrap_or_default());
    fact("author", plugin.author.as_deref().unwrap_or_default());
    fact("category", plugin.category.as_deref().unwrap_or_default());
    fact("tags", &plugin.tags.join(", "));
    fact(
        "brings",
        &match plugin.kinds.as_deref() {
            None => "not inspected yet".to_owned(),
            Some([]) => "nothing".to_owned(),
            Some(_) => kinds(plugin).join(", "),
        },
    );
    fact("source", &plugin.source);
    fact("homepage", plugin.homepage.as_deref().unwrap_or_default());
    for (at, server) in plugin.servers.iter().take(MAX_ITEMS).enumerate() {
        fact(if at == 0 { "servers" } else { "" }, server);
    }
    if plugin.servers.len() > MAX_ITEMS {
        fact("", &format!("… and {} more", plugin.servers.len() - MAX_ITEMS));
    }
    for (at, note) in plugin.notes.iter().take(MAX_ITEMS).enumerate() {
        fact(if at == 0 { "notes" } else { "" }, note);
    }
    facts
}
