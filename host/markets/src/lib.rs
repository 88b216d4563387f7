//! Plugin marketplaces: registering, listing, searching, installing.
//!
//! Components handle what differs between kinds of marketplaces. This room handles the standard entry forms, the
//! servers in a plugin and everything on disk, once.
//!
//! Data flows one way: a document becomes a [`MarketListing`], entries are inspected, an install
//! is planned from a tree, shown, and committed under the home's lock.

mod context;
mod document;
mod documents;
mod error;
mod inspect;
mod install;
mod listing;
mod market;
mod needs;
mod plan;
mod remote;
mod reserved;
mod search;
mod source;
mod summary;
mod update;
mod validate;
mod values;

pub use context::{Markets, NoopObserver, Observer};
pub use document::{MARKETPLACE_JSON, MarketDocument, PluginEntry, ValidEntry};
pub use error::MarketError;
pub use inspect::{Inspection, UserOption};
pub use install::{PluginInstallation, RemovedPlugin, SwitchedPlugin};
pub use listing::{ListingEntry, MarketListing};
pub use market::{AddOptions, AddedMarket, MarketStatus, RemovedMarket, UpdatedMarket};
pub use needs::{MissingValue, ValueSource};
pub use plan::{InstallPlan, ServerPlan};
pub use search::{PluginMatch, PluginQuery, SearchResult};
pub use source::PluginSource;
pub use summary::{
    HiddenPlugins, InstalledSummary, MarketSummary, PluginDetails, PluginServerDetails, PluginSummary, SearchSummary,
    ServerSummary, UpdatedSummary,
};
pub use update::UpdateCheck;
pub use validate::Validation;
pub use values::{InstallAnswers, OnConflict};

#[cfg(test)]
mod tests {
    pub(crate) mod anything;
}
