//! The sentence model and the collections, as components are given them.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiw_home::{Home, run_blocking};
use aiw_vectors::{
    Embedder, EmbeddingModels, FileVectors, ModelError, StoreError, VectorEntry, VectorStore, remove_collection,
};
use aiw_wasm::host::{Collection, Embeddings, Vectors};
use aiw_wasm::{CallRejection, ComponentReason};
use async_trait::async_trait;
use parking_lot::Mutex;

use super::refusal::{rejection, unavailable};

/// The model in use, loaded when a component first asks.
pub(super) struct ComponentModel {
    home: Home,
    loaded: Arc<Mutex<Option<Arc<Embedder>>>>,
}

impl ComponentModel {
    pub(super) fn new(home: Home) -> Self {
        Self { home, loaded: Arc::default() }
    }

    /// Work with the model, off the runtime's thread.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Embedder) -> Result<T, ModelError> + Send + 'static,
    ) -> Result<T, CallRejection> {
        let (home, loaded) = (self.home.clone(), self.loaded.clone());
        run_blocking(move || {
            let mut loaded = loaded.lock();
            let embedder = match &*loaded {
                Some(embedder) => embedder.clone(),
                None => {
                    let files = EmbeddingModels::new(home).active_model_files().map_err(|e| unavailable(&e))?;
                    let files = files.ok_or_else(|| unavailable(&"no model is in use: `aiw model pull` gets one"))?;
                    let embedder = Arc::new(Embedder::load(&files).map_err(|e| unavailable(&e))?);
                    loaded.insert(embedder).clone()
                }
            };
            drop(loaded);
            work(&embedder).map_err(|e| unavailable(&e))
        })
        .await
    }
}

#[async_trait]
impl Embeddings for ComponentModel {
    async fn model(&self) -> Result<(String, usize), CallRejection> {
        self.with(|embedder| Ok((embedder.identity().to_owned(), embedder.dimensions()))).await
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, CallRejection> {
        self.with(move |embedder| embedder.embed(&texts.iter().map(String::as_str).collect::<Vec<_>>())).await
    }
}

/// Collections that are open, by whose they are.
type OpenCollections = BTreeMap<Collection, Arc<FileVectors>>;

/// The collections in the home.
pub(super) struct ComponentVectors {
    home: Home,
    opened: Arc<Mutex<OpenCollections>>,
}

fn error(e: StoreError) -> CallRejection {
    let refusal = match &e {
        StoreError::InvalidVector { .. }
        | StoreError::InvalidId { .. }
        | StoreError::InvalidDimensions { .. }
        | StoreError::DimensionMismatch { .. } => ComponentReason::Invalid,
        _ => ComponentReason::Unavailable { retry_after: None },
    };
    let message = match e {
        // The path is nothing that a component needs to know.
        StoreError::DimensionMismatch { found, wanted, .. } => {
            format!("the collection holds vectors of {found} dimensions, not {wanted}")
        }
        e => e.to_string(),
    };
    rejection(refusal, message)
}

impl ComponentVectors {
    pub(super) fn new(home: Home) -> Self {
        Self { home, opened: Arc::default() }
    }

    /// Work with a collection, off the runtime's thread. `dimensions` are those of a new one; without them, the
    /// work of one that is not there is skipped.
    async fn with<T: Default + Send + 'static>(
        &self,
        of: Collection,
        dimensions: Option<usize>,
        work: impl FnOnce(&FileVectors) -> Result<T, CallRejection> + Send + 'static,
    ) -> Result<T, CallRejection> {
        let (home, opened) = (self.home.clone(), self.opened.clone());
        run_blocking(move || {
            let path = path(&home, &of)?;
            let store = {
                let mut opened = opened.lock();
                let there = FileVectors::read_dimensions(&path).map_err(error)?;
                let Some(dimensions) = there.or(dimensions) else { return Ok(T::default()) };
                match opened.get(&of) {
                    Some(store) if store.dimensions() == dimensions => store.clone(),
                    _ => {
                        let store = Arc::new(FileVectors::open(path, dimensions).map_err(error)?);
                        opened.insert(of, store.clone());
                        store
                    }
                }
            };
            work(&store)
        })
        .await
    }
}

fn path(home: &Home, of: &Collection) -> Result<std::path::PathBuf, CallRejection> {
    let owner =
        of.owner.parse().map_err(|e: aiw_core::InvalidName| rejection(ComponentReason::Invalid, e.to_string()))?;
    Ok(home.vectors(&owner).join(format!("{}.vec", of.name)))
}

#[async_trait]
impl Vectors for ComponentVectors {
    async fn upsert(&self, of: Collection, entries: Vec<(String, Vec<f32>)>, limit: u64) -> Result<(), CallRejection> {
        let Some(dimensions) = entries.first().map(|(_, vector)| vector.len()) else { return Ok(()) };
        self.with(of, Some(dimensions), move |store| {
            let count = store.count().map_err(error)? + entries.len();
            if (count * store.dimensions() * size_of::<f32>()) as u64 > limit {
                let message = format!("a collection may hold {} MiB of vectors", limit >> 20);
                return Err(rejection(ComponentReason::Invalid, message));
            }
            let entries: Vec<VectorEntry<'_>> = entries.iter().map(|(id, vector)| VectorEntry { id, vector }).collect();
            store.upsert(&entries).map_err(error)
        })
        .await
    }

    async fn delete(&self, of: Collection, ids: Vec<String>) -> Result<usize, CallRejection> {
        let delete =
            move |store: &FileVectors| store.delete(&ids.iter().map(String::as_str).collect::<Vec<_>>()).map_err(error);
        self.with(of, None, delete).await
    }

    async fn get(&self, of: Collection, id: String) -> Result<Option<Vec<f32>>, CallRejection> {
        self.with(of, None, move |store| store.get(&id).map_err(error)).await
    }

    async fn count(&self, of: Collection) -> Result<usize, CallRejection> {
        self.with(of, None, |store| store.count().map_err(error)).await
    }

    async fn search(&self, of: Collection, query: Vec<f32>, limit: usize) -> Result<Vec<(String, f32)>, CallRejection> {
        let search = move |store: &FileVectors| {
            let hits = store.search(&query, limit, None).map_err(error)?;
            Ok(hits.into_iter().map(|hit| (hit.id, hit.score)).collect())
        };
        self.with(of, None, search).await
    }

    async fn clear(&self, of: Collection) -> Result<(), CallRejection> {
        let (home, opened) = (self.home.clone(), self.opened.clone());
        run_blocking(move || {
            let path = path(&home, &of)?;
            opened.lock().remove(&of);
            if path.exists() { remove_collection(&path).map(drop).map_err(error) } else { Ok(()) }
        })
        .await
    }
}
