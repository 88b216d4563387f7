//! The interface `embeddings`.

use super::{CallState, refused};
use crate::bindings::v0_1::aiw::plugin::{embeddings, types};
use crate::budget::OverLimit;

impl embeddings::Host for CallState {
    async fn state(&mut self) -> wasmtime::Result<embeddings::ModelState> {
        self.allow("embeddings.state")?;
        self.charge_read()?;
        let capability = self.call.capabilities.embeddings.clone();
        Ok(match self.waiting(capability.model()).await {
            Ok((id, dimensions)) => embeddings::ModelState::Ready(embeddings::SentenceModel {
                id,
                dimensions: u32::try_from(dimensions).unwrap_or(u32::MAX),
            }),
            Err(e) => embeddings::ModelState::Missing(e.message),
        })
    }

    async fn embed(&mut self, texts: Vec<String>) -> wasmtime::Result<Result<Vec<Vec<f32>>, types::Error>> {
        self.allow("embeddings.embed")?;
        self.charge_request()?;
        let limits = self.call.limits;
        if texts.len() > limits.texts || texts.iter().map(String::len).sum::<usize>() > limits.text_bytes {
            return Ok(Err(types::Error::Invalid(format!(
                "at most {} texts of {} KiB in total can be embedded at once",
                limits.texts,
                limits.text_bytes >> 10
            ))));
        }
        self.embedded += texts.len();
        if self.embedded > limits.embedded {
            return Err(OverLimit(format!("embedded more than {} texts in one call", limits.embedded)).into());
        }
        if texts.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let capability = self.call.capabilities.embeddings.clone();
        Ok(self.waiting(capability.embed(texts)).await.map_err(refused))
    }
}
