//! Plugins and marketplaces as programs see them.

use std::collections::BTreeMap;

use aiw_core::PluginId;
use aiw_home::{Home, InstalledPlugin};
use aiw_servers::Transport;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{MarketStatus, MissingValue, PluginInstallation, PluginMatch, SearchResult};

/// A marketplace in a list.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MarketSummary {
    /// Its name
    pub name: String,
    /// Where it comes from: `github:OWNER/REPO`, a URL or a path
    pub source: String,
    /// The revision that was fetched; null until the marketplace is fetched
    pub revision: Option<String>,
    /// How many plugins it lists
    pub plugins: Option<usize>,
    /// Whether it is used
    pub enabled: bool,
    /// How many of its plugins were not inspected
    pub not_inspected: Option<usize>,
    /// When it was fetched
    pub fetched_at: Option<String>,
    /// Whether it is one of Anthropic's own: a repository under github.com/anthropics
    pub official: bool,
}

impl MarketSummary {
    /// Returns the fields of lists for a marketplace.
    pub fn new(status: &MarketStatus) -> Self {
        let listing = status.listing.as_ref();
        Self {
            name: status.market.name.to_string(),
            // A query may hold a key.
            source: aiw_core::without_query(&status.market.source()).into_owned(),
            revision: listing.map(|listing| listing.revision.clone()),
            plugins: listing.map(|listing| listing.plugins.len()),
            enabled: status.market.enabled,
            not_inspected: listing.map(crate::MarketListing::uninspected_count),
            fetched_at: listing.map(|listing| listing.fetched_at.clone()),
            official: status.is_official(),
        }
    }
}

/// An MCP server of a plugin, by name.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServerSummary {
    /// Its name in the plugin
    pub name: String,
    /// How it is reached
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["stdio", "http", "sse", "ws"]))]
    pub transport: &'static str,
}

/// A plugin in a list, with as much of its servers as `S` holds.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PluginSummary<S = ServerSummary> {
    /// `NAME@MARKETPLACE`
    pub id: String,
    /// Its name
    pub name: String,
    /// The marketplace that lists it
    pub marketplace: String,
    /// Its version, as far as it is known
    pub version: Option<String>,
    /// Its author's description
    pub description: Option<String>,
    /// Its author's name
    pub author: Option<String>,
    /// Its category in the marketplace
    pub category: Option<String>,
    /// Its tags and keywords in the marketplace
    pub tags: Vec<String>,
    /// Where its files come from
    pub source: Option<String>,
    /// Its MCP servers; null if aiw has not inspected it, or could not
    pub mcp_servers: Option<Vec<S>>,
    /// Its other contents: `skills`, `commands`, `agents`, `hooks`, `lsp`; null if aiw has not seen its files
    pub contents: Option<Vec<String>>,
    /// Whether it is installed
    pub installed: bool,
    /// Whether its servers are in mcp.json
    pub enabled: bool,
    /// The values that its servers need and that are not set, as `--env` names them; empty unless it is installed
    pub missing_env: Vec<String>,
    /// Why you can't install it
    pub broken: Option<String>,
}

impl<S: From<PluginServerDetails>> PluginSummary<S> {
    /// A plugin of a listing.
    pub fn new(found: &PluginMatch) -> Self {
        let listed = &found.listing_entry;
        let inspection = listed.inspection.as_ref().filter(|_| listed.broken_reason().is_none());
        let servers =
            inspection.map(|i| i.servers.iter().map(|server| PluginServerDetails::of(server).into()).collect());
        Self {
            id: found.display_id(),
            name: listed.entry.name.clone(),
            marketplace: found.market.to_string(),
            version: listed.version(),
            description: listed.description(),
            author: listed.author(),
            category: listed.entry.text("category"),
            tags: listed.entry.search_terms(),
            source: listed.entry.content.as_ref().ok().map(|usable| usable.source.describe()),
            mcp_servers: servers,
            contents: inspection.and_then(|inspection| inspection.contents.clone()),
            installed: found.installed.is_some(),
            enabled: found.installed.as_ref().is_some_and(|record| record.enabled),
            missing_env: found.missing.iter().map(|missing| missing.name.clone()).collect(),
            broken: listed.broken_reason().or(listed.rejection_reason()).map(str::to_owned),
        }
    }
}

impl PluginSummary {
    /// An installed plugin that its marketplace no longer lists.
    pub fn from_installed(id: &PluginId, record: &InstalledPlugin, home: &Home) -> Self {
        let transport = |server: &aiw_home::AddedServer| {
            server
                .written
                .as_object()
                .and_then(|written| Transport::from_declaration(written).ok())
                .unwrap_or(Transport::Stdio)
        };
        let servers = record.servers.iter();
        let servers = servers.map(|s| ServerSummary { name: s.name.clone(), transport: transport(s).as_str() });
        Self {
            id: id.to_string(),
            name: id.name.to_string(),
            marketplace: id.market.to_string(),
            version: Some(record.version.clone()),
            description: None,
            author: None,
            category: None,
            tags: Vec::new(),
            source: Some(record.source.clone()),
            mcp_servers: Some(servers.collect()),
            contents: None,
            installed: true,
            enabled: record.enabled,
            missing_env: MissingValue::collect(record, &BTreeMap::new(), home)
                .into_iter()
                .map(|missing| missing.name)
                .collect(),
            broken: None,
        }
    }
}

