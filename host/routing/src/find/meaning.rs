//! What tools mean: a vector for each, made in the background and kept from session to session.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use aiw_home::Home;
use aiw_vectors::{Embedder, Entry, FileVectors, ModelFiles, VectorStore};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::finder::Indexed;
use super::texts::{about, cut, description, parameters};
use crate::definition::name;
use crate::record::Record;

/// The most parts of a request whose meaning counts: each takes some milliseconds.
const MAX_PARTS: usize = 8;

/// The most characters of each text: a model's vector of a long text says little of any part of it.
const SHORT: usize = 200;
const LONG: usize = 400;

/// A model, and what it makes of tools. The sessions of a process share it.
pub struct Meaning {
    files: ModelFiles,
    directory: PathBuf,
    /// Loaded in the background. The error is one sentence.
    embedder: OnceLock<Result<Embedder, String>>,
    loading: Mutex<()>,
}

/// Vectors of the tools of one index, as they arrive.
#[derive(Default)]
pub(super) struct Vectors {
    tools: Vec<OnceLock<Vec<f32>>>,
    is_done: Mutex<bool>,
    done: Condvar,
}

impl Vectors {
    pub(super) fn of(tools: usize) -> Self {
        Self { tools: (0..tools).map(|_| OnceLock::new()).collect(), ..Self::default() }
    }

    fn finish(&self) {
        *self.is_done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.done.notify_all();
    }

    /// Waits until all are there that will be.
    pub(super) fn wait(&self, most: Duration) {
        let is_done = self.is_done.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.done.wait_timeout_while(is_done, most, |done| !*done));
    }

    /// How near each tool is to a vector, from 0 (the farthest) to 1 (the nearest). None where it is not known yet.
    fn near(&self, vector: &[f32]) -> Vec<Option<f32>> {
        let cosine =
            |tool: &OnceLock<Vec<f32>>| Some(tool.get()?.iter().zip(vector).map(|(one, two)| one * two).sum::<f32>());
        let cosines: Vec<Option<f32>> = self.tools.iter().map(cosine).collect();
        let known = || cosines.iter().flatten().copied();
        let (least, most) = (known().fold(f32::MAX, f32::min), known().fold(f32::MIN, f32::max));
        let range = (most - least).max(f32::MIN_POSITIVE);
        cosines.into_iter().map(|cosine| cosine.map(|cosine| (cosine - least) / range)).collect()
    }
}

impl Meaning {
    /// That of a model. It is loaded when it is first needed, in the background.
    pub fn new(home: &Home, files: ModelFiles) -> Self {
        Self { files, directory: home.cache("vectors"), embedder: OnceLock::new(), loading: Mutex::new(()) }
    }

    /// Makes the vectors of an index in a thread of its own, until there are all or the index is gone.
    pub(super) fn follow(self: &Arc<Self>, indexed: &Arc<Indexed>) {
        let (meaning, indexed) = (self.clone(), Arc::downgrade(indexed));
        let work = move || meaning.work(&indexed);
        // Without a thread, there is no meaning.
        let _ = std::thread::Builder::new().name("meaning".into()).spawn(work);
    }

    fn work(&self, indexed: &Weak<Indexed>) {
        let loaded = {
            let _one = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
            self.embedder.get_or_init(|| Embedder::load(&self.files).map_err(|e| e.to_string()))
        };
        if let Ok(embedder) = loaded {
            self.fill(indexed, embedder);
        }
        if let Some(indexed) = indexed.upgrade() {
            indexed.vectors.finish();
        }
    }

    fn fill(&self, indexed: &Weak<Indexed>, embedder: &Embedder) {
        let kept = self.kept(embedder);
        for tool in 0.. {
            let Some(indexed) = indexed.upgrade() else { return };
            if tool == indexed.vectors.tools.len() {
                return;
            }
            let Some(passages) = indexed.passages(tool) else { continue };
            let key = key(&passages);
            let known = kept.as_ref().and_then(|kept| kept.get(&key).ok()?);
            let vector = match known {
                Some(vector) => vector,
                None => {
                    let Some(vector) = embed(embedder, &passages) else { continue };
                    if let Some(kept) = &kept {
                        // What is not kept is made again.
                        let _ = kept.upsert(&[Entry { id: &key, vector: &vector }]);
                    }
                    vector
                }
            };
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
    pub(super) fn near(&self, vectors: &Vectors, parts: &[&str]) -> Vec<Vec<Option<f32>>> {
        let Some(Ok(embedder)) = self.embedder.get() else { return Vec::new() };
        let embedded = embedder.embed(&parts[..parts.len().min(MAX_PARTS)]).unwrap_or_default();
        embedded.iter().map(|vector| vectors.near(vector)).collect()
    }

    /// Why the model can't be used.
    pub(super) fn problem(&self) -> Option<String> {
        self.embedder.get()?.as_ref().err().cloned()
    }
}

/// The vector of a tool: what its passages have in common.
fn embed(embedder: &Embedder, passages: &[String]) -> Option<Vec<f32>> {
    let texts: Vec<&str> = passages.iter().map(String::as_str).collect();
    let vectors = embedder.embed(&texts).ok()?;
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

/// What a model is told of a tool: several short texts say more than a long one.
pub(super) fn passages(key: &str, record: &Record, tool: &Value) -> Vec<String> {
    let (name, server) = (spoken(name(tool)), spoken(key));
    let (description, about) = (description(tool), about(record));
    let first = description.split(['\n']).next().unwrap_or_default();
    let first = first.split_inclusive(". ").next().unwrap_or_default();
    let mut names = Vec::new();
    parameters(&tool["inputSchema"], 0, &mut |name, _| names.push(spoken(name)));
    let parameters = names.join(", ");
    let passages = [
        name.clone(),
        format!("{server}: {name}"),
        format!("{name}: {}", cut(first, SHORT)),
        cut(&description, LONG).to_owned(),
        format!("{name} ({})", cut(&parameters, LONG)),
        format!("{server} {}: {name}", cut(&about, SHORT)),
    ];
    passages.map(|passage| aiw_core::one_line(&passage, LONG + SHORT)).into_iter().filter(|p| !p.is_empty()).collect()
}

/// A name as words: `getUserName` and `get_user_name` are `get user name`.
fn spoken(name: &str) -> String {
    let mut words = String::new();
    let mut last = ' ';
    for c in name.chars() {
        if c.is_uppercase() && (last.is_lowercase() || last.is_numeric()) {
            words.push(' ');
        }
        words.push(if matches!(c, '_' | '-' | '.' | '/') { ' ' } else { c });
        last = c;
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
