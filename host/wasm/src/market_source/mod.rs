//! Components that read plugin marketplaces: the kind `market-source`, with every answer checked.

pub(crate) mod types;

use aiw_extensions::World;
use aiw_net::Tree;
use futures::future::BoxFuture;

use crate::budget::Purpose;
use crate::component::Component;
use crate::error::CallError;
use crate::reach::CallPermissions;
use crate::since_v0_1::market_source::Guest;

pub use self::types::{EntryRef, EntrySource, Manifests, Registration, Snapshot, SourceField, SourceInfo};

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
    pub fn describe(&self) -> BoxFuture<'_, Result<SourceInfo, CallError>> {
        Box::pin(async move {
            let (reach, pure) = (CallPermissions::default(), Purpose::Pure("describe"));
            self.0
                .call(&reach, pure, move |guest: &Guest, store| Box::pin(async move { guest.describe(store).await }))
                .await
        })
    }

    /// Returns what a reference means, or `None` if it does not belong to this source.
    pub fn claim<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Option<Registration>, CallError>> {
        Box::pin(async move {
            let reference = reference.to_owned();
            let (reach, pure) = (CallPermissions::default(), Purpose::Pure("claim"));
            self.0
                .call(&reach, pure, move |guest: &Guest, store| {
                    Box::pin(async move { guest.claim(store, &reference).await })
                })
                .await
        })
    }

    /// Fetches the marketplace document and its revision.
    pub fn fetch_marketplace<'a>(
        &'a self,
        reach: &'a CallPermissions,
        at: &'a Registration,
    ) -> BoxFuture<'a, Result<Snapshot, CallError>> {
        Box::pin(async move {
            let at = at.clone();
            self.0
                .call(reach, Purpose::Query, move |guest: &Guest, store| {
                    Box::pin(async move { guest.fetch_marketplace(store, &at).await })
                })
                .await
        })
    }

    /// Fetches an entry's manifests in the cheapest way.
    pub fn fetch_plugin<'a>(
        &'a self,
        reach: &'a CallPermissions,
        at: &'a Registration,
        entry: &'a EntryRef,
    ) -> BoxFuture<'a, Result<Manifests, CallError>> {
        Box::pin(async move {
            let (at, entry) = (at.clone(), entry.clone());
            self.0
                .call(reach, Purpose::Query, move |guest: &Guest, store| {
                    Box::pin(async move { guest.fetch_plugin(store, &at, &entry).await })
                })
                .await
        })
    }

    /// Fetches all files of an entry.
    pub fn download_plugin<'a>(
        &'a self,
        reach: &'a CallPermissions,
        at: &'a Registration,
        entry: &'a EntryRef,
    ) -> BoxFuture<'a, Result<Tree, CallError>> {
        Box::pin(async move {
            let (at, entry) = (at.clone(), entry.clone());
            self.0
                .call(reach, Purpose::Query, move |guest: &Guest, store| {
                    Box::pin(async move { guest.download_plugin(store, &at, &entry).await })
                })
                .await
        })
    }

    /// Returns the current document, or `None` if its revision still is `known`.
    pub fn update<'a>(
        &'a self,
        reach: &'a CallPermissions,
        at: &'a Registration,
        known: &'a str,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, CallError>> {
        Box::pin(async move {
            let (at, known) = (at.clone(), known.to_owned());
            self.0
                .call(reach, Purpose::Query, move |guest: &Guest, store| {
                    Box::pin(async move { guest.update(store, &at, &known).await })
                })
                .await
        })
    }

    /// Measures `count` calls of `describe` in one instance, for `cargo xtask bench`.
    #[doc(hidden)]
    pub fn time_calls(&self, count: u32) -> BoxFuture<'_, Result<std::time::Duration, CallError>> {
        Box::pin(async move {
            self.0
                .call(&CallPermissions::default(), Purpose::Query, move |guest: &Guest, store| {
                    Box::pin(async move {
                        let start = std::time::Instant::now();
                        for _ in 0..count {
                            guest.describe(&mut *store).await?;
                        }
                        Ok(start.elapsed())
                    })
                })
                .await
        })
    }
}
