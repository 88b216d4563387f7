//! A [`Plugin`] prepared for display: every string is cleaned once, when the list is read, instead of in every frame.

use super::model::Plugin;
use crate::paint::{Fact, TextStyle};
use crate::text::clean;

/// The maximum number of characters in a name in the list.
const MAX_NAME_LEN: usize = 120;
/// The maximum number of characters in a description, a target or a note.
const MAX_TEXT_LEN: usize = 2_000;
/// The maximum number of servers, notes or kinds that are shown for one plugin.
const MAX_ITEMS: usize = 100;

/// The mark before a name in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowMark {
    None,
    Enabled,
    Disabled,
    Broken,
}

/// A row of the list with its details.
#[derive(Debug)]
pub(crate) struct Row {
    /// The id for the backend. It is never shown.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) name: String,
    pub(crate) market: String,
    pub(crate) category: Option<String>,
    pub(crate) kinds: Vec<String>,
    pub(crate) badges: String,
    pub(crate) mark: RowMark,
    pub(crate) installed: bool,
    pub(crate) enabled: bool,
    pub(crate) broken_reason: Option<String>,
    /// Whether it is known what the plugin brings.
    pub(crate) inspected: bool,
    /// Whether the plugin brings an MCP server, or might bring one because it is not inspected yet.
    pub(crate) may_have_servers: bool,
    pub(crate) facts: Vec<Fact>,
    /// The text that the search covers besides the name.
    pub(crate) search_text: String,
}

impl Row {
    // Long: one arm for each kind of row.
    pub(crate) fn new(plugin: Plugin) -> Self {
        let inspected = plugin.kinds.is_some();
        let kinds: Vec<String> =
            plugin.kinds.unwrap_or_default().iter().take(MAX_ITEMS).map(|kind| clean(kind, 40)).collect();
        let title = clean(&plugin.id, MAX_NAME_LEN);
        let name = clean(&plugin.name, MAX_NAME_LEN);
        let market = clean(&plugin.market, MAX_NAME_LEN);
        let category =
            plugin.category.as_deref().map(|category| clean(category, MAX_NAME_LEN)).filter(|c| !c.is_empty());
        let description = clean(&plugin.description, MAX_TEXT_LEN);
        let broken = plugin.broken_reason.as_deref().map(|reason| clean(reason, MAX_TEXT_LEN));
        let serves = !inspected || !plugin.servers.is_empty() || kinds.iter().any(|kind| kind == "mcp");
        let mark = match (&broken, plugin.installed, plugin.enabled) {
            (Some(_), ..) => RowMark::Broken,
            (None, true, true) => RowMark::Enabled,
            (None, true, false) => RowMark::Disabled,
            (None, false, _) => RowMark::None,
        };

        let mut facts = Vec::with_capacity(8 + plugin.servers.len().min(MAX_ITEMS) + plugin.notes.len().min(MAX_ITEMS));
        let mut fact = |label, text: String, tone| {
            if !text.is_empty() {
                facts.push(Fact { label, text, tone });
            }
        };
        fact("", title.clone(), TextStyle::Title);
        if let Some(reason) = &broken {
            fact("", format!("! broken: {reason}"), TextStyle::Bad);
        }
        fact("", description.clone(), TextStyle::Plain);
        let (state, tone) = match (plugin.installed, plugin.enabled) {
            (true, true) => ("installed, enabled", TextStyle::Good),
            (true, false) => ("installed, disabled", TextStyle::Plain),
            (false, _) => ("not installed", TextStyle::Plain),
        };
        fact("state", state.to_owned(), tone);
        fact(
            "version",
            plugin.version.as_deref().map(|v| clean(v, MAX_NAME_LEN)).unwrap_or_default(),
            TextStyle::Plain,
        );
        fact(
            "author",
            plugin.author.as_deref().map(|author| clean(author, MAX_NAME_LEN)).unwrap_or_default(),
            TextStyle::Plain,
        );
        fact("category", category.clone().unwrap_or_default(), TextStyle::Plain);
        fact("tags", clean(&plugin.tags.join(", "), MAX_TEXT_LEN), TextStyle::Plain);
        let brings = if inspected && kinds.is_empty() {
            "nothing".to_owned()
        } else if inspected {
            kinds.join(", ")
        } else {
            "not inspected yet".to_owned()
        };
        fact("brings", brings, TextStyle::Plain);
        fact("source", clean(&plugin.source, MAX_TEXT_LEN), TextStyle::Plain);
        fact(
            "homepage",
            plugin.homepage.as_deref().map(|h| clean(h, MAX_TEXT_LEN)).unwrap_or_default(),
            TextStyle::Plain,
        );
        let mut words = format!("{market} {} {} {description}", category.as_deref().unwrap_or(""), kinds.join(" "));
        for (at, server) in plugin.servers.iter().take(MAX_ITEMS).enumerate() {
            let server_name = clean(&server.name, MAX_NAME_LEN);
            words.push(' ');
            words.push_str(&server_name);
            let label = if at == 0 { "servers" } else { "" };
            let line =
                format!("{server_name} ({}) {}", clean(&server.transport, 40), clean(&server.target, MAX_TEXT_LEN));
            fact(label, line, TextStyle::Plain);
        }
        if plugin.servers.len() > MAX_ITEMS {
            fact("", format!("… and {} more", plugin.servers.len() - MAX_ITEMS), TextStyle::Plain);
        }
        for (at, note) in plugin.notes.iter().take(MAX_ITEMS).enumerate() {
            fact(if at == 0 { "notes" } else { "" }, clean(note, MAX_TEXT_LEN), TextStyle::Plain);
        }

        Self {
            id: plugin.id,
            title,
            name,
            market,
            category,
            badges: if inspected { kinds.join(" ") } else { "?".to_owned() },
            kinds,
            mark,
            installed: plugin.installed,
            enabled: plugin.enabled,
            broken_reason: broken,
            inspected,
            may_have_servers: serves,
            facts,
            search_text: words,
        }
    }

    /// Converts the plugins to rows, sorted by name and then by market.
    pub(crate) fn from_plugins(plugins: Vec<Plugin>) -> Vec<Self> {
        let mut entries: Vec<Self> = plugins.into_iter().map(Self::new).collect();
        entries.sort_by_cached_key(|entry| (entry.name.to_lowercase(), entry.market.to_lowercase()));
        entries
    }
}
