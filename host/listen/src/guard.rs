//! The checks of a request, in the order in which they are made.

use std::net::SocketAddr;

use aiw_core::Secret;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::{Method, Request, Version};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use subtle::ConstantTimeEq;

use crate::head::Heads;
use crate::refusal::Refusal;
use crate::rules::Rules;

/// Checks a request and reads its body.
pub(crate) async fn admit<B>(
    request: Request<B>,
    rules: &Rules,
    address: SocketAddr,
    heads: &Heads,
) -> Result<Request<Bytes>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    heads.verdict().map_err(Refusal::Head)?;
    let (parts, body) = request.into_parts();
    check(&parts, rules, address)?;
    let limit = rules.limits.body_bytes;
    if parts.headers.get(CONTENT_LENGTH).is_some_and(|length| announces_more(length.as_bytes(), limit)) {
        return Err(Refusal::TooLarge(limit));
    }
    let body = tokio::time::timeout(rules.limits.body_time, Limited::new(body, limit).collect());
    let body = body.await.map_err(|_| Refusal::Slow)?.map_err(|error| match error.is::<LengthLimitError>() {
        true => Refusal::TooLarge(limit),
        false => Refusal::Broken,
    })?;
    heads.expect();
    Ok(Request::from_parts(parts, body.to_bytes()))
}

fn announces_more(length: &[u8], limit: usize) -> bool {
    let number = std::str::from_utf8(length).ok().and_then(|text| text.parse::<usize>().ok());
    number.is_none_or(|number| number > limit)
}

fn check(parts: &Parts, rules: &Rules, address: SocketAddr) -> Result<(), Refusal> {
    if parts.version != Version::HTTP_11 {
        return Err(Refusal::Version);
    }
    // `CONNECT host:port`, and `GET http://host/path`: this is not a proxy.
    if parts.uri.authority().is_some() {
        return Err(Refusal::Head("its target is not a path"));
    }
    let host = single(parts, HOST)?.ok_or(Refusal::Head("it has no host"))?;
    if !is_own_host(host, address) {
        return Err(Refusal::Host);
    }
    for origin in parts.headers.get_all(ORIGIN) {
        if !rules.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
            return Err(Refusal::Origin);
        }
    }
    let route = rules.routes.iter().find(|route| route.is_for(parts.uri.path())).ok_or(Refusal::Path)?;
    if route.needs_token && !has_token(single(parts, AUTHORIZATION)?, rules) {
        return Err(Refusal::Token);
    }
    if !route.methods.contains(&parts.method) {
        return Err(Refusal::Method(route.methods.clone()));
    }
    match route.media_type {
        Some(wanted) if parts.method == Method::POST && !is_media_type(single(parts, CONTENT_TYPE)?, wanted) => {
            Err(Refusal::MediaType(wanted))
        }
        _ => Ok(()),
    }
}

/// A header that may be there once.
fn single(parts: &Parts, name: HeaderName) -> Result<Option<&[u8]>, Refusal> {
    let mut values = parts.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        _ => Err(Refusal::Head("a header is there twice")),
    }
}

/// A name that a rebinding page can't have: its `Host` is the page's own.
fn is_own_host(host: &[u8], address: SocketAddr) -> bool {
    let Some((name, port)) = std::str::from_utf8(host).ok().and_then(|host| host.rsplit_once(':')) else {
        return false;
    };
    let is_name = ["127.0.0.1", "[::1]"].contains(&name)
        || name.eq_ignore_ascii_case("localhost")
        || name == address.ip().to_string();
    is_name && port == address.port().to_string()
}

fn has_token(header: Option<&[u8]>, rules: &Rules) -> bool {
    const SCHEME: &str = "bearer ";
    let Some(expected) = rules.token.as_ref().and_then(|token| token()) else { return false };
    let Some((scheme, given)) = header.and_then(|header| header.split_at_checked(SCHEME.len())) else { return false };
    scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) && is_same(given, &expected)
}

