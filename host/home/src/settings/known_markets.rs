//! Changes of `extraKnownMarketplaces`.

use aiw_core::{MarketKind, MarketName};
use serde_json::Value;

use super::Settings;
use super::markets::{DEFAULT_MARKETS, MarketSettings, OFFICIAL_ALIAS};
use crate::HomeError;

impl Settings {
    /// The registered marketplaces, in the file's order.
    pub fn markets(&self) -> &[MarketSettings] {
        &self.markets
    }

    /// One marketplace; the official one also by its older name.
    pub fn market(&self, name: &str) -> Option<&MarketSettings> {
        let name = if name == OFFICIAL_ALIAS.0 { OFFICIAL_ALIAS.1 } else { name };
        self.markets.iter().find(|m| m.name.as_str() == name)
    }

    /// Entries that could not be read, one sentence each.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Whether a market is one that a new home has and uses.
    pub fn is_default(market: &MarketSettings) -> bool {
        market.kind == MarketKind::Github
            && DEFAULT_MARKETS.iter().any(|(name, repo, enabled)| {
                *enabled && market.name.as_str() == *name && market.location == *repo && market.extension.is_none()
            })
    }

    /// Whether the user may still be asked to fetch the default market.
    pub fn should_offer_default(&self) -> bool {
        self.document.get(&["offerDefaultMarketplace"]) != Some(&Value::Bool(false))
    }

    /// Remembers that the user does not want to be asked again.
    pub fn decline_default(&mut self) -> Result<(), HomeError> {
        self.document.set(&["offerDefaultMarketplace"], &Value::Bool(false))
    }

    /// The default markets become explicit before the first change, so that one of them can be removed.
    fn write_defaults(&mut self) -> Result<(), HomeError> {
        if self.document.get(&["extraKnownMarketplaces"]).is_none() {
            for market in &self.markets {
                self.document.set(&["extraKnownMarketplaces", market.name.as_str()], &market.to_json())?;
            }
        }
        Ok(())
    }

    fn key_of(&self, name: &MarketName) -> String {
        let alias = self.document.get(&["extraKnownMarketplaces", OFFICIAL_ALIAS.0]).is_some();
        if alias && name.as_str() == OFFICIAL_ALIAS.1 { OFFICIAL_ALIAS.0.into() } else { name.to_string() }
    }

    /// Adds or replaces a marketplace, and keeps unknown fields of its entry.
    pub fn set_market(&mut self, market: MarketSettings) -> Result<(), HomeError> {
        self.write_defaults()?;
        let key = self.key_of(&market.name);
        let entry = market.to_json();
        self.document.set(&["extraKnownMarketplaces", &key, "source"], &entry["source"])?;
        match entry.get("enabled") {
            Some(enabled) => self.document.set(&["extraKnownMarketplaces", &key, "enabled"], enabled)?,
            None => drop(self.document.remove(&["extraKnownMarketplaces", &key, "enabled"])?),
        }
        match self.markets.iter_mut().find(|m| m.name == market.name) {
            Some(old) => *old = market,
            None => self.markets.push(market),
        }
        Ok(())
    }

    /// Removes a marketplace; returns whether it was there.
    pub fn remove_market(&mut self, name: &MarketName) -> Result<bool, HomeError> {
        self.write_defaults()?;
        let key = self.key_of(name);
        self.markets.retain(|m| m.name != *name);
        self.document.remove(&["extraKnownMarketplaces", &key])
    }
}
