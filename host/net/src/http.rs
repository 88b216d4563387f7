//! HTTP under the egress policy.

use std::collections::HashSet;
use std::error::Error;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use aiw_core::{Secret, is_public, one_line};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::error::NetError;
use crate::place::shown;
use crate::policy::{Hosts, Policy, bare_name};

/// No body of a [`Client::get`] is longer, whatever the caller's limit: a component that brings its language
/// along (JavaScript 12 MB, Python 18 MB) is the longest thing that is read in one piece.
const MAX_BODY: u64 = 32 << 20;

/// The limit of a request that names none: the largest known index is 5 MB.
const DOCUMENT_BODY: u64 = 8 << 20;

/// As many as browsers' common sense needs; a longer chain is a loop.
const MAX_REDIRECTS: usize = 5;

/// How long things may take. The defaults are the product's; a test shortens them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Name, connection and TLS: a host that is up answers within a few round trips.
    pub connect: Duration,
    /// Without a byte: longer than a proxy's or a server's usual pause.
    pub idle: Duration,
    /// A whole [`Client::get`]: 8 MiB at 70 kB a second, 32 MiB at 280.
    pub get: Duration,
    /// A whole tree: 1 GiB at 1.8 MB a second.
    pub tree: Duration,
    /// The bytes that a repository may send: the largest marketplaces' history is a tenth of it.
    pub pack: u64,
    /// The branches and tags that a repository may list: GitHub lists two a pull request, and the busiest
    /// repository that holds plugins has a hundredth of these.
    pub refs: usize,
    /// The bytes of that list.
    pub listing: u64,
    /// The objects that a repository may send: each costs libgit2 some 200 bytes of memory.
    pub objects: u32,
    /// The bytes that all objects of one transfer may unpack to: libgit2 hashes each of them.
    pub unpacked: u64,
    /// The bytes that libgit2 may unpack on its way to them: for each large delta, all that it builds upon. A minute
    /// or two.
    pub work: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            get: Duration::from_secs(120),
            tree: Duration::from_secs(600),
            pack: 1 << 30,
            refs: 250_000,
            listing: 32 << 20,
            objects: 1_000_000,
            unpacked: 16 << 30,
            work: 256 << 30,
        }
    }
}

/// What a request does. Only a `GET` follows redirects: a body goes where it was sent, or nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Reads.
    #[default]
    Get,
    /// Sends a body.
    Post,
    /// Ends something, such as a session.
    Delete,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it does.
    pub method: Method,
    /// Where to: `https`, or what the policy grants.
    pub url: String,
    /// Headers; on a redirect to another origin only `accept`, `accept-language` and `user-agent` go along.
    pub headers: Vec<(String, String)>,
    /// Headers that are secrets: no other origin gets them, and without encryption only an address of this
    /// machine or of its own networks.
    pub secrets: Vec<(String, Secret)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// The longest body that is wanted, decoded, in bytes; never more than 32 MiB.
    pub limit: u64,
}

impl Request {
    /// A `GET` without headers, for a document of at most 8 MiB.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            method: Method::Get,
            url: url.into(),
            headers: Vec::new(),
            secrets: Vec::new(),
            body: Vec::new(),
            limit: DOCUMENT_BODY,
        }
    }

    fn outgoing(&self) -> Result<Outgoing, NetError> {
        let plain = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let secrets = self.secrets.iter().map(|(name, value)| (name.as_str(), value.expose()));
        Ok(Outgoing {
            method: self.method,
            url: parse_http(&self.url)?,
            headers: header_map(plain)?,
            secrets: header_map(secrets)?,
            body: self.body.clone(),
        })
    }
}

/// An answer, of whatever status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers, names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// Where it came from, after redirects.
    pub url: String,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The one way out by HTTP. Cheap to make and to clone: certificates are loaded by the first request.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    proxies: Matcher,
    /// A proxy that goes before the environment's.
    proxy: Option<reqwest::Proxy>,
    /// The names of proxies that were chosen, which alone may resolve to anything when proxied.
    proxy_names: Arc<Mutex<HashSet<String>>>,
    // One client for each trust in addresses: pooled connections never cross from one to another.
    public: OnceLock<reqwest::Client>,
    granted: OnceLock<reqwest::Client>,
    inner: OnceLock<reqwest::Client>,
    proxied: OnceLock<reqwest::Client>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Public,
    Granted,
    /// To this machine and its networks alone.
    Inner,
    Proxied,
}

