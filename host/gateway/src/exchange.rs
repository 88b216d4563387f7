//! One request: to the upstream, and its answer back.

use std::sync::Arc;
use std::time::Duration;

use aiw_dialects::{Answer, Api, Failure, FailureKind, Prepared, Upstream as To, prepare};
use aiw_net::{Method, Policy, Request, Streamed};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::mpsc;

use crate::body::AnswerBody;
use crate::called::InPath;
use crate::route::{Route, Upstream};
use crate::serve::{Gateway, refusal, request_of, whole};

/// The longest silence of an upstream. A model may think for minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long an answer is held back for its first word, so that a failure can still be said with its own status.
const HELD_BACK: Duration = Duration::from_secs(15);

/// How often a client hears that the upstream is silent.
const SILENCE: Duration = Duration::from_secs(10);

/// The longest error that is read.
const ERROR_BYTES: usize = 256 << 10;

/// The longest answer that is not a stream.
const WHOLE_BYTES: usize = 64 << 20;

/// How often a request is sent again without what the upstream refused.
const CHANGES: u32 = 5;

/// Pieces that wait for a slow client.
const WAITING: usize = 16;

/// Fields that a request can do without. Some servers know fewer than others.
const DISPENSABLE: [&str; 15] = [
    "max_completion_tokens",
    "max_tokens",
    "parallel_tool_calls",
    "parametersJsonSchema",
    "prompt_cache_key",
    "reasoning_effort",
    "reasoning",
    "response_format",
    "seed",
    "stop",
    "store",
    "stream_options",
    "temperature",
    "tool_choice",
    "top_p",
];

/// Headers of a client that its own vendor's servers get too.
const PASSED_ON: [&str; 4] = ["anthropic-", "openai-", "x-goog-api-client", "x-claude-code-"];

/// Headers of an answer that its own vendor's client gets too.
const PASSED_BACK: [&str; 6] =
    ["anthropic-ratelimit-", "x-ratelimit-", "request-id", "x-request-id", "openai-processing-ms", "x-should-retry"];

impl Gateway {
    pub(crate) async fn generate(
        &self,
        route: Arc<Route>,
        client: Api,
        at: InPath,
        parts: &Parts,
        body: Bytes,
    ) -> Response<AnswerBody> {
        let upstream = &route.upstream;
        let mut changes = 0;
        loop {
            let request = request_of(client, &body, &at);
            let model = match asked(&body, &at) {
                Some(asked) => upstream.model_for(&asked),
                None => return refusal(client, &Failure::new(FailureKind::Invalid, "the request names no model")),
            };
            let to = To {
                output_tokens: upstream.output_tokens.map(u64::from),
                refused: self.refused_by(&upstream.url, &model),
                ..To::new(upstream.api, model.clone(), upstream.family())
            };
            let Prepared { body: sent, mut answer, is_streamed, .. } = match prepare(&request, &to) {
                Ok(prepared) => prepared,
                Err(e) => return refusal(client, &Failure::new(FailureKind::Invalid, e.to_string())),
            };
            let is_passed = client == upstream.api;
            let streams = !is_passed || is_streamed;
            let mut streamed = match self.send(upstream, &model, parts, sent.clone(), is_passed, streams).await {
                Ok(streamed) => streamed,
                Err(failure) => return refused(client, failure, answer, is_streamed),
            };
            if !(200..300).contains(&streamed.status) {
                let failure = read_failure(&mut streamed, upstream).await;
                let dropped = dispensable(&failure, &sent);
                if !dropped.is_empty() && changes < CHANGES {
                    changes += 1;
                    self.learn(&upstream.url, &model, dropped);
                    continue;
                }
                return refused(client, failure, answer, is_streamed);
            }
            let back = if is_passed { passed_back(&streamed) } else { Vec::new() };
            let mut response = if is_events(&streamed) {
                self.stream(streamed, answer, client, is_streamed).await
            } else {
                match read_whole(&mut streamed, WHOLE_BYTES).await {
                    Ok(bytes) => {
                        let mut out = Vec::new();
                        answer.read_whole(&bytes, &mut out);
                        finished(client, answer, out, is_streamed)
                    }
                    Err(failure) => refused(client, failure, answer, is_streamed),
                }
            };
            for (name, value) in back {
                response.headers_mut().insert(name, value);
            }
            return response;
        }
    }

