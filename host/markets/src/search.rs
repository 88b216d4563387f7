//! Finding plugins in the cached listings. Reads files only.

use aiw_core::{MarketName, PluginId, is_close};
use aiw_home::{Home, InstalledPlugin, Settings};

use crate::context::{Markets, lookup};
use crate::document::{MarketDocument, ValidEntry};
use crate::error::MarketError;
use crate::listing::ListingEntry;
use crate::market::MarketStatus;
use crate::needs::MissingValue;

/// A search.
#[derive(Debug, Clone, Default)]
pub struct PluginQuery {
    /// Words; a plugin must have all of them.
    pub text: Option<String>,
    /// In one marketplace.
    pub market: Option<String>,
    /// In one category.
    pub category: Option<String>,
    /// Also plugins without MCP servers, and those not inspected yet.
    pub all: bool,
}

/// One plugin of a listing.
#[derive(Debug, Clone)]
pub struct PluginMatch {
    /// Its marketplace.
    pub market: MarketName,
    /// Its entry and inside.
    pub listing_entry: ListingEntry,
    /// Its record, when it is installed.
    pub installed: Option<InstalledPlugin>,
    /// The values that its servers need and that are not set; none unless it is installed.
    pub missing: Vec<MissingValue>,
}

impl PluginMatch {
    /// Returns `mcp` and whatever else it brings; nothing if it is not inspected yet.
    pub fn kinds(&self) -> Vec<String> {
        let Some(inspection) = &self.listing_entry.inspection else { return Vec::new() };
        let mcp = (!inspection.servers.is_empty()).then(|| "mcp".to_owned());
        mcp.into_iter().chain(inspection.contents.clone().unwrap_or_default()).collect()
    }

    fn new(market: MarketName, listed: ListingEntry, installed: Option<InstalledPlugin>, home: &Home) -> Self {
        let options = listed.inspection.as_ref().map(|inspection| inspection.options.clone()).unwrap_or_default();
        let missing =
            installed.as_ref().map(|record| MissingValue::collect(record, &options, home)).unwrap_or_default();
        Self { market, listing_entry: listed, installed, missing }
    }

    /// Its id; none for an entry without a usable name.
    pub fn id(&self) -> Option<PluginId> {
        self.listing_entry.id(&self.market)
    }

    /// Its id for people. That of an entry without a usable name is not valid.
    pub fn display_id(&self) -> String {
        format!("{}@{}", self.listing_entry.entry.name, self.market)
    }

    pub(crate) fn unusable_error(&self, problem: impl Into<String>) -> MarketError {
        MarketError::Unusable { name: self.display_id(), problem: problem.into(), hint: None }
    }

    /// Its name and source, unless they are invalid.
    pub(crate) fn valid_entry(&self) -> Result<&ValidEntry, MarketError> {
        self.listing_entry.entry.content.as_ref().map_err(|problem| self.unusable_error(problem))
    }
}

/// The result of a search, and the number of plugins that it left out.
#[derive(Debug, Default)]
pub struct SearchResult {
    /// Best first.
    pub plugins: Vec<PluginMatch>,
    /// Plugins that match but bring no MCP server.
    pub without_servers: usize,
    /// Plugins that match but are not inspected yet.
    pub not_inspected: usize,
    /// Plugins that match but can't be installed.
    pub broken: usize,
    /// Marketplaces that were never fetched.
    pub not_fetched: Vec<MarketName>,
    /// The marketplaces that the user did not want to fetch.
    pub declined: Vec<MarketName>,
    /// Problems of the settings, one sentence each.
    pub problems: Vec<String>,
}

impl Markets {
    /// One usable market, or all of them; and problems of the settings.
    fn listings(&self, only: Option<&str>) -> Result<(Vec<MarketStatus>, Vec<String>), MarketError> {
        let (mut statuses, problems) = self.statuses()?;
        match only {
            None => statuses.retain(|status| status.market.enabled),
            Some(name) => {
                let settings = self.home.settings()?;
                let known = lookup(&settings, name)?.name.clone();
                statuses.retain(|status| status.market.name == known);
            }
        }
        Ok((statuses, problems))
    }

