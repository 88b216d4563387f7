//! One request: to the upstream, and its answer back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use aiw_core::is_valid_model_name;
use aiw_dialects::{
    Api, FailureKind, PreparedRequest, UpstreamFailure, UpstreamResponse, UpstreamTarget as To, estimate,
    parse_duration_prefix, prepare,
};
use aiw_net::{HttpRequest, Method, NetError, Policy, StreamingResponse};
use bytes::Bytes;
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde_json::value::RawValue;
use tokio::sync::mpsc::{self, error::SendError};

use crate::body::ResponseBody;
use crate::endpoint::GenerateContentPath;
use crate::gateway::Gateway;
use crate::reply::{build_request, error_response, event_stream_response, json_response};
use crate::route::{GatewayRoute, Upstream};
use crate::turn::UpstreamAttempts;
use crate::usage::{MeteredBody, UsageEstimate, UsageGuard};

/// The longest silence of an upstream. A model may think for minutes.
const UPSTREAM_READ_TIMEOUT: Duration = Duration::from_secs(600);

/// The limit where another member of a pool can be asked.
const FAILOVER_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How much is held back for the first word.
const MAX_BUFFERED_BYTES: usize = 1 << 20;

/// How long an answer is held back for its first word, so that a failure can still be said with its own status.
const RESPONSE_HEAD_HOLD_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a client hears that the upstream is silent.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// The longest error that is read.
const MAX_ERROR_BYTES: usize = 256 << 10;

/// The longest answer that is not a stream.
const MAX_RESPONSE_BYTES: usize = 32 << 20;

/// The tokens that an answer is expected to use, unless the request allows fewer.
const DEFAULT_OUTPUT_TOKENS: u64 = 1_000;

/// How often a request is sent again without what the upstream refused.
const MAX_FIELD_RETRIES: usize = 5;

/// Pieces that wait for a slow client. One of more bytes waits alone: it may be a large event.
const MAX_QUEUED_CHUNKS: usize = 16;
const MAX_CHUNK_BYTES: usize = 256 << 10;

/// Fields that a request can do without. Some servers know fewer than others.
const OPTIONAL_FIELDS: [&str; 15] = [
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

/// How servers say that they do not know a field.
const UNKNOWN_FIELD_PHRASES: [&str; 12] = [
    "unsupported",
    "not supported",
    "n't support",
    "not support",
    "unknown",
    "unrecognized",
    "unexpected",
    "not allowed",
    "not permitted",
    "extra ",
    "cannot find field",
    "invalid parameter",
];

/// Headers of a client that its own vendor's servers get too, by the beginnings of their names.
fn passed_on(api: Api) -> &'static [&'static str] {
    match api {
        Api::Messages => &["anthropic-", "x-claude-code-"],
        Api::Responses | Api::ChatCompletions => &["openai-"],
        Api::GenerateContent => &["x-goog-api-client"],
    }
}

/// Headers of an answer that its own vendor's client gets too.
const FORWARDED_RESPONSE_HEADERS: [&str; 6] =
    ["anthropic-ratelimit-", "x-ratelimit-", "request-id", "x-request-id", "openai-processing-ms", "x-should-retry"];

/// A request of a client.
pub(crate) struct IncomingRequest<'a> {
    pub client: Api,
    pub path: GenerateContentPath,
    pub parts: &'a Parts,
    pub body: Bytes,
}

impl IncomingRequest<'_> {
    fn request(&self) -> aiw_dialects::ModelRequest<'_> {
        build_request(self.client, &self.body, &self.path)
    }
}

