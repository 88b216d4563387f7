//! The interface `vectors`.

use std::sync::Arc;

use aiw_extensions::CapabilityKind;
use async_trait::async_trait;

use super::{CallSetup, HostCall, HostResult, Interface, NoCapability};
use crate::error::CallRejection;

/// The bytes of vectors in one collection: 43,000 entries of 384 dimensions.
const MAX_COLLECTION_BYTES: u64 = 64 << 20;
/// Entries that one search may return.
const MAX_HITS: usize = 1_000;

/// Collections of vectors. Each belongs to a component; both names are valid parts of a path.
#[async_trait]
pub trait Vectors: Send + Sync {
    /// Adds and replaces entries, all or none. More than `limit` bytes of vectors are refused.
    async fn upsert(&self, of: Collection, entries: Vec<(String, Vec<f32>)>, limit: u64) -> Result<(), CallRejection>;

    /// Removes entries, and returns how many there were.
    async fn delete(&self, of: Collection, ids: Vec<String>) -> Result<usize, CallRejection>;

    /// Returns the vector of an entry.
    async fn get(&self, of: Collection, id: String) -> Result<Option<Vec<f32>>, CallRejection>;

    /// Returns the number of entries.
    async fn count(&self, of: Collection) -> Result<usize, CallRejection>;

    /// Returns the ids and scores of the nearest entries, the nearest first.
    async fn search(&self, of: Collection, query: Vec<f32>, limit: usize) -> Result<Vec<(String, f32)>, CallRejection>;

    /// Removes the collection.
    async fn clear(&self, of: Collection) -> Result<(), CallRejection>;
}

/// A collection of vectors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Collection {
    /// The id of the component.
    pub owner: String,
    /// The name in its manifest.
    pub name: String,
}

#[async_trait]
impl Vectors for NoCapability {
    async fn upsert(
        &self,
        _of: Collection,
        _entries: Vec<(String, Vec<f32>)>,
        _limit: u64,
    ) -> Result<(), CallRejection> {
        Self::reject("collections")
    }

    async fn delete(&self, _of: Collection, _ids: Vec<String>) -> Result<usize, CallRejection> {
        Self::reject("collections")
    }

    async fn get(&self, _of: Collection, _id: String) -> Result<Option<Vec<f32>>, CallRejection> {
        Self::reject("collections")
    }

    async fn count(&self, _of: Collection) -> Result<usize, CallRejection> {
        Self::reject("collections")
    }

    async fn search(
        &self,
        _of: Collection,
        _query: Vec<f32>,
        _limit: usize,
    ) -> Result<Vec<(String, f32)>, CallRejection> {
        Self::reject("collections")
    }

    async fn clear(&self, _of: Collection) -> Result<(), CallRejection> {
        Self::reject("collections")
    }
}

/// The interface `vectors`.
pub(crate) struct VectorsImport;

impl Interface for VectorsImport {
    const NAME: &'static str = "vectors";
    type Capability = dyn Vectors;
    type State = ();

    fn initial_state(_setup: &CallSetup<'_>) -> Self::State {}
}

impl HostCall<'_, VectorsImport> {
    pub(crate) async fn upsert(&mut self, collection: &str, entries: Vec<(String, Vec<f32>)>) -> HostResult<()> {
        self.begin_request("upsert")?;
        self.within(collection, |vectors, of| async move { vectors.upsert(of, entries, MAX_COLLECTION_BYTES).await })
            .await
    }

    pub(crate) async fn delete(&mut self, collection: &str, ids: Vec<String>) -> HostResult<usize> {
        self.begin_request("delete")?;
        self.within(collection, |vectors, of| async move { vectors.delete(of, ids).await }).await
    }

    pub(crate) async fn get(&mut self, collection: &str, id: String) -> HostResult<Option<Vec<f32>>> {
        self.begin_read("get")?;
        self.within(collection, |vectors, of| async move { vectors.get(of, id).await }).await
    }

    pub(crate) async fn count(&mut self, collection: &str) -> HostResult<usize> {
        self.begin_read("count")?;
        self.within(collection, |vectors, of| async move { vectors.count(of).await }).await
    }

    pub(crate) async fn search(
        &mut self,
        collection: &str,
        query: Vec<f32>,
        limit: u32,
    ) -> HostResult<Vec<(String, f32)>> {
        self.begin_read("search")?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(MAX_HITS);
        self.within(collection, |vectors, of| async move { vectors.search(of, query, limit).await }).await
    }

    pub(crate) async fn clear(&mut self, collection: &str) -> HostResult<()> {
        self.begin_request("clear")?;
        self.within(collection, |vectors, of| async move { vectors.clear(of).await }).await
    }

    /// Works with one of the component's own collections. A name in the manifest is a valid part of a path.
    async fn within<T, W>(&mut self, name: &str, work: impl FnOnce(Arc<dyn Vectors>, Collection) -> W) -> HostResult<T>
    where
        W: Future<Output = Result<T, CallRejection>>,
    {
        let to = format!("use the collection `{}`", aiw_core::one_line(name, 60));
        self.call.grants.check(CapabilityKind::Collections, &to, |value| value == name)?;
        let of = Collection { owner: self.call.grants.id.to_string(), name: name.to_owned() };
        Ok(self.call.track_wait(work(self.capability.clone(), of)).await?)
    }
}
