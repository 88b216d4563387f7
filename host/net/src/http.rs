//! HTTP under the egress policy.
//!
//! Long: one request goes through one place, from its checks to its last redirect.

use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::error::Error;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aiw_core::{Secret, is_public, one_line};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::detached::spawn_detached;
use crate::error::{DeniedBy, NetError};
use crate::git_url::redact_url;
use crate::policy::{Hosts, Policy, normalize_host};

/// The maximum length of a [`HttpClient::fetch`] body, whatever limit the caller sets. The longest files read in one
/// piece are components that include their language runtime (JavaScript 12 MB, Python 18 MB).
const MAX_BODY_BYTES: u64 = 32 << 20;

/// The limit of a request that names none. The largest known index is 5 MB.
const DEFAULT_MAX_BODY_BYTES: u64 = 8 << 20;

/// The maximum number of redirects. Sensible sites need no more; a longer chain is a loop.
const MAX_REDIRECTS: usize = 5;

/// How long requests may take and how much they may return. The defaults are for production; tests lower them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Name resolution, connection and TLS: a host that is up answers within a few round trips.
    pub connect_timeout: Duration,
    /// The longest time without a byte: more than the usual pause of a proxy or a server.
    pub idle_timeout: Duration,
    /// A whole [`HttpClient::fetch`]. The default allows 8 MiB at 70 kB a second, or 32 MiB at 280 kB a second.
    pub fetch_timeout: Duration,
    /// A whole tree. The default allows 1 GiB at 1.8 MB a second.
    pub tree_timeout: Duration,
    /// The bytes that a repository may send. The history of the largest marketplaces is a tenth of the default.
    pub max_pack_bytes: u64,
    /// The branches and tags that a repository may list. GitHub lists two for each pull request, and the busiest
    /// repository with plugins lists a hundredth of the default.
    pub max_refs: usize,
    /// The maximum size of that list in bytes.
    pub max_refs_bytes: u64,
    /// The objects that a repository may send. Each costs libgit2 some 200 bytes of memory.
    pub max_objects: u32,
    /// The bytes that all objects of one transfer may unpack to. libgit2 hashes each object.
    pub max_unpacked_bytes: u64,
    /// The bytes that libgit2 may unpack to build them: for each large delta, everything that the delta is based
    /// on. The default takes a minute or two.
    pub max_delta_bytes: u64,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            fetch_timeout: Duration::from_secs(120),
            tree_timeout: Duration::from_secs(600),
            max_pack_bytes: 1 << 30,
            max_refs: 250_000,
            max_refs_bytes: 32 << 20,
            max_objects: 1_000_000,
            max_unpacked_bytes: 16 << 30,
            max_delta_bytes: 256 << 30,
        }
    }
}

/// The method of a request. A body is never sent on to another address, so `GET` follows every redirect, and `POST` at
/// most one that asks for a `GET`: see [`HttpRequest::follow_see_other`]. A redirect of any other method is returned as the
/// response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Reads.
    #[default]
    Get,
    /// Sends a body.
    Post,
    /// Ends something, such as a session, or removes a file.
    Delete,
    /// Puts a body at an address.
    Put,
    /// Changes a part.
    Patch,
    /// Lists a folder of WebDAV.
    Propfind,
    /// Makes a folder of WebDAV.
    Mkcol,
}

impl Method {
    fn verb(self) -> Result<reqwest::Method, NetError> {
        let extension = |name: &[u8]| {
            reqwest::Method::from_bytes(name).map_err(|error| NetError::invalid(format!("no HTTP method: {error}")))
        };
        Ok(match self {
            Self::Get => reqwest::Method::GET,
            Self::Post => reqwest::Method::POST,
            Self::Delete => reqwest::Method::DELETE,
            Self::Put => reqwest::Method::PUT,
            Self::Patch => reqwest::Method::PATCH,
            Self::Propfind => extension(b"PROPFIND")?,
            Self::Mkcol => extension(b"MKCOL")?,
        })
    }

