//! One request: to the upstream, and its answer back.

use std::sync::Arc;
use std::time::Duration;

use aiw_dialects::{Answer, Api, Failure, FailureKind, Prepared, Upstream as To, estimate, prepare};
use aiw_net::{Method, Policy, Request, Streamed};
use aiw_usage::{Booking, Source, Tokens};
use bytes::Bytes;
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::mpsc;

use crate::body::AnswerBody;
use crate::called::InPath;
use crate::gateway::Gateway;
use crate::reply::{events, refusal, request_of, whole};
use crate::route::{Route, Upstream};
use crate::turn::{OpenTurn, Turn};

/// The longest silence of an upstream. A model may think for minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long an answer is held back for its first word, so that a failure can still be said with its own status.
const HELD_BACK: Duration = Duration::from_secs(15);

/// How often a client hears that the upstream is silent.
const SILENCE: Duration = Duration::from_secs(10);

/// How long an answer waits until it is booked.
const WRITES: Duration = Duration::from_millis(200);

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

/// A request of a client.
pub(crate) struct Incoming<'a> {
    pub client: Api,
    pub at: InPath,
    pub parts: &'a Parts,
    pub body: Bytes,
}

impl Incoming<'_> {
    fn request(&self) -> aiw_dialects::Request<'_> {
        request_of(self.client, &self.body, &self.at)
    }
}

/// An answer that failed before the client got any of it.
struct Unanswered {
    failure: Failure,
    answer: Answer,
    is_streamed: bool,
}

impl Gateway {
    /// Answers a request: asks one upstream after the other, as its pool says, until one answers.
    pub(crate) async fn generate(self: &Arc<Self>, route: Arc<Route>, incoming: Incoming<'_>) -> Response<AnswerBody> {
        let client = incoming.client;
        let Some(asked) = asked(&incoming.body, &incoming.at) else {
            return refusal(client, &Failure::new(FailureKind::Invalid, "the request names no model"));
        };
        let (ledger, budgeted) = (self.ledger.clone(), route.clone());
        let refused_by_budget = aiw_home::blocking(move || ledger.refused(&budgeted)).await;
        if let Some(sentence) = refused_by_budget.all {
            return refusal(client, &Failure::new(FailureKind::Permission, sentence));
        }
        let request = incoming.request();
        let mut turn = Turn::begin(self, &route, &request, incoming.parts, &asked, refused_by_budget.members);
        let mut last: Option<Unanswered> = None;
        loop {
            let at = match turn.next().await {
                Ok(at) => at,
                Err(failure) => {
                    return match last {
                        Some(Unanswered { answer, is_streamed, .. }) => refused(client, failure, answer, is_streamed),
                        None => self.refused_unasked(&route, &incoming, failure),
                    };
                }
            };
            match self.ask(&route, at, &incoming, &turn).await {
                Ok(response) => return response,
                Err(unanswered) => {
                    let unanswered = *unanswered;
                    if !turn.failed(at, &unanswered.failure).await {
                        return refused(client, unanswered.failure, unanswered.answer, unanswered.is_streamed);
                    }
                    last = Some(unanswered);
                }
            }
        }
    }

    /// Formats a failure of a request that nobody was asked.
    fn refused_unasked(&self, route: &Route, incoming: &Incoming<'_>, failure: Failure) -> Response<AnswerBody> {
        let client = incoming.client;
        let to = route.members.first().map(|member| To::new(member.api, "", member.family()));
        match to.and_then(|to| prepare(&incoming.request(), &to).ok()) {
            Some(Prepared { answer, is_streamed, .. }) => refused(client, failure, answer, is_streamed),
            None => refusal(client, &failure),
        }
    }