impl Gateway {
    /// Answers a request: asks one upstream after the other, as its pool says, until one answers.
    pub(crate) async fn generate(
        self: &Arc<Self>,
        route: Arc<GatewayRoute>,
        incoming: IncomingRequest<'_>,
    ) -> Response<ResponseBody> {
        let client = incoming.client;
        let head = RequestHead::read(&incoming.body);
        // It becomes a part of the address in one of the APIs.
        let asked = incoming.path.model.clone().or_else(|| head.model.as_deref().map(str::to_owned));
        let Some(asked) = asked.filter(|model| is_valid_model_name(model) && is_in_path(model)) else {
            return error_response(
                client,
                &UpstreamFailure::new(FailureKind::Invalid, "the request names no model, or no valid one"),
            );
        };
        let written = head.limit().unwrap_or(DEFAULT_OUTPUT_TOKENS).min(DEFAULT_OUTPUT_TOKENS);
        let (ledger, of, body, at) = (self.ledger.clone(), route.clone(), incoming.body.clone(), incoming.path.clone());
        let (used_up, read) = aiw_home::run_blocking(move || {
            let used_up = if of.pool.is_some() { ledger.members_over_budget(&of) } else { Vec::new() };
            (used_up, estimate(&build_request(client, &body, &at)))
        })
        .await;
        // Within one API, a request may hold what only its provider understands.
        let expected =
            UsageEstimate { input_tokens: read.unwrap_or(incoming.body.len() as u64 / 3), output_tokens: written };
        let request = incoming.request();
        let mut turn = UpstreamAttempts::new(self, &route, &request, incoming.parts, &asked, used_up);
        loop {
            let at = match turn.next().await {
                Ok(at) => at,
                Err(failure) => return self.refused_unasked(&route, &incoming, failure),
            };
            let receipt = match UsageGuard::open(self, &route, at, turn.open(at), expected).await {
                Ok(receipt) => receipt,
                Err(failure) => {
                    turn.record_refusal(at, failure);
                    continue;
                }
            };
            match self.ask(&route, at, &incoming, receipt, turn.has_others()).await {
                Ok(response) => return response,
                Err(failure) => {
                    if !turn.record_failure(at, &failure).await {
                        return self.refused_unasked(&route, &incoming, failure);
                    }
                }
            }
        }
    }

    /// Formats a failure of a request that nobody answers.
    fn refused_unasked(
        &self,
        route: &GatewayRoute,
        incoming: &IncomingRequest<'_>,
        failure: UpstreamFailure,
    ) -> Response<ResponseBody> {
        let client = incoming.client;
        let to = route.members.first().map(|member| To::new(member.api, "", member.endpoint_id()));
        match to.and_then(|to| prepare(&incoming.request(), &to).ok()) {
            Some(PreparedRequest { response: answer, is_streamed, .. }) => {
                refused(client, failure, answer, is_streamed)
            }
            None => error_response(client, &failure),
        }
    }

