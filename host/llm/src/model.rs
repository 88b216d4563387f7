//! Asking a model.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aiw_net::{HttpClient, HttpRequest, Method};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::{Completion, CompletionRequest, KEEP_ALIVE, LlmApi, LlmError, ModelEndpoint, answer, body};

/// The longest answer that is read, in bytes. A plan has a few hundred.
const MAX_RESPONSE_BYTES: u64 = 256 << 10;

/// A model at an endpoint.
#[derive(Debug)]
pub struct LanguageModel {
    endpoint: ModelEndpoint,
    /// The server has refused a field that not every one knows.
    is_plain: AtomicBool,
}

impl LanguageModel {
    /// Returns the model of an endpoint. Nothing is sent.
    pub fn new(endpoint: ModelEndpoint) -> Self {
        Self { endpoint, is_plain: AtomicBool::new(false) }
    }

    /// Returns the endpoint.
    pub fn endpoint(&self) -> &ModelEndpoint {
        &self.endpoint
    }

    /// Asks the model. A server that refuses a field that not every server knows is asked once more without such fields.
    pub fn complete<'a>(
        &'a self,
        client: &'a HttpClient,
        question: &'a CompletionRequest<'a>,
    ) -> BoxFuture<'a, Result<Completion, LlmError>> {
        Box::pin(async move {
            let started = Instant::now();
            let asked = async {
                let is_plain = self.is_plain.load(Ordering::Relaxed);
                match self.once(client, question, is_plain).await {
                    Err(LlmError::HttpStatus { status: 400 | 422, .. }) if !is_plain => {
                        let reply = self.once(client, question, true).await?;
                        self.is_plain.store(true, Ordering::Relaxed);
                        Ok(reply)
                    }
                    reply => reply,
                }
            };
            let reply = tokio::time::timeout(question.timeout, asked).await;
            let reply =
                reply.map_err(|_| LlmError::Timeout { time: question.timeout, place: self.endpoint.place() })?;
            reply.map(|reply| Completion { elapsed: started.elapsed(), ..reply })
        })
    }

    async fn once(
        &self,
        client: &HttpClient,
        question: &CompletionRequest<'_>,
        is_plain: bool,
    ) -> Result<Completion, LlmError> {
        let body = body::build(&self.endpoint, question, is_plain);
        let response = client.fetch(&self.endpoint.policy, &self.request(&body)).await;
        let response = response.map_err(|source| LlmError::Unreachable { source: source.without_paths() })?;
        answer::read(&self.endpoint, response.status, &response.body)
    }

    fn request(&self, body: &Value) -> HttpRequest {
        let endpoint = &self.endpoint;
        let path = match endpoint.api {
            LlmApi::Ollama => "/api/chat",
            LlmApi::ChatCompletions => "/chat/completions",
            LlmApi::Messages => "/v1/messages",
        };
        let mut headers = endpoint.headers.clone();
        headers.push(("content-type".into(), "application/json".into()));
        if endpoint.api == LlmApi::Messages {
            headers.push(("anthropic-version".into(), "2023-06-01".into()));
        }
        HttpRequest {
            method: Method::Post,
            headers,
            secret_headers: endpoint.secrets.clone(),
            body: body.to_string().into_bytes(),
            max_body_bytes: MAX_RESPONSE_BYTES,
            ..HttpRequest::new(format!("{}{path}", endpoint.url))
        }
    }

    /// Lets Ollama load the model for questions of this context, which can take longer than anybody waits for an answer.
    /// Elsewhere it does nothing.
    pub fn load<'a>(
        &'a self,
        client: &'a HttpClient,
        context: u32,
        time: Duration,
    ) -> BoxFuture<'a, Result<(), LlmError>> {
        Box::pin(async move {
            if self.endpoint.api != LlmApi::Ollama {
                return Ok(());
            }
            // For another context it would load the model again.
            let body = json!({
                "model": self.endpoint.model,
                "messages": [],
                "stream": false,
                "keep_alive": KEEP_ALIVE,
                "options": {"num_ctx": context},
            });
            let request = self.request(&body);
            let response = tokio::time::timeout(time, client.fetch(&self.endpoint.policy, &request)).await;
            let response = response.map_err(|_| LlmError::Timeout { time, place: self.endpoint.place() })?;
            let response = response.map_err(|source| LlmError::Unreachable { source: source.without_paths() })?;
            match response.status {
                200 => Ok(()),
                status => Err(answer::response_error(&self.endpoint, status, &response.body)),
            }
        })
    }
}
