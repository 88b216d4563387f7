//! Which addresses a login may reach: what the server names is checked before anything is sent there.

use std::net::IpAddr;
use std::time::Duration;

use aiw_core::is_public;
use aiw_net::{HostPattern, Hosts, HttpClient, HttpRequest, Policy, Response};
use serde_json::{Map, Value};
use url::{Host, Url};

use super::OAuthError;

/// The largest document or answer. Real ones have a few kB.
const MAX_RESPONSE_BYTES: u64 = 256 << 10;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest address.
const MAX_URL: usize = 2048;

/// Where an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressClass {
    /// A public address, or a name: `net` checks what it resolves to.
    Public,
    Private,
    LinkLocal,
    Loopback,
}

fn class(url: &Url) -> AddressClass {
    let of = |address: IpAddr| match address {
        // A connection to 0.0.0.0 ends on this machine.
        IpAddr::V4(v4) if v4.is_loopback() || v4.octets()[0] == 0 => AddressClass::Loopback,
        IpAddr::V4(v4) if v4.is_link_local() => AddressClass::LinkLocal,
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() => AddressClass::Loopback,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => AddressClass::LinkLocal,
        address if is_public(address) => AddressClass::Public,
        _ => AddressClass::Private,
    };
    match url.host() {
        Some(Host::Ipv4(v4)) => of(v4.into()),
        Some(Host::Ipv6(v6)) => of(v6.to_ipv4_mapped().map_or(v6.into(), IpAddr::from)),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if name == "localhost" || name.ends_with(".localhost") {
                AddressClass::Loopback
            } else {
                AddressClass::Public
            }
        }
        None => AddressClass::Private,
    }
}

/// The addresses that the login at one server may reach.
#[derive(Clone)]
pub(super) struct OAuthHttpClient {
    client: HttpClient,
    server: Url,
    /// The issuer that the user named, which may be anywhere.
    named: Option<Url>,
}

impl OAuthHttpClient {
    /// `server` is the URL of the MCP server, `named` the issuer that the user chose.
    pub(super) fn new(client: HttpClient, server: &str, named: Option<&str>) -> Result<Self, OAuthError> {
        let what = "the server's URL";
        let server = parse(what, server)?;
        let named = named.map(|named| parse("the issuer", named)).transpose()?;
        Ok(Self { client, server, named })
    }

    pub(super) fn server(&self) -> &Url {
        &self.server
    }

    /// An address that metadata names.
    pub(super) fn check_url(&self, what: &'static str, text: &str) -> Result<Url, OAuthError> {
        let url = parse(what, text)?;
        let is_inside = class(&url) != AddressClass::Public && class(&url) != class(&self.server);
        if is_inside && !self.is_named(&url) {
            let problem = "is inside this machine or its networks, and the server is not";
            return Err(OAuthError::InvalidUrl { what, url: redact_url(&url), problem });
        }
        Ok(url)
    }

    fn is_named(&self, url: &Url) -> bool {
        url.origin() == self.server.origin() || self.named.as_ref().is_some_and(|named| named.origin() == url.origin())
    }

    /// Only the origin of one address. A redirect elsewhere is refused before it is followed.
    fn policy(&self, what: &'static str, url: &Url) -> Result<Policy, OAuthError> {
        let mut policy = Policy::none();
        if self.is_named(url) || class(url) != AddressClass::Public {
            policy.grant_url(url.as_str());
            return Ok(policy);
        }
        let place = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
        let pattern = HostPattern::parse(&place).map_err(|_| OAuthError::InvalidUrl {
            what,
            url: redact_url(url),
            problem: "names no valid host",
        })?;
        policy.hosts = Hosts::Only(vec![pattern]);
        Ok(policy)
    }

    /// Sends a request to a checked address.
    pub(super) async fn send(
        &self,
        what: &'static str,
        url: &Url,
        request: HttpRequest,
    ) -> Result<Response, OAuthError> {
        let policy = self.policy(what, url)?;
        let request = HttpRequest { url: url.to_string(), max_body_bytes: MAX_RESPONSE_BYTES, ..request };
        match tokio::time::timeout(REQUEST_TIMEOUT, self.client.fetch(&policy, &request)).await {
            Ok(Ok(response)) => {
                // The same host and port, in another scheme.
                let origin = Url::parse(&response.url).map(|answered| answered.origin());
                if origin != Ok(url.origin()) {
                    return Err(OAuthError::InvalidResponse { what, problem: "redirects to another origin".into() });
                }
                Ok(response)
            }
            // The path may be that of the server, and hold a key.
            Ok(Err(source)) => Err(OAuthError::Net { what, source: Box::new(source.without_paths()) }),
            Err(_) => Err(OAuthError::Timeout { what, seconds: REQUEST_TIMEOUT.as_secs() }),
        }
    }