/// A streamed answer and where it came from.
pub(crate) struct Stream {
    pub(crate) response: reqwest::Response,
    pub(crate) url: Url,
    idle: Duration,
    deadline: Instant,
}

/// An answer whose body is read piece by piece: a stream of events, or what is too long to hold.
pub struct Streamed {
    /// The HTTP status.
    pub status: u16,
    /// Headers, names in small letters.
    pub headers: Vec<(String, String)>,
    /// Where it came from, after redirects.
    pub url: String,
    stream: Stream,
}

impl Streamed {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The next piece of the body, decoded; none at its end.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, NetError> {
        Ok(self.stream.chunk().await?.map(|piece| piece.to_vec()))
    }
}

/// What goes out.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Those of [`Request::secrets`].
    pub(crate) secrets: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// A client with the product's limits.
    pub fn new() -> Result<Self, NetError> {
        Self::with_limits(Limits::default())
    }

    /// A client with other limits.
    pub fn with_limits(limits: Limits) -> Result<Self, NetError> {
        Ok(Self::of(limits, Matcher::from_system(), None))
    }

    /// The same by a proxy of its own; the environment still says what needs none.
    pub(crate) fn through(&self, proxy: &str) -> Result<Self, NetError> {
        let none = ["NO_PROXY", "no_proxy"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
        let chosen = reqwest::Proxy::all(proxy)
            .map_err(|_| NetError::invalid("the proxy of git's configuration (`http.proxy`) is not a URL"))?
            .no_proxy(reqwest::NoProxy::from_string(&none));
        Ok(Self::of(self.shared.limits, Matcher::builder().all(proxy).no(none).build(), Some(chosen)))
    }

    fn of(limits: Limits, proxies: Matcher, proxy: Option<reqwest::Proxy>) -> Self {
        Self {
            shared: Arc::new(Shared {
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

    pub(crate) fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// Sends a request and reads the head of the answer; the body follows piece by piece. Any status is an answer.
    /// `patience` is the longest pause before and between pieces: a stream of events may be quiet for long.
    pub async fn open(&self, policy: &Policy, request: &Request, patience: Duration) -> Result<Streamed, NetError> {
        /// The caller ends it: a stream may go on for days.
        const NO_END: Duration = Duration::from_secs(365 * 24 * 3600);

        let mut stream = self.send(policy, request.outgoing()?, Instant::now() + NO_END, patience).await?;
        stream.idle = patience;
        let headers = headers(&stream.response);
        Ok(Streamed { status: stream.response.status().as_u16(), headers, url: stream.url.to_string(), stream })
    }

    /// Sends a request and reads the whole answer. Any status is an answer; the redirects of a `GET` are followed,
    /// each checked as the first was.
    pub async fn get(&self, policy: &Policy, request: &Request) -> Result<Response, NetError> {
        let limits = self.shared.limits;
        let mut stream = self.send(policy, request.outgoing()?, Instant::now() + limits.get, limits.idle).await?;
        let limit = request.limit.min(MAX_BODY);
        let too_large = |url: &Url| {
            NetError::too_large(format!("`{}` is longer than the {limit} bytes that were requested", shown(url)))
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
    }

    /// Sends and follows (a `GET` only), up to the head of the answer, which may take `patience`.
    pub(crate) async fn send(
        &self,
        policy: &Policy,
        outgoing: Outgoing,
        deadline: Instant,
        patience: Duration,
    ) -> Result<Stream, NetError> {
        let Outgoing { method, mut url, mut headers, mut secrets, body } = outgoing;
        let follows = method == Method::Get;
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        for _ in 0..=MAX_REDIRECTS {
            let route = self.admit(policy, &url, !secrets.is_empty())?;
            let mut sent = headers.clone();
            // Beside what has the same name, not in its place.
            for (name, value) in &secrets {
                sent.append(name, value.clone());
            }
            let mut request = self.http(route)?.request(method.clone(), url.clone()).headers(sent);
            if !body.is_empty() || method == reqwest::Method::POST {
                request = request.body(body.clone());
            }
            let limits = self.shared.limits;
            // Connecting has its own limit; the head may take as long again as any pause.
            let response = within(limits.connect + patience, patience, deadline, &url, request.send()).await?;
            let next = match response.headers().get("location") {
                Some(to) if follows && matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) => {
                    let to = to.to_str().ok().and_then(|to| url.join(to).ok());
                    to.ok_or_else(|| {
                        NetError::malformed(format!("`{}` redirects to something that is not a URL", shown(&url)))
                    })?
                }
                _ => return Ok(Stream { response, url, idle: limits.idle, deadline }),
            };
            // Any header of the caller's may be a key; another origin gets only what says nothing.
            if next.origin() != url.origin() {
                secrets.clear();
                let kept = ["accept", "accept-language", "user-agent"];
                headers = headers
                    .into_iter()
                    .filter_map(|(name, value)| name.map(|name| (name, value)))
                    .filter(|(name, _)| kept.contains(&name.as_str()))
                    .collect();
            }
            url = next;
        }
        Err(NetError::malformed(format!("`{}`: more than {MAX_REDIRECTS} redirects", shown(&url))))
    }

    /// Whether a program that is about to be started may be led to an address: what [`Client::get`] checks,
    /// the name resolved as well. A name that does not resolve now leads nowhere, and is not an error. Nothing
    /// is sent.
    pub async fn check_address(&self, policy: &Policy, url: &str) -> Result<(), NetError> {
        /// Name servers of a network that is gone answer after many seconds.
        const PATIENCE: Duration = Duration::from_secs(2);

        let url = parse_http(url)?;
        let (Route::Public, Some(host)) = (self.admit(policy, &url, true)?, url.host_str()) else { return Ok(()) };
        let host = host.to_owned();
        let resolved = tokio::task::spawn_blocking(move || resolve_public(&host));
        match tokio::time::timeout(PATIENCE, resolved).await {
            Ok(Ok(Err(denied @ NetError::Denied { .. }))) => Err(denied),
            _ => Ok(()),
        }
    }

    /// Everything that can be checked before a name is resolved.
    fn admit(&self, policy: &Policy, url: &Url, secret: bool) -> Result<Route, NetError> {
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(NetError::invalid(format!("`{}`: scheme `{other}` is not `https`", shown(url))));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NetError::invalid(format!("`{}`: a URL may not contain a user or a password", shown(url))));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(NetError::invalid(format!("`{}` names no host", shown(url))));
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
                    shown(url)
                )));
            }
            if let Some(address) = literal.filter(|address| !is_public(*address)) {
                return Err(private(&name, address));
            }
        }
        // Only a resolver sees where a name leads, and a literal does not pass it.
        let inner = secret && !secure;
        if inner && literal.is_some_and(is_public) {
            return Err(unencrypted(&name));
        }
        let intercept = match url.as_str().parse() {
            Ok(uri) => self.shared.proxies.intercept(&uri),
            Err(_) => return Err(NetError::invalid(format!("`{}` is not a URL", shown(url)))),
        };
        if let Some(intercept) = intercept {
            // The proxy resolves: where a name leads, nobody here knows.
            if inner && literal.is_none() && bare_name(&name) != "localhost" {
                return Err(unencrypted(&name));
            }
            let proxy = intercept.uri();
            if !matches!(proxy.scheme_str(), Some("http" | "https")) {
                return Err(NetError::unavailable(format!(
                    "the proxy has the scheme `{}`, and only `http` and `https` are supported",
                    proxy.scheme_str().unwrap_or_default()
                )));
            }
            let mut names = self.shared.proxy_names.lock().unwrap_or_else(PoisonError::into_inner);
            names.insert(bare_name(proxy.host().unwrap_or_default()));
            return Ok(Route::Proxied);
        }
        Ok(match granted {
            _ if inner => Route::Inner,
            true => Route::Granted,
            false => Route::Public,
        })
    }

    fn http(&self, route: Route) -> Result<&reqwest::Client, NetError> {
        let shared = &self.shared;
        let (slot, resolver) = match route {
            Route::Public => (&shared.public, Resolver { to: Addresses::Public, except: None }),
            Route::Granted => (&shared.granted, Resolver { to: Addresses::Any, except: None }),
            Route::Inner => (&shared.inner, Resolver { to: Addresses::Inner, except: None }),
            Route::Proxied => {
                (&shared.proxied, Resolver { to: Addresses::Public, except: Some(shared.proxy_names.clone()) })
            }
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        // Fails where another crate was first: any provider will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("aiw/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(shared.limits.connect)
            .dns_resolver(Arc::new(resolver));
        builder = match &shared.proxy {
            _ if route != Route::Proxied => builder.no_proxy(),
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder,
        };
        let client =
            builder.build().map_err(|e| NetError::unavailable(format!("cannot use TLS: {}", causes(&e))).because(e))?;
        Ok(slot.get_or_init(|| client))
    }
}

