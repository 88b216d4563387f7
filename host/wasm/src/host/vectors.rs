//! The interface `vectors`.

use std::sync::Arc;

use aiw_extensions::CapabilityKind;

use super::{CallState, refused};
use crate::bindings::v0_1::aiw::plugin::{types, vectors};
use crate::capabilities::{Collection, Refused, Vectors};

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

impl vectors::Host for CallState {
    async fn upsert(&mut self, collection: String, entries: Vec<vectors::VectorEntry>) -> Answer<()> {
        self.allow("vectors.upsert")?;
        self.charge_request()?;
        let entries = entries.into_iter().map(|entry| (entry.id, entry.vector)).collect();
        let limit = self.call.limits.collection_bytes;
        self.within(&collection, |vectors, of| async move { vectors.upsert(of, entries, limit).await }).await
    }

    async fn delete(&mut self, collection: String, ids: Vec<String>) -> Answer<u32> {
        self.allow("vectors.delete")?;
        self.charge_request()?;
        self.within(&collection, |vectors, of| async move { vectors.delete(of, ids).await.map(small) }).await
    }

    async fn get(&mut self, collection: String, id: String) -> Answer<Option<Vec<f32>>> {
        self.allow("vectors.get")?;
        self.charge_read()?;
        self.within(&collection, |vectors, of| async move { vectors.get(of, id).await }).await
    }

    async fn count(&mut self, collection: String) -> Answer<u32> {
        self.allow("vectors.count")?;
        self.charge_read()?;
        self.within(&collection, |vectors, of| async move { vectors.count(of).await.map(small) }).await
    }

    async fn search(&mut self, collection: String, query: Vec<f32>, limit: u32) -> Answer<Vec<vectors::VectorHit>> {
        self.allow("vectors.search")?;
        self.charge_read()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(self.call.limits.hits);
        let hits =
            |found: Vec<(String, f32)>| found.into_iter().map(|(id, score)| vectors::VectorHit { id, score }).collect();
        let search = |vectors: Arc<dyn Vectors>, of| async move { vectors.search(of, query, limit).await.map(hits) };
        self.within(&collection, search).await
    }

    async fn clear(&mut self, collection: String) -> Answer<()> {
        self.allow("vectors.clear")?;
        self.charge_request()?;
        self.within(&collection, |vectors, of| async move { vectors.clear(of).await }).await
    }
}

impl CallState {
    /// Works with one of the component's own collections.
    async fn within<T, W>(&mut self, name: &str, work: impl FnOnce(Arc<dyn Vectors>, Collection) -> W) -> Answer<T>
    where
        W: Future<Output = Result<T, Refused>>,
    {
        let of = match self.own(name) {
            Ok(of) => of,
            Err(denied) => return Ok(Err(denied)),
        };
        let capability = self.call.capabilities.vectors.clone();
        Ok(self.waiting(work(capability, of)).await.map_err(refused))
    }

    /// Returns the component's own collection. A name in the manifest is a valid part of a path.
    fn own(&self, name: &str) -> Result<Collection, types::Error> {
        let to = format!("use the collection `{}`", aiw_core::one_line(name, 60));
        self.both_keys(CapabilityKind::Collections, &to, |value| value == name)?;
        Ok(Collection { owner: self.call.id.to_string(), name: name.to_owned() })
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
