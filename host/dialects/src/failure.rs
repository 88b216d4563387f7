//! Errors of upstreams, as each dialect says them.

use std::time::Duration;

use serde_json::{Value, json};

use aiw_core::{Api, from_foreign_json, printable};

use crate::request::SecretMask;

aiw_core::string_enum! {
    /// Why an upstream gave no answer, or no whole one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum FailureKind {
        /// The request is wrong.
        Invalid = "the request is wrong",
        /// The conversation is longer than the model reads.
        TooLong = "the prompt is too long",
        /// The key is refused.
        InvalidKey = "the key is refused",
        /// The key may not do this.
        PermissionDenied = "the key may not do this",
        /// There is no such model, or no such address.
        NotFound = "there is no such model",
        /// The request has too many bytes.
        TooLarge = "the request is too large",
        /// Too many requests; later ones are answered.
        RateLimited = "its limit is reached",
        /// The account has nothing left; waiting does not help.
        QuotaExceeded = "the account has nothing left",
        /// The upstream has too much to do.
        Overloaded = "it has too much to do",
        /// The upstream does not answer in time.
        Timeout = "it did not answer in time",
        /// The upstream failed, broke its answer off, or said what makes no sense.
        Upstream = "it failed",
    }
}

impl FailureKind {
    fn spelled(self) -> Spelled {
        let invalid = "invalid_request_error";
        let (status, messages, openai, generate) = match self {
            Self::Invalid => (400, invalid, invalid, (400, "INVALID_ARGUMENT")),
            Self::TooLong => (400, invalid, "context_length_exceeded", (400, "INVALID_ARGUMENT")),
            Self::InvalidKey => (401, "authentication_error", "invalid_api_key", (401, "UNAUTHENTICATED")),
            Self::PermissionDenied => (403, "permission_error", "permission_denied", (403, "PERMISSION_DENIED")),
            Self::NotFound => (404, "not_found_error", "model_not_found", (404, "NOT_FOUND")),
            Self::TooLarge => (413, "request_too_large", invalid, (400, "INVALID_ARGUMENT")),
            Self::RateLimited => (429, "rate_limit_error", "rate_limit_exceeded", (429, "RESOURCE_EXHAUSTED")),
            Self::QuotaExceeded => (429, "rate_limit_error", "insufficient_quota", (429, "RESOURCE_EXHAUSTED")),
            Self::Overloaded => (503, "overloaded_error", "server_is_overloaded", (503, "UNAVAILABLE")),
            Self::Timeout => (504, "timeout_error", "server_error", (504, "DEADLINE_EXCEEDED")),
            Self::Upstream => (502, "api_error", "server_error", (500, "INTERNAL")),
        };
        Spelled { status, messages, openai, generate }
    }
}

/// A kind of failure, as each API says it.
struct Spelled {
    /// The HTTP status, where an API has none of its own.
    status: u16,
    messages: &'static str,
    openai: &'static str,
    generate: (u16, &'static str),
}

/// An error of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFailure {
    /// Its meaning.
    pub kind: FailureKind,
    /// The upstream's words, or ours where it has none.
    pub message: String,
    /// How long the upstream asks to wait.
    pub retry_after: Option<Duration>,
    /// The status that it answered with, if it did.
    pub status: Option<u16>,
}

/// The longest message that is passed on, in characters.
const MAX_MESSAGE_CHARS: usize = 2_000;