/// An MCP server of a plugin, with what it does.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PluginServerDetails {
    /// Its name and how it is reached.
    #[serde(flatten)]
    pub summary: ServerSummary,
    /// The command that it runs, or its address
    pub target: String,
    /// Anything else in its declaration, a few words each
    pub details: Vec<String>,
    /// The variables and options that it reads
    pub reads: Vec<String>,
}

impl PluginServerDetails {
    fn of(server: &aiw_servers::DeclaredServer) -> Self {
        Self {
            summary: ServerSummary { name: server.name.clone(), transport: server.transport.as_str() },
            target: server.target(),
            details: server.details(),
            reads: server.referenced_names(),
        }
    }
}

impl From<PluginServerDetails> for ServerSummary {
    fn from(details: PluginServerDetails) -> Self {
        details.summary
    }
}

/// A plugin with everything known about it.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PluginDetails {
    /// The fields of lists, with its servers in full.
    #[serde(flatten)]
    pub summary: PluginSummary<PluginServerDetails>,
    /// The commit that was inspected
    pub commit: Option<String>,
    /// The parts that aiw leaves out, one sentence each
    pub skipped: Vec<String>,
    /// The installed version
    pub installed_version: Option<String>,
    /// Its keys in mcp.json
    pub keys: Vec<String>,
}

impl PluginDetails {
    /// All that is known of a plugin.
    pub fn new(found: &PluginMatch) -> Self {
        let inspection = found.listing_entry.inspection.as_ref();
        let record = found.installed.as_ref();
        Self {
            summary: PluginSummary::new(found),
            commit: inspection.and_then(|inspection| inspection.commit.as_ref().map(ToString::to_string)),
            skipped: inspection.map(|inspection| inspection.skipped.clone()).unwrap_or_default(),
            installed_version: record.map(|record| record.version.clone()),
            keys: record.map(|r| r.servers.iter().map(|server| server.key.clone()).collect()).unwrap_or_default(),
        }
    }
}

/// The plugins that a search found.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SearchSummary {
    /// Best first
    pub plugins: Vec<PluginSummary>,
    /// How many more match
    pub hidden: HiddenPlugins,
    /// The marketplaces that were never fetched
    pub not_fetched: Vec<String>,
}

/// How many plugins match a search, but are not shown.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HiddenPlugins {
    /// The number of plugins without an MCP server
    pub without_servers: usize,
    /// The number of plugins that aiw has not inspected yet
    pub not_inspected: usize,
    /// The number of plugins that you can't install
    pub broken: usize,
}

impl SearchSummary {
    /// Returns the fields of a search's result.
    pub fn new(result: &SearchResult) -> Self {
        Self {
            plugins: result.plugins.iter().map(PluginSummary::new).collect(),
            hidden: HiddenPlugins {
                without_servers: result.without_servers,
                not_inspected: result.not_inspected,
                broken: result.broken,
            },
            not_fetched: result.not_fetched.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A plugin that was installed, or that was already installed.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InstalledSummary {
    /// `NAME@MARKETPLACE`
    pub id: String,
    /// Its version
    pub version: String,
    /// The commit that it was installed from
    pub commit: Option<String>,
    /// Its keys in mcp.json; none while it is disabled
    pub servers: Vec<String>,
    /// The values that its servers need and that are not set, as `--env` names them
    pub missing_env: Vec<String>,
    /// Differences from the plan, one sentence each
    pub notes: Vec<String>,
    /// Whether it was already installed
    pub unchanged: bool,
}

impl InstalledSummary {
    /// Returns the report of an install or update.
    pub fn new(installed: &PluginInstallation) -> Self {
        let record = &installed.record;
        let servers = record.servers.iter().filter(|server| !server.skipped && record.enabled);
        Self {
            id: installed.id.to_string(),
            version: record.version.clone(),
            commit: record.commit.as_ref().map(ToString::to_string),
            servers: servers.map(|server| server.key.clone()).collect(),
            missing_env: installed.missing.iter().map(|missing| missing.name.clone()).collect(),
            notes: installed.notes.clone(),
            unchanged: installed.unchanged,
        }
    }
}

/// A plugin that was updated.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UpdatedSummary {
    /// The plugin as it is now.
    #[serde(flatten)]
    pub plugin: InstalledSummary,
    /// The version before
    pub from: String,
}
