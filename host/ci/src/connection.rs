//! Requests to the API of a host, and what its answers say of limits.

use std::time::Duration;

use aiw_core::{Secret, one_line};
use aiw_home::{Home, now_millis, parse_http_date, rfc3339, run_blocking};
use aiw_net::{HttpClient, HttpRequest, Policy, Response, StreamingResponse};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

use crate::error::CiError;
use crate::place::{CiApi, CiRepository};
use crate::source::TokenSource;
use crate::token::CiToken;

/// The version of the API that this room was written for.
const API_VERSION: &str = "2022-11-28";

/// How long an answer may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long nothing may come of a log.
const LOG_READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest that a limit is believed, in seconds.
const MAX_RETRY_AFTER_SECS: u64 = 3600;

/// How long to wait where a host only says that it is too much, in seconds. GitHub's documentation says a minute.
const DEFAULT_RETRY_AFTER_SECS: u64 = 60;

/// The limit of requests, as the host said it last
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CiLimit {
    /// How many requests are left
    pub remaining: u64,
    /// How many there are in an hour
    pub limit: u64,
    /// When there are as many again
    pub resets: String,
    #[serde(skip)]
    pub(crate) seconds: u64,
}

/// An answer of an API, with the mark by which the next request asks for news only.
pub(crate) struct ApiResponse<T> {
    pub value: T,
    pub etag: Option<String>,
}

/// A way to the API of a host.
pub(crate) struct ApiClient {
    client: HttpClient,
    policy: Policy,
    /// The hosts that requests for logs may reach.
    pub log_policy: Policy,
    host: String,
    address: String,
    token: CiToken,
    limit: Mutex<Option<CiLimit>>,
    pub timeout: Duration,
    /// When all answers are late, if there is such a time.
    pub deadline: Option<Instant>,
}

/// The body of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Complaint {
    message: String,
}

impl ApiClient {
    /// Returns the way to an API, with the token for its host.
    pub async fn open(home: &Home, client: &HttpClient, api: &CiApi) -> Result<Self, CiError> {
        let (theirs, host) = (home.clone(), api.host.clone());
        let token = run_blocking(move || CiToken::find(&theirs, &host)).await?;
        Ok(Self {
            client: client.clone(),
            policy: api.policy(),
            log_policy: api.log_policy(),
            host: api.host.clone(),
            address: api.base_url.clone(),
            token,
            limit: Mutex::default(),
            timeout: RESPONSE_TIMEOUT,
            deadline: None,
        })
    }

    /// Returns where the token is from.
    pub fn source(&self) -> TokenSource {
        self.token.source
    }

    /// Returns the token.
    pub fn secret(&self) -> Option<&Secret> {
        self.token.secret.as_ref()
    }

    /// Returns the limit, as it was said last.
    pub fn limit(&self) -> Option<CiLimit> {
        self.limit.lock().clone()
    }

    fn request(&self, repository: &CiRepository, path: &[&str], query: &[(&str, &str)]) -> Option<HttpRequest> {
        let mut url = Url::parse(&self.address).ok()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(["repos", &repository.owner, &repository.name, "actions"]);
        url.path_segments_mut().ok()?.extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = HttpRequest::new(url);
        request.headers.push(("accept".into(), "application/vnd.github+json".into()));
        request.headers.push(("x-github-api-version".into(), API_VERSION.into()));
        if let Some(token) = &self.token.secret {
            let value = Secret::new(format!("Bearer {}", token.expose()));
            request.secret_headers.push(("authorization".into(), value));
        }
        Some(request)
    }

    /// Reads something of a repository. `None` if it is as it was when the host gave this mark.
    pub async fn get<T: DeserializeOwned>(
        &self,
        repository: &CiRepository,
        path: &[&str],
        query: &[(&str, &str)],
        known: Option<&str>,
    ) -> Result<Option<ApiResponse<T>>, CiError> {
        let Some(mut request) = self.request(repository, path, query) else { return Err(self.not_found(repository)) };
        request.headers.extend(known.map(|etag| ("if-none-match".to_owned(), etag.to_owned())));
        let begun = Instant::now();
        let slow = || CiError::Timeout { host: self.host.clone(), seconds: begun.elapsed().as_secs() };
        let late = self.deadline.map_or(begun + self.timeout, |until| until.min(begun + self.timeout));
        let answer = tokio::time::timeout_at(late, self.client.fetch(&self.policy, &request));
        let answer = answer.await.map_err(|_| slow())??;
        self.note_limit(&answer);
        match answer.status {
            200 => {}
            304 if known.is_some() => return Ok(None),
            _ => return Err(self.refusal(repository, &answer)),
        }
        let value = aiw_core::from_foreign_json(&answer.body);
        let value = value.map_err(|source| CiError::InvalidResponse { host: self.host.clone(), source })?;
        // Anything may be a mark, but a long one would make requests that no server takes.
        let is_mark = |etag: &&str| etag.len() <= 200 && etag.bytes().all(|byte| byte.is_ascii_graphic());
        let etag = answer.header("etag").filter(is_mark).map(str::to_owned);
        Ok(Some(ApiResponse { value, etag }))
    }