impl UpstreamFailure {
    /// Makes an error.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let message: String = message.into().chars().take(MAX_MESSAGE_CHARS).collect();
        // Clients print it.
        Self { kind, message: printable(&message).into_owned(), retry_after: None, status: None }
    }

    /// Says what failed in none of the upstream's words, which may be those of a prompt.
    pub fn generic_message(&self) -> String {
        let status = self.status.map(|status| format!(" (status {status})")).unwrap_or_default();
        format!("{}{status}", self.kind.as_str())
    }

    /// The stream ended without the end that its dialect demands.
    pub fn unexpected_eof() -> Self {
        Self::new(FailureKind::Upstream, "the provider's answer broke off")
    }

    /// Reads an error answer. `body` may be anything.
    pub fn from_response(status: u16, body: &[u8]) -> Self {
        let said: Value = from_foreign_json(body).unwrap_or_default();
        // Gemini wraps errors in a list where it streams.
        let said = said.get(0).unwrap_or(&said);
        let error = said.get("error").filter(|error| !error.is_null()).unwrap_or(said);
        let words = [&error["message"], error, &said["message"], &said["detail"], &said["error_description"]];
        let message = words.into_iter().find_map(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let message = message.map_or_else(
            || match serde_json::from_slice::<Value>(body).is_ok() || body.starts_with(b"<") || body.is_empty() {
                true => format!("the provider answered with status {status}"),
                false => String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE_CHARS)]).into_owned(),
            },
            str::to_owned,
        );
        let code = [&error["code"], &error["type"], &error["status"]];
        let codes: Vec<String> = code.iter().filter_map(|code| code.as_str()).map(str::to_ascii_lowercase).collect();
        let status = match error["code"].as_u64().and_then(|code| u16::try_from(code).ok()) {
            // An error inside of a stream, whose own status was 200.
            Some(code) if status < 400 && (400..600).contains(&code) => code,
            _ => status,
        };
        let mut failure = Self::new(kind(status, &codes, &message.to_ascii_lowercase()), message);
        failure.status = Some(status);
        let retry = error["details"].as_array().into_iter().flatten().find_map(|detail| detail["retryDelay"].as_str());
        let seconds = error["resets_in_seconds"].as_f64();
        failure.retry_after =
            retry.and_then(|delay| delay.strip_suffix('s')?.parse().ok()).or(seconds).and_then(seconds_of);
        failure.retry_after = failure.retry_after.or_else(|| said_wait(&failure.message));
        failure.with_retry_after(None)
    }

    /// Takes secrets out of the words.
    #[must_use]
    pub fn masked(self, mask: &SecretMask) -> Self {
        Self { message: mask.mask_text(&self.message), ..self }
    }

    /// Takes the wait from an answer's headers, which say it better than its words.
    #[must_use]
    pub fn with_retry_after(mut self, header: Option<Duration>) -> Self {
        let wait = header.or(self.retry_after).filter(|wait| !wait.is_zero());
        self.retry_after = wait.map(|wait| wait.min(MAX_RETRY_AFTER));
        // Gemini calls the limit of a minute a quota, and says when it ends.
        if self.kind == FailureKind::QuotaExceeded && self.retry_after.is_some() {
            self.kind = FailureKind::RateLimited;
        }
        self
    }

    /// Returns the HTTP status for a client.
    pub fn status(&self, client: Api) -> u16 {
        match (self.kind, client) {
            (FailureKind::Overloaded, Api::Messages) => 529,
            // Codex asks again at 503.
            (FailureKind::Upstream, Api::Responses) => 503,
            (kind, _) => kind.spelled().status,
        }
    }

    /// Formats the error as the body of an answer.
    pub fn body(&self, client: Api) -> Vec<u8> {
        let body = match client {
            Api::Messages => json!({"type": "error", "error": self.to_messages_json()}),
            Api::Responses | Api::ChatCompletions => {
                let code = self.code();
                json!({"error": {"message": self.message, "type": code, "code": code, "param": null}})
            }
            Api::GenerateContent => json!({"error": self.to_generate_content_json()}),
        };
        body.to_string().into_bytes()
    }

    /// Claude Code compacts at these words.
    pub(crate) fn to_messages_json(&self) -> Value {
        let message = match self.kind {
            FailureKind::TooLong if !self.message.contains("prompt is too long") => {
                format!("prompt is too long: {}", self.message)
            }
            _ => self.message.clone(),
        };
        json!({"type": self.kind.spelled().messages, "message": message})
    }

    /// Returns the word that Codex knows.
    pub(crate) fn code(&self) -> &'static str {
        self.kind.spelled().openai
    }

    /// Returns the message for Codex, which reads the wait out of the text.
    pub(crate) fn message_with_wait(&self) -> String {
        match self.retry_after {
            Some(wait) if self.kind == FailureKind::RateLimited && said_wait(&self.message).is_none() => {
                format!(
                    "{} Please try again in {:.1}s.",
                    self.message.trim_end_matches('.').to_owned() + ".",
                    wait.as_secs_f64()
                )
            }
            _ => self.message.clone(),
        }
    }

    pub(crate) fn to_generate_content_json(&self) -> Value {
        let (code, status) = self.kind.spelled().generate;
        let mut error = json!({"code": code, "message": self.message, "status": status});
        if let Some(wait) = self.retry_after {
            let delay = format!("{}s", wait.as_secs_f64());
            error["details"] = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]);
        }
        error
    }
}

/// The longest wait that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn seconds_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(MAX_RETRY_AFTER))
}

fn kind(status: u16, codes: &[String], message: &str) -> FailureKind {
    let has = |code: &str| codes.iter().any(|said| said.contains(code));
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let too_long = [
        "prompt is too long",
        "maximum context length",
        "context length",
        "context window",
        "context_length",
        "input token count",
        "too many tokens",
    ];
    if has("context_length")
        || has("model_context_window")
        || (matches!(status, 400 | 413 | 422 | 500) && says(&too_long))
    {
        return FailureKind::TooLong;
    }
    if has("insufficient_quota")
        || has("billing")
        || status == 402
        || says(&["exceeded your current quota", "insufficient balance", "credit balance"])
    {
        return FailureKind::QuotaExceeded;
    }
    // Some servers say so with status 400.
    let busy = ["overloaded", "system busy", "server is busy", "too busy", "try again later"];
    if has("overloaded") || has("unavailable") || (status == 400 && says(&busy)) {
        return FailureKind::Overloaded;
    }
    if has("rate_limit") || has("resource_exhausted") {
        return FailureKind::RateLimited;
    }
    match status {
        401 => FailureKind::InvalidKey,
        400 if has("invalid_api_key") || has("authentication") || says(&["api key not valid", "api_key_invalid"]) => {
            FailureKind::InvalidKey
        }
        // 451: unavailable for legal reasons (RFC 7725), here or for this model.
        403 | 451 => FailureKind::PermissionDenied,
        404 => FailureKind::NotFound,
        413 => FailureKind::TooLarge,
        408 | 504 => FailureKind::Timeout,
        429 => FailureKind::RateLimited,
        503 | 529 => FailureKind::Overloaded,
        400..500 => FailureKind::Invalid,
        _ if has("invalid_request") || has("invalid_argument") => FailureKind::Invalid,
        _ if has("authentication") => FailureKind::InvalidKey,
        _ if has("permission") => FailureKind::PermissionDenied,
        _ if has("not_found") => FailureKind::NotFound,
        _ => FailureKind::Upstream,
    }
}