    async fn send(
        &self,
        upstream: &Upstream,
        model: &str,
        parts: &Parts,
        body: Vec<u8>,
        is_passed: bool,
        streams: bool,
    ) -> Result<Streamed, Failure> {
        let dialect = upstream.api;
        let mut path = aiw_dialects::path(dialect, model);
        if dialect == Api::GenerateContent && !streams {
            path = format!("/v1beta/models/{model}:generateContent");
        }
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("accept".to_owned(), if streams { "text/event-stream" } else { "application/json" }.to_owned()),
        ];
        if is_passed {
            for (name, value) in &parts.headers {
                let is_wanted = PASSED_ON.iter().any(|start| name.as_str().starts_with(start));
                if let (true, Ok(value)) = (is_wanted, value.to_str()) {
                    headers.push((name.to_string(), value.to_owned()));
                }
            }
        }
        if dialect == Api::Messages && !headers.iter().any(|(name, _)| name == "anthropic-version") {
            headers.push(("anthropic-version".to_owned(), "2023-06-01".to_owned()));
        }
        for (name, value) in upstream.headers() {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            headers.push((name, value));
        }
        let url = format!("{}{path}", upstream.url);
        let mut policy = Policy::public();
        if upstream.is_granted {
            policy.grant_url(&upstream.url);
        }
        let request = Request { method: Method::Post, headers, secrets: upstream.secrets(), body, ..Request::new(url) };
        self.client.open(&policy, &request, PATIENCE).await.map_err(|source| {
            let said = upstream.masked(&source.without_paths().to_string());
            Failure::new(FailureKind::Upstream, format!("provider `{}` can't be reached: {said}", upstream.provider))
        })
    }

    /// Passes a stream on, once its first word has come.
    async fn stream(
        &self,
        mut from: Streamed,
        mut answer: Answer,
        client: Api,
        is_streamed: bool,
    ) -> Response<AnswerBody> {
        let mut out = Vec::new();
        if !answer.is_passed_on() {
            // The client waits for the whole.
            while !answer.is_over() {
                step(&mut from, &mut answer, &mut out).await;
            }
            return finished(client, answer, out, is_streamed);
        }
        let first = async {
            while !answer.has_content() && !answer.is_over() {
                step(&mut from, &mut answer, &mut out).await;
            }
        };
        if tokio::time::timeout(HELD_BACK, first).await.is_err() {
            answer.keep_alive(&mut out);
        }
        if answer.is_over() && answer.failure().is_some() && !answer.has_content() {
            return finished(client, answer, out, is_streamed);
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                if !out.is_empty() && sender.send(std::mem::take(&mut out).into()).await.is_err() {
                    // The client has left, and the upstream is told by the end of its connection.
                    return;
                }
                if answer.is_over() {
                    return;
                }
                let is_silent = tokio::select! {
                    read = tokio::time::timeout(SILENCE, step(&mut from, &mut answer, &mut out)) => read.is_err(),
                    () = sender.closed() => return,
                };
                if is_silent {
                    answer.keep_alive(&mut out);
                }
            }
        });
        events(AnswerBody::Pieces(receiver))
    }
}

async fn step(from: &mut Streamed, answer: &mut Answer, out: &mut Vec<u8>) {
    match from.chunk().await {
        Ok(Some(piece)) => answer.read(&piece, out),
        Ok(None) => answer.end(out),
        Err(_) => answer.fail(Failure::cut(), out),
    }
}