    /// Returns whether a request says how long its body is, even if it has none.
    fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The URL: `https`, or anything that the policy grants.
    pub url: String,
    /// Headers. A redirect to another origin takes along only `accept`, `accept-language`, `range` and `user-agent`.
    pub headers: Vec<(String, String)>,
    /// Headers that are secrets. They are never sent to another origin, and never without encryption except to this
    /// machine or its private networks.
    pub secret_headers: Vec<(String, Secret)>,
    /// The body to send.
    pub body: Vec<u8>,
    /// Whether a `POST` that is answered with status 303 goes on with a `GET`, without the body and its headers. Every
    /// other redirect of a `POST` is returned as the response.
    pub follow_see_other: bool,
    /// The maximum length of the decoded response body in bytes, never more than 32 MiB.
    pub max_body_bytes: u64,
}

impl HttpRequest {
    /// Returns a `GET` request without headers, for a document of at most 8 MiB.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            method: Method::Get,
            url: url.into(),
            headers: Vec::new(),
            secret_headers: Vec::new(),
            body: Vec::new(),
            follow_see_other: false,
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
        }
    }

    fn outgoing(&self) -> Result<SentRequest, NetError> {
        let plain = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let secrets = self.secret_headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
        Ok(SentRequest {
            method: self.method,
            url: parse_http_url(&self.url)?,
            headers: header_map(plain)?,
            secret_headers: header_map(secrets)?,
            body: self.body.clone(),
            follow_see_other: self.follow_see_other,
        })
    }
}

/// A response of any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers, with lowercase names.
    pub headers: Vec<(String, String)>,
    /// The decoded body.
    pub body: Vec<u8>,
    /// The URL that answered, after redirects.
    pub url: String,
}

impl Response {
    /// Returns the first header with this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The only way out over HTTP. Cheap to create and to clone: the first request loads the certificates.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<SharedClients>,
}

struct SharedClients {
    limits: RequestLimits,
    proxies: Matcher,
    /// A proxy that takes precedence over the proxies of the environment.
    proxy: Option<reqwest::Proxy>,
    /// The host names of the proxies in use. On proxied connections only these names may resolve to any address.
    proxy_names: Arc<Mutex<HashSet<String>>>,
    // One client for each level of trust in addresses, so that pooled connections are never shared between levels.
    public: OnceLock<reqwest::Client>,
    granted: OnceLock<reqwest::Client>,
    inner: OnceLock<reqwest::Client>,
    proxied: OnceLock<reqwest::Client>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Public,
    Granted,
    /// Only to this machine and its private networks.
    Private,
    Proxied,
}

/// A streamed response and its URL.
pub(crate) struct ResponseStream {
    pub(crate) response: reqwest::Response,
    pub(crate) url: Url,
    idle: Duration,
    deadline: Instant,
}

/// A response whose body is read piece by piece: a stream of events, or a body too long to hold in memory.
pub struct StreamingResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers, with lowercase names.
    pub headers: Vec<(String, String)>,
    /// The URL that answered, after redirects.
    pub url: String,
    stream: ResponseStream,
}

impl StreamingResponse {
    /// Returns the first header with this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the next piece of the decoded body, or `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, NetError> {
        Ok(self.stream.chunk().await?.map(|piece| piece.to_vec()))
    }
}

/// A request as it is sent.
pub(crate) struct SentRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// The headers from [`HttpRequest::secret_headers`].
    pub(crate) secret_headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) follow_see_other: bool,
}

impl HttpClient {
    /// Creates a client with the default limits.
    pub fn new() -> Result<Self, NetError> {
        Self::with_limits(RequestLimits::default())
    }

    /// Creates a client with other limits.
    pub fn with_limits(limits: RequestLimits) -> Result<Self, NetError> {
        Ok(Self::of(limits, Matcher::from_system(), None))
    }

