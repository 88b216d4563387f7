//! Tokens: getting them, refreshing them, giving them back.

use futures::future::BoxFuture;
use std::fmt;
use std::time::Duration;

use aiw_core::{Secret, now_seconds};
use aiw_net::HttpClient;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::OAuthError;
use super::challenge::parse_scopes;
use super::form::RegisteredClient;
use super::reach::OAuthHttpClient;

const TOKEN_ENDPOINT: &str = "the token endpoint";

/// A token with less time left is refreshed before it is used.
const REFRESH_LEEWAY: Duration = Duration::from_secs(60);

/// A lifetime that no token has.
const MAX_LIFETIME: u64 = 10 * 365 * 24 * 3600;

/// The tokens of a login, and what is needed to refresh them and to give them back. Serialized it is a secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct OAuthTokens {
    /// The URL of the server. The token is sent there and nowhere else.
    url: String,
    resource: String,
    issuer: String,
    /// The issuer that the user named.
    named: Option<String>,
    token: String,
    revocation: Option<String>,
    client: RegisteredClient,
    access: String,
    refresh: Option<String>,
    /// Seconds since 1970.
    expires: Option<u64>,
    lifetime: Option<u64>,
    scopes: Vec<String>,
}

/// Where tokens come from.
pub(super) struct TokenSource {
    pub(super) resource: String,
    pub(super) issuer: String,
    pub(super) chosen_issuer: Option<String>,
    pub(super) token_endpoint: Url,
    pub(super) revocation_endpoint: Option<Url>,
    pub(super) client: RegisteredClient,
    pub(super) scopes: Vec<String>,
}

impl fmt::Debug for OAuthTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("url", &self.url).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl OAuthTokens {
    /// Exchanges a code for tokens.
    pub(super) async fn exchange(
        reach: &OAuthHttpClient,
        source: TokenSource,
        url: String,
        code: &str,
        verifier: &str,
        redirect: &str,
    ) -> Result<Self, OAuthError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
            ("resource", &source.resource),
        ];
        let answer = source.client.post(reach, TOKEN_ENDPOINT, &source.token_endpoint, &fields).await?;
        let mut tokens = Self {
            url,
            resource: source.resource,
            issuer: source.issuer,
            named: source.chosen_issuer,
            token: source.token_endpoint.into(),
            revocation: source.revocation_endpoint.map(String::from),
            client: source.client,
            access: String::new(),
            refresh: None,
            expires: None,
            lifetime: None,
            scopes: source.scopes,
        };
        tokens.take(&answer)?;
        Ok(tokens)
    }

    /// Takes over an answer of the token endpoint.
    fn take(&mut self, answer: &Map<String, Value>) -> Result<(), OAuthError> {
        let wrong = |problem: &str| OAuthError::InvalidResponse { what: TOKEN_ENDPOINT, problem: problem.into() };
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        let is_token =
            |token: &&str| (1..=16 << 10).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
        let access = text("access_token").filter(is_token).ok_or_else(|| wrong("gives no valid token"))?;
        if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(wrong("gives a token of a kind other than `Bearer`"));
        }
        let refresh = text("refresh_token").map(|token| Some(token).filter(is_token).ok_or(())).transpose();
        let refresh = refresh.map_err(|()| wrong("gives no valid token"))?;
        let lifetime = answer.get("expires_in").and_then(|value| match value {
            Value::String(digits) => digits.parse().ok(),
            value => value.as_u64().or_else(|| value.as_f64().map(|seconds| seconds.max(0.0) as u64)),
        });
        self.access = access.to_owned();
        // Without rotation the old one stays.
        if let Some(refresh) = refresh {
            self.refresh = Some(refresh.to_owned());
        }
        self.lifetime = lifetime.map(|seconds: u64| seconds.min(MAX_LIFETIME));
        self.expires = self.lifetime.map(|seconds| now_seconds() + seconds);
        if let Some(granted) = text("scope") {
            self.scopes = parse_scopes(granted);
        }
        Ok(())
    }

    /// New tokens for the old ones, which may be void from now on.
    pub fn exchange_refresh_token<'a>(&'a self, client: &'a HttpClient) -> BoxFuture<'a, Result<Self, OAuthError>> {
        Box::pin(async move {
            let reach = OAuthHttpClient::new(client.clone(), &self.url, self.named.as_deref())?;
            let Some(refresh) = &self.refresh else {
                return Err(OAuthError::Refused {
                    code: "invalid_grant".into(),
                    description: "there is no refresh token".into(),
                });
            };
            let endpoint = reach.check_url(TOKEN_ENDPOINT, &self.token)?;
            let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("resource", &self.resource)];
            let answer = self.client.post(&reach, TOKEN_ENDPOINT, &endpoint, &fields).await?;
            let mut tokens = self.clone();
            tokens.take(&answer)?;
            Ok(tokens)
        })
    }

    /// Tells the authorization server that the tokens are no longer used. False if it takes no such word.
    pub fn revoke<'a>(&'a self, client: &'a HttpClient) -> BoxFuture<'a, Result<bool, OAuthError>> {
        Box::pin(async move {
            let reach = OAuthHttpClient::new(client.clone(), &self.url, self.named.as_deref())?;
            let what = "the revocation endpoint";
            let Some(endpoint) = &self.revocation else { return Ok(false) };
            let endpoint = reach.check_url(what, endpoint)?;
            let refresh = self.refresh.iter().map(|token| (token.as_str(), "refresh_token"));
            for (token, kind) in refresh.chain([(self.access.as_str(), "access_token")]) {
                self.client.post(&reach, what, &endpoint, &[("token", token), ("token_type_hint", kind)]).await?;
            }
            Ok(true)
        })
    }

    /// The URL of the server that they are for.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the authorization server that issued them.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns their scopes, as far as they are known.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// When the access token expires, in seconds since 1970.
    pub fn expires_at(&self) -> Option<u64> {
        self.expires
    }

    /// The token for requests to the server.
    pub fn access_token(&self) -> Secret {
        Secret::new(self.access.as_str())
    }

    /// Whether there is a token that refreshes.
    pub fn can_refresh(&self) -> bool {
        self.refresh.is_some()
    }

    /// Whether the access token is about to expire.
    pub fn needs_refresh(&self) -> bool {
        // A token that lives for a minute would be refreshed at each request.
        let early =
            self.lifetime.map_or(REFRESH_LEEWAY.as_secs(), |lifetime| REFRESH_LEEWAY.as_secs().min(lifetime / 4));
        self.expires.is_some_and(|expires| expires <= now_seconds() + early)
    }
}
