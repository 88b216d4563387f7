//! Exact search without an index: all vectors are scanned as bytes, and the nearest compared exactly.

mod file;
mod index;
pub mod kernel;
mod record;

use std::convert::Infallible;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use file::{FileVectors, remove_collection};
use index::Index;

use crate::store::{Entry, Filter, Hit, StoreError, VectorStore, check_dimensions, prepared, unit};

/// A collection in memory. It ends with the process.
pub struct MemoryVectors {
    dimensions: usize,
    index: RwLock<Index<Vec<f32>>>,
}

impl MemoryVectors {
    /// Creates an empty collection.
    pub fn new(dimensions: usize) -> Result<Self, StoreError> {
        check_dimensions(dimensions)?;
        Ok(Self { dimensions, index: RwLock::new(Index::new(dimensions)) })
    }

    fn read(&self) -> RwLockReadGuard<'_, Index<Vec<f32>>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index<Vec<f32>>> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VectorStore for MemoryVectors {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn upsert(&self, entries: &[Entry<'_>]) -> Result<(), StoreError> {
        let entries = prepared(entries, self.dimensions)?;
        let mut index = self.write();
        for (id, vector) in entries {
            index.put(id, vector, |vector| vector);
        }
        Ok(())
    }

    fn delete(&self, ids: &[&str]) -> Result<usize, StoreError> {
        let mut index = self.write();
        Ok(ids.iter().filter(|id| index.remove(id).is_some()).count())
    }

    fn get(&self, id: &str) -> Result<Option<Vec<f32>>, StoreError> {
        Ok(self.read().place(id).cloned())
    }

    fn count(&self) -> Result<usize, StoreError> {
        Ok(self.read().len())
    }

    fn search(&self, query: &[f32], k: usize, filter: Option<Filter<'_>>) -> Result<Vec<Hit>, StoreError> {
        let query = unit(query, self.dimensions)?;
        let found =
            self.read().search(&query, k, filter, |_, vector| Ok::<_, Infallible>(kernel::cosine(&query, vector)));
        match found {
            Ok(hits) => Ok(hits),
            Err(never) => match never {},
        }
    }
}
