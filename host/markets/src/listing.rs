//! The cached listing of a marketplace: what `list` and `search` read, and nothing else.

use std::collections::BTreeMap;

use aiw_core::{MarketName, PluginId};
use aiw_home::{Home, HomeError, Lock, MarketSettings, Mode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::document::{MarketDocument, PluginEntry};
use crate::inspect::Inspection;
use crate::source::PluginSource;

/// A listing in another format is fetched again.
const FORMAT_VERSION: u32 = 1;

/// The longest listing that aiw reads.
const MAX_BYTES: u64 = 64 << 20;

/// A marketplace as last fetched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MarketListing {
    format: u32,
    /// The source that it came from; if the settings name another, the listing is invalid.
    source: String,
    /// The name in the document.
    pub document_name: Option<String>,
    /// The revision of the document.
    pub revision: String,
    /// RFC 3339.
    pub fetched_at: String,
    /// Old name → new name.
    pub renames: BTreeMap<String, Option<String>>,
    /// Problems of the document, one sentence each.
    pub problems: Vec<String>,
    /// The entries.
    pub plugins: Vec<ListingEntry>,
}

/// One entry of a listing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListingEntry {
    /// As the document has it.
    pub entry: PluginEntry,
    /// Its contents; none until it is inspected.
    pub inspection: Option<Inspection>,
}

impl ListingEntry {
    /// Why the plugin can't be used.
    pub fn broken_reason(&self) -> Option<&str> {
        match &self.entry.content {
            Err(problem) => Some(problem),
            Ok(_) => self.inspection.as_ref()?.broken.as_deref(),
        }
    }

    /// Why it is shown but can't be installed: the reason given for its source form, as a sentence.
    pub fn rejection_reason(&self) -> Option<&str> {
        match &self.entry.content.as_ref().ok()?.source {
            PluginSource::Refused { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Whether it brings MCP servers; none if unknown.
    pub fn has_servers(&self) -> Option<bool> {
        if self.broken_reason().is_some() || self.rejection_reason().is_some() {
            return Some(false);
        }
        Some(!self.inspection.as_ref()?.servers.is_empty())
    }

    /// plugin.json's version, else the entry's.
    pub fn version(&self) -> Option<String> {
        let inspected = self.inspection.as_ref().and_then(|i| i.version.clone());
        inspected.or_else(|| self.entry.text("version"))
    }

    /// The entry's description, else plugin.json's.
    pub fn description(&self) -> Option<String> {
        self.entry.text("description").or_else(|| self.inspection.as_ref()?.description.clone())
    }

    /// The entry's author, else plugin.json's.
    pub fn author(&self) -> Option<String> {
        self.entry.author().or_else(|| self.inspection.as_ref()?.author.clone())
    }

    /// The plugin's id in a market; none for an entry without a usable name.
    pub fn id(&self, market: &MarketName) -> Option<PluginId> {
        let usable = self.entry.content.as_ref().ok()?;
        Some(PluginId { name: usable.name.clone(), market: market.clone() })
    }
}

impl MarketListing {
    /// A listing of a document that was just fetched.
    pub fn new(market: &MarketSettings, document: MarketDocument, revision: String) -> Self {
        Self {
            format: FORMAT_VERSION,
            source: identity(market),
            document_name: document.name,
            revision,
            fetched_at: aiw_home::now_rfc3339(),
            renames: document.renames,
            problems: document.problems,
            plugins: document.entries.into_iter().map(|entry| ListingEntry { entry, inspection: None }).collect(),
        }
    }

    /// The cached listing; none if it is missing, damaged, outdated or from another source.
    pub fn load(home: &Home, market: &MarketSettings) -> Result<Option<Self>, HomeError> {
        let Ok(Some(bytes)) = aiw_home::read_capped(&home.market_cache(&market.name), MAX_BYTES) else {
            return Ok(None);
        };
        let listing: Option<Self> = serde_json::from_slice(&bytes).ok();
        let usurped =
            |listed: &ListingEntry| listed.entry.content.as_ref().is_ok_and(|usable| usable.source.has_reserved_form());
        Ok(listing
            .filter(|l| l.format == FORMAT_VERSION && l.source == identity(market) && !l.plugins.iter().any(usurped)))
    }

    /// Stores the listing.
    pub fn save(&self, home: &Home, market: &MarketName, _lock: &Lock) -> Result<(), HomeError> {
        let path = home.market_cache(market);
        if let Some(parent) = path.parent() {
            home.make_dir(parent)?;
        }
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        aiw_home::replace(&path, &bytes, Mode::Private)
    }

    /// An entry by name, including broken entries.
    pub fn find(&self, name: &str) -> Option<&ListingEntry> {
        let usable = self.plugins.iter().find(|p| p.entry.name == name && p.entry.content.is_ok());
        usable.or_else(|| self.plugins.iter().find(|p| p.entry.name == name))
    }

    /// Entries that are not inspected yet.
    pub fn uninspected_count(&self) -> usize {
        self.plugins.iter().filter(|p| p.has_servers().is_none()).count()
    }
}

/// A digest of the whole source, including queries and components, because it never needs to be read back.
fn identity(market: &MarketSettings) -> String {
    let extension = market.extension.as_ref().map(ToString::to_string);
    let kind = market.kind.to_string();
    let parts = [Some(&kind), Some(&market.location), market.reference.as_ref(), extension.as_ref()];
    let mut digest = Sha256::new();
    for part in parts {
        // Neither a length nor an absence can be mistaken for text.
        digest.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        digest.update(part.map_or("", String::as_str));
    }
    aiw_core::hex(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_belongs_to_one_source_alone() {
        let market = |kind: &str, location: &str, name: Option<&str>, extension: Option<&str>| {
            identity(&MarketSettings {
                name: "m".parse().unwrap(),
                kind: kind.parse().unwrap(),
                location: location.into(),
                reference: name.map(str::to_owned),
                extension: extension.map(|id| id.parse().unwrap()),
                enabled: true,
            })
        };
        let all = [
            market("url", "https://h/m.json?team=a", None, None),
            market("url", "https://h/m.json?team=b", None, None),
            market("url", "https://h/m.json", None, None),
            market("git", "https://h/m.json", None, None),
            market("git", "https://h/m.json", Some("v1"), None),
            market("git", "https://h/m.json", None, Some("v1")),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert!(all.iter().all(|identity| !identity.contains("team")));
    }
}