    /// Asks one upstream, again without what it refuses and can do without.
    async fn ask(
        self: &Arc<Self>,
        route: &Arc<Route>,
        at: usize,
        incoming: &Incoming<'_>,
        turn: &Turn,
    ) -> Result<Response<AnswerBody>, Box<Unanswered>> {
        let (client, upstream) = (incoming.client, &route.members[at]);
        let (mut changes, mut strips_thoughts) = (0, false);
        loop {
            let open = turn.open(at);
            let model = open.model().to_owned();
            let to = To {
                output_tokens: upstream.output_tokens.map(u64::from),
                refused: self.refused_by(&upstream.url, &model),
                strips_thoughts,
                ..To::new(upstream.api, model.clone(), upstream.family())
            };
            let Prepared { body: sent, mut answer, is_streamed, .. } = match prepare(&incoming.request(), &to) {
                Ok(prepared) => prepared,
                Err(e) => return Ok(refusal(client, &Failure::new(FailureKind::Invalid, e.to_string()))),
            };
            let unanswered = |failure, answer| Err(Box::new(Unanswered { failure, answer, is_streamed }));
            let is_passed = client == upstream.api;
            let streams = !is_passed || is_streamed;
            let mut streamed = match self.send(upstream, &model, incoming.parts, sent.clone(), is_passed, streams).await
            {
                Ok(streamed) => streamed,
                Err(failure) => return unanswered(failure, answer),
            };
            if !(200..300).contains(&streamed.status) {
                let failure = read_failure(&mut streamed, upstream).await;
                let dropped = dispensable(&failure, &sent);
                if !strips_thoughts && is_about_thoughts(&failure) {
                    strips_thoughts = true;
                    continue;
                }
                if !dropped.is_empty() && changes < CHANGES {
                    changes += 1;
                    self.learn(&upstream.url, &model, dropped);
                    continue;
                }
                return unanswered(failure, answer);
            }
            let back = if is_passed { passed_back(&streamed) } else { Vec::new() };
            let receipt = Receipt::new(self, route, at, open, incoming);
            let mut response = if is_events(&streamed) {
                match self.stream(streamed, answer, receipt).await {
                    Ok(response) => response,
                    Err((failure, answer)) => return unanswered(failure, answer),
                }
            } else {
                let mut out = Vec::new();
                match read_whole(&mut streamed, WHOLE_BYTES).await {
                    Ok(bytes) => answer.read_whole(&bytes, &mut out),
                    Err(failure) => answer.fail(failure, &mut out),
                }
                // A failure is never half an answer here: nothing was sent.
                if let Some(failure) = answer.failure().cloned() {
                    return unanswered(failure, answer);
                }
                receipt.ended(&answer, false).await;
                finished(answer, out, is_streamed)
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

    /// Passes a stream on, once its first word has come. Gives a failure before it back.
    async fn stream(
        &self,
        mut from: Streamed,
        mut answer: Answer,
        receipt: Receipt,
    ) -> Result<Response<AnswerBody>, (Failure, Answer)> {
        let mut out = Vec::new();
        if !answer.is_passed_on() {
            // The client waits for the whole.
            while !answer.is_over() {
                step(&mut from, &mut answer, &mut out).await;
            }
            if let Some(failure) = answer.failure().cloned() {
                return Err((failure, answer));
            }
            receipt.ended(&answer, false).await;
            return Ok(finished(answer, out, false));
        }
        let first = async {
            while !answer.has_content() && !answer.is_over() {
                step(&mut from, &mut answer, &mut out).await;
            }
        };
        if tokio::time::timeout(HELD_BACK, first).await.is_err() {
            answer.keep_alive(&mut out);
        }
        if answer.is_over()
            && !answer.has_content()
            && let Some(failure) = answer.failure().cloned()
        {
            return Err((failure, answer));
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                if answer.is_over() {
                    // Before its last bytes: whoever has them finds what they cost.
                    receipt.ended(&answer, false).await;
                    let _ = sender.send(out.into()).await;
                    return;
                }
                if !out.is_empty() && sender.send(std::mem::take(&mut out).into()).await.is_err() {
                    // The client has left, and the upstream is told by the end of its connection.
                    return receipt.ended(&answer, true).await;
                }
                let is_silent = tokio::select! {
                    read = tokio::time::timeout(SILENCE, step(&mut from, &mut answer, &mut out)) => read.is_err(),
                    () = sender.closed() => return receipt.ended(&answer, true).await,
                };
                if is_silent {
                    answer.keep_alive(&mut out);
                }
            }
        });
        Ok(events(AnswerBody::Pieces(receiver)))
    }
}

/// What is written down when an answer has ended.
struct Receipt {
    gateway: Arc<Gateway>,
    route: Arc<Route>,
    at: usize,
    open: OpenTurn,
    client: Api,
    in_path: InPath,
    body: Bytes,
}

impl Receipt {
    fn new(gateway: &Arc<Gateway>, route: &Arc<Route>, at: usize, open: OpenTurn, incoming: &Incoming<'_>) -> Self {
        let (gateway, route, in_path) = (gateway.clone(), route.clone(), incoming.at.clone());
        Self { gateway, route, at, open, client: incoming.client, in_path, body: incoming.body.clone() }
    }