impl Stream {
    /// The next piece of the body.
    pub(crate) async fn chunk(
        &mut self,
    ) -> Result<Option<impl AsRef<[u8]> + std::ops::Deref<Target = [u8]> + use<>>, NetError> {
        within(self.idle, self.idle, self.deadline, &self.url, self.response.chunk()).await
    }
}

/// Waits for at most `pause`, and not past the deadline.
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
        Err(_) if left <= pause => Err(NetError::unavailable(format!("`{}` took too long", shown(url)))),
        Err(_) => Err(NetError::unavailable(format!("`{}` sent nothing for {} s", shown(url), said.as_secs_f32()))),
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
        let message = format!("`{}` sent a truncated or garbled answer: {}", shown(url), causes(&error));
        return NetError::malformed(message).because(error);
    } else {
        causes(&error)
    };
    NetError::unavailable(format!("cannot reach `{}`: {what}", shown(url))).because(error)
}

fn headers(response: &reqwest::Response) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// The innermost cause says most; those around it repeat that something failed.
fn causes(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    one_line(&last.to_string(), 200)
}

/// Whether a host is among those that the caller declared.
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
        "is".to_owned()
    } else {
        format!("resolves to `{address}`,")
    };
    NetError::denied(format!("`{}` {address} not a public address and was not granted", one_line(host, 120)))
}

