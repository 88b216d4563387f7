//! The OAuth client, and what the authorization server answers it.

use aiw_core::{Secret, one_line, redact_echoed_values};
use aiw_net::NetError::{Malformed, TooLarge, Unavailable};
use aiw_net::{HttpRequest, Method};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use super::super::request::RemoteClient;
use super::super::{RemoteContext, RemoteError};
use super::place::join_url;

/// The secret with the secret of the client.
const CLIENT_SECRET_NAME: &str = "sync-google-client";

/// The largest answer. Real ones have a few kB.
const MAX_RESPONSE_BYTES: u64 = 256 << 10;

/// The fields of a form that are no secrets.
const NON_SECRET_FIELDS: [&str; 3] = ["client_id", "grant_type", "scope"];

/// The client that this build was given.
const BUILT_IN_CLIENT: (Option<&str>, Option<&str>) =
    (option_env!("AIW_GOOGLE_CLIENT_ID"), option_env!("AIW_GOOGLE_CLIENT_SECRET"));

/// An OAuth client. Its secret is not secret: each copy of a program holds it.
#[derive(Clone)]
pub(super) struct GoogleClient {
    pub(super) id: String,
    secret: Option<Secret>,
}

/// An answer of the authorization server.
pub(super) enum TokenResponse {
    Success(Map<String, Value>),
    /// The code of an error, and the server's description.
    Error(String, String),
    /// Something that says neither: a page of a proxy, a server that is overloaded.
    Inconclusive(RemoteError),
}

impl GoogleClient {
    /// Returns the user's client, else the one of this build.
    pub(super) async fn find(context: &RemoteContext) -> Result<Self, RemoteError> {
        if let Some(id) = &context.settings.google.client_id {
            return Ok(Self { id: id.clone(), secret: context.secret(CLIENT_SECRET_NAME).await? });
        }
        match BUILT_IN_CLIENT {
            (Some(id), secret) if !id.is_empty() => Ok(Self { id: id.to_owned(), secret: secret.map(Secret::new) }),
            _ => Err(RemoteError::MissingOAuthClient),
        }
    }

    /// Sends a form once. Everything that could be a secret is in its body.
    pub(super) async fn post(
        &self,
        way: &RemoteClient,
        base: &Url,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<TokenResponse, RemoteError> {
        let secret = self.secret.as_ref().filter(|_| path == "token");
        let own = secret.map(|secret| ("client_secret", secret.expose()));
        let fields = [("client_id", self.id.as_str())].into_iter().chain(own).chain(fields.iter().copied());
        post(way, &join_url(base, path)?, fields).await
    }
}

/// Sends a form once.
pub(super) async fn post<'a>(
    way: &RemoteClient,
    url: &Url,
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<TokenResponse, RemoteError> {
    let fields: Vec<(&str, &str)> = fields.into_iter().collect();
    let form = Serializer::new(String::new()).extend_pairs(&fields).finish();
    let mut request =
        HttpRequest { method: Method::Post, max_body_bytes: MAX_RESPONSE_BYTES, ..HttpRequest::new(url.as_str()) };
    request.headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
    request.headers.push(("accept".into(), "application/json".into()));
    request.body = form.into_bytes();
    let response = match way.send_once(&request).await {
        Ok(response) => response,
        Err(error @ RemoteError::Net(Unavailable { .. } | Malformed { .. } | TooLarge { .. })) => {
            return Ok(TokenResponse::Inconclusive(error));
        }
        Err(error) => return Err(error),
    };
    let said: Map<String, Value> = match aiw_core::from_foreign_json(&response.body) {
        Ok(Value::Object(said)) => said,
        // A revocation answers with nothing.
        _ if response.status == 200 && response.body.is_empty() => Map::new(),
        _ => return Ok(TokenResponse::Inconclusive(way.status_error(&response, "its answer is not a JSON object"))),
    };
    // What the server says of an error is shown, and it may quote what it was sent.
    let sent = || fields.iter().filter(|(name, _)| !NON_SECRET_FIELDS.contains(name)).map(|(_, value)| *value);
    let text = |key: &str| redact_echoed_values(said.get(key).and_then(Value::as_str).unwrap_or_default(), sent());
    match (response.status, text("error")) {
        (200, code) if code.is_empty() => Ok(TokenResponse::Success(said)),
        // The code counts, not the status: Google answers 428 where RFC 8628 has 400. But overload says nothing.
        (200..=499, code) if !code.is_empty() => {
            Ok(TokenResponse::Error(code, one_line(&text("error_description"), 120)))
        }
        _ => Ok(TokenResponse::Inconclusive(way.status_error(&response, ""))),
    }
}

/// Returns an error for a refusal that is about the client, if it is.
pub(super) fn client_error(code: &str, description: &str) -> Option<RemoteError> {
    let is_about =
        ["invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type", "deleted_client"];
    is_about
        .contains(&code)
        .then(|| RemoteError::InvalidOAuthClient { why: format!("{code} {description}").trim().to_owned() })
}
