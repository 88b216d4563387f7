//! What registries of MCP servers answer: JSON over HTTP, read field by field, because rows of all ages and makers occur.

mod fields;
mod time;

use std::collections::BTreeMap;

use aiw_extension::{Error, Response, settings};
use serde_json::Value;
use serde_json::value::RawValue;

pub use fields::{InvalidRow, Object};
pub use time::{from_rfc3339, to_rfc3339};

/// The longest answer that is parsed. A page of 100 rows has 100 to 300 kB.
pub const MAX_RESPONSE_BYTES: u32 = 4 << 20;

/// The longest text of a registry in an error message, in characters.
const MAX_REASON_LEN: usize = 200;

/// Returns the address of the registry's API without a slash at the end: the user's setting `base_url`, or the usual one.
pub fn base_url(usual: &str) -> String {
    let base = settings::get("base_url").unwrap_or_else(|| usual.to_owned());
    base.trim_end_matches('/').to_owned()
}

/// Returns the JSON of an answer, or what the registry says instead.
pub fn json(response: Response) -> Result<Value, Error> {
    let place = strip_query(&response.url).to_owned();
    let failed = !(200..300).contains(&response.status);
    let reason = failed.then(|| reason(&response.body)).flatten();
    let response = response.success().map_err(|error| match &reason {
        Some(reason) => with_reason(error, reason),
        None => error,
    })?;
    let text = response.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&response.body);
    if text.trim_ascii_start().first() == Some(&b'<') {
        return Err(Error::malformed(format!("`{place}` is a web page, not the API of a registry")));
    }
    let parsed = serde_json::from_slice(text).or_else(|error| row_by_row(text).ok_or(error));
    parsed.map_err(|error| Error::malformed(format!("`{place}` is not valid JSON: {error}")))
}

/// Reads a page of which a row can't be read: it is nested too deeply, or has a number or a character that there is not. Such a
/// row becomes `null`, which is a malformed row, and hides no other.
fn row_by_row(text: &[u8]) -> Option<Value> {
    let page: BTreeMap<&str, &RawValue> = serde_json::from_slice(text).ok()?;
    let read = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or(Value::Null);
    let one = |(name, raw): (&str, &RawValue)| match (name, serde_json::from_str::<Vec<&RawValue>>(raw.get())) {
        ("servers", Ok(rows)) => (name.to_owned(), rows.into_iter().map(read).collect()),
        _ => (name.to_owned(), read(raw)),
    };
    Some(Value::Object(page.into_iter().map(one).collect()))
}

/// Removes the query, which is long and may contain a key.
pub fn strip_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Returns what the body of an error says, on one line: `{"error": …}` or a problem document.
fn reason(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let nested = |value: &Value| text(value).or_else(|| text(value.get("message")?));
    let first = || text(body.get("errors")?.get(0)?.get("message")?);
    let said = body.get("error").and_then(nested);
    let said = said.or_else(|| text(body.get("detail")?)).or_else(|| text(body.get("title")?));
    let said = match (said, first()) {
        (Some(said), Some(first)) => format!("{said} ({first})"),
        (said, first) => said.or(first).or_else(|| text(body.get("message")?))?,
    };
    let line: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REASON_LEN).collect();
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}

fn with_reason(error: Error, reason: &str) -> Error {
    let message = format!("{}: {reason}", error.message());
    match error {
        Error::Invalid(_) => Error::Invalid(message),
        Error::NotFound(_) => Error::NotFound(message),
        Error::Denied(_) => Error::Denied(message),
        Error::Malformed(_) => Error::Malformed(message),
        Error::Unavailable(unavailability) => Error::unavailable(message, unavailability.retry_after),
    }
}

/// Encodes a text as a part of a path or a query.
pub fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => {
                encoded.push('%');
                encoded.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Value, Error> {
        let url = "https://a.example/v0.1/servers?search=x".to_owned();
        json(Response { status, headers: Vec::new(), body: body.as_bytes().to_vec(), url })
    }

    #[test]
    fn an_error_says_what_the_registry_says() {
        let message = |status, body| answer(status, body).unwrap_err().message().to_owned();
        let (gone, at) =
            ("`https://a.example/v0.1/servers` does not exist (status 404)", "`https://a.example/v0.1/servers`");
        assert_eq!(message(404, r#"{"error": "Server not found"}"#), format!("{gone}: Server not found"));
        let problem = r#"{"title": "Unprocessable Entity", "status": 422, "detail": "validation failed",
            "errors": [{"message": "expected number <= 100", "location": "query.limit"}]}"#;
        assert_eq!(
            message(422, problem),
            format!("{at} answered with status 422: validation failed (expected number <= 100)")
        );
        assert_eq!(message(404, r#"{"title": "Not\u001b[31m\nFound"}"#), format!("{gone}: Not [31m Found"));
        assert_eq!(message(404, r#"{"error": {"message": "no"}}"#), format!("{gone}: no"));
        for silent in ["", "<html>", "[]", "{}", "7", r#"{"error": ""}"#, r#"{"title": 4, "errors": 1}"#] {
            assert_eq!(message(404, silent), gone, "{silent}");
        }
        let long = format!(r#"{{"error": "{}"}}"#, "é".repeat(10_000));
        assert_eq!(message(500, &long).chars().filter(|c| *c == 'é').count(), MAX_REASON_LEN);
        assert!(matches!(answer(503, "{}"), Err(Error::Unavailable(_))));
        assert!(matches!(answer(401, "{}"), Err(Error::Denied(_))));
    }

    #[test]
    fn an_answer_is_json() {
        assert_eq!(answer(200, "\u{feff}{\"a\": 1}"), Ok(serde_json::json!({"a": 1})));
        assert_eq!(
            answer(200, " \n<!doctype html>").unwrap_err().message(),
            "`https://a.example/v0.1/servers` is a web page, not the API of a registry"
        );
        assert!(answer(200, "{").unwrap_err().message().contains("is not valid JSON: "));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(answer(200, &deep).unwrap_err().message().contains("recursion limit"));
    }

    #[test]
    fn names_and_versions_are_encoded_whole() {
        assert_eq!(encode("io.github.acme/weather"), "io.github.acme%2Fweather");
        assert_eq!(encode("1.0.0+build ?&#%é\n"), "1.0.0%2Bbuild%20%3F%26%23%25%C3%A9%0A");
        assert_eq!(encode("../x"), "..%2Fx");
    }
}
