//! Plugins and marketplaces as programs see them.

use aiw_core::PluginId;
use aiw_home::InstalledPlugin;
use aiw_servers::Transport;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Found, MarketStatus};

/// A marketplace in a list.
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
    /// False if it has a name of Anthropic's but another source
    pub official: bool,
}

impl MarketSummary {
    /// What lists show of a marketplace.
    pub fn of(status: &MarketStatus) -> Self {
        let listing = status.listing.as_ref();
        Self {
            name: status.market.name.to_string(),
            // A query may hold a key.
            source: aiw_core::without_query(&status.market.source()).into_owned(),
            revision: listing.map(|listing| listing.revision.clone()),
            plugins: listing.map(|listing| listing.plugins.len()),
            enabled: status.market.enabled,
            not_inspected: listing.map(crate::Listing::not_inspected),
            fetched_at: listing.map(|listing| listing.fetched_at.clone()),
            official: !status.not_official(),
        }
    }
}

/// An MCP server of a plugin, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServerSummary {
    /// Its name in the plugin
    pub name: String,
    /// How it is reached
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["stdio", "http", "sse", "ws"]))]
    pub transport: &'static str,
}

/// A plugin in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PluginSummary {
    /// `NAME@MARKETPLACE`
    pub id: String,
    /// Its name
    pub name: String,
    /// The marketplace that lists it
    pub marketplace: String,
    /// Its version, as far as it is known
    pub version: Option<String>,
    /// What its author says about it
    pub description: Option<String>,
    /// Its category in the marketplace
    pub category: Option<String>,
    /// Where its files come from
    pub source: Option<String>,
    /// Its MCP servers; null if aiw has not inspected it, or could not
    pub mcp_servers: Option<Vec<ServerSummary>>,
    /// What else it brings: `skills`, `commands`, `agents`, `hooks`, `lsp`; null if aiw has not seen its files
    pub brings: Option<Vec<String>>,
    /// Whether it is installed
    pub installed: bool,
    /// Whether its servers are in mcp.json
    pub enabled: bool,
    /// Why you can't install it
    pub broken: Option<String>,
}

impl PluginSummary {
    /// What lists show of a plugin.
    pub fn of(found: &Found) -> Self {
        let listed = &found.listed;
        let inspection = listed.inspection.as_ref().filter(|_| listed.broken().is_none());
        let servers = inspection.map(|inspection| {
            let server =
                |s: &aiw_servers::Server| ServerSummary { name: s.name.clone(), transport: s.transport.as_str() };
            inspection.servers.iter().map(server).collect()
        });
        Self {
            id: found.id().map_or_else(|| format!("{}@{}", listed.entry.name, found.market), |id| id.to_string()),
            name: listed.entry.name.clone(),
            marketplace: found.market.to_string(),
            version: listed.version(),
            description: listed.description(),
            category: listed.entry.text("category"),
            source: listed.entry.content.as_ref().ok().map(|usable| usable.source.describe()),
            mcp_servers: servers,
            brings: inspection.and_then(|inspection| inspection.brings.clone()),
            installed: found.installed.is_some(),
            enabled: found.installed.as_ref().is_some_and(|record| record.enabled),
            broken: listed.broken().or(listed.refused()).map(str::to_owned),
        }
    }

    /// The same of an installed plugin that its marketplace no longer lists.
    pub fn of_installed(id: &PluginId, record: &InstalledPlugin) -> Self {
        let transport = |server: &aiw_home::AddedServer| {
            server.written.as_object().and_then(|written| Transport::of(written).ok()).unwrap_or(Transport::Stdio)
        };
        let servers = record.servers.iter();
        let servers = servers.map(|s| ServerSummary { name: s.name.clone(), transport: transport(s).as_str() });
        Self {
            id: id.to_string(),
            name: id.name.to_string(),
            marketplace: id.market.to_string(),
            version: Some(record.version.clone()),
            description: None,
            category: None,
            source: Some(record.source.clone()),
            mcp_servers: Some(servers.collect()),
            brings: None,
            installed: true,
            enabled: record.enabled,
            broken: None,
        }
    }
}
