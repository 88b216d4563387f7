//! What a component answered, for assertions.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::TestkitError;

/// An answer from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedResponse {
    /// The status code.
    pub status: u16,
    /// The header fields, with lowercase names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl RecordedResponse {
    /// Creates an answer with status 200 and a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
    }

    /// Creates an answer with a status and no body.
    pub fn with_status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }
}

/// Recorded answers by URL.
pub type RecordedResponses = BTreeMap<String, RecordedResponse>;

/// An answer in the file format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Value,
}

impl From<Recorded> for RecordedResponse {
    fn from(recorded: Recorded) -> Self {
        let body = match recorded.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.into_bytes(),
            document => document.to_string().into_bytes(),
        };
        let answer = Self { status: recorded.status, headers: Vec::new(), body };
        recorded.headers.into_iter().fold(answer, |answer, (name, value)| answer.header(&name, value))
    }
}

/// Reads `{"URL": {"status": 200, "headers": {"etag": "x"}, "body": "…"}, …}`. `headers` and `body` are optional; a
/// body that is an object or a list is sent as JSON.
pub(crate) fn read(path: &Path) -> Result<RecordedResponses, TestkitError> {
    let bytes = std::fs::read(path).map_err(|source| TestkitError::Read { path: path.to_owned(), source })?;
    parse(&bytes).map_err(|source| TestkitError::InvalidResponses { path: path.to_owned(), source })
}

fn parse(bytes: &[u8]) -> Result<RecordedResponses, serde_json::Error> {
    let recorded: BTreeMap<String, Recorded> = serde_json::from_slice(bytes)?;
    Ok(recorded.into_iter().map(|(url, recorded)| (url, recorded.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_answers_by_url() {
        let answers = parse(
            br#"{
                "https://a.example/text": {"status": 404, "body": "gone"},
                "https://a.example/json": {"status": 200, "headers": {"ETag": "x"}, "body": {"b": 1, "a": []}},
                "https://a.example/none": {"status": 204}
            }"#,
        )
        .unwrap();
        assert_eq!(answers["https://a.example/text"].body, b"gone");
        assert_eq!(answers["https://a.example/json"], RecordedResponse::ok(r#"{"b":1,"a":[]}"#).header("etag", "x"));
        assert_eq!(answers["https://a.example/none"], RecordedResponse::with_status(204));
    }

    #[test]
    fn the_template_of_an_extension_holds_answers() {
        let template = include_str!("../../templates/market-source/http.json.tmpl").replace("{{name}}", "notes");
        let answers = parse(template.as_bytes()).unwrap();
        assert_eq!(answers["https://notes.example/absent/marketplace.json"], RecordedResponse::with_status(404));
        assert_eq!(answers["https://notes.example/demo/marketplace.json"].status, 200);
    }

    #[test]
    fn a_word_that_is_not_known_is_an_error() {
        let error = parse(br#"{"https://a.example/": {"state": 200}}"#).unwrap_err();
        assert!(error.to_string().starts_with("unknown field `state`"), "{error}");
    }
}