    /// Books what was used, and notes how it ended. `has_left`: the client did not wait for the end.
    async fn ended(self, answer: &Answer, has_left: bool) {
        let (usage, failure, said) = (answer.usage(), answer.failure().cloned(), answer.estimated_output());
        let is_cut = failure.is_some() || has_left;
        let written = tokio::task::spawn_blocking(move || {
            if !has_left {
                self.open.ended(failure.as_ref());
            }
            let mut tokens = Tokens {
                input: usage.input,
                cached: usage.cached,
                cache_written: usage.cache_written,
                output: usage.output,
                thinking: usage.thinking,
            };
            let mut estimated = false;
            if tokens.read() == 0 {
                tokens.input = estimate(&request_of(self.client, &self.body, &self.in_path)).unwrap_or_default();
                estimated = true;
            }
            // Where an answer broke off, the count of its beginning may stand.
            if tokens.output < said && (tokens.output == 0 || is_cut) {
                tokens.output = said;
                estimated = true;
            }
            let run = self.route.run.as_ref();
            let booking = Booking {
                cli: run.map(|run| run.cli),
                provider: Some(self.route.members[self.at].provider.clone()),
                pool: self.route.pool.as_ref().map(|pool| pool.name.clone()),
                model: Some(self.open.model().to_owned()),
                task: self.gateway.routes.task(&self.route.token),
                project: run.and_then(|run| run.project.clone()),
                cut: is_cut,
                estimated,
                ..Booking::new(Source::Gateway, tokens)
            };
            if let Err(e) = self.gateway.ledger.add(booking) {
                self.gateway.say(&self.route, &format!("what a request used can't be booked: {e}"));
            }
        });
        // A slow disk holds up no client.
        let _ = tokio::time::timeout(WRITES, written).await;
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
    let reset = || resets(streamed.headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
    let mut failure = Failure::read(streamed.status, &body).with_retry_after(millis.or(seconds));
    if failure.kind == FailureKind::RateLimit && failure.retry_after.is_none() {
        failure.retry_after = reset();
    }
    failure.message = upstream.masked(&failure.message);
    if failure.kind == FailureKind::Key {
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

/// Reads `2026-11-24T20:00:00Z`, `6m0s`, `1.5s`, `20` or `250ms`.
fn wait_until(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some(at) = aiw_home::millis_of(text) {
        let now = i64::try_from(aiw_home::now_millis()).ok()?;
        return Some(Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0)));
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let (factor, length) = match &rest[digits..] {
            unit if unit.starts_with("ms") => (0.001, 2),
            unit if unit.starts_with('s') => (1.0, 1),
            unit if unit.starts_with('m') => (60.0, 1),
            unit if unit.starts_with('h') => (3_600.0, 1),
            unit if unit.starts_with('d') => (86_400.0, 1),
            _ => return None,
        };
        seconds += number * factor;
        rest = &rest[digits + length..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// Returns whether an upstream refuses reasoning of earlier turns, such as that of another one.
fn is_about_thoughts(failure: &Failure) -> bool {
    let said = failure.message.to_ascii_lowercase();
    let says = |word: &str| said.contains(word);
    failure.kind == FailureKind::Invalid
        && ((says("signature") && (says("thinking") || says("thought")))
            || says("encrypted_content")
            || says("encrypted content"))
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

/// Formats a whole answer.
fn finished(mut answer: Answer, out: Vec<u8>, is_streamed: bool) -> Response<AnswerBody> {
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
        for text in ["s", "1x", "soon", "-1", "1s é"] {
            assert_eq!(wait_until(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_refused_of_earlier_reasoning_is_known_by_its_words() {
        for (said, is_so) in [
            ("messages.1.content.0: Invalid `signature` in `thinking` block", true),
            ("The encrypted content for item rs_1 could not be verified.", true),
            ("Corrupted thought signature.", true),
            ("Invalid signature of the request", false),
        ] {
            assert_eq!(is_about_thoughts(&Failure::new(FailureKind::Invalid, said)), is_so, "{said}");
        }
        assert!(!is_about_thoughts(&Failure::new(FailureKind::Key, "thinking signature")));
    }
}
