//! What the server and its authorization server say about themselves.

use aiw_net::HttpRequest;
use serde_json::{Map, Value};
use url::Url;

use super::OAuthError;
use super::challenge::{Challenge, parse_scopes};
use super::reach::{OAuthHttpClient, parse_object};

const SERVER_METADATA: &str = "the metadata of the server";
const ISSUER_METADATA: &str = "the metadata of the authorization server";

/// The parameters that aiw gives to the authorization endpoint.
/// <https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1>
const AUTHORIZATION_PARAMETERS: [&str; 10] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "state",
    "scope",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "nonce",
];

/// The metadata of a server about logins. <https://www.rfc-editor.org/rfc/rfc9728>
#[derive(Debug)]
pub(super) struct ProtectedResource {
    /// The resource of a token.
    pub(super) resource: String,
    pub(super) issuer: String,
    /// The scopes that it knows.
    pub(super) scopes: Vec<String>,
}

/// An authorization server. <https://www.rfc-editor.org/rfc/rfc8414>
#[derive(Debug)]
pub(super) struct AuthorizationServer {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) registration_endpoint: Option<Url>,
    pub(super) revocation_endpoint: Option<Url>,
    pub(super) scopes: Vec<String>,
    /// How clients prove who they are; none if it doesn't say.
    pub(super) token_auth_methods: Option<Vec<String>>,
    /// Whether it names itself in each answer to the browser. <https://www.rfc-editor.org/rfc/rfc9207>
    pub(super) supports_iss_parameter: bool,
}

/// Finds the server's metadata: where its challenge says, else at the well-known places. A server of the first version
/// of the specification has none, and is its own authorization server.
pub(super) async fn discover_resource(
    reach: &OAuthHttpClient,
    challenge: &Challenge,
    issuer: Option<&str>,
) -> Result<ProtectedResource, OAuthError> {
    let own = reach.server();
    let said = match &challenge.resource_metadata {
        Some(named) => {
            let named = reach.check_url("the address of its metadata", named)?;
            let problem = "is not there, where its challenge says";
            let found = document(reach, SERVER_METADATA, &named).await?;
            Some(found.ok_or_else(|| OAuthError::InvalidResponse { what: SERVER_METADATA, problem: problem.into() })?)
        }
        None => first(reach, SERVER_METADATA, &well_known(own, "oauth-protected-resource", true)).await?,
    };
    let Some(said) = said else {
        let mut origin = own.clone();
        origin.set_path("/");
        origin.set_query(None);
        let issuer = issuer.map_or_else(|| origin.to_string(), str::to_owned);
        return Ok(ProtectedResource { resource: canonical_resource_url(own), issuer, scopes: Vec::new() });
    };
    let resource = text(&said, "resource").unwrap_or_default();
    if !covers(resource, own) {
        let problem = "is for another resource".to_owned();
        return Err(OAuthError::InvalidResponse { what: SERVER_METADATA, problem });
    }
    let named = said.get("authorization_servers").and_then(Value::as_array).and_then(|all| all.first()?.as_str());
    let issuer = issuer.or(named).ok_or(OAuthError::LoginUnsupported)?;
    Ok(ProtectedResource {
        resource: resource.to_owned(),
        issuer: issuer.to_owned(),
        scopes: list(&said, "scopes_supported"),
    })
}

/// Finds the metadata of an authorization server, and checks that it is about that server.
pub(super) async fn discover_authorization_server(
    reach: &OAuthHttpClient,
    issuer: &str,
) -> Result<AuthorizationServer, OAuthError> {
    let url = reach.check_url("the authorization server", issuer)?;
    let mut places = well_known(&url, "oauth-authorization-server", false);
    places.extend(well_known(&url, "openid-configuration", false));
    if !path(&url).is_empty() {
        let mut appended = url.clone();
        appended.set_path(&format!("{}/.well-known/openid-configuration", path(&url)));
        places.push(appended);
    }
    let said = first(reach, ISSUER_METADATA, &places).await?;
    let said = said.ok_or(OAuthError::LoginUnsupported)?;
    let wrong = |problem: &str| Err(OAuthError::InvalidResponse { what: ISSUER_METADATA, problem: problem.into() });
    let own = text(&said, "issuer").unwrap_or_default();
    // Only a missing slash after the host makes no difference.
    if own != issuer && Url::parse(own).ok().as_ref() != Some(&url) {
        return wrong("names another issuer");
    }
    let has = |key: &str, value: &str| list(&said, key).iter().any(|item| item == value);
    if !has("code_challenge_methods_supported", "S256") {
        return wrong("does not offer PKCE with S256, so a code could be stolen");
    }
    if said.contains_key("response_types_supported") && !has("response_types_supported", "code") {
        return wrong("does not offer codes");
    }
    let endpoint = |what, key| text(&said, key).map(|url| reach.check_url(what, url)).transpose();
    let (Some(authorization), Some(token)) = (
        endpoint("the authorization endpoint", "authorization_endpoint")?,
        endpoint("the token endpoint", "token_endpoint")?,
    ) else {
        return wrong("lacks an endpoint");
    };
    // Which of two values counts is up to the authorization server.
    if let Some(name) =
        AUTHORIZATION_PARAMETERS.into_iter().find(|name| authorization.query_pairs().any(|(key, _)| key == *name))
    {
        return wrong(&format!("has an authorization endpoint that brings its own `{name}`"));
    }
    Ok(AuthorizationServer {
        issuer: own.to_owned(),
        authorization_endpoint: authorization,
        token_endpoint: token,
        registration_endpoint: endpoint("the registration endpoint", "registration_endpoint")?,
        revocation_endpoint: endpoint("the revocation endpoint", "revocation_endpoint")?,
        scopes: list(&said, "scopes_supported"),
        token_auth_methods: said
            .contains_key("token_endpoint_auth_methods_supported")
            .then(|| list(&said, "token_endpoint_auth_methods_supported")),
        supports_iss_parameter: said.get("authorization_response_iss_parameter_supported") == Some(&true.into()),
    })
}