    /// Searches the listings.
    pub fn search(&self, query: &PluginQuery) -> Result<SearchResult, MarketError> {
        let (listings, problems) = self.listings(query.market.as_deref())?;
        let installed = self.home.plugins()?.all()?;
        let is_declined = !self.home.settings()?.should_offer_default();
        let words: Vec<String> =
            query.text.as_deref().unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
        let mut result = SearchResult { problems, ..SearchResult::default() };
        let mut found: Vec<(u32, PluginMatch)> = Vec::new();
        for MarketStatus { market, listing } in listings {
            let Some(listing) = listing else {
                if is_declined && Settings::is_default(&market) {
                    result.declined.push(market.name.clone());
                }
                result.not_fetched.push(market.name);
                continue;
            };
            for listed in listing.plugins {
                let category = listed.entry.text("category");
                let wanted =
                    query.category.as_ref().is_none_or(|c| category.is_some_and(|own| own.eq_ignore_ascii_case(c)));
                let Some(score) = score(&listed, &words).filter(|_| wanted) else { continue };
                let id = listed.id(&market.name);
                let record = installed.iter().find(|(known, _)| Some(known) == id.as_ref()).map(|(_, p)| p.clone());
                if !query.all {
                    let counter = match (listed.broken_reason().or(listed.rejection_reason()), listed.has_servers()) {
                        (Some(_), _) => Some(&mut result.broken),
                        (None, Some(false)) => Some(&mut result.without_servers),
                        // What is installed was looked into.
                        (None, None) if record.is_none() => Some(&mut result.not_inspected),
                        (None, None | Some(true)) => None,
                    };
                    if let Some(counter) = counter {
                        *counter += 1;
                        continue;
                    }
                }
                found.push((score, PluginMatch::new(market.name.clone(), listed, record, &self.home)));
            }
        }
        found.sort_by(|a, b| {
            let name = |f: &PluginMatch| (f.listing_entry.entry.name.to_lowercase(), f.market.clone());
            b.0.cmp(&a.0).then_with(|| name(&a.1).cmp(&name(&b.1)))
        });
        result.plugins = found.into_iter().map(|(_, found)| found).collect();
        Ok(result)
    }

    /// The plugin that `name` or `name@market` means. `renames` are followed.
    pub fn find(&self, name: &str) -> Result<PluginMatch, MarketError> {
        let (plain, market) = match name.split_once('@') {
            Some((plain, market)) => (plain, Some(market)),
            None => (name, None),
        };
        let (listings, _) = self.listings(market)?;
        let installed = self.home.plugins()?.all()?;
        let mut found = Vec::new();
        let mut similar = Vec::new();
        let mut not_fetched = None;
        // A market's renames apply only to its own plugins.
        let mut problem = None;
        for MarketStatus { market, listing } in listings {
            let Some(listing) = listing else {
                not_fetched = Some(market.name.to_string());
                continue;
            };
            let unusable = |problem: String| MarketError::Unusable { name: name.to_owned(), problem, hint: None };
            let listed = match listing.find(plain) {
                Some(listed) => Some(listed),
                None => match MarketDocument::resolve_rename(&listing.renames, plain) {
                    Ok(Some(new)) => listing.find(&new).filter(|_| new != plain),
                    Ok(None) => {
                        problem.get_or_insert_with(|| unusable("was removed from its marketplace".into()));
                        None
                    }
                    Err(e) => {
                        problem.get_or_insert_with(|| unusable(format!("cannot be followed: {e}")));
                        None
                    }
                },
            };
            match listed {
                Some(listed) => {
                    let id = listed.id(&market.name);
                    let record = installed.iter().find(|(known, _)| Some(known) == id.as_ref()).map(|(_, p)| p.clone());
                    found.push(PluginMatch::new(market.name, listed.clone(), record, &self.home));
                }
                None => {
                    similar.extend(listing.plugins.iter().map(|p| p.entry.name.clone()).filter(|n| alike(n, plain)))
                }
            }
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => match (problem, market, not_fetched) {
                (Some(problem), ..) => Err(problem),
                (None, Some(_), Some(name)) => Err(MarketError::NotFetched { name }),
                (None, _, not_fetched) => {
                    similar.sort();
                    similar.dedup();
                    similar.truncate(3);
                    let place =
                        market.map_or(String::new(), |m| format!(" in marketplace `{}`", aiw_core::one_line(m, 80)));
                    Err(MarketError::UnknownPlugin { name: plain.to_owned(), place, similar, not_fetched })
                }
            },
            _ => {
                let ids = found.iter().filter_map(PluginMatch::id).collect();
                Err(MarketError::Ambiguous { name: plain.to_owned(), ids })
            }
        }
    }