    /// Returns a client that uses `proxy`. The environment's `NO_PROXY` still applies.
    pub(crate) fn with_proxy(&self, proxy: &str) -> Result<Self, NetError> {
        let none = ["NO_PROXY", "no_proxy"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
        let chosen = reqwest::Proxy::all(proxy)
            .map_err(|_| NetError::invalid("the proxy of git's configuration (`http.proxy`) is not a URL"))?
            .no_proxy(reqwest::NoProxy::from_string(&none));
        Ok(Self::of(self.shared.limits, Matcher::builder().all(proxy).no(none).build(), Some(chosen)))
    }

    fn of(limits: RequestLimits, proxies: Matcher, proxy: Option<reqwest::Proxy>) -> Self {
        Self {
            shared: Arc::new(SharedClients {
                limits,
                proxies,
                proxy,
                proxy_names: Arc::default(),
                public: OnceLock::new(),
                granted: OnceLock::new(),
                inner: OnceLock::new(),
                proxied: OnceLock::new(),
            }),
        }
    }

    pub(crate) fn limits(&self) -> RequestLimits {
        self.shared.limits
    }

    /// Sends a request and reads the head of the response; the body follows piece by piece. Any status is returned
    /// as a response. `patience` is the longest pause before and between pieces, because a stream of events may be
    /// quiet for long.
    pub fn open<'a>(
        &'a self,
        policy: &'a Policy,
        request: &'a HttpRequest,
        patience: Duration,
    ) -> BoxFuture<'a, Result<StreamingResponse, NetError>> {
        Box::pin(async move {
            /// The caller ends the stream, which may go on for days.
            const UNBOUNDED_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

            let mut outgoing = request.outgoing()?;
            // A server that compresses a stream holds pieces of it back.
            outgoing.headers.insert(reqwest::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            let mut stream = self.send(policy, outgoing, Instant::now() + UNBOUNDED_TIMEOUT, patience).await?;
            stream.idle = patience;
            let headers = headers(&stream.response);
            Ok(StreamingResponse {
                status: stream.response.status().as_u16(),
                headers,
                url: stream.url.to_string(),
                stream,
            })
        })
    }

    /// Says what is wrong with a request that is refused wherever its names lead. Nothing is sent or resolved.
    pub fn check(&self, policy: &Policy, request: &HttpRequest) -> Result<(), NetError> {
        let outgoing = request.outgoing()?;
        self.admit(policy, &outgoing.url, !outgoing.secret_headers.is_empty()).map(drop)
    }