/// Every address of a name, or an error if one of them may not be reached.
pub(crate) fn resolve_public(host: &str) -> Result<Vec<SocketAddr>, NetError> {
    let addresses = resolve(host)?;
    match addresses.iter().find(|address| !is_public(address.ip())) {
        Some(inner) => Err(private(host, inner.ip())),
        None => Ok(addresses),
    }
}

fn resolve(host: &str) -> Result<Vec<SocketAddr>, NetError> {
    let found = (host.trim_matches(['[', ']']), 0).to_socket_addrs();
    let found = found.map(Iterator::collect::<Vec<_>>);
    match found {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(NetError::unavailable(format!("`{}` has no address", one_line(host, 120)))),
        Err(error) => {
            Err(NetError::unavailable(format!("cannot resolve `{}`: {error}", one_line(host, 120))).because(error))
        }
    }
}

/// The secret of a request would be read by whoever stands in between.
fn unencrypted(host: &str) -> NetError {
    NetError::denied(format!(
        "`{}` is not reached over `https`, and only this machine and private networks get a key without encryption",
        one_line(host, 120)
    ))
}

/// Every address of a name, or an error if one of them is elsewhere than on this machine and its networks.
fn resolve_inner(host: &str) -> Result<Vec<SocketAddr>, NetError> {
    let addresses = resolve(host)?;
    match addresses.iter().any(|address| is_public(address.ip())) {
        true => Err(unencrypted(host)),
        false => Ok(addresses),
    }
}

/// What a name may lead to.
#[derive(Clone, Copy)]
enum Addresses {
    Public,
    Any,
    Inner,
}

struct Resolver {
    to: Addresses,
    /// Names that may lead anywhere.
    except: Option<Arc<Mutex<HashSet<String>>>>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let excepted = self
            .except
            .as_ref()
            .is_some_and(|names| names.lock().unwrap_or_else(PoisonError::into_inner).contains(&bare_name(&name)));
        let to = if excepted { Addresses::Any } else { self.to };
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || match to {
                Addresses::Public => resolve_public(&name),
                Addresses::Any => resolve(&name),
                Addresses::Inner => resolve_inner(&name),
            });
            let addresses: Addrs = Box::new(found.await??.into_iter());
            Ok(addresses)
        })
    }
}

/// A URL of HTTP, or why it is none.
pub(crate) fn parse_http(text: &str) -> Result<Url, NetError> {
    match Url::parse(text) {
        Ok(url) if url.has_host() => Ok(url),
        // The text may hold what a URL would have let us cut off.
        Ok(_) => Err(NetError::invalid("the URL names no host")),
        Err(error) => Err(NetError::invalid(format!("not a URL: {error}"))),
    }
}

/// Headers, in small letters, that no caller may set: they would change where a request goes, how it is framed
/// or how it is read.
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
