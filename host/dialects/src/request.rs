//! Requests of clients, and where they go.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aiw_core::Api;
use memchr::memchr;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::conversation::sanitize_id;

/// A request of a client.
#[derive(Clone, Copy, Debug)]
pub struct ModelRequest<'a> {
    /// The API that the client speaks.
    pub client: Api,
    /// Its JSON.
    pub body: &'a [u8],
    /// The model, where it stands in the path (generateContent).
    pub model: Option<&'a str>,
    /// Whether the client wants events, where the path says so (generateContent).
    pub is_streamed: Option<bool>,
}

impl<'a> ModelRequest<'a> {
    /// Makes a request whose body says everything.
    pub fn new(client: Api, body: &'a [u8]) -> Self {
        Self { client, body, model: None, is_streamed: None }
    }
}

/// Options of the events that a client of Chat Completions asks for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct StreamOptions {
    pub include_usage: Option<bool>,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct UpstreamTarget {
    /// The API that it speaks.
    pub dialect: Api,
    /// The model, as it calls it.
    pub model: String,
    /// Says whose reasoning can be given back: a word for the vendor and the address.
    pub family: String,
    /// The most tokens that the model writes in an answer.
    pub max_output_tokens: Option<u64>,
    /// Fields of the request that it has refused before.
    pub rejected_fields: Vec<String>,
    /// Whether all earlier reasoning is left out, because it has refused some. Within one dialect, an upstream's own
    /// and another one's look alike.
    pub strip_reasoning: bool,
    /// Whether its reasoning is marked even within one dialect, because another upstream may answer the next request.
    pub mark_reasoning: bool,
    /// Takes secrets out of what it says of failures. Servers repeat the key that they refuse.
    pub mask: SecretMask,
}

type MaskFn = dyn Fn(&str) -> String + Send + Sync;

/// Takes secrets out of texts.
#[derive(Clone, Default)]
pub struct SecretMask(Option<Arc<MaskFn>>);

impl SecretMask {
    /// Makes one of a function.
    pub fn new(mask: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(mask)))
    }

    pub(crate) fn mask_text(&self, text: &str) -> String {
        self.0.as_ref().map_or_else(|| text.to_owned(), |mask| mask(text))
    }

    /// Takes secrets out of an id or a name, and leaves it one that servers take back.
    pub(crate) fn mask_id<'t>(&self, id: Cow<'t, str>) -> Cow<'t, str> {
        let Some(mask) = &self.0 else { return id };
        let masked = mask(&id);
        if masked == *id { id } else { sanitize_id(&masked).into() }
    }

    /// Returns whether JSON may hold a secret: one stands there as it is, or letters are escaped.
    pub(crate) fn can_match(&self, json: &[u8]) -> bool {
        let Some(mask) = &self.0 else { return false };
        memchr(b'\\', json).is_some() || std::str::from_utf8(json).is_ok_and(|text| mask(text) != text)
    }
}

impl fmt::Debug for SecretMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

/// The output limit, in tokens, where neither the client nor the table of models has one.
const DEFAULT_OUTPUT_TOKENS: u64 = 32_000;

impl UpstreamTarget {
    /// Makes one of which no more is known.
    pub fn new(dialect: Api, model: impl Into<String>, family: impl Into<String>) -> Self {
        let (model, family) = (model.into(), family.into());
        Self {
            dialect,
            model,
            family,
            max_output_tokens: None,
            rejected_fields: Vec::new(),
            strip_reasoning: false,
            mark_reasoning: false,
            mask: SecretMask::default(),
        }
    }

    /// Returns a client's limit of an answer, as far as the model reaches.
    pub(crate) fn clamp_output_tokens(&self, tokens: u64) -> u64 {
        self.max_output_tokens.map_or(tokens, |most| tokens.min(most))
    }

    /// Takes out of a request what it has refused before.
    pub(crate) fn remove_rejected_fields(&self, body: Vec<u8>) -> Vec<u8> {
        if self.rejected_fields.is_empty() {
            return body;
        }
        let Ok(mut request) = serde_json::from_slice::<Map<String, Value>>(&body) else { return body };
        self.rejected_fields.iter().for_each(|field| drop(request.shift_remove(field)));
        serde_json::to_vec(&request).unwrap_or(body)
    }

    pub(crate) fn output_tokens_or_default(&self) -> u64 {
        self.max_output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS)
    }
}

/// A client's request that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is not the JSON of the dialect.
    #[error("the request is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// A field has a shape that the dialect does not know.
    #[error("the request is not valid: `{0}` has a wrong shape")]
    InvalidShape(&'static str),
}