    /// Sends a request and reads the whole response. Any status is returned as a response. The redirects of a `GET`
    /// are followed, and each is checked like the first URL.
    pub fn fetch<'a>(
        &'a self,
        policy: &'a Policy,
        request: &'a HttpRequest,
    ) -> BoxFuture<'a, Result<Response, NetError>> {
        // The deadline of all of it is earlier.
        self.fetch_with_head_timeout(policy, request, self.shared.limits.fetch_timeout.saturating_mul(2))
    }

    /// Sends a request as [`Self::fetch`] does. A response that is no redirect begins within `head`, connecting included; sending
    /// a body gets more time.
    pub fn fetch_with_head_timeout<'a>(
        &'a self,
        policy: &'a Policy,
        request: &'a HttpRequest,
        head: Duration,
    ) -> BoxFuture<'a, Result<Response, NetError>> {
        Box::pin(async move {
            let limits = self.shared.limits;
            let upload = upload_time(request.body.len());
            let deadline = Instant::now() + limits.fetch_timeout + upload;
            let sending = self.send(policy, request.outgoing()?, deadline, limits.idle_timeout + upload);
            let begun = tokio::time::timeout(head + upload, sending).await;
            let mut stream = begun.unwrap_or_else(|_| {
                let place = parse_http_url(&request.url).map(|url| redact_url(&url)).unwrap_or_default();
                let seconds = (head.as_secs_f32() * 10.0).round() / 10.0;
                Err(NetError::unavailable(format!("`{place}` sent no answer for {seconds} s")))
            })?;
            let limit = request.max_body_bytes.min(MAX_BODY_BYTES);
            let too_large = |url: &Url| {
                NetError::too_large(format!(
                    "`{}` is longer than the {limit} bytes that were requested",
                    redact_url(url)
                ))
            };
            if stream.response.content_length().is_some_and(|length| length > limit) {
                return Err(too_large(&stream.url));
            }
            let mut body = Vec::new();
            while let Some(chunk) = stream.chunk().await? {
                if body.len() as u64 + chunk.len() as u64 > limit {
                    return Err(too_large(&stream.url));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Response {
                status: stream.response.status().as_u16(),
                headers: headers(&stream.response),
                body,
                url: stream.url.into(),
            })
        })
    }

    /// Sends a request and reads up to the head of the response, which may take `patience`. Follows the redirects
    /// of a `GET`.
    pub(crate) fn send<'a>(
        &'a self,
        policy: &'a Policy,
        outgoing: SentRequest,
        deadline: Instant,
        patience: Duration,
    ) -> BoxFuture<'a, Result<ResponseStream, NetError>> {
        Box::pin(async move {
            let SentRequest {
                mut method,
                mut url,
                mut headers,
                secret_headers: mut secrets,
                mut body,
                follow_see_other: see_other,
            } = outgoing;
            for _ in 0..=MAX_REDIRECTS {
                let route = self.admit(policy, &url, !secrets.is_empty())?;
                let mut sent = headers.clone();
                // Append the secrets; do not replace headers of the same name.
                for (name, value) in &secrets {
                    sent.append(name, value.clone());
                }
                let mut request = self.http(route)?.request(method.verb()?, url.clone()).headers(sent);
                if !body.is_empty() {
                    request = request.body(body.clone());
                } else if method.has_body() {
                    // hyper leaves it out, and Google's servers refuse a request without it.
                    request = request.header(reqwest::header::CONTENT_LENGTH, 0);
                }
                let limits = self.shared.limits;
                // Connecting has its own limit. After that, the head of the response may take as long as any pause.
                let response =
                    within(limits.connect_timeout + patience, patience, deadline, &url, request.send()).await?;
                let follows = match method {
                    Method::Get => matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308),
                    Method::Post => see_other && response.status() == 303,
                    // A body, and what is done to one address, stay at that address.
                    _ => false,
                };
                let next = match response.headers().get("location") {
                    Some(to) if follows => {
                        let to = to.to_str().ok().and_then(|to| url.join(to).ok());
                        to.ok_or_else(|| {
                            NetError::malformed(format!(
                                "`{}` redirects to something that is not a URL",
                                redact_url(&url)
                            ))
                        })?
                    }
                    _ => return Ok(ResponseStream { response, url, idle: limits.idle_timeout, deadline }),
                };
                if method == Method::Post {
                    method = Method::Get;
                    body.clear();
                    // They describe the body.
                    for name in ["content-type", "content-encoding", "content-language", "content-location"] {
                        headers.remove(name);
                    }
                }
                // Any of the caller's headers may be a key, so another origin gets only harmless ones. Hosts of large files
                // redirect to others, and the rest of a file is asked for by its range.
                if next.origin() != url.origin() {
                    secrets.clear();
                    let kept = ["accept", "accept-language", "range", "user-agent"];
                    headers = headers
                        .into_iter()
                        .filter_map(|(name, value)| name.map(|name| (name, value)))
                        .filter(|(name, _)| kept.contains(&name.as_str()))
                        .collect();
                }
                url = next;
            }
            Err(NetError::malformed(format!("`{}`: more than {MAX_REDIRECTS} redirects", redact_url(&url))))
        })
    }

    /// Checks whether a program that is about to start may be pointed at an address. The checks are those of
    /// [`HttpClient::fetch`], including the addresses that the name resolves to. A name that does not resolve now leads
    /// nowhere and is not an error. Nothing is sent.
    pub fn check_address<'a>(&'a self, policy: &'a Policy, url: &'a str) -> BoxFuture<'a, Result<(), NetError>> {
        Box::pin(async move {
            /// When a network is gone, its name servers take many seconds to answer.
            const DNS_TIMEOUT: Duration = Duration::from_secs(2);

            let url = parse_http_url(url)?;
            let (Route::Public, Some(host)) = (self.admit(policy, &url, true)?, url.host_str()) else { return Ok(()) };
            let host = host.to_owned();
            let resolved = spawn_detached(move || resolve_public(&host));
            match tokio::time::timeout(DNS_TIMEOUT, resolved).await {
                Ok(Ok(Err(denied @ NetError::Denied { .. }))) => Err(denied),
                _ => Ok(()),
            }
        })
    }

    /// Returns the host and port that a connection for a URL goes to first: those of the proxy, if there is one. `None`
    /// if that can't be told.
    pub(crate) fn first_hop(&self, url: &str) -> Result<Option<(String, u16)>, NetError> {
        let url = parse_http_url(url)?;
        if let Some(intercept) = url.as_str().parse().ok().and_then(|uri| self.shared.proxies.intercept(&uri)) {
            let proxy = intercept.uri();
            let port = proxy.port_u16().or(match proxy.scheme_str() {
                Some("http") => Some(80),
                Some("https") => Some(443),
                _ => None,
            });
            return Ok(proxy.host().map(str::to_owned).zip(port));
        }
        Ok(url.host_str().map(str::to_owned).zip(url.port_or_known_default()))
    }

    /// Makes all checks that need no name resolution, and chooses the route.
    fn admit(&self, policy: &Policy, url: &Url, secret: bool) -> Result<Route, NetError> {
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(NetError::invalid(format!("`{}`: scheme `{other}` is not `https`", redact_url(url))));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NetError::invalid(format!(
                "`{}`: a URL may not contain a user or a password",
                redact_url(url)
            )));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(NetError::invalid(format!("`{}` names no host", redact_url(url))));
        };
        let name = host.to_string();
        let literal = match host {
            url::Host::Ipv4(address) => Some(IpAddr::V4(address)),
            url::Host::Ipv6(address) => Some(IpAddr::V6(address)),
            url::Host::Domain(_) => None,
        };
        let granted = policy.is_granted(&name, port);
        if !granted {
            check_host(policy, &name, port, if secure { 443 } else { 80 })?;
            if !secure {
                return Err(NetError::denied(format!(
                    "`{}` is not encrypted, and `{name}:{port}` is not granted",
                    redact_url(url)
                )));
            }
            if let Some(address) = literal.filter(|address| !is_public(*address)) {
                return Err(private(&name, address));
            }
        }
        // A name is checked when it is resolved; an address literal is never resolved, so it is checked here.
        let inner = secret && !secure;
        if inner && literal.is_some_and(is_public) {
            return Err(unencrypted(&name));
        }
        let intercept = match url.as_str().parse() {
            Ok(uri) => self.shared.proxies.intercept(&uri),
            Err(_) => return Err(NetError::invalid(format!("`{}` is not a URL", redact_url(url)))),
        };
        if let Some(intercept) = intercept {
            // The proxy resolves the name, so aiw cannot know where it leads.
            if inner && literal.is_none() && normalize_host(&name) != "localhost" {
                return Err(unencrypted(&name));
            }
            let proxy = intercept.uri();
            if !matches!(proxy.scheme_str(), Some("http" | "https")) {
                return Err(NetError::unavailable(format!(
                    "the proxy has the scheme `{}`, and only `http` and `https` are supported",
                    proxy.scheme_str().unwrap_or_default()
                )));
            }
            let mut names = self.shared.proxy_names.lock();
            names.insert(normalize_host(proxy.host().unwrap_or_default()));
            return Ok(Route::Proxied);
        }
        Ok(match granted {
            _ if inner => Route::Private,
            true => Route::Granted,
            false => Route::Public,
        })
    }

    fn http(&self, route: Route) -> Result<&reqwest::Client, NetError> {
        let shared = &self.shared;
        let (slot, resolver) = match route {
            Route::Public => (&shared.public, Resolver { to: Addresses::Public, except: None }),
            Route::Granted => (&shared.granted, Resolver { to: Addresses::Any, except: None }),
            Route::Private => (&shared.inner, Resolver { to: Addresses::Private, except: None }),
            Route::Proxied => {
                (&shared.proxied, Resolver { to: Addresses::Public, except: Some(shared.proxy_names.clone()) })
            }
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        // This fails if another crate has installed a provider already. Any provider will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("aiw/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(shared.limits.connect_timeout)
            .dns_resolver(Arc::new(resolver));
        builder = match &shared.proxy {
            _ if route != Route::Proxied => builder.no_proxy(),
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder,
        };
        let client = builder
            .build()
            .map_err(|e| NetError::unavailable(format!("cannot use TLS: {}", causes(&e))).with_source(e))?;
        Ok(slot.get_or_init(|| client))
    }
}

