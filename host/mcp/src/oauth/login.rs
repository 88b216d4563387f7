//! A login: discovery, registration, the address for the browser, and the code that comes back.

use futures::future::BoxFuture;
use std::fmt;

use aiw_core::Secret;
use aiw_net::{HttpClient, HttpRequest, Method};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::challenge::Challenge;
use super::discovery::{AuthorizationServer, discover_authorization_server, discover_resource};
use super::form::{ClientAuthMethod, RegisteredClient, send};
use super::reach::OAuthHttpClient;
use super::tokens::TokenSource;
use super::{OAuthError, OAuthTokens};

/// The scope that asks for a refresh token, where an authorization server knows it.
const OFFLINE_SCOPE: &str = "offline_access";

/// The most of what comes back from the browser.
const MAX_QUERY: usize = 8 << 10;

/// The input of a login.
pub struct OAuthRequest {
    /// The client for requests that leave the machine.
    pub client: HttpClient,
    /// The URL of the server.
    pub url: String,
    /// The headers that the server gets with each request.
    pub headers: Vec<(String, Secret)>,
    /// The issuer that the user chose, where the server's own choice isn't taken.
    pub issuer: Option<String>,
    /// The id of a client that the user registered.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<Secret>,
    /// The scopes that the user wants; with none, those that the server names.
    pub scopes: Vec<String>,
    /// Scopes to ask for besides.
    pub more_scopes: Vec<String>,
    /// Where the browser brings the code.
    pub redirect_uri: String,
}

/// A login that waits for the code.
pub struct Login {
    reach: OAuthHttpClient,
    source: TokenSource,
    names_itself: bool,
    redirect: String,
    pasted: String,
    state: Secret,
    verifier: Secret,
    url: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("issuer", &self.source.issuer).finish_non_exhaustive()
    }
}

impl Login {
    /// Finds the authorization server and makes itself known there. Nothing is kept if the login isn't finished.
    pub fn begin(request: OAuthRequest) -> BoxFuture<'static, Result<Self, OAuthError>> {
        Box::pin(async move {
            let reach = OAuthHttpClient::new(request.client.clone(), &request.url, request.issuer.as_deref())?;
            let challenge = challenge(&reach, &request.headers).await?;
            let resource = discover_resource(&reach, &challenge, request.issuer.as_deref()).await?;
            let server = discover_authorization_server(&reach, &resource.issuer).await?;
            let mut scopes = match (request.scopes, challenge.scopes) {
                (given, _) if !given.is_empty() => given,
                (_, wanted) if !wanted.is_empty() => wanted,
                _ => resource.scopes,
            };
            let offline = server.scopes.iter().any(|scope| scope == OFFLINE_SCOPE).then(|| OFFLINE_SCOPE.to_owned());
            for scope in request.more_scopes.into_iter().chain(offline) {
                if !scopes.contains(&scope) {
                    scopes.push(scope);
                }
            }
            let client = match request.client_id {
                Some(id) => given(id, request.client_secret, &server),
                None => register(&reach, &server, &request.redirect_uri, &scopes).await?,
            };
            let (state, verifier) = (random()?, random()?);
            let mut url = server.authorization_endpoint.clone();
            {
                let scope = scopes.join(" ");
                let mut query = url.query_pairs_mut();
                query
                    .append_pair("response_type", "code")
                    .append_pair("client_id", &client.id)
                    .append_pair("redirect_uri", &request.redirect_uri)
                    .append_pair("state", &state)
                    .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())))
                    .append_pair("code_challenge_method", "S256")
                    .append_pair("resource", &resource.resource);
                if !scope.is_empty() {
                    query.append_pair("scope", &scope);
                }
                if scopes.iter().any(|scope| scope == OFFLINE_SCOPE) {
                    // OpenID: without it the scope is not granted.
                    query.append_pair("prompt", "consent");
                }
            }
            let source = TokenSource {
                resource: resource.resource,
                issuer: server.issuer,
                chosen_issuer: request.issuer,
                token_endpoint: server.token_endpoint,
                revocation_endpoint: server.revocation_endpoint,
                client,
                scopes,
            };
            Ok(Self {
                reach,
                source,
                names_itself: server.supports_iss_parameter,
                redirect: request.redirect_uri,
                pasted: request.url,
                state: Secret::new(state),
                verifier: Secret::new(verifier),
                url: url.into(),
            })
        })
    }

    /// The address that the user opens in a browser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the authorization server.
    pub fn issuer(&self) -> &str {
        &self.source.issuer
    }

    /// The host of the page where the user logs in, where the issuer's is another one.
    pub fn separate_login_host(&self) -> Option<String> {
        let host = |url: &str| Some(Url::parse(url).ok()?.host_str()?.to_owned());
        let page = host(&self.url)?;
        (host(&self.source.issuer).as_ref() != Some(&page)).then_some(page)
    }

    /// The query of the address that the browser came back to, as a user pastes it; none if it is another address.
    pub fn extract_query(&self, pasted: &str) -> Option<String> {
        let (redirect, pasted) = (Url::parse(&self.redirect).ok()?, Url::parse(pasted.trim()).ok()?);
        let is_it = pasted.origin() == redirect.origin() && pasted.path() == redirect.path();
        is_it.then(|| pasted.query().unwrap_or_default().to_owned())
    }

    /// Takes the query of the address that the browser came back to, and exchanges its code for tokens.
    pub fn finish(self, query: &str) -> BoxFuture<'_, Result<OAuthTokens, OAuthError>> {
        Box::pin(async move {
            let code = self.code(query)?;
            let (verifier, redirect) = (self.verifier.expose(), &self.redirect);
            OAuthTokens::exchange(&self.reach, self.source, self.pasted, code.expose(), verifier, redirect).await
        })
    }

    /// The code of an answer that is for this login, and from the server that was asked.
    fn code(&self, query: &str) -> Result<Secret, OAuthError> {
        if query.len() > MAX_QUERY {
            return Err(OAuthError::InvalidRedirect("is too long"));
        }
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let one = |name: &str| {
            let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
            match (values.next(), values.next()) {
                (value, None) => Ok(value),
                _ => Err(OAuthError::InvalidRedirect("says something twice")),
            }
        };
        if one("state")? != Some(self.state.expose()) {
            return Err(OAuthError::InvalidRedirect("is not for this login: its `state` is another"));
        }
        match one("iss")? {
            Some(issuer) if issuer != self.source.issuer => {
                return Err(OAuthError::InvalidRedirect("is from another authorization server: its `iss` is another"));
            }
            None if self.names_itself => {
                return Err(OAuthError::InvalidRedirect(
                    "does not name the authorization server: its `iss` is missing",
                ));
            }
            _ => {}
        }
        if let Some(code) = one("error")? {
            let description = one("error_description")?.unwrap_or_default().to_owned();
            let refused = OAuthError::Refused { code: code.to_owned(), description };
            return Err(refused.redact_echoed_values(self.source.client.secret.as_slice()));
        }
        match one("code")? {
            Some(code) if !code.is_empty() => Ok(Secret::new(code)),
            _ => Err(OAuthError::InvalidRedirect("has no code")),
        }
    }
}

