//! Reasoning that travels through a client of another dialect.
//!
//! A client gives back what it was sent in `signature`, `encrypted_content` or `thoughtSignature`, so the gateway
//! keeps no state: it puts a record there, and takes it out of the next request.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::json::Text;

/// The beginning of each record, with its version.
const RECORD_PREFIX: &[u8; 4] = b"aiw\x01";

/// The beginning of [`RECORD_PREFIX`] in base64 that is the same whatever follows.
pub(crate) const ENCODED_PREFIX: &str = "YWl3A";

/// The largest record that is read, in bytes of base64.
const MAX_RECORD_BYTES: usize = 8 << 20;

/// Reasoning of one upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReasoningBlob {
    /// The upstream's family: its dialect and its address, hashed. Reasoning of one is nothing to another.
    #[serde(rename = "f")]
    pub family: String,
    #[serde(rename = "m")]
    pub model: String,
    #[serde(rename = "k")]
    pub proof: ReasoningProof,
    /// The thought, where the client drops it.
    #[serde(rename = "t", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Further records that had no place of their own, behind this one.
    #[serde(rename = "n", default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<ReasoningBlob>,
}

/// The proof that the upstream wants back, beside the thought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReasoningProof {
    /// The thought alone (Chat Completions).
    #[serde(rename = "t")]
    Nothing,
    /// The signature of a thought (Messages).
    #[serde(rename = "s")]
    Signature(String),
    /// A thought that nobody may read (Messages).
    #[serde(rename = "r")]
    Redacted(String),
    /// The encrypted content of a reasoning item, and the item's id (Responses).
    #[serde(rename = "e")]
    Encrypted { id: String, content: String },
    /// The signature of the part that follows (generateContent).
    #[serde(rename = "p")]
    OfPart(String),
}

impl ReasoningProof {
    /// Returns how many bytes it takes up.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Signature(text) | Self::Redacted(text) | Self::OfPart(text) => text.len(),
            Self::Encrypted { id, content } => id.len() + content.len(),
        }
    }
}

impl ReasoningBlob {
    /// Formats the record for a field that the client gives back.
    pub(crate) fn encode(&self) -> String {
        let mut bytes = RECORD_PREFIX.to_vec();
        // Writing strings to memory does not fail.
        let _ = serde_json::to_writer(&mut bytes, self);
        STANDARD.encode(bytes)
    }

    /// Reads a record. Everything else, such as the vendor's own signature, is `None`.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        if !is_ours(text) || text.len() > MAX_RECORD_BYTES {
            return None;
        }
        let bytes = STANDARD.decode(text).ok()?;
        serde_json::from_slice(bytes.strip_prefix(RECORD_PREFIX)?).ok()
    }

    /// Reads the record of an optional field.
    pub(crate) fn decode_field(field: Option<&Text<'_>>) -> Option<Self> {
        Self::decode(field?.as_str())
    }

    /// Returns this record and those behind it.
    pub(crate) fn into_chain(mut self) -> Vec<Self> {
        let next = std::mem::take(&mut self.next);
        std::iter::once(self).chain(next).collect()
    }

    /// Returns the thought: the client's own text where it kept one.
    pub(crate) fn thought<'t>(&'t self, kept: &'t str) -> Cow<'t, str> {
        Cow::Borrowed(if kept.is_empty() { &self.text } else { kept })
    }
}

/// Returns whether a signature is a record of ours, of any version.
pub(crate) fn is_ours(text: &str) -> bool {
    text.starts_with(ENCODED_PREFIX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(text: String, signature: String) -> ReasoningBlob {
        ReasoningBlob {
            family: "f".into(),
            model: "m".into(),
            proof: ReasoningProof::Signature(signature),
            text,
            next: Vec::new(),
        }
    }

    #[test]
    fn a_vendors_signature_is_not_ours() {
        for text in ["", "EqQBCkYI", "skip_thought_signature_validator", "YWl3", "YWl3AXt9", "YWl3A\u{e9}"] {
            assert_eq!(ReasoningBlob::decode(text), None, "{text}");
        }
        // A later version is ours, so it goes nowhere, but this one can't read it.
        let later = STANDARD.encode(b"aiw\x02{}");
        assert!(is_ours(&later) && ReasoningBlob::decode(&later).is_none());
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn a_record_comes_back_as_it_was(text in ".*", signature in ".*") {
                let mut record = record(text.clone(), signature.clone());
                record.next = vec![super::record(signature, text)];
                prop_assert_eq!(ReasoningBlob::decode(&record.encode()), Some(record));
            }

            #[test]
            fn any_text_is_read_without_a_panic(text in "(YWl3AX)?[A-Za-z0-9+/=]{0,80}|.*") {
                let _ = ReasoningBlob::decode(&text);
            }
        }
    }
}
