//! Components that read plugin marketplaces: the kind `market-source`, with every answer checked.

pub(crate) mod types;

use aiw_extensions::World;
use aiw_net::Tree;

use crate::budget::Purpose;
use crate::component::Component;
use crate::error::CallError;
use crate::reach::Reach;
use crate::since_v0_1::market_source::Guest;

pub use self::types::{EntryRef, EntrySource, Field, Manifests, Registration, Snapshot, SourceInfo};

/// A component as a source of marketplaces.
pub struct MarketSource<'c>(&'c Component);

impl Component {
    /// Returns the component as a source of marketplaces, if it is one.
    pub fn market_source(&self) -> Result<MarketSource<'_>, CallError> {
        self.check_kind(World::MarketSource)?;
        Ok(MarketSource(self))
    }
}

impl MarketSource<'_> {
    /// Returns what the source reads.
    pub async fn describe(&self) -> Result<SourceInfo, CallError> {
        let (reach, pure) = (Reach::default(), Purpose::Pure("describe"));
        self.0.call(&reach, pure, async |guest: &Guest, store| guest.describe(store).await).await
    }

    /// Returns what a reference means, or `None` if it does not belong to this source.
    pub async fn claim(&self, reference: &str) -> Result<Option<Registration>, CallError> {
        let (reach, pure) = (Reach::default(), Purpose::Pure("claim"));
        self.0.call(&reach, pure, async |guest: &Guest, store| guest.claim(store, reference).await).await
    }

    /// Fetches the marketplace document and its revision.
    pub async fn fetch_marketplace(&self, reach: &Reach, at: &Registration) -> Result<Snapshot, CallError> {
        self.0.call(reach, Purpose::Answer, async |guest: &Guest, store| guest.fetch_marketplace(store, at).await).await
    }

    /// Fetches an entry's manifests in the cheapest way.
    pub async fn fetch_plugin(
        &self,
        reach: &Reach,
        at: &Registration,
        entry: &EntryRef,
    ) -> Result<Manifests, CallError> {
        self.0
            .call(reach, Purpose::Answer, async |guest: &Guest, store| guest.fetch_plugin(store, at, entry).await)
            .await
    }

    /// Fetches all files of an entry.
    pub async fn download_plugin(&self, reach: &Reach, at: &Registration, entry: &EntryRef) -> Result<Tree, CallError> {
        self.0
            .call(reach, Purpose::Answer, async |guest: &Guest, store| guest.download_plugin(store, at, entry).await)
            .await
    }

    /// Returns the current document, or `None` if its revision still is `known`.
    pub async fn update(&self, reach: &Reach, at: &Registration, known: &str) -> Result<Option<Snapshot>, CallError> {
        self.0.call(reach, Purpose::Answer, async |guest: &Guest, store| guest.update(store, at, known).await).await
    }

    /// Measures `count` calls of `describe` in one instance, for `cargo xtask bench`.
    #[doc(hidden)]
    pub async fn time_calls(&self, count: u32) -> Result<std::time::Duration, CallError> {
        self.0
            .call(&Reach::default(), Purpose::Answer, async |guest: &Guest, store| {
                let start = std::time::Instant::now();
                for _ in 0..count {
                    guest.describe(&mut *store).await?;
                }
                Ok(start.elapsed())
            })
            .await
    }
}