impl ResponseStream {
    /// Returns the next piece of the body.
    pub(crate) async fn chunk(
        &mut self,
    ) -> Result<Option<impl AsRef<[u8]> + std::ops::Deref<Target = [u8]> + use<>>, NetError> {
        within(self.idle, self.idle, self.deadline, &self.url, self.response.chunk()).await
    }
}

/// Returns how long it may take to send a body before its answer begins. Sending gets this time beside every other one.
fn upload_time(body: usize) -> Duration {
    /// Bytes in a second: a slow line at home.
    const MIN_BYTES_PER_SECOND: u64 = 128 << 10;

    Duration::from_secs(body as u64 / MIN_BYTES_PER_SECOND)
}

/// Waits for `work` for at most `pause`, and never past the deadline.
async fn within<T>(
    pause: Duration,
    said: Duration,
    deadline: Instant,
    url: &Url,
    work: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, NetError> {
    let left = deadline.saturating_duration_since(Instant::now());
    match tokio::time::timeout(pause.min(left), work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failure(url, error)),
        Err(_) if left <= pause => Err(NetError::unavailable(format!("`{}` took too long", redact_url(url)))),
        Err(_) => {
            Err(NetError::unavailable(format!("`{}` sent nothing for {} s", redact_url(url), said.as_secs_f32())))
        }
    }
}