    /// Begins to read the log of a job, which comes from another host. `None` if it is not there, or not any more.
    pub async fn open_log(&self, repository: &CiRepository, job: u64) -> Result<Option<StreamingResponse>, CiError> {
        let job = job.to_string();
        let Some(request) = self.request(repository, &["jobs", &job, "logs"], &[]) else {
            return Err(self.not_found(repository));
        };
        let answer = self.client.open(&self.log_policy, &request, LOG_READ_TIMEOUT).await?;
        match answer.status {
            200 => Ok(Some(answer)),
            404 | 410 => Ok(None),
            status => {
                // Its body may be long, and says no more.
                let headers = answer.headers.clone();
                let answer = Response { status, headers, body: Vec::new(), url: String::new() };
                self.note_limit(&answer);
                Err(self.refusal(repository, &answer))
            }
        }
    }

    fn note_limit(&self, answer: &Response) {
        let number = |name: &str| answer.header(name)?.parse::<u64>().ok();
        let (remaining, limit) = (number("x-ratelimit-remaining"), number("x-ratelimit-limit"));
        if let (Some(remaining), Some(limit), Some(reset)) = (remaining, limit, number("x-ratelimit-reset")) {
            let seconds = reset.saturating_sub(now_millis() / 1000).clamp(1, MAX_RETRY_AFTER_SECS);
            let resets = rfc3339(now_millis() + seconds * 1000);
            *self.limit.lock() = Some(CiLimit { remaining, limit, resets, seconds });
        }
    }

    fn not_found(&self, repository: &CiRepository) -> CiError {
        let what = format!("run or repository `{}/{}`", repository.owner, repository.name);
        CiError::NotFound { what, host: self.host.clone(), token: self.token.source }
    }

    fn refusal(&self, repository: &CiRepository, answer: &Response) -> CiError {
        let (host, token) = (self.host.clone(), self.token.source);
        match answer.status {
            401 => CiError::Unauthorized { host, token },
            403 | 429 => match self.pause(answer) {
                Some(seconds) => {
                    let resource = one_line(answer.header("x-ratelimit-resource").unwrap_or_default(), 40);
                    CiError::RateLimited { host, seconds, resource, token }
                }
                None => {
                    let complaint: Complaint = aiw_core::from_foreign_json(&answer.body).unwrap_or_default();
                    match one_line(complaint.message.trim(), 300) {
                        reason if reason.is_empty() => self.not_found(repository),
                        reason => CiError::Forbidden { host, reason, token },
                    }
                }
            },
            404 | 410 => self.not_found(repository),
            status => CiError::Status { host, status },
        }
    }

    /// Returns for how many seconds a host answers no more requests, if that is why it refused one.
    fn pause(&self, answer: &Response) -> Option<u64> {
        let after = answer.header("retry-after");
        let seconds = after.and_then(|text| text.parse::<u64>().ok());
        let date = || u64::try_from(parse_http_date(after?)?).ok().map(|at| at.saturating_sub(now_millis()) / 1000);
        if let Some(seconds) = seconds.or_else(date) {
            return Some(seconds.clamp(1, MAX_RETRY_AFTER_SECS));
        }
        if answer.header("x-ratelimit-remaining") == Some("0") {
            return Some(self.limit().map_or(DEFAULT_RETRY_AFTER_SECS, |limit| limit.seconds));
        }
        let complaint: Complaint = aiw_core::from_foreign_json(&answer.body).unwrap_or_default();
        let is_limit = answer.status == 429 || complaint.message.to_ascii_lowercase().contains("rate limit");
        is_limit.then_some(DEFAULT_RETRY_AFTER_SECS)
    }
}
