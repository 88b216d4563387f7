//! The world `market-source`, as the rooms above see it.

use aiw_net::Tree;
use wasmtime::Store;
use wasmtime::component::Resource;

pub use crate::bindings::v0_1::exports::aiw::plugin::market::{
    EntryRef, EntrySource, Field, OwnSource, ReferenceForm, Registration, Snapshot, SourceInfo,
};
use crate::component::{Component, Reach};
use crate::error::CallError;
use crate::host::{State, refusal};

type Answer<T> = Result<T, crate::bindings::v0_1::aiw::plugin::types::Error>;

/// What could be had of a plugin at the lowest cost.
#[derive(Default)]
pub struct Manifests {
    /// `.claude-plugin/plugin.json`
    pub plugin_json: Option<Vec<u8>>,
    /// `.mcp.json`
    pub mcp_json: Option<Vec<u8>>,
    /// All its files, where they are at hand.
    pub files: Option<Tree>,
}

impl Component {
    /// What the source reads.
    pub async fn describe(&self) -> Result<SourceInfo, CallError> {
        self.market(&Reach::default(), async |market, store| market.call_describe(store).await).await
    }

    /// Whether a reference is this source's, and what it means.
    pub async fn claim(&self, reference: &str) -> Result<Option<Registration>, CallError> {
        self.market(&Reach::default(), async |market, store| market.call_claim(store, reference).await).await
    }

    /// The marketplace document and its revision.
    pub async fn fetch_marketplace(&self, reach: &Reach, at: &Registration) -> Result<Snapshot, CallError> {
        let answer = self.market(reach, async |market, store| market.call_fetch_marketplace(store, at).await);
        answer.await?.map_err(refusal)
    }

    /// An entry's manifests, the cheapest way.
    pub async fn fetch_plugin(
        &self,
        reach: &Reach,
        at: &Registration,
        entry: &EntryRef,
    ) -> Result<Manifests, CallError> {
        let answer =
            self.market(reach, async |market, store| match market.call_fetch_plugin(&mut *store, at, entry).await? {
                Ok(found) => {
                    let files = found.files.map(|files| take(store, files)).transpose()?;
                    Ok::<Answer<_>, wasmtime::Error>(Ok(Manifests {
                        plugin_json: found.plugin_json,
                        mcp_json: found.mcp_json,
                        files,
                    }))
                }
                Err(e) => Ok(Err(e)),
            });
        answer.await?.map_err(refusal)
    }

    /// All files of an entry.
    pub async fn download_plugin(&self, reach: &Reach, at: &Registration, entry: &EntryRef) -> Result<Tree, CallError> {
        let answer = self.market(reach, async |market, store| {
            match market.call_download_plugin(&mut *store, at, entry).await? {
                Ok(files) => Ok::<Answer<_>, wasmtime::Error>(Ok(take(store, files)?)),
                Err(e) => Ok(Err(e)),
            }
        });
        answer.await?.map_err(refusal)
    }

    /// The document as it is now; `None` if `known` still is the revision.
    pub async fn update(&self, reach: &Reach, at: &Registration, known: &str) -> Result<Option<Snapshot>, CallError> {
        let answer = self.market(reach, async |market, store| market.call_update(store, at, known).await);
        answer.await?.map_err(refusal)
    }
}

impl Component {
    /// `count` calls of `describe` in one instance, for `cargo xtask bench`: how long they took.
    #[doc(hidden)]
    pub async fn time_calls(&self, count: u32) -> Result<std::time::Duration, CallError> {
        self.market(&Reach::default(), async |market, store| {
            let start = std::time::Instant::now();
            for _ in 0..count {
                market.call_describe(&mut *store).await?;
            }
            Ok(start.elapsed())
        })
        .await
    }
}

/// A tree that the guest handed back leaves the store before the store goes.
fn take(store: &mut Store<State>, files: Resource<Tree>) -> wasmtime::Result<Tree> {
    Ok(store.data_mut().table.delete(files)?)
}
