//! A loaded model.

use aiw_core::{hex, one_line};
use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use ort::environment::Environment;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::error::ModelError;
use super::files::{ModelFiles, ONNX_FILE, TOKENIZER_FILES};
use super::prepared::{PreparedModel, is_quantized};
use super::runtime::{self, catch_panic};

/// The tokens of a text that count, with the two that frame it: the length that the model was trained for.
const MAX_TOKENS: usize = 256;

/// The part of a text that is looked at: 256 tokens of any language, and far less than takes noticeable time.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// Texts in one run, and their bytes with those that make them equally long: about 512 tokens. More need more memory (the
/// layers of 16 texts of 256 tokens take 170 MB) and are no faster.
const BATCH_SIZE: usize = 16;
const BATCH_BYTES: usize = 2048;

/// ONNX Runtime's name for the directory of the weights that a graph names.
const INITIALIZERS_FOLDER_KEY: &str = "session.model_external_initializers_file_folder_path";

/// The source of a session.
enum Graph {
    Original(Vec<u8>),
    Prepared(PreparedModel),
}

/// A loaded sentence model. Calls block, one after the other; some milliseconds for a short text.
pub struct Embedder {
    model: Mutex<TextEmbedding>,
    batch: usize,
    dimensions: usize,
    identity: String,
}

impl Embedder {
    /// Loads the model, after its files were compared with their pins: now, or when they were read last and were just as
    /// they are.
    pub fn load(files: &ModelFiles) -> Result<Self, ModelError> {
        if let (Some(prepared), Some(identity)) = (PreparedModel::find(files), files.identity()) {
            let environment = runtime::load(&files.runtime, true)?;
            if let Ok(embedder) = Self::of(files, environment, Graph::Prepared(prepared), identity) {
                return Ok(embedder);
            }
        }
        let environment = files.load_runtime()?;
        let weights = files.read(ONNX_FILE)?;
        let mut identity = Sha256::new();
        identity.update(Sha256::digest(&weights));
        identity.update(Sha256::digest(files.read(TOKENIZER_FILES[0])?));
        let graph = match PreparedModel::create(files, &environment, &weights) {
            Some(prepared) => Graph::Prepared(prepared),
            None => Graph::Original(weights),
        };
        Self::of(files, environment, graph, hex(&identity.finalize()))
    }

    fn of(files: &ModelFiles, environment: Environment, graph: Graph, identity: String) -> Result<Self, ModelError> {
        let [tokenizer_file, config_file, special_tokens_map_file, tokenizer_config_file] =
            TOKENIZER_FILES.map(|name| files.read(name));
        let tokenizer_files = TokenizerFiles {
            tokenizer_file: tokenizer_file?,
            config_file: config_file?,
            special_tokens_map_file: special_tokens_map_file?,
            tokenizer_config_file: tokenizer_config_file?,
        };
        let mut options = InitOptionsUserDefined::new()
            .with_max_length(MAX_TOKENS)
            .with_intra_threads(files.threads.max(1))
            .with_environment(environment);
        let (graph, is_quantized) = match graph {
            Graph::Original(weights) => {
                let is_quantized = is_quantized(&weights);
                (weights, is_quantized)
            }
            Graph::Prepared(PreparedModel { graph, directory, is_quantized }) => {
                options = options
                    .with_session_config(INITIALIZERS_FOLDER_KEY, directory.display().to_string())
                    // Weights in another order would be a copy of all of them.
                    .with_session_config("session.disable_prepacking", "1");
                (graph, is_quantized)
            }
        };
        // The range of the bytes is chosen anew for each run, so a text must not share one with others.
        let batch = if is_quantized { 1 } else { BATCH_SIZE };
        let model = UserDefinedEmbeddingModel::new(graph, tokenizer_files).with_pooling(Pooling::Mean);
        let failed = |reason: String| ModelError::InvalidModel {
            directory: files.directory.clone(),
            reason: one_line(&reason, 300),
        };
        let model = catch_panic(|| TextEmbedding::try_new_from_user_defined(model, options))
            .map_err(&failed)?
            .map_err(|e| failed(e.to_string()))?;
        let mut embedder = Self { model: Mutex::new(model), batch, dimensions: 0, identity };
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
        Ok(self.embed_while(texts, &mut || true)?.unwrap_or_default())
    }

    /// Returns what [`Embedder::embed`] does, or `None` if `go_on`, which is asked after each run of the model, said no.
    pub fn embed_while(
        &self,
        texts: &[&str],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<Vec<f32>>>, ModelError> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        // Texts in one run are as long as the longest of them.
        order.sort_by_key(|index| texts[*index].len());
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut left = order.as_slice();
        while let Some((_, rest)) = left.split_first() {
            // The next text is the longest of those that share a run with it.
            let fits = |(place, index): &(usize, &usize)| (place + 2) * texts[**index].len() <= BATCH_BYTES;
            let more = rest.iter().enumerate().take(self.batch - 1).take_while(fits).count();
            let (batch, rest) = left.split_at(1 + more);
            left = rest;
            let cut: Vec<&str> = batch.iter().map(|index| start_of(texts[*index])).collect();
            let found = self.run(&cut)?;
            if found.len() != batch.len() || found.iter().any(|vector| vector.len() != self.dimensions) {
                return Err(ModelError::InferenceFailed {
                    reason: "it returns vectors of another number or length".into(),
                });
            }
            if found.iter().flatten().any(|value| !value.is_finite()) {
                return Err(ModelError::InferenceFailed { reason: "it returns numbers that are not finite".into() });
            }
            for (index, vector) in batch.iter().zip(found) {
                vectors[*index] = vector;
            }
            if !go_on() {
                return Ok(None);
            }
        }
        Ok(Some(vectors))
    }

    fn run(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let failed = |reason: String| ModelError::InferenceFailed { reason: one_line(&reason, 300) };
        let mut model = self.model.lock();
        catch_panic(|| model.embed(texts, Some(texts.len()))).map_err(failed)?.map_err(|e| failed(e.to_string()))
    }
}

/// Returns the part of a text that is looked at.
fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}