    /// The server's own challenge to a request without a token.
    pub(super) async fn fetch_challenge(&self, request: HttpRequest) -> Result<Option<String>, OAuthError> {
        let what = "the server";
        let policy = self.policy(what, &self.server)?;
        let request = HttpRequest { url: self.server.to_string(), ..request };
        // The body may be a stream without an end.
        match tokio::time::timeout(REQUEST_TIMEOUT, self.client.open(&policy, &request, REQUEST_TIMEOUT)).await {
            Ok(Ok(answer)) if answer.status == 401 => Ok(answer.header("www-authenticate").map(str::to_owned)),
            Ok(Ok(_)) => Ok(None),
            Ok(Err(source)) => Err(OAuthError::Net { what, source: Box::new(source.without_paths()) }),
            Err(_) => Err(OAuthError::Timeout { what, seconds: REQUEST_TIMEOUT.as_secs() }),
        }
    }
}

/// An address of `https`, or of `http` on this machine.
fn parse(what: &'static str, text: &str) -> Result<Url, OAuthError> {
    let refuse = |url: String, problem| Err(OAuthError::InvalidUrl { what, url, problem });
    if text.len() > MAX_URL {
        return refuse("…".into(), "is too long");
    }
    let Ok(url) = Url::parse(text) else { return refuse("…".into(), "is not a URL") };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse(redact_url(&url), "contains a user or a password");
    }
    if url.fragment().is_some() {
        return refuse(redact_url(&url), "has a fragment");
    }
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if url.has_host() && class(&url) == AddressClass::Loopback => Ok(url),
        _ => refuse(redact_url(&url), "is not encrypted: it must begin with `https://`"),
    }
}

/// A URL as messages name it: the rest of the server's own may hold a key.
pub(super) fn redact_url(url: &Url) -> String {
    let host = url.host_str().unwrap_or("…");
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}", url.scheme())
}

/// The object of an answer.
pub(super) fn parse_object(what: &'static str, body: &[u8]) -> Result<Map<String, Value>, OAuthError> {
    aiw_core::from_foreign_json(body)
        .map_err(|_| OAuthError::InvalidResponse { what, problem: "is not a JSON object".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(server: &str) -> OAuthHttpClient {
        OAuthHttpClient::new(HttpClient::new().unwrap(), server, None).unwrap()
    }

    #[test]
    fn metadata_may_not_point_further_inside_than_the_server_is() {
        let inside = [
            "http://127.0.0.1:1/",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://a.localhost./",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://0.0.0.0/",
            "https://2130706433/",
            "https://169.254.169.254/",
            "https://[fe80::1]/",
            "https://10.0.0.1/",
            "https://192.168.1.1:8443/",
            "https://[fd00::1]/",
            "https://100.100.100.200/",
        ];
        for url in inside {
            assert!(reach("https://mcp.example.com/mcp").check_url("x", url).is_err(), "{url}");
        }
        for (server, url, allowed) in [
            ("http://127.0.0.1:1/mcp", "http://localhost:2/", true),
            ("http://127.0.0.1:1/mcp", "https://login.example.com/", true),
            ("http://127.0.0.1:1/mcp", "https://169.254.169.254/", false),
            ("http://127.0.0.1:1/mcp", "https://10.0.0.1/", false),
            ("https://10.0.0.1/mcp", "https://10.0.0.2/", true),
            ("https://10.0.0.1/mcp", "https://127.0.0.1/", false),
            ("https://10.0.0.1/mcp", "https://169.254.169.254/", false),
            ("https://10.0.0.1/mcp", "https://0.0.0.0/", false),
        ] {
            assert_eq!(reach(server).check_url("x", url).is_ok(), allowed, "{server} {url}");
        }
        let named =
            OAuthHttpClient::new(HttpClient::new().unwrap(), "https://a.example/", Some("https://10.0.0.1/x")).unwrap();
        assert!(named.check_url("x", "https://10.0.0.1/token").is_ok());
        assert!(named.check_url("x", "https://10.0.0.1:8443/token").is_err());
    }

    #[test]
    fn addresses_that_are_not_encrypted_or_hide_something_are_refused() {
        for url in [
            "http://login.example.com/",
            "http://10.0.0.1/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "ftp://a.example/",
            "https://u:p@a.example/",
            "https://a.example/#x",
            "//a.example/",
            "",
            "x",
        ] {
            assert!(parse("x", url).is_err(), "{url}");
        }
        assert!(OAuthHttpClient::new(HttpClient::new().unwrap(), "http://mcp.example.com/", None).is_err());
    }

    #[test]
    fn half_a_character_is_read() {
        let document = r#"{"issuer": "https://a.example", "scope": "TEXT"}"#;
        aiw_tests::assert_finds_odd_json(document, |bytes| parse_object("an answer", bytes).unwrap().into());
    }
}