    /// Asks one upstream, again without what it refuses and can do without.
    // Long: one exchange, whose steps share the request.
    async fn ask(
        self: &Arc<Self>,
        route: &Arc<GatewayRoute>,
        at: usize,
        incoming: &IncomingRequest<'_>,
        mut receipt: UsageGuard,
        has_others: bool,
    ) -> Result<Response<ResponseBody>, UpstreamFailure> {
        let (client, upstream) = (incoming.client, &route.members[at]);
        let (mut dropped, mut strips_thoughts, mut before) = (Vec::new(), false, None);
        let (mask, model) = (upstream.mask(), receipt.model().to_owned());
        loop {
            let to = To {
                max_output_tokens: upstream.output_tokens.map(u64::from),
                rejected_fields: [self.refused_fields_for(&upstream.url, &model), dropped.clone()].concat(),
                strip_reasoning: strips_thoughts,
                mark_reasoning: route.members.len() > 1,
                mask: mask.clone(),
                ..To::new(upstream.api, model.clone(), upstream.endpoint_id())
            };
            let PreparedRequest { body: sent, response: answer, is_streamed, .. } =
                match prepare(&incoming.request(), &to) {
                    Ok(prepared) => prepared,
                    Err(e) => {
                        return Ok(error_response(client, &UpstreamFailure::new(FailureKind::Invalid, e.to_string())));
                    }
                };
            let is_passed = client == upstream.api;
            let streams = !is_passed || is_streamed;
            // What changes nothing is not asked again.
            if let Some((failure, _)) = before.take().filter(|(_, body): &(UpstreamFailure, Vec<u8>)| *body == sent) {
                return Err(failure);
            }
            // One that takes a request and says nothing keeps no other member from it.
            let patience = if has_others { FAILOVER_READ_TIMEOUT } else { UPSTREAM_READ_TIMEOUT };
            receipt.set_sent(true);
            let asked = self.send(upstream, &model, incoming.parts, sent.clone(), is_passed, streams);
            let mut streamed = match tokio::time::timeout(patience, asked).await {
                Ok(Ok(streamed)) => streamed,
                Ok(Err(e)) => {
                    receipt.set_sent(e.may_have_sent());
                    receipt.mark_abandoned();
                    let said = upstream.mask_text(&e.without_paths().to_string());
                    let said = format!("provider `{}` can't be reached: {said}", upstream.provider);
                    return Err(UpstreamFailure::new(FailureKind::Upstream, said));
                }
                // It has the request, and may write on.
                Err(_) => {
                    let said = format!("provider `{}` says nothing for {} s", upstream.provider, patience.as_secs());
                    return Err(UpstreamFailure::new(FailureKind::Timeout, said));
                }
            };
            if !(200..300).contains(&streamed.status) {
                // What is refused costs nothing.
                receipt.set_sent(false);
                if streamed.status == StatusCode::UNAUTHORIZED.as_u16() {
                    self.note_key_state(&upstream.provider, false);
                }
                let failure = read_failure(&mut streamed, upstream).await;
                if !strips_thoughts && is_about_thoughts(&failure) {
                    strips_thoughts = true;
                    before = Some((failure, sent));
                    continue;
                }
                let more = dispensable(&failure, &sent);
                if !more.is_empty() && dropped.len() < MAX_FIELD_RETRIES {
                    dropped.extend(more);
                    before = Some((failure, sent));
                    continue;
                }
                return Err(failure);
            }
            self.note_key_state(&upstream.provider, true);
            // It takes the request without these.
            self.remember_refused_fields(&upstream.url, &model, std::mem::take(&mut dropped));
            let back = if is_passed { passed_back(&streamed, upstream) } else { Vec::new() };
            let comes_in_events = is_events(&streamed);
            let mut receiving = MeteredBody::new(answer, receipt);
            let mut response = if comes_in_events {
                receiving.response.set_streamed(true);
                self.stream(streamed, receiving).await?
            } else {
                let mut out = Vec::new();
                match read_body(&mut streamed, MAX_RESPONSE_BYTES).await {
                    // It does not say so.
                    Ok(bytes) if looks_like_events(&bytes) => {
                        receiving.response.set_streamed(true);
                        receiving.response.read(&bytes, &mut out);
                        receiving.response.end(&mut out);
                    }
                    Ok(bytes) => {
                        receiving.response.set_streamed(false);
                        receiving.response.read_body(&bytes, &mut out);
                    }
                    Err(failure) => receiving.response.fail(failure, &mut out),
                }
                // A failure is never half an answer here: nothing was sent.
                if let Some(failure) = receiving.take_failure().await {
                    return Err(failure);
                }
                receiving.finish().await;
                finished(&mut receiving.response, out, is_streamed)
            };
            for (name, value) in back {
                response.headers_mut().insert(name, value);
            }
            return Ok(response);
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
    ) -> Result<StreamingResponse, NetError> {
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
                let is_wanted = passed_on(dialect).iter().any(|start| name.as_str().starts_with(start));
                if let (true, Ok(value)) = (is_wanted, value.to_str()) {
                    headers.push((name.to_string(), value.to_owned()));
                }
            }
        }
        let headers = add_upstream_headers(upstream, headers);
        let url = format!("{}{path}", upstream.url);
        let mut policy = Policy::public();
        if upstream.is_granted {
            policy.grant_url(&upstream.url);
        }
        let request = HttpRequest {
            method: Method::Post,
            headers,
            secret_headers: upstream.secrets(),
            body,
            ..HttpRequest::new(url)
        };
        self.client.open(&policy, &request, UPSTREAM_READ_TIMEOUT).await
    }

    /// Passes a stream on, once its first word has come. Gives a failure before it back.
    async fn stream(
        &self,
        mut from: StreamingResponse,
        mut receiving: MeteredBody,
    ) -> Result<Response<ResponseBody>, UpstreamFailure> {
        let mut out = Vec::new();
        if !receiving.response.is_incremental() {
            // The client waits for the whole.
            while !receiving.response.is_over() {
                step(&mut from, &mut receiving.response, &mut out).await;
            }
            if let Some(failure) = receiving.take_failure().await {
                return Err(failure);
            }
            receiving.finish().await;
            return Ok(finished(&mut receiving.response, out, false));
        }
        let answer = &mut receiving.response;
        let first = async {
            while !answer.has_content() && !answer.is_over() && out.len() < MAX_BUFFERED_BYTES {
                step(&mut from, answer, &mut out).await;
            }
        };
        if tokio::time::timeout(RESPONSE_HEAD_HOLD_TIMEOUT, first).await.is_err() {
            receiving.response.keep_alive(&mut out);
        }
        if receiving.response.is_over()
            && !receiving.response.has_content()
            && let Some(failure) = receiving.take_failure().await
        {
            return Err(failure);
        }
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_CHUNKS);
        tokio::spawn(async move {
            loop {
                if receiving.response.is_over() {
                    // Before its last bytes: whoever has them finds what they cost.
                    receiving.finish().await;
                    let _ = pass_on(&sender, out).await;
                    return;
                }
                // A client that has left is told by the channel, the upstream by the end of its connection, and the
                // receipt books what came.
                if !out.is_empty() && pass_on(&sender, std::mem::take(&mut out)).await.is_err() {
                    return;
                }
                let is_silent = tokio::select! {
                    read = tokio::time::timeout(KEEP_ALIVE_INTERVAL, step(&mut from, &mut receiving.response, &mut out)) => read.is_err(),
                    () = sender.closed() => return,
                };
                if is_silent {
                    receiving.response.keep_alive(&mut out);
                }
            }
        });
        Ok(event_stream_response(ResponseBody::Stream(receiver)))
    }
}