/// Returns the server's challenge to a request without a token.
async fn challenge(reach: &OAuthHttpClient, headers: &[(String, Secret)]) -> Result<Challenge, OAuthError> {
    let mut request = HttpRequest { method: Method::Post, ..HttpRequest::new("") };
    request.secret_headers = headers.to_vec();
    request.headers.push(("content-type".into(), "application/json".into()));
    request.headers.push(("accept".into(), "application/json, text/event-stream".into()));
    // It opens no session.
    request.body = json!({"jsonrpc": "2.0", "id": 0, "method": "ping"}).to_string().into_bytes();
    Ok(reach.fetch_challenge(request).await?.map(|header| Challenge::parse(&header)).unwrap_or_default())
}

/// A client that the user registered.
fn given(id: String, secret: Option<Secret>, server: &AuthorizationServer) -> RegisteredClient {
    let secret = secret.map(|secret| secret.expose().to_owned());
    let offers = |method: &str| server.token_auth_methods.iter().flatten().any(|offered| offered == method);
    let proof = match &secret {
        None => ClientAuthMethod::None,
        Some(_) if offers("client_secret_post") && !offers("client_secret_basic") => ClientAuthMethod::ClientSecretPost,
        Some(_) => ClientAuthMethod::ClientSecretBasic,
    };
    RegisteredClient { id, secret, proof }
}

/// Registers a client for this login. <https://www.rfc-editor.org/rfc/rfc7591>
async fn register(
    reach: &OAuthHttpClient,
    server: &AuthorizationServer,
    redirect: &str,
    scopes: &[String],
) -> Result<RegisteredClient, OAuthError> {
    let what = "the registration endpoint";
    let endpoint = server.registration_endpoint.as_ref().ok_or(OAuthError::RegistrationUnsupported)?;
    let wrong = |problem: &str| OAuthError::InvalidResponse { what, problem: problem.into() };
    let offers =
        |method: &str| server.token_auth_methods.as_ref().is_none_or(|all| all.iter().any(|offered| offered == method));
    // A secret that every client gets proves nothing, so prefer none.
    let method = ["none", "client_secret_basic", "client_secret_post"].into_iter().find(|method| offers(method));
    let method = method.ok_or_else(|| wrong("knows no way in which aiw could prove who it is"))?;
    let mut sent = json!({
        "client_name": "aiw",
        "application_type": "native",
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
    });
    if !scopes.is_empty() {
        sent["scope"] = scopes.join(" ").into();
    }
    let mut request = HttpRequest::new(endpoint.as_str());
    request.headers.push(("content-type".into(), "application/json".into()));
    request.body = sent.to_string().into_bytes();
    let answer = send(reach, what, endpoint, request).await?;
    let text = |key: &str| answer.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let id = text("client_id").filter(|id| id.len() <= 2048).ok_or_else(|| wrong("gives no client id"))?;
    let secret = text("client_secret").filter(|secret| secret.len() <= 8 << 10);
    let proof = match (text("token_endpoint_auth_method").as_deref().unwrap_or(method), &secret) {
        ("client_secret_post", Some(_)) => ClientAuthMethod::ClientSecretPost,
        ("client_secret_basic", Some(_)) => ClientAuthMethod::ClientSecretBasic,
        ("none", _) => ClientAuthMethod::None,
        _ => return Err(wrong("wants another proof of who aiw is than was agreed on")),
    };
    Ok(RegisteredClient { id, secret, proof })
}

/// 256 bits as text.
fn random() -> Result<String, OAuthError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| OAuthError::RandomUnavailable)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