/// The first document that is there.
async fn first(
    reach: &OAuthHttpClient,
    what: &'static str,
    places: &[Url],
) -> Result<Option<Map<String, Value>>, OAuthError> {
    for place in places {
        if let Some(found) = document(reach, what, place).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A document; none if it is not there.
async fn document(
    reach: &OAuthHttpClient,
    what: &'static str,
    url: &Url,
) -> Result<Option<Map<String, Value>>, OAuthError> {
    let mut request = HttpRequest::new(url.as_str());
    request.headers.push(("accept".into(), "application/json".into()));
    let response = reach.send(what, url, request).await?;
    match response.status {
        200..=299 => parse_object(what, &response.body).map(Some),
        // Servers that know no such path answer in many ways.
        400..=499 => Ok(None),
        status => Err(OAuthError::InvalidResponse { what, problem: format!("is answered with status {status}") }),
    }
}

/// `/.well-known/NAME` before the path, and for a resource without it too.
fn well_known(url: &Url, name: &str, also_root: bool) -> Vec<Url> {
    let mut places = Vec::new();
    let mut put = |path: String| {
        let mut place = url.clone();
        place.set_path(&path);
        place.set_query(None);
        places.push(place);
    };
    put(format!("/.well-known/{name}{}", path(url)));
    if also_root && !path(url).is_empty() {
        put(format!("/.well-known/{name}"));
    }
    places
}

/// The path without the slash at its end.
fn path(url: &Url) -> &str {
    url.path().trim_end_matches('/')
}

/// The URL of a resource in its canonical form: without a query, as RFC 8707 (section 2) advises. A key may stand there,
/// and an authorization server is not told it.
pub(super) fn canonical_resource_url(url: &Url) -> String {
    let mut named = url.clone();
    named.set_query(None);
    let text = named.as_str();
    if named.path() == "/" { text.trim_end_matches('/').to_owned() } else { text.to_owned() }
}

/// Whether a token for `resource` is a token for `server`: the same URL, or one that it is beneath.
fn covers(resource: &str, server: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else { return false };
    let is_beneath =
        path(server).strip_prefix(path(&resource)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let same_query = resource.query().is_none() || resource.query() == server.query();
    resource.origin() == server.origin() && resource.fragment().is_none() && is_beneath && same_query
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A list of words.
fn list(object: &Map<String, Value>, key: &str) -> Vec<String> {
    let words = object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    parse_scopes(&words.take(100).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_covers_itself_and_what_is_beneath_it() {
        for (resource, server, expected) in [
            ("https://a.example/mcp", "https://a.example/mcp", true),
            ("https://a.example", "https://a.example/mcp", true),
            ("https://A.example:443/", "https://a.example/mcp", true),
            ("https://a.example/mc", "https://a.example/mcp", false),
            ("https://a.example/mcp/x", "https://a.example/mcp", false),
            ("https://a.example:8443/mcp", "https://a.example/mcp", false),
            ("http://a.example/mcp", "https://a.example/mcp", false),
            ("https://b.example/mcp", "https://a.example/mcp", false),
            ("https://a.example/?t=1", "https://a.example/mcp?t=2", false),
            ("", "https://a.example/mcp", false),
        ] {
            assert_eq!(covers(resource, &Url::parse(server).unwrap()), expected, "{resource} {server}");
        }
    }

    #[test]
    fn a_resource_is_named_without_its_query() {
        for (url, expected) in [
            ("https://A.example/", "https://a.example"),
            ("https://a.example/?key=x", "https://a.example"),
            ("https://a.example/mcp?key=x", "https://a.example/mcp"),
            ("https://a.example/mcp/", "https://a.example/mcp/"),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(canonical_resource_url(&url), expected);
            assert!(covers(expected, &url));
        }
    }

    #[test]
    fn the_well_known_part_goes_before_the_path() {
        let places = |url: &str, root| -> Vec<String> {
            well_known(&Url::parse(url).unwrap(), "x", root).iter().map(ToString::to_string).collect()
        };
        assert_eq!(places("https://a/b/c/?q", true), ["https://a/.well-known/x/b/c", "https://a/.well-known/x"]);
        assert_eq!(places("https://a/", true), ["https://a/.well-known/x"]);
        assert_eq!(places("https://a/t", false), ["https://a/.well-known/x/t"]);
        assert_eq!(canonical_resource_url(&Url::parse("https://A.example").unwrap()), "https://a.example");
    }
}
