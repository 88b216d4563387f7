//! What tools mean: a vector for each, made in the background and kept from session to session.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use aiw_home::Home;
use aiw_vectors::{Embedder, FileVectors, ModelFiles, VectorEntry, VectorStore};
use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};

use super::indexed::ToolIndex;
use super::vectors::ToolVectors;

/// The most parts of a request whose meaning counts: each takes some milliseconds.
const MAX_PARTS: usize = 8;

/// A model, and what it makes of tools.
pub struct ToolEmbeddings {
    files: ModelFiles,
    directory: PathBuf,
    /// Loaded in the background. The error is one sentence.
    embedder: OnceLock<Result<Embedder, String>>,
    loading: Mutex<()>,
    /// Read by all threads that work.
    working: RwLock<()>,
}

impl ToolEmbeddings {
    /// That of a model. It is loaded when it is first needed, in the background.
    pub(super) fn new(home: &Home, files: ModelFiles) -> Self {
        let directory = home.cache("vectors");
        Self { files, directory, embedder: OnceLock::new(), loading: Mutex::default(), working: RwLock::default() }
    }

    /// The model.
    pub(super) fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// Makes the vectors of an index in a thread of its own, until there are all or the index is gone.
    pub(super) fn spawn_embedding(self: &Arc<Self>, indexed: &Arc<ToolIndex>) {
        let (meaning, indexed) = (self.clone(), Arc::downgrade(indexed));
        let work = move || meaning.work(&indexed);
        // Without a thread, there is no meaning.
        let _ = std::thread::Builder::new().name("meaning".into()).spawn(work);
    }

    /// The model, which is loaded now if it was not yet. `None` if it can't be used.
    pub fn embedder(&self) -> Option<&Embedder> {
        self.load().as_ref().ok()
    }

    fn load(&self) -> &Result<Embedder, String> {
        let _one = self.loading.lock();
        self.embedder.get_or_init(|| Embedder::load(&self.files).map_err(|e| e.to_string()))
    }

    /// Waits for the threads whose index is gone: a process that ends must not take the library from under them.
    pub(super) fn join_threads(&self) {
        drop(self.working.write());
    }

    fn work(&self, indexed: &Weak<ToolIndex>) {
        let _working = self.working.read();
        if let Ok(embedder) = self.load() {
            self.fill(indexed, embedder);
        }
        if let Some(indexed) = indexed.upgrade() {
            indexed.vectors.finish();
        }
    }

    fn fill(&self, indexed: &Weak<ToolIndex>, embedder: &Embedder) {
        let kept = self.kept(embedder);
        let mut missing = Vec::new();
        // What is kept counts at once; making the others takes long.
        for tool in 0.. {
            let Some(indexed) = indexed.upgrade() else { return };
            if tool == indexed.vectors.tools.len() {
                break;
            }
            let Some(passages) = indexed.passages(tool) else { continue };
            let key = key(&passages);
            match kept.as_ref().and_then(|kept| kept.get(&key).ok()?) {
                Some(vector) => drop(indexed.vectors.tools[tool].set(vector)),
                None => missing.push((tool, key, passages)),
            }
        }
        for (tool, key, passages) in missing {
            let is_wanted = || indexed.strong_count() > 0;
            let Some(vector) = is_wanted().then(|| embed(embedder, &passages, &mut || is_wanted())).flatten() else {
                continue;
            };
            if let Some(kept) = &kept {
                // What is not kept is made again.
                let _ = kept.upsert(&[VectorEntry { id: &key, vector: &vector }]);
            }
            let Some(indexed) = indexed.upgrade() else { return };
            let _ = indexed.vectors.tools[tool].set(vector);
        }
    }

    /// The vectors that this model has made. Without a file, they are made in each session.
    fn kept(&self, embedder: &Embedder) -> Option<FileVectors> {
        aiw_home::make_private_dir(&self.directory).ok()?;
        let file = self.directory.join(format!("tools-{}.vec", &embedder.identity()[..16]));
        FileVectors::open(file, embedder.dimensions()).ok()
    }

    /// How near the tools of an index are to each part of a request. Empty as long as the model is not loaded, or if it
    /// can't be used.
    pub(super) fn similarities(&self, vectors: &ToolVectors, parts: &[&str]) -> Vec<Vec<Option<f32>>> {
        let Some(Ok(embedder)) = self.embedder.get() else { return Vec::new() };
        let embedded = embedder.embed(&parts[..parts.len().min(MAX_PARTS)]).unwrap_or_default();
        embedded.iter().map(|vector| vectors.similarities(vector)).collect()
    }

    /// Why the model can't be used.
    pub(super) fn load_error(&self) -> Option<String> {
        self.embedder.get()?.as_ref().err().cloned()
    }
}

/// The vector of a tool: what its passages have in common.
fn embed(embedder: &Embedder, passages: &[String], go_on: &mut dyn FnMut() -> bool) -> Option<Vec<f32>> {
    let texts: Vec<&str> = passages.iter().map(String::as_str).collect();
    let vectors = embedder.embed_while(&texts, go_on).ok()??;
    let mut sum = vec![0.0_f32; embedder.dimensions()];
    for vector in &vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    (length > 0.0).then(|| sum.iter().map(|value| value / length).collect())
}

fn key(passages: &[String]) -> String {
    let mut digest = Sha256::new();
    for passage in passages {
        digest.update((passage.len() as u64).to_le_bytes());
        digest.update(passage.as_bytes());
    }
    aiw_core::hex(&digest.finalize())[..32].to_owned()
}
