//! Requests to the endpoints of an authorization server, and what they answer.

use aiw_net::{HttpRequest, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::OAuthError;
use super::reach::{OAuthHttpClient, parse_object};

/// The fields of a form that are no secrets.
const NON_SECRET_FIELDS: [&str; 5] = ["client_id", "grant_type", "redirect_uri", "resource", "scope"];

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClientAuthMethod {
    /// The client has no secret.
    None,
    /// In the header `Authorization`.
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
}

/// A client as the authorization server knows it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RegisteredClient {
    pub(super) id: String,
    pub(super) secret: Option<String>,
    pub(super) proof: ClientAuthMethod,
}

impl RegisteredClient {
    /// Sends a form to an endpoint. Returns its answer, which is an object wherever it succeeds.
    pub(super) async fn post(
        &self,
        reach: &OAuthHttpClient,
        what: &'static str,
        endpoint: &Url,
        fields: &[(&str, &str)],
    ) -> Result<Map<String, Value>, OAuthError> {
        let mut request = HttpRequest::new(endpoint.as_str());
        let mut fields = fields.to_vec();
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        match (self.proof, &self.secret) {
            (ClientAuthMethod::ClientSecretBasic, Some(secret)) => {
                let both = STANDARD.encode(format!("{}:{}", encoded(&self.id), encoded(secret)));
                request.secret_headers.push(("authorization".into(), aiw_core::Secret::new(format!("Basic {both}"))));
            }
            (ClientAuthMethod::ClientSecretPost, Some(secret)) => {
                fields.extend([("client_id", self.id.as_str()), ("client_secret", secret)]);
            }
            _ => fields.push(("client_id", &self.id)),
        }
        request.body = Serializer::new(String::new()).extend_pairs(&fields).finish().into_bytes();
        request.headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
        // What the server says of an error is shown, and it may quote what it was sent.
        let basic = request.secret_headers.iter().filter_map(|(_, value)| value.expose().strip_prefix("Basic "));
        let hidden = fields.iter().filter(|(name, _)| !NON_SECRET_FIELDS.contains(name)).map(|(_, value)| *value);
        let sent: Vec<String> = hidden.chain(basic).chain(self.secret.as_deref()).map(str::to_owned).collect();
        send(reach, what, endpoint, request).await.map_err(|e| e.redact_echoed_values(&sent))
    }
}

/// Sends a `POST`.
pub(super) async fn send(
    reach: &OAuthHttpClient,
    what: &'static str,
    endpoint: &Url,
    request: HttpRequest,
) -> Result<Map<String, Value>, OAuthError> {
    let mut request = HttpRequest { method: Method::Post, ..request };
    request.headers.push(("accept".into(), "application/json".into()));
    let response = reach.send(what, endpoint, request).await?;
    match response.status {
        // A revocation answers with nothing.
        200..=299 if response.body.is_empty() => Ok(Map::new()),
        200..=299 => parse_object(what, &response.body),
        status => {
            let said = parse_object(what, &response.body).unwrap_or_default();
            let text = |key: &str| said.get(key).and_then(Value::as_str).map(str::to_owned);
            match text("error") {
                Some(code) if (400..=499).contains(&status) => {
                    Err(OAuthError::Refused { code, description: text("error_description").unwrap_or_default() })
                }
                _ => Err(OAuthError::InvalidResponse { what, problem: format!("answers with status {status}") }),
            }
        }
    }
}