/// Hands a piece to the client's connection, once there is room for it.
async fn pass_on(sender: &mpsc::Sender<Bytes>, piece: Vec<u8>) -> Result<(), SendError<()>> {
    let places = if piece.len() > MAX_CHUNK_BYTES { MAX_QUEUED_CHUNKS } else { 1 };
    if let Some(place) = sender.reserve_many(places).await?.next() {
        place.send(piece.into());
    }
    Ok(())
}

async fn step(from: &mut StreamingResponse, answer: &mut UpstreamResponse, out: &mut Vec<u8>) {
    match from.chunk().await {
        Ok(Some(piece)) => answer.read(&piece, out),
        Ok(None) => answer.end(out),
        Err(_) => answer.fail(UpstreamFailure::unexpected_eof(), out),
    }
}

/// Returns whether a name stays where it stands in an address.
fn is_in_path(model: &str) -> bool {
    !model.contains("..") && !model.contains(['?', '#', '%', '\\']) && !model.starts_with('/') && !model.contains("//")
}

/// The head of a request, which is checked before its body is read.
#[derive(Default, serde::Deserialize)]
struct RequestHead<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    // The most that may be written, as each API calls it.
    #[serde(borrow, default)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "generationConfig")]
    generation: Option<&'a RawValue>,
}

impl<'a> RequestHead<'a> {
    fn read(body: &'a [u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    fn limit(&self) -> Option<u64> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct GenerationLimit {
            max_output_tokens: u64,
        }
        let number = |raw: &RawValue| serde_json::from_str(raw.get()).ok();
        let in_generation =
            || Some(serde_json::from_str::<GenerationLimit>(self.generation?.get()).ok()?.max_output_tokens);
        self.max_tokens
            .or(self.max_completion_tokens)
            .or(self.max_output_tokens)
            .and_then(number)
            .or_else(in_generation)
    }
}

fn is_events(streamed: &StreamingResponse) -> bool {
    streamed.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"))
}

fn looks_like_events(body: &[u8]) -> bool {
    ["data:", "event:", ":"].iter().any(|start| body.trim_ascii_start().starts_with(start.as_bytes()))
}

