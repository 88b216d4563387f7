//! The driver over memvdb: a collection in memory, for some thousand entries.
//!
//! memvdb 0.1 compares every entry with every other on insertion, can neither replace nor remove one, and panics if
//! asked for no result; all of that is taken care of here. It must not be asked to load a file (it can't), to sort by
//! Euclidean distance (the farthest come first), or to keep ids of several keys (they are hashed in random order).

use std::collections::HashMap;

use memvdb::{CacheDB, Collection, Distance, Embedding};
use parking_lot::{Mutex, MutexGuard};

use crate::scan::kernel::cosine;
use crate::store::{Filter, StoreError, VectorEntry, VectorHit, VectorStore, check_dimensions, prepared, unit};

const COLLECTION: &str = "entries";
const ID: &str = "id";

/// A collection in memvdb. It ends with the process.
pub struct MemvdbVectors {
    dimensions: usize,
    database: Mutex<CacheDB>,
}

impl MemvdbVectors {
    /// Creates an empty collection.
    pub fn new(dimensions: usize) -> Result<Self, StoreError> {
        check_dimensions(dimensions)?;
        let mut database = CacheDB::new();
        database.create_collection(COLLECTION.into(), dimensions, Distance::Cosine).map_err(driver)?;
        Ok(Self { dimensions, database: Mutex::new(database) })
    }

    fn database(&self) -> MutexGuard<'_, CacheDB> {
        self.database.lock()
    }
}

fn driver(error: impl std::fmt::Display) -> StoreError {
    StoreError::Driver { reason: aiw_core::one_line(&error.to_string(), 200) }
}

fn collection(database: &mut CacheDB) -> Result<&mut Collection, StoreError> {
    database.collections.get_mut(COLLECTION).ok_or_else(|| driver("its collection is gone"))
}

fn id(embedding: &Embedding) -> &str {
    embedding.id.get(ID).map_or("", String::as_str)
}

impl VectorStore for MemvdbVectors {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn upsert(&self, entries: &[VectorEntry<'_>]) -> Result<(), StoreError> {
        let entries: HashMap<&str, Vec<f32>> = prepared(entries, self.dimensions)?.into_iter().collect();
        let mut database = self.database();
        collection(&mut database)?.embeddings.retain(|old| !entries.contains_key(id(old)));
        for (id, vector) in entries {
            let id = HashMap::from([(ID.to_owned(), id.to_owned())]);
            let embedding = Embedding { id, vector, metadata: None };
            database.insert_into_collection(COLLECTION, embedding).map_err(driver)?;
        }
        Ok(())
    }

    fn delete(&self, ids: &[&str]) -> Result<usize, StoreError> {
        let mut database = self.database();
        let embeddings = &mut collection(&mut database)?.embeddings;
        let before = embeddings.len();
        embeddings.retain(|old| !ids.contains(&id(old)));
        Ok(before - embeddings.len())
    }

    fn get(&self, wanted: &str) -> Result<Option<Vec<f32>>, StoreError> {
        let mut database = self.database();
        let embeddings = &collection(&mut database)?.embeddings;
        Ok(embeddings.iter().find(|old| id(old) == wanted).map(|found| found.vector.clone()))
    }

    fn count(&self) -> Result<usize, StoreError> {
        Ok(collection(&mut self.database())?.embeddings.len())
    }

    fn search(&self, query: &[f32], k: usize, filter: Option<Filter<'_>>) -> Result<Vec<VectorHit>, StoreError> {
        let query = unit(query, self.dimensions)?;
        let mut database = self.database();
        let collection = collection(&mut database)?;
        let count = collection.embeddings.len();
        if k == 0 || count == 0 {
            return Ok(Vec::new());
        }
        // It knows no filter, and leaves the order of equal scores open: so all are asked for.
        let found = collection.get_similarity(&query, count);
        let mut hits: Vec<VectorHit> = found
            .iter()
            .map(|found| &found.embedding)
            .filter(|embedding| filter.is_none_or(|keep| keep(id(embedding))))
            .map(|embedding| VectorHit { id: id(embedding).to_owned(), score: cosine(&query, &embedding.vector) })
            .collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        hits.truncate(k);
        Ok(hits)
    }
}