/// Reads "try again in 1.5s" and "in 20 seconds" out of a message.
fn said_wait(message: &str) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    let (_, rest) = lower.split_once("try again in ").or_else(|| lower.split_once("retry in "))?;
    parse_duration_prefix(rest).map(|(wait, _)| wait)
}

/// Reads a time at the beginning of a text, in lower case: `1h2m3.5s`, `250ms`, `3 days`, or `20`, which are seconds.
/// Returns it with the rest of the text.
pub fn parse_duration_prefix(text: &str) -> Option<(Duration, &str)> {
    let (mut rest, mut seconds) = (text, None);
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].trim_end_matches('.').parse::<f64>() else { break };
        let after = rest[digits..].trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let factor = match &after[..letters] {
            "ms" | "millis" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
            "d" | "day" | "days" => 86_400.0,
            "" if seconds.is_none() => 1.0,
            _ => break,
        };
        seconds = Some(seconds.unwrap_or(0.0) + number * factor);
        rest = &after[letters..];
    }
    Some((seconds_of(seconds?)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &Value) -> UpstreamFailure {
        UpstreamFailure::from_response(status, body.to_string().as_bytes())
    }

    #[test]
    fn each_vendors_errors_are_understood() {
        let openai = read(
            429,
            &json!({"error": {"message": "Rate limit reached. Please try again in 1.5s.", "type": "tokens", "code": "rate_limit_exceeded"}}),
        );
        assert_eq!((openai.kind, openai.retry_after), (FailureKind::RateLimited, Some(Duration::from_millis(1500))));
        assert_eq!(
            read(429, &json!({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}))
                .kind,
            FailureKind::QuotaExceeded
        );
        let long = "This model's maximum context length is 8192 tokens";
        assert_eq!(
            read(400, &json!({"error": {"message": long, "code": "context_length_exceeded"}})).kind,
            FailureKind::TooLong
        );
        let google = json!([{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "x", "retryDelay": "7s"}]}}]);
        assert_eq!(
            (read(429, &google).kind, read(429, &google).retry_after),
            (FailureKind::RateLimited, Some(Duration::from_secs(7)))
        );
        assert_eq!(
            read(400, &json!({"error": {"message": "API key not valid.", "status": "INVALID_ARGUMENT"}})).kind,
            FailureKind::InvalidKey
        );
        assert_eq!(
            read(529, &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})).kind,
            FailureKind::Overloaded
        );
        // In a stream, the status was 200.
        assert_eq!(read(200, &json!({"error": {"message": "x", "code": 502}})).kind, FailureKind::Upstream);
        assert_eq!(read(200, &json!({"error": {"type": "overloaded_error"}})).kind, FailureKind::Overloaded);
        assert_eq!(UpstreamFailure::from_response(502, b"<html>").message, "the provider answered with status 502");
        assert_eq!(UpstreamFailure::from_response(500, b"plain words").message, "plain words");
    }

    #[test]
    fn each_client_gets_its_own_form() {
        let long = UpstreamFailure::new(FailureKind::TooLong, "too big");
        let said: Value = serde_json::from_slice(&long.body(Api::Messages)).unwrap();
        assert_eq!(
            said,
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: too big"}})
        );
        assert_eq!(long.code(), "context_length_exceeded");
        let slow = UpstreamFailure {
            retry_after: Some(Duration::from_secs(9)),
            ..UpstreamFailure::new(FailureKind::RateLimited, "slow down")
        };
        let said: Value = serde_json::from_slice(&slow.body(Api::GenerateContent)).unwrap();
        assert_eq!(said["error"]["details"][0]["retryDelay"], "9s");
        assert_eq!(slow.message_with_wait(), "slow down. Please try again in 9.0s.");
        assert_eq!(said_wait(&slow.message_with_wait()), Some(Duration::from_secs(9)));
        for (said, seconds) in [
            ("Please retry in 500 milliseconds", Some(0.5)),
            ("try again in 3 days", Some(259_200.0)),
            ("try again in 2 minutes.", Some(120.0)),
            ("try again in 1h", Some(3_600.0)),
            ("try again in 1h2m3.5s.", Some(3_723.5)),
            ("try again in 20", Some(20.0)),
            ("try again in 2 fortnights", None),
            ("try again in 99999999999 days", Some(2_592_000.0)),
        ] {
            assert_eq!(said_wait(said), seconds.map(Duration::from_secs_f64), "{said}");
        }
        assert_eq!(UpstreamFailure::unexpected_eof().status(Api::Responses), 503);
    }
}