fn failure(url: &Url, error: reqwest::Error) -> NetError {
    let error = error.without_url();
    let mut source: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(ours) = cause.downcast_ref::<NetError>() {
            return ours.clone();
        }
        source = cause.source();
    }
    let what = if error.is_timeout() {
        "no connection in time".to_owned()
    } else if error.is_decode() || error.is_body() {
        let message = format!("`{}` sent a truncated or garbled answer: {}", redact_url(url), causes(&error));
        return NetError::malformed(message).with_source(error);
    } else {
        causes(&error)
    };
    NetError::unavailable(format!("cannot reach `{}`: {what}", redact_url(url))).with_source(error)
}

fn headers(response: &reqwest::Response) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Returns the innermost cause, which says the most: the errors around it only repeat that something failed.
fn causes(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    one_line(&last.to_string(), 200)
}

/// Checks that a host is among those that the caller declared.
pub(crate) fn check_host(policy: &Policy, host: &str, port: u16, default_port: u16) -> Result<(), NetError> {
    if policy.hosts.matches(host, port, default_port) {
        return Ok(());
    }
    let allowed = match &policy.hosts {
        Hosts::Only(patterns) if !patterns.is_empty() => {
            patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(", ")
        }
        _ => "none".to_owned(),
    };
    let host = if port == default_port { host.to_owned() } else { format!("{host}:{port}") };
    Err(NetError::denied(format!("host `{}` is not among the allowed ones: {allowed}", one_line(&host, 120))))
}

