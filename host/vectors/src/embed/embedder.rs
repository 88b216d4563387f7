//! A loaded model.

use std::sync::{Mutex, PoisonError};

use aiw_core::{hex, one_line};
use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use sha2::{Digest, Sha256};

use super::error::ModelError;
use super::files::{ModelFiles, TOKENIZER, WEIGHTS};
use super::runtime::caught;

/// The tokens of a text that count, with the two that frame it: the length that the model was trained for.
const MAX_TOKENS: usize = 256;

/// The part of a text that is looked at: 256 tokens of any language, and far less than takes noticeable time.
const MAX_TEXT: usize = 16 << 10;

/// Texts in one run. More need more memory (the layers of 16 texts of 256 tokens take 50 MB) and are no faster.
const BATCH: usize = 16;

/// What a model is called in its file if its weights are bytes.
const QUANTIZED: &[u8] = b"DynamicQuantizeLinear";

/// A loaded sentence model. Calls block, one after the other; some milliseconds for a short text.
pub struct Embedder {
    model: Mutex<TextEmbedding>,
    batch: usize,
    dimensions: usize,
    identity: String,
}

impl Embedder {
    /// Reads the files, checks them against their pins and loads them.
    pub fn load(files: &ModelFiles) -> Result<Self, ModelError> {
        let environment = files.load_runtime()?;
        let weights = files.read(WEIGHTS)?;
        let [tokenizer_file, config_file, special_tokens_map_file, tokenizer_config_file] =
            TOKENIZER.map(|name| files.read(name));
        let tokenizer_files = TokenizerFiles {
            tokenizer_file: tokenizer_file?,
            config_file: config_file?,
            special_tokens_map_file: special_tokens_map_file?,
            tokenizer_config_file: tokenizer_config_file?,
        };
        let mut identity = Sha256::new();
        identity.update(Sha256::digest(&weights));
        identity.update(Sha256::digest(&tokenizer_files.tokenizer_file));
        // The range of the bytes is chosen anew for each run, so a text must not share one with others.
        let batch = if memchr::memmem::find(&weights, QUANTIZED).is_some() { 1 } else { BATCH };
        let options = InitOptionsUserDefined::new()
            .with_max_length(MAX_TOKENS)
            .with_intra_threads(files.threads.max(1))
            .with_environment(environment);
        let model = UserDefinedEmbeddingModel::new(weights, tokenizer_files).with_pooling(Pooling::Mean);
        let failed =
            |reason: String| ModelError::Model { directory: files.directory.clone(), reason: one_line(&reason, 300) };
        let model = caught(|| TextEmbedding::try_new_from_user_defined(model, options))
            .map_err(&failed)?
            .map_err(|e| failed(e.to_string()))?;
        let mut embedder = Self { model: Mutex::new(model), batch, dimensions: 0, identity: hex(&identity.finalize()) };
        // The first run also shows that the model takes the tokenizer's tokens.
        let first = embedder.run(&["aiw"]).map_err(|e| failed(e.to_string()))?;
        embedder.dimensions = first.first().map_or(0, Vec::len);
        if embedder.dimensions == 0 {
            return Err(failed("it returns no vectors".into()));
        }
        Ok(embedder)
    }

    /// Returns the number of dimensions of every vector.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Returns a digest of the model and its tokenizer, in hexadecimal: vectors of models with different digests can't be
    /// compared.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Returns a vector of length 1 for each text, in the same order. Only the first 256 tokens of a text count.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        // Texts in one run are as long as the longest of them.
        order.sort_by_key(|index| texts[*index].len());
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in order.chunks(self.batch) {
            let cut: Vec<&str> = batch.iter().map(|index| start_of(texts[*index])).collect();
            let found = self.run(&cut)?;
            if found.len() != batch.len() || found.iter().any(|vector| vector.len() != self.dimensions) {
                return Err(ModelError::Failed { reason: "it returns vectors of another number or length".into() });
            }
            if found.iter().flatten().any(|value| !value.is_finite()) {
                return Err(ModelError::Failed { reason: "it returns numbers that are not finite".into() });
            }
            for (index, vector) in batch.iter().zip(found) {
                vectors[*index] = vector;
            }
        }
        Ok(vectors)
    }

    fn run(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let failed = |reason: String| ModelError::Failed { reason: one_line(&reason, 300) };
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        caught(|| model.embed(texts, Some(texts.len()))).map_err(failed)?.map_err(|e| failed(e.to_string()))
    }
}

/// Returns the part of a text that is looked at.
fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}