/// Adds the headers that an upstream wants.
pub(crate) fn add_upstream_headers(upstream: &Upstream, mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    if upstream.api == Api::Messages && !headers.iter().any(|(name, _)| name == "anthropic-version") {
        headers.push(("anthropic-version".to_owned(), "2023-06-01".to_owned()));
    }
    for (name, value) in upstream.headers() {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        headers.push((name, value));
    }
    headers
}

pub(crate) async fn read_failure(streamed: &mut StreamingResponse, upstream: &Upstream) -> UpstreamFailure {
    let body = read_body(streamed, MAX_ERROR_BYTES).await.unwrap_or_default();
    let seconds = streamed.header("retry-after").and_then(wait_until);
    let millis =
        streamed.header("retry-after-ms").and_then(|value| value.trim().parse().ok()).map(Duration::from_millis);
    let reset = || resets(streamed.headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
    // Once it is read: as JSON, it may write a key in other letters.
    let failure = UpstreamFailure::from_response(streamed.status, &body).masked(&upstream.mask());
    let mut failure = failure.with_retry_after(millis.or(seconds));
    if failure.kind == FailureKind::RateLimited && failure.retry_after.is_none() {
        failure = failure.with_retry_after(reset());
    }
    if failure.kind == FailureKind::InvalidKey {
        failure.message = format!("provider `{}` refused its key: {}", upstream.provider, failure.message);
    }
    failure
}

/// Returns when a limit ends, as headers say that name what is left and when it is filled up again.
fn resets<'h>(headers: impl Iterator<Item = (&'h str, &'h str)> + Clone) -> Option<Duration> {
    let used_up = headers.clone().filter(|(_, left)| left.trim() == "0").filter_map(|(name, _)| {
        let (before, of) = name.split_once("remaining")?;
        // `anthropic-ratelimit-tokens-remaining` has its kind before, `x-ratelimit-remaining-tokens` behind.
        Some(format!("{before}reset{of}"))
    });
    let used_up: Vec<String> = used_up.collect();
    headers.filter(|(name, _)| used_up.iter().any(|reset| reset == name)).filter_map(|(_, at)| wait_until(at)).max()
}

/// Reads `2026-11-24T20:00:00Z`, `Tue, 24 Nov 2026 20:00:00 GMT`, `6m0s`, `1.5s`, `20` or `250ms`.
fn wait_until(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some(at) = aiw_home::parse_rfc3339(text).or_else(|| aiw_home::parse_http_date(text)) {
        let now = i64::try_from(aiw_home::now_millis()).ok()?;
        return Some(Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0)));
    }
    parse_duration_prefix(text).filter(|(_, rest)| rest.is_empty()).map(|(wait, _)| wait)
}

/// Returns whether an upstream refuses reasoning of earlier turns, such as that of another one.
fn is_about_thoughts(failure: &UpstreamFailure) -> bool {
    let said = failure.message.to_ascii_lowercase();
    let says = |word: &str| said.contains(word);
    failure.kind == FailureKind::Invalid
        && ((says("signature") && (says("thinking") || says("thought")))
            || says("encrypted_content")
            || says("encrypted content")
            || says("compaction"))
}

pub(crate) async fn read_body(streamed: &mut StreamingResponse, limit: usize) -> Result<Vec<u8>, UpstreamFailure> {
    let mut body = Vec::new();
    loop {
        match streamed.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(piece)) if body.len() + piece.len() <= limit => body.extend_from_slice(&piece),
            Ok(Some(_)) => {
                return Err(UpstreamFailure::new(FailureKind::Upstream, "the provider's answer is too long"));
            }
            Err(_) => return Err(UpstreamFailure::unexpected_eof()),
        }
    }
}

