//! The files of a model, and whether they can be used.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aiw_core::hex;
use aiw_home::open_regular;
use ort::environment::Environment;
use sha2::{Digest, Sha256};

use super::error::{ModelError, unreadable};
use super::runtime;

/// The largest model that is read into memory: four times all-MiniLM-L6-v2.
const MAX_MODEL_BYTES: u64 = 400 << 20;

/// The largest other file of a model. The largest tokenizers have 20 MB.
const MAX_OTHER_BYTES: u64 = 32 << 20;

/// The files that a tokenizer is made of.
pub(super) const TOKENIZER_FILES: [&str; 4] =
    ["tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"];

/// The model itself.
pub(super) const ONNX_FILE: &str = "model.onnx";

/// All files of a model.
pub(crate) const MODEL_FILES: [&str; 5] =
    [ONNX_FILE, TOKENIZER_FILES[0], TOKENIZER_FILES[1], TOKENIZER_FILES[2], TOKENIZER_FILES[3]];

/// A sentence model in a directory, and the library that runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// The directory with `model.onnx`, `tokenizer.json`, `config.json`, `special_tokens_map.json` and
    /// `tokenizer_config.json`.
    pub directory: PathBuf,
    /// The library of ONNX Runtime.
    pub runtime: PathBuf,
    /// The sha256 that files must have, by their names in the directory. Other files may be anything.
    pub pinned_digests: BTreeMap<String, String>,
    /// The sha256 that the library must have.
    pub runtime_digest: Option<String>,
    /// The number of threads that one text may use.
    pub threads: usize,
    /// A directory for what makes the next load fast. Its parent has nothing else in it.
    pub prepared_dir: Option<PathBuf>,
}

/// Whether a model can be used: a state like any other, not a failure.
#[derive(Debug)]
pub enum ModelState {
    /// All files are there and are the right ones.
    Ready,
    /// The model can't be used, for this reason.
    Unusable(ModelError),
}

impl ModelFiles {
    /// Names a model's directory and a library, with any content and one thread.
    pub fn new(directory: impl Into<PathBuf>, runtime: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            runtime: runtime.into(),
            pinned_digests: BTreeMap::new(),
            runtime_digest: None,
            threads: 1,
            prepared_dir: None,
        }
    }

    /// Returns the identity that the loaded model will have ([`super::Embedder::identity`]), if its files are pinned.
    pub fn identity(&self) -> Option<String> {
        let mut identity = Sha256::new();
        for name in [ONNX_FILE, TOKENIZER_FILES[0]] {
            identity.update(bytes_of(self.pinned_digests.get(name)?)?);
        }
        Some(hex(&identity.finalize()))
    }

    /// Loads the library, if it is the pinned one.
    pub(super) fn load_runtime(&self) -> Result<Environment, ModelError> {
        if let Some(pinned) = &self.runtime_digest {
            check(&self.runtime, &file_sha256(&self.runtime)?, pinned)?;
        }
        runtime::load(&self.runtime, false)
    }

    /// Reads a file of the model, which must be the pinned one.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, ModelError> {
        let path = self.directory.join(name);
        let limit = if name == ONNX_FILE { MAX_MODEL_BYTES } else { MAX_OTHER_BYTES };
        let unreadable = |source| unreadable(&path, source);
        let file = open_regular(&path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or_default());
        file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > limit {
            return Err(ModelError::TooLarge { path, limit });
        }
        if let Some(pinned) = self.pinned_digests.get(name) {
            check(&path, &hex(&Sha256::digest(&bytes)), pinned)?;
        }
        Ok(bytes)
    }
}

/// The bytes that hexadecimal digits stand for.
fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    (0..digits.len()).step_by(2).map(|place| u8::from_str_radix(digits.get(place..place + 2)?, 16).ok()).collect()
}

fn check(path: &Path, found: &str, pinned: &str) -> Result<(), ModelError> {
    if found == pinned {
        return Ok(());
    }
    Err(ModelError::DigestMismatch { path: path.to_owned(), pinned: pinned.to_owned(), found: found.to_owned() })
}

/// Returns the sha256 of a file, in hexadecimal.
pub(crate) fn file_sha256(path: &Path) -> Result<String, ModelError> {
    let mut file = open_regular(path).map_err(|e| unreadable(path, e))?;
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(length) => hasher.update(&piece[..length]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(path, e)),
        }
    }
}
