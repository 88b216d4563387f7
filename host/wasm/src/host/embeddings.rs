//! The interface `embeddings`.

use async_trait::async_trait;

use super::{CallSetup, HostCall, HostResult, Interface, NoCapability};
use crate::budget::LimitExceeded;
use crate::error::{CallRejection, ComponentReason};

/// Texts that one call of `embed` may pass, and their bytes. More would hold the model for seconds.
const MAX_TEXTS: usize = 256;
/// See [`MAX_TEXTS`].
const MAX_TOTAL_TEXT_BYTES: usize = 1 << 20;
/// Texts that one call of the component may embed: some seconds of the model.
const MAX_EMBEDDED_TEXTS: usize = 2_000;

/// Texts as vectors.
#[async_trait]
pub trait Embeddings: Send + Sync {
    /// Returns the id and the dimensions of the model, or why there is none.
    async fn model(&self) -> Result<(String, usize), CallRejection>;

    /// Returns a vector of length 1 for each text.
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, CallRejection>;
}

#[async_trait]
impl Embeddings for NoCapability {
    async fn model(&self) -> Result<(String, usize), CallRejection> {
        Self::reject("sentence models")
    }

    async fn embed(&self, _texts: Vec<String>) -> Result<Vec<Vec<f32>>, CallRejection> {
        Self::reject("sentence models")
    }
}

/// The number of texts that one call has embedded.
#[derive(Default)]
pub(crate) struct EmbeddedCount(usize);

/// The interface `embeddings`.
pub(crate) struct EmbeddingsImport;

impl Interface for EmbeddingsImport {
    const NAME: &'static str = "embeddings";
    type Capability = dyn Embeddings;
    type State = EmbeddedCount;

    fn initial_state(_setup: &CallSetup<'_>) -> Self::State {
        EmbeddedCount::default()
    }
}

impl HostCall<'_, EmbeddingsImport> {
    /// Returns the id and the dimensions of the model, or why there is none.
    pub(crate) async fn model_info(&mut self) -> Result<Result<(String, usize), String>, LimitExceeded> {
        self.begin_read("state")?;
        Ok(self.call.track_wait(self.capability.model()).await.map_err(|refused| refused.message))
    }

    pub(crate) async fn embed(&mut self, texts: Vec<String>) -> HostResult<Vec<Vec<f32>>> {
        self.begin_request("embed")?;
        if texts.len() > MAX_TEXTS || texts.iter().map(String::len).sum::<usize>() > MAX_TOTAL_TEXT_BYTES {
            let message = format!(
                "at most {MAX_TEXTS} texts of {} KiB in total can be embedded at once",
                MAX_TOTAL_TEXT_BYTES >> 10
            );
            return Err(CallRejection { reason: ComponentReason::Invalid, message }.into());
        }
        self.state.0 += texts.len();
        if self.state.0 > MAX_EMBEDDED_TEXTS {
            return Err(LimitExceeded(format!("embedded more than {MAX_EMBEDDED_TEXTS} texts in one call")).into());
        }
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.call.track_wait(self.capability.embed(texts)).await?)
    }
}