/// Returns the fields of a request that an upstream refuses and that it can do without.
fn dispensable(failure: &UpstreamFailure, sent: &[u8]) -> Vec<String> {
    if failure.kind != FailureKind::Invalid {
        return Vec::new();
    }
    let is_sent = |field: &str| {
        let quoted = format!("\"{field}\"");
        sent.windows(quoted.len()).any(|at| at == quoted.as_bytes())
    };
    let said = failure.message.to_ascii_lowercase();
    // A field that is unknown, not a value that is wrong: without the field, the answer would be another one.
    let is_unknown = UNKNOWN_FIELD_PHRASES.iter().any(|word| said.contains(word));
    let named = OPTIONAL_FIELDS.iter().find(|field| {
        let is_limit = matches!(**field, "max_tokens" | "max_completion_tokens");
        (is_unknown || is_limit) && names(&failure.message, field) && is_sent(field)
    });
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

fn passed_back(streamed: &StreamingResponse, upstream: &Upstream) -> Vec<(HeaderName, HeaderValue)> {
    let wanted = streamed.headers.iter().filter(|(name, value)| {
        FORWARDED_RESPONSE_HEADERS.iter().any(|start| name.starts_with(start)) && upstream.mask_text(value) == *value
    });
    wanted.filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect()
}

/// Formats a whole answer.
fn finished(answer: &mut UpstreamResponse, out: Vec<u8>, is_streamed: bool) -> Response<ResponseBody> {
    match answer.response_body() {
        Some(body) => json_response(StatusCode::OK, body),
        None if is_streamed => event_stream_response(ResponseBody::Buffered(Some(out.into()))),
        None => json_response(StatusCode::OK, out),
    }
}

/// Formats a failure before the first word. Codex gives up at a status that others wait at, and reads these from
/// events.
fn refused(
    client: Api,
    failure: UpstreamFailure,
    mut answer: UpstreamResponse,
    is_streamed: bool,
) -> Response<ResponseBody> {
    let in_events =
        matches!(failure.kind, FailureKind::RateLimited | FailureKind::QuotaExceeded | FailureKind::TooLong);
    if client == Api::Responses && is_streamed && in_events {
        let mut out = Vec::new();
        answer.fail(failure, &mut out);
        answer.write_failure(&mut out);
        return event_stream_response(ResponseBody::Buffered(Some(out.into())));
    }
    error_response(client, &failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_limit_is_read_from_each_vendors_headers() {
        let ends = |headers: &[(&str, &str)]| resets(headers.iter().copied());
        let openai = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "6m0s"),
            ("x-ratelimit-remaining-tokens", "7"),
            ("x-ratelimit-reset-tokens", "24h"),
        ];
        assert_eq!(ends(&openai), Some(Duration::from_secs(360)));
        let at = aiw_home::rfc3339(aiw_home::now_millis() + 60_000);
        let anthropic = [
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("anthropic-ratelimit-tokens-reset", at.as_str()),
            ("anthropic-ratelimit-requests-remaining", "9"),
        ];
        assert!(ends(&anthropic).is_some_and(|wait| (55..=60).contains(&wait.as_secs())), "{:?}", ends(&anthropic));
        assert_eq!(ends(&[("x-ratelimit-remaining-tokens", "0")]), None);
        for (text, millis) in
            [("1.5s", 1_500), ("20", 20_000), ("250ms", 250), ("1h2m3s", 3_723_000), ("2000-01-01", 0)]
        {
            assert_eq!(wait_until(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(wait_until("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(wait_until("Thu, 01 Jan 2099 00:00:00 GMT").is_some_and(|wait| wait.as_secs() > 1_000_000_000));
        for text in ["s", "1x", "soon", "-1", "1s é", "nan", "inf", "1e400"] {
            assert_eq!(wait_until(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_refused_of_earlier_reasoning_is_known_by_its_words() {
        for (said, is_so) in [
            ("messages.1.content.0: Invalid `signature` in `thinking` block", true),
            ("The encrypted content for item rs_1 could not be verified.", true),
            ("Corrupted thought signature.", true),
            ("input.0: item type \"compaction\" is not supported", true),
            ("Invalid signature of the request", false),
        ] {
            assert_eq!(is_about_thoughts(&UpstreamFailure::new(FailureKind::Invalid, said)), is_so, "{said}");
        }
        assert!(!is_about_thoughts(&UpstreamFailure::new(FailureKind::InvalidKey, "thinking signature")));
    }
}
