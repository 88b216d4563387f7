//! The checks of a request, in the order in which they are made.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::{Method, Request, Version};
use http_body::Body;

use crate::body::{BodyBudget, is_body_within};
use crate::head::HeadState;
use crate::places::ConnectionPermit;
use crate::refusal::Rejection;
use crate::rules::{HttpRoute, MatchedPath, Rules};

/// Checks a request, and reads its body if its head is let in.
pub(crate) async fn admit<B>(
    request: Request<B>,
    rules: &Rules,
    address: SocketAddr,
    heads: &HeadState,
    place: &ConnectionPermit,
    memory: &BodyBudget,
) -> Result<Request<Bytes>, Rejection>
where
    B: Body<Data = Bytes> + Unpin,
{
    heads.check().map_err(Rejection::MalformedHead)?;
    let (mut parts, body) = request.into_parts();
    let route = check(&parts, rules, address)?;
    let body = match (route.needs_token, route.max_public_body_bytes) {
        (true, _) if !place.mark_authenticated() => return Err(Rejection::Overloaded),
        (true, _) => memory.read(&parts.headers, body).await?,
        (false, 0) if !is_body_within(0, &parts.headers) => return Err(Rejection::UnexpectedBody),
        (false, 0) => Bytes::new(),
        (false, most) if !is_body_within(most, &parts.headers) => return Err(Rejection::TooLarge(most)),
        (false, _) => memory.read(&parts.headers, body).await?,
    };
    parts.extensions.insert(MatchedPath(route.path.clone()));
    heads.start_next_head();
    Ok(Request::from_parts(parts, body))
}

fn check<'r>(parts: &Parts, rules: &'r Rules, address: SocketAddr) -> Result<&'r HttpRoute, Rejection> {
    if parts.version != Version::HTTP_11 {
        return Err(Rejection::UnsupportedVersion);
    }
    // `CONNECT host:port`, and `GET http://host/path`: this is not a proxy.
    if parts.uri.authority().is_some() {
        return Err(Rejection::MalformedHead("its target is not a path"));
    }
    let host = single(parts, HOST)?.ok_or(Rejection::MalformedHead("it has no host"))?;
    if !is_own_host(host, address) {
        return Err(Rejection::HostMismatch);
    }
    for origin in parts.headers.get_all(ORIGIN) {
        if !rules.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
            return Err(Rejection::ForbiddenOrigin);
        }
    }
    let mut routes = rules.routes.iter().filter(|route| route.matches(parts.uri.path()));
    let first = routes.next().ok_or(Rejection::PathNotFound)?;
    let is_wanted = |route: &HttpRoute| route.methods.contains(&parts.method);
    let route = if is_wanted(first) { first } else { routes.find(|route| is_wanted(route)).unwrap_or(first) };
    if route.needs_token {
        // Twice would be read by each in its own way.
        single(parts, AUTHORIZATION)?;
        let gate = rules.gate.as_ref().ok_or(Rejection::Unauthorized)?;
        gate(parts).map_err(Rejection::Custom)?;
    }
    if !is_wanted(route) {
        return Err(Rejection::MethodNotAllowed(route.methods.clone()));
    }
    match route.media_type {
        Some(wanted) if parts.method == Method::POST && !is_media_type(single(parts, CONTENT_TYPE)?, wanted) => {
            Err(Rejection::UnsupportedMediaType(wanted))
        }
        _ => Ok(route),
    }
}

/// A header that may be there once.
fn single(parts: &Parts, name: HeaderName) -> Result<Option<&[u8]>, Rejection> {
    let mut values = parts.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        _ => Err(Rejection::MalformedHead("a header is there twice")),
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

fn is_media_type(header: Option<&[u8]>, wanted: &str) -> bool {
    let given = header.and_then(|header| header.split(|byte| *byte == b';').next()).unwrap_or_default();
    given.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use aiw_core::Secret;
    use http::StatusCode;

    use super::*;
    use crate::ListenLimits;

    fn rules() -> Rules {
        let route = HttpRoute::new("/mcp", [Method::POST, Method::GET]).with_media_type("application/json");
        Rules::new([route, HttpRoute::public("/open", [Method::GET])])
            .with_token(|| Some(Secret::new("right")))
            .with_origins(["http://ours:1".into()])
            .with_limits(ListenLimits::default())
    }

    fn said(change: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Option<StatusCode> {
        let builder = Request::post("/mcp").header(HOST, "127.0.0.1:80").header(CONTENT_TYPE, "application/json");
        let (parts, ()) = change(builder).body(()).unwrap().into_parts();
        check(&parts, &rules(), "127.0.0.1:80".parse().unwrap()).err().map(|refusal| refusal.response().status())
    }

    #[test]
    fn a_token_is_compared_whole_and_its_scheme_in_any_case() {
        for (header, expected) in [
            ("Bearer right", None),
            ("bearer right", None),
            ("Bearer righ", Some(StatusCode::UNAUTHORIZED)),
            ("Bearer rightx", Some(StatusCode::UNAUTHORIZED)),
            ("Bearer  right", Some(StatusCode::UNAUTHORIZED)),
            ("Bearer ", Some(StatusCode::UNAUTHORIZED)),
            ("Basic right", Some(StatusCode::UNAUTHORIZED)),
            ("right", Some(StatusCode::UNAUTHORIZED)),
        ] {
            assert_eq!(said(|request| request.header(AUTHORIZATION, header)), expected, "{header}");
        }
        assert_eq!(said(|request| request), Some(StatusCode::UNAUTHORIZED));
        let twice = said(|request| request.header(AUTHORIZATION, "Bearer right").header(AUTHORIZATION, "Bearer right"));
        assert_eq!(twice, Some(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn without_a_token_at_hand_nobody_is_let_in() {
        let address = "127.0.0.1:80".parse().unwrap();
        let request = Request::post("/mcp").header(HOST, "localhost:80").header(AUTHORIZATION, "Bearer ");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        for token in [None, Some(Secret::new(""))] {
            let rules = rules().with_token(move || token.clone());
            assert!(matches!(check(&parts, &rules, address), Err(Rejection::Custom(_))));
        }
        let none = Rules::new([HttpRoute::new("/mcp", [Method::POST])]);
        assert!(matches!(check(&parts, &none, address), Err(Rejection::Unauthorized)));
    }

    #[test]
    fn a_page_is_let_in_only_from_an_allowed_origin() {
        let with = |origin: &'static str| {
            said(move |request| request.header(AUTHORIZATION, "Bearer right").header(ORIGIN, origin))
        };
        assert_eq!(with("http://ours:1"), None);
        for origin in ["null", "http://ours", "http://ours:1.evil.example", "https://ours:1", "http://127.0.0.1:80", ""]
        {
            assert_eq!(with(origin), Some(StatusCode::FORBIDDEN), "{origin}");
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