/// Returns the model that a client asks for.
fn asked(body: &[u8], at: &InPath) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Head {
        model: String,
    }
    at.model.clone().or_else(|| Some(serde_json::from_slice::<Head>(body).ok()?.model))
}

fn is_events(streamed: &Streamed) -> bool {
    streamed.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
}

async fn read_failure(streamed: &mut Streamed, upstream: &Upstream) -> Failure {
    let body = read_whole(streamed, ERROR_BYTES).await.unwrap_or_default();
    let seconds =
        streamed.header("retry-after").and_then(|value| Duration::try_from_secs_f64(value.trim().parse().ok()?).ok());
    let millis =
        streamed.header("retry-after-ms").and_then(|value| value.trim().parse().ok()).map(Duration::from_millis);
    let mut failure = Failure::read(streamed.status, &body).with_retry_after(millis.or(seconds));
    failure.message = upstream.masked(&failure.message);
    if failure.kind == FailureKind::Key {
        failure.message = format!("provider `{}` refused its key: {}", upstream.provider, failure.message);
    }
    failure
}

async fn read_whole(streamed: &mut Streamed, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    loop {
        match streamed.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(piece)) if body.len() + piece.len() <= limit => body.extend_from_slice(&piece),
            Ok(Some(_)) => return Err(Failure::new(FailureKind::Upstream, "the provider's answer is too long")),
            Err(_) => return Err(Failure::cut()),
        }
    }
}

/// Returns the fields of a request that an upstream refuses and that it can do without.
fn dispensable(failure: &Failure, sent: &[u8]) -> Vec<String> {
    if failure.kind != FailureKind::Invalid {
        return Vec::new();
    }
    let is_sent = |field: &str| {
        let quoted = format!("\"{field}\"");
        sent.windows(quoted.len()).any(|at| at == quoted.as_bytes())
    };
    let named = DISPENSABLE.iter().find(|field| names(&failure.message, field) && is_sent(field));
    match named {
        None => Vec::new(),
        // The other name is asked for, or the limit itself is wrong.
        Some(&"max_tokens") if failure.message.contains("max_completion_tokens") => vec!["max_tokens".to_owned()],
        Some(&("max_tokens" | "max_completion_tokens")) => {
            vec!["max_tokens".to_owned(), "max_completion_tokens".to_owned()]
        }
        Some(field) => vec![(*field).to_owned()],
    }
}

/// Returns whether a message names a field, as a word.
fn names(message: &str, field: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    message.match_indices(field).any(|(at, _)| {
        let (before, after) = (message[..at].chars().next_back(), message[at + field.len()..].chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

fn passed_back(streamed: &Streamed) -> Vec<(HeaderName, HeaderValue)> {
    let wanted = streamed.headers.iter().filter(|(name, _)| PASSED_BACK.iter().any(|start| name.starts_with(start)));
    wanted.filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect()
}

/// Formats an answer that is over.
fn finished(client: Api, mut answer: Answer, out: Vec<u8>, is_streamed: bool) -> Response<AnswerBody> {
    if let Some(failure) = answer.failure().cloned()
        && out.is_empty()
    {
        return refused(client, failure, answer, is_streamed);
    }
    match answer.whole() {
        Some(body) => whole(StatusCode::OK, body),
        None if is_streamed => events(AnswerBody::Whole(Some(out.into()))),
        None => whole(StatusCode::OK, out),
    }
}

/// Formats a failure before the first word. Codex gives up at a status that others wait at, and reads these from events.
fn refused(client: Api, failure: Failure, mut answer: Answer, is_streamed: bool) -> Response<AnswerBody> {
    let in_events = matches!(failure.kind, FailureKind::RateLimit | FailureKind::Quota | FailureKind::TooLong);
    if client == Api::Responses && is_streamed && in_events {
        let mut out = Vec::new();
        answer.fail(failure, &mut out);
        answer.write_failure(&mut out);
        return events(AnswerBody::Whole(Some(out.into())));
    }
    refusal(client, &failure)
}

fn events(body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