/// Compares in a time that tells nothing about where they differ.
fn is_same(given: &[u8], expected: &Secret) -> bool {
    let expected = expected.expose().as_bytes();
    !expected.is_empty() && bool::from(given.ct_eq(expected))
}

fn is_media_type(header: Option<&[u8]>, wanted: &str) -> bool {
    let given = header.and_then(|header| header.split(|byte| *byte == b';').next()).unwrap_or_default();
    given.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ListenLimits, Route};

    fn rules() -> Rules {
        let route = Route::new("/mcp", [Method::POST, Method::GET]).with_media_type("application/json");
        Rules::new([route, Route::open("/open", [Method::GET])])
            .with_token(|| Some(Secret::new("right")))
            .with_origins(["http://ours:1".into()])
            .with_limits(ListenLimits::default())
    }

    fn said(change: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Option<Refusal> {
        let builder = Request::post("/mcp").header(HOST, "127.0.0.1:80").header(CONTENT_TYPE, "application/json");
        let (parts, ()) = change(builder).body(()).unwrap().into_parts();
        check(&parts, &rules(), "127.0.0.1:80".parse().unwrap()).err()
    }

    #[test]
    fn a_token_is_compared_whole_and_its_scheme_in_any_case() {
        for (header, expected) in [
            ("Bearer right", None),
            ("bearer right", None),
            ("Bearer righ", Some(Refusal::Token)),
            ("Bearer rightx", Some(Refusal::Token)),
            ("Bearer  right", Some(Refusal::Token)),
            ("Bearer ", Some(Refusal::Token)),
            ("Basic right", Some(Refusal::Token)),
            ("right", Some(Refusal::Token)),
        ] {
            assert_eq!(said(|request| request.header(AUTHORIZATION, header)), expected, "{header}");
        }
        assert_eq!(said(|request| request), Some(Refusal::Token));
        let twice = said(|request| request.header(AUTHORIZATION, "Bearer right").header(AUTHORIZATION, "Bearer right"));
        assert_eq!(twice, Some(Refusal::Head("a header is there twice")));
    }

    #[test]
    fn without_a_token_at_hand_nobody_is_let_in() {
        let address = "127.0.0.1:80".parse().unwrap();
        let request = Request::post("/mcp").header(HOST, "localhost:80").header(AUTHORIZATION, "Bearer ");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        for token in [None, Some(Secret::new(""))] {
            let rules = rules().with_token(move || token.clone());
            assert_eq!(check(&parts, &rules, address), Err(Refusal::Token));
        }
        let none = Rules::new([Route::new("/mcp", [Method::POST])]);
        assert_eq!(check(&parts, &none, address), Err(Refusal::Token));
    }

    #[test]
    fn a_page_is_let_in_only_from_an_allowed_origin() {
        let with = |origin: &'static str| {
            said(move |request| request.header(AUTHORIZATION, "Bearer right").header(ORIGIN, origin))
        };
        assert_eq!(with("http://ours:1"), None);
        for origin in ["null", "http://ours", "http://ours:1.evil.example", "https://ours:1", "http://127.0.0.1:80", ""]
        {
            assert_eq!(with(origin), Some(Refusal::Origin), "{origin}");
        }
    }

    #[test]
    fn only_own_names_with_the_own_port_are_hosts() {
        let address = "127.0.0.1:80".parse().unwrap();
        for (host, expected) in [
            ("127.0.0.1:80", true),
            ("LocalHost:80", true),
            ("[::1]:80", true),
            ("127.0.0.1", false),
            ("127.0.0.1:8080", false),
            ("127.0.0.1:080", false),
            ("localhost.:80", false),
            ("evil.example:80", false),
            ("127.0.0.1.nip.io:80", false),
            ("localhost:80@evil", false),
            ("user@localhost:80", false),
            ("2130706433:80", false),
            ("", false),
        ] {
            assert_eq!(is_own_host(host.as_bytes(), address), expected, "{host}");
        }
    }
}
