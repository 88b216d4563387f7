//! The interface `vectors`.

use aiw_extensions::CapabilityKind;

use super::{CallState, refused};
use crate::bindings::v0_1::aiw::plugin::{types, vectors};
use crate::capabilities::Collection;

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

impl vectors::Host for CallState {
    async fn upsert(&mut self, collection: String, entries: Vec<vectors::VectorEntry>) -> Answer<()> {
        self.allow("vectors.upsert")?;
        self.charge_request()?;
        let of = match self.own(&collection) {
            Ok(of) => of,
            Err(denied) => return Ok(Err(denied)),
        };
        let entries = entries.into_iter().map(|entry| (entry.id, entry.vector)).collect();
        let (capability, limit) = (self.call.capabilities.vectors.clone(), self.call.limits.collection_bytes);
        Ok(self.waiting(capability.upsert(of, entries, limit)).await.map_err(refused))
    }

    async fn delete(&mut self, collection: String, ids: Vec<String>) -> Answer<u32> {
        self.allow("vectors.delete")?;
        self.charge_request()?;
        let of = match self.own(&collection) {
            Ok(of) => of,
            Err(denied) => return Ok(Err(denied)),
        };
        let capability = self.call.capabilities.vectors.clone();
        Ok(self.waiting(capability.delete(of, ids)).await.map(small).map_err(refused))
    }

    async fn get(&mut self, collection: String, id: String) -> Answer<Option<Vec<f32>>> {
        self.allow("vectors.get")?;
        self.charge_read()?;
        let of = match self.own(&collection) {
            Ok(of) => of,
            Err(denied) => return Ok(Err(denied)),
        };
        let capability = self.call.capabilities.vectors.clone();
        Ok(self.waiting(capability.get(of, id)).await.map_err(refused))
    }

    async fn count(&mut self, collection: String) -> Answer<u32> {
        self.allow("vectors.count")?;
        self.charge_read()?;
        let of = match self.own(&collection) {
            Ok(of) => of,
            Err(denied) => return Ok(Err(denied)),
        };
        let capability = self.call.capabilities.vectors.clone();
        Ok(self.waiting(capability.count(of)).await.map(small).map_err(refused))
    }

    async fn search(&mut self, collection: String, query: Vec<f32>, limit: u32) -> Answer<Vec<vectors::VectorHit>> {
        self.allow("vectors.search")?;
        self.charge_read()?;
        let of = match self.own(&collection) {
            Ok(of) => of,
            Err(denied) => return Ok(Err(denied)),
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(self.call.limits.hits);
        let capability = self.call.capabilities.vectors.clone();
        let found = self.waiting(capability.search(of, query, limit)).await;
        let hits =
            |found: Vec<(String, f32)>| found.into_iter().map(|(id, score)| vectors::VectorHit { id, score }).collect();
        Ok(found.map(hits).map_err(refused))
    }

    async fn clear(&mut self, collection: String) -> Answer<()> {
        self.allow("vectors.clear")?;
        self.charge_request()?;
        let of = match self.own(&collection) {
            Ok(of) => of,
            Err(denied) => return Ok(Err(denied)),
        };
        let capability = self.call.capabilities.vectors.clone();
        Ok(self.waiting(capability.clear(of)).await.map_err(refused))
    }
}

impl CallState {
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