    /// Ids of installed plugins that `name` or `name@market` means.
    pub fn find_installed(&self, name: &str) -> Result<PluginId, MarketError> {
        let all = self.home.plugins()?.all()?;
        let matches = |id: &PluginId| id.to_string() == name || id.name.as_str() == name;
        let mut ids: Vec<PluginId> = all.into_iter().map(|(id, _)| id).filter(matches).collect();
        match ids.len() {
            1 => Ok(ids.remove(0)),
            0 => Err(MarketError::NotInstalled { name: name.to_owned() }),
            _ => Err(MarketError::Ambiguous { name: name.to_owned(), ids }),
        }
    }
}

/// How well a plugin matches: every word must occur, mistyped perhaps; a match in the name counts most.
fn score(listed: &ListingEntry, words: &[String]) -> Option<u32> {
    if words.is_empty() {
        return Some(0);
    }
    let name = listed.entry.name.to_lowercase();
    let description = listed.description().unwrap_or_default().to_lowercase();
    let category = listed.entry.text("category").unwrap_or_default().to_lowercase();
    let tags = listed.entry.search_terms().join(" ").to_lowercase();
    let servers = listed
        .inspection
        .as_ref()
        .map_or(String::new(), |i| i.servers.iter().map(|s| s.name.to_lowercase()).collect::<Vec<_>>().join(" "));
    let parts = || {
        [&name, &tags, &servers, &description].into_iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
    };
    let is_mistyped = |word: &str| is_close(word, &name) || parts().any(|part| is_close(word, part));
    let mut total = 0;
    for word in words {
        let points = match () {
            () if name == *word => 100,
            () if name.split(['-', '_', '.']).any(|part| part == word) => 50,
            () if name.contains(word.as_str()) => 30,
            () if servers.contains(word.as_str()) => 20,
            () if tags.contains(word.as_str()) || category.contains(word.as_str()) => 10,
            () if description.contains(word.as_str()) => 5,
            () if word.chars().count() >= 4 && is_mistyped(word) => 2,
            () => return None,
        };
        total += points;
    }
    Some(total)
}

/// Mistyped, or one contains the other.
fn alike(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    a == b || is_close(&a, &b) || (b.chars().count() >= 4 && a.contains(&b))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::context::testing::markets;

    const ENTRIES: &str = r#"{"name": "m", "plugins": [{"name": "tool", "source": "./tool"}]}"#;

    #[test]
    fn a_name_that_one_market_gave_up_is_found_in_another() {
        let settings = r#"{"extraKnownMarketplaces": {
            "a": {"source": {"source": "github", "repo": "o/a"}},
            "b": {"source": {"source": "github", "repo": "o/b"}}}}"#;
        let gone = r#"{"name": "a", "plugins": [], "renames": {"tool": null, "x": "y", "y": "x"}}"#;
        let (_dir, markets) = markets(settings, &[("a", gone), ("b", ENTRIES)]);
        assert_eq!(markets.find("tool").unwrap().market.as_str(), "b");
        for (name, problem) in
            [("tool@a", "plugin `tool@a` was removed from its marketplace"), ("x", "plugin `x` cannot be followed")]
        {
            let said = markets.find(name).unwrap_err().to_string();
            assert!(said.starts_with(problem), "{said}");
        }
        assert!(matches!(markets.find("z"), Err(MarketError::UnknownPlugin { .. })));
    }

    #[test]
    fn a_market_that_may_not_be_used_is_not_used_by_name_either() {
        let settings = r#"{"extraKnownMarketplaces": {
            "claude-plugins-official": {"source": {"source": "github", "repo": "evil/m"}},
            "anthropic-plugins": {"source": {"source": "acme", "location": "anthropics/x", "extension": "acme"}},
            "off": {"source": {"source": "github", "repo": "o/off"}, "enabled": false}}}"#;
        let named = ["claude-plugins-official", "anthropic-plugins", "off"];
        let (_dir, markets) = markets(settings, &named.map(|name| (name, ENTRIES)));
        assert!(matches!(markets.find("tool"), Err(MarketError::UnknownPlugin { .. })));
        for name in named {
            let query = PluginQuery { market: Some(name.to_owned()), all: true, ..PluginQuery::default() };
            let refused = [
                markets.find(&format!("tool@{name}")).map(drop),
                markets.search(&query).map(drop),
                markets.update(name, false).now_or_never().unwrap().map(drop),
            ];
            for refused in refused {
                let said = refused.unwrap_err().to_string();
                let expected = match name {
                    "off" => "`off` is a marketplace that is disabled in settings.json".to_owned(),
                    name => format!(
                        "the name `{name}` belongs to repositories under github.com/anthropics, and this is not one"
                    ),
                };
                assert_eq!(said, expected);
            }
        }
    }
}