fn private(host: &str, address: IpAddr) -> NetError {
    let address = if host.trim_matches(['[', ']']).parse() == Ok(address) {
        "is not a public address".to_owned()
    } else {
        format!("resolves to `{address}`, which is not a public address")
    };
    let message = format!("`{}` {address}, and nothing allows aiw to reach it", one_line(host, 120));
    NetError::Denied { by: DeniedBy::NotPublic, message }
}

/// Returns all addresses of a name, or an error if one of them is not public.
pub(crate) fn resolve_public(host: &str) -> Result<Vec<SocketAddr>, NetError> {
    let addresses = resolve(host)?;
    match addresses.iter().find(|address| !is_public(address.ip())) {
        Some(inner) => Err(private(host, inner.ip())),
        None => Ok(addresses),
    }
}

/// Returns all addresses of a name, without a port.
pub(crate) fn resolve(host: &str) -> Result<Vec<SocketAddr>, NetError> {
    let found = (host.trim_matches(['[', ']']), 0).to_socket_addrs();
    let found = found.map(Iterator::collect::<Vec<_>>);
    match found {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(NetError::unavailable(format!("`{}` has no address", one_line(host, 120)))),
        Err(error) => {
            Err(NetError::unavailable(format!("cannot resolve `{}`: {error}", one_line(host, 120))).with_source(error))
        }
    }
}

/// Returns the error for a secret that would be sent unencrypted, where anyone in between could read it.
fn unencrypted(host: &str) -> NetError {
    NetError::denied(format!(
        "`{}` is not reached over `https`, and only this machine and private networks get a key without encryption",
        one_line(host, 120)
    ))
}

/// Returns all addresses of a name, or an error if one of them is outside this machine and its private networks.
fn resolve_inner(host: &str) -> Result<Vec<SocketAddr>, NetError> {
    let addresses = resolve(host)?;
    match addresses.iter().any(|address| is_public(address.ip())) {
        true => Err(unencrypted(host)),
        false => Ok(addresses),
    }
}

/// The addresses that a name may resolve to.
#[derive(Clone, Copy)]
enum Addresses {
    Public,
    Any,
    Private,
}

struct Resolver {
    to: Addresses,
    /// Names that may resolve to any address.
    except: Option<Arc<Mutex<HashSet<String>>>>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let excepted = self.except.as_ref().is_some_and(|names| names.lock().contains(&normalize_host(&name)));
        let to = if excepted { Addresses::Any } else { self.to };
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || match to {
                Addresses::Public => resolve_public(&name),
                Addresses::Any => resolve(&name),
                Addresses::Private => resolve_inner(&name),
            });
            let addresses: Addrs = Box::new(found.await??.into_iter());
            Ok(addresses)
        })
    }
}

/// Parses an HTTP URL, or says why it is not one.
pub(crate) fn parse_http_url(text: &str) -> Result<Url, NetError> {
    match Url::parse(text) {
        Ok(url) if url.has_host() => Ok(url),
        // The messages do not repeat the text: it may contain a secret, which cannot be cut out of an invalid URL.
        Ok(_) => Err(NetError::invalid("the URL names no host")),
        Err(error) => Err(NetError::invalid(format!("not a URL: {error}"))),
    }
}

/// Headers, in lowercase, that no caller may set: they would change where a request goes, how it is framed or how
/// it is read.
pub const RESERVED_HEADERS: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn header_map<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Result<HeaderMap, NetError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let shown = one_line(name, 80);
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(NetError::invalid(format!("`{shown}` is not the name of a header")));
        };
        if RESERVED_HEADERS.contains(&name.as_str()) {
            return Err(NetError::invalid(format!("header `{shown}` can't be set by a caller")));
        }
        let Ok(mut value) = HeaderValue::from_str(value) else {
            return Err(NetError::invalid(format!(
                "the value of header `{shown}` has characters that are not allowed in a header"
            )));
        };
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}
