//! Requests to remotes that speak HTTP: what is tried again, how long that takes, and what a status means.

use std::time::{Duration, Instant};

use aiw_core::one_line;
use aiw_home::{now_millis, parse_http_date};
use aiw_net::{HttpClient, HttpRequest, NetError, Policy, Response};

use super::waits::WaitGuard;
use super::{PendingRequests, RemoteContext, RemoteError};

/// How often a request is sent.
const MAX_ATTEMPTS: u32 = 7;

/// The longest pause that aiw chooses, in seconds.
const MAX_BACKOFF_SECS: u64 = 32;

/// The longest pause that a remote may ask for, in seconds. Beyond that, waiting is the user's decision.
const MAX_RETRY_AFTER_SECS: u64 = 120;

/// A server, and how patient one is with it.
#[derive(Clone)]
pub(super) struct RemoteClient {
    net: HttpClient,
    policy: Policy,
    second: Duration,
    answer_timeout: Duration,
    waits: PendingRequests,
    /// The remote, for messages.
    pub(super) place: String,
}

/// The pauses between attempts: each twice as long as the one before, and by chance a little shorter.
pub(super) struct Backoff {
    second: Duration,
    attempt: u32,
    /// How long the remote may bring no answer, in all attempts together, and since when it brings none.
    answer_timeout: Duration,
    silent_since: Instant,
    is_silent: bool,
    _waits: WaitGuard,
}

impl Backoff {
    /// Notes that an attempt brought no answer, which takes longer than one that did.
    pub(super) fn record_timeout(&mut self) {
        self.attempt += 1;
        self.is_silent = true;
    }

    /// Returns how long the next attempt may bring no answer.
    fn left(&self) -> Duration {
        self.answer_timeout.saturating_sub(self.silent_since.elapsed())
    }

    /// Waits before the next attempt, at least as long as the remote asks for. Returns whether there is one.
    pub(super) async fn wait(&mut self, asked: Option<u64>) -> bool {
        self.attempt += 1;
        if self.attempt >= MAX_ATTEMPTS || asked.is_some_and(|seconds| seconds > MAX_RETRY_AFTER_SECS) {
            return false;
        }
        let whole = (1 << (self.attempt - 1)).min(MAX_BACKOFF_SECS);
        let mut chance = [0];
        // Without random numbers, two machines may wait equally long.
        let _ = getrandom::fill(&mut chance);
        let own = self.second.mul_f64(whole as f64 * (0.5 + f64::from(chance[0]) / 512.0));
        let asked = asked.map_or(Duration::ZERO, |seconds| self.second.saturating_mul(seconds as u32));
        if std::mem::take(&mut self.is_silent) {
            if own >= self.left() {
                return false;
            }
            tokio::time::sleep(own).await;
        } else {
            tokio::time::sleep(own.max(asked)).await;
            self.silent_since = Instant::now();
        }
        true
    }
}

impl RemoteClient {
    pub(super) fn new(context: &RemoteContext, policy: Policy, place: impl Into<String>) -> Self {
        let RemoteContext { net, delay_unit: second, answer_timeout, pending_requests: waits, .. } = context;
        let (net, waits) = (net.clone(), waits.clone());
        Self { net, policy, second: *second, answer_timeout: *answer_timeout, waits, place: place.into() }
    }

    pub(super) fn backoff(&self) -> Backoff {
        Backoff {
            second: self.second,
            attempt: 0,
            answer_timeout: self.answer_timeout,
            silent_since: Instant::now(),
            is_silent: false,
            _waits: self.waits.begin(&self.place),
        }
    }

    /// Sends a request once.
    pub(super) async fn send_once(&self, request: &HttpRequest) -> Result<Response, RemoteError> {
        self.send_within(request, self.answer_timeout).await
    }

    async fn send_within(&self, request: &HttpRequest, head: Duration) -> Result<Response, RemoteError> {
        let _waits = self.waits.begin(&self.place);
        Ok(self.net.fetch_with_head_timeout(&self.policy, request, head).await?)
    }

    /// Sends a request that may be sent twice. Waits and sends it again where the remote is too busy, or for a moment
    /// not there.
    pub(super) async fn send(&self, request: &HttpRequest) -> Result<Response, RemoteError> {
        let mut pauses = self.backoff();
        loop {
            let sent = self.send_within(request, pauses.left()).await;
            let asked = match &sent {
                Ok(response) if is_passing(response.status) => retry_after(response),
                Ok(_) => return sent,
                Err(error) if is_transient_error(error) => {
                    pauses.record_timeout();
                    None
                }
                Err(_) => return sent,
            };
            if !pauses.wait(asked).await {
                return sent.and_then(|response| match response.status {
                    429 | 503 => Err(RemoteError::RateLimited { place: self.place.clone(), seconds: asked }),
                    _ => Ok(response),
                });
            }
        }
    }

    /// Returns what a status means that is not what one hoped for.
    pub(super) fn status_error(&self, response: &Response, said: &str) -> RemoteError {
        let place = self.place.clone();
        match response.status {
            401 | 403 => {
                RemoteError::Unauthorized { place, why: format!("{} {said}", response.status).trim_end().to_owned() }
            }
            413 | 507 => RemoteError::StorageFull { place },
            423 => RemoteError::Locked { place },
            429 => RemoteError::RateLimited { place, seconds: retry_after(response) },
            300..=399 => RemoteError::Status {
                place,
                status: response.status,
                said: "it redirects, and a login is not sent elsewhere".into(),
            },
            status => RemoteError::Status { place, status, said: one_line(said, 120) },
        }
    }
}

/// Returns whether a status may be another one in a moment.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Returns whether an error may be gone in a moment. A remote that can't be found at all is not asked seven times.
pub(super) fn is_transient_error(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Net(net @ (NetError::Unavailable { .. } | NetError::Malformed { .. })) if net.may_have_sent())
}

/// Returns for how many seconds the remote wants to be left alone.
pub(super) fn retry_after(response: &Response) -> Option<u64> {
    let asked = response.header("retry-after")?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(seconds);
    }
    let until = u64::try_from(parse_http_date(asked)?).ok()?;
    // Its own clock counts, if it says what it shows.
    let now = response.header("date").and_then(parse_http_date).and_then(|now| u64::try_from(now).ok());
    Some(until.saturating_sub(now.unwrap_or_else(now_millis)).div_ceil(1000))
}

/// An answer that says no may be longer than a small object.
pub(super) const MAX_ERROR_BODY_BYTES: u64 = 64 << 10;

impl RemoteClient {
    /// Sends a request for an object of at most so many bytes.
    pub(super) async fn read(&self, request: HttpRequest, name: &str, limit: u64) -> Result<Response, RemoteError> {
        let request = HttpRequest { max_body_bytes: limit.max(MAX_ERROR_BODY_BYTES), ..request };
        check_size_limit(self.send(&request).await, name, limit)
    }
}

/// Refuses an object that is larger than it may be.
pub(super) fn check_size_limit(
    read: Result<Response, RemoteError>,
    name: &str,
    limit: u64,
) -> Result<Response, RemoteError> {
    let too_large = || RemoteError::TooLarge { name: name.to_owned(), limit };
    match read {
        Ok(response) if response.status == 200 && response.body.len() as u64 > limit => Err(too_large()),
        Err(RemoteError::Net(NetError::TooLarge { .. })) => Err(too_large()),
        read => read,
    }
}
