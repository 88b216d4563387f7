//! The interface `http`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aiw_core::provider::Value;
use aiw_core::{Secret, well_formed_json};
use aiw_extensions::CapabilityKind;
use aiw_net::{HostPattern, Hosts, HttpRequest, Method, NetError, Policy, RESERVED_HEADERS, Response, origin};
use async_trait::async_trait;

use super::{CallSetup, HostCall, HostResult, Interface, NoCapability};
use crate::budget::BoundSecret;
use crate::error::{CallRejection, ComponentReason};

/// The longest body of a `POST`: an order of magnitude above what searches and registries are asked with.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Requests over HTTP.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends a request within a policy, and reads the whole response.
    async fn fetch(&self, policy: &Policy, request: &HttpRequest) -> Result<Response, NetError>;
}

#[async_trait]
impl Http for aiw_net::HttpClient {
    async fn fetch(&self, policy: &Policy, request: &HttpRequest) -> Result<Response, NetError> {
        Self::fetch(self, policy, request).await
    }
}

#[async_trait]
impl Http for NoCapability {
    async fn fetch(&self, _policy: &Policy, _request: &HttpRequest) -> Result<Response, NetError> {
        Err(NetError::Unavailable { message: "there is no network here".into(), retry_after: None, source: None })
    }
}

/// A request as a component makes it.
pub(crate) struct ComponentRequest {
    /// The body of a `POST`; `None` for a `GET`.
    pub(crate) post_body: Option<Vec<u8>>,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Value)>,
    /// The maximum length of the response's body.
    pub(crate) max_response_bytes: u32,
}

/// The addresses that one call may reach, and the secrets that it may send.
pub(crate) struct HttpPermissions {
    policy: Policy,
    secrets: BTreeMap<String, BoundSecret>,
}

/// Returns the hosts that match one of the patterns.
pub(super) fn parse_host_patterns<'a>(values: impl Iterator<Item = &'a str>) -> Hosts {
    Hosts::Only(values.filter_map(|value| HostPattern::parse(value).ok()).collect())
}

/// The interface `http`.
pub(crate) struct HttpImport;

impl Interface for HttpImport {
    const NAME: &'static str = "http";
    type Capability = dyn Http;
    type State = HttpPermissions;

    fn initial_state(setup: &CallSetup<'_>) -> Self::State {
        let mut hosts = setup.grants.effective_values(CapabilityKind::Hosts);
        let public = setup.permissions.public_urls.iter().filter_map(|url| aiw_net::host_and_port(url));
        hosts.extend(public.map(|(host, port)| format!("{host}:{port}")));
        let mut policy = Policy { hosts: parse_host_patterns(hosts.iter().map(String::as_str)), ..Policy::none() };
        for url in &setup.user_urls {
            policy.grant_url(url);
        }
        HttpPermissions { policy, secrets: setup.permissions.secrets.clone() }
    }
}

impl HostCall<'_, HttpImport> {
    pub(crate) async fn send(&mut self, outgoing: ComponentRequest) -> HostResult<Response> {
        self.begin_request("send")?;
        let request = self.admit(outgoing)?;
        let answer = self.call.track_wait(self.capability.fetch(&self.state.policy, &request)).await;
        let answer = answer.map_err(|e| self.call.grants.rejection_for(e))?;
        self.call.charge_bytes(answer.body.len())?;
        let mut answer = self.blind(answer);
        if is_json(&answer)
            && let Cow::Owned(body) = well_formed_json(&answer.body)
        {
            answer.body = body;
        }
        Ok(answer)
    }

    /// Converts the request for the capability and fills in its secrets.
    fn admit(&self, outgoing: ComponentRequest) -> Result<HttpRequest, CallRejection> {
        let invalid = |message| Err(CallRejection { reason: ComponentReason::Invalid, message });
        self.call.grants.check_host(&self.state.policy, CapabilityKind::Hosts, &outgoing.url)?;
        let (mut headers, mut secrets) = (Vec::new(), Vec::new());
        for (name, value) in outgoing.headers {
            if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
                return invalid(format!("the header `{name}` is set by the host"));
            }
            match value {
                Value::Literal(text) => headers.push((name, text)),
                Value::Secret { name: secret, prefix } => {
                    secrets.push((name, self.secret(&secret, &prefix, &outgoing.url)?));
                }
            }
        }
        let method = if outgoing.post_body.is_some() { Method::Post } else { Method::Get };
        let body = outgoing.post_body.unwrap_or_default();
        if body.len() > MAX_BODY_BYTES {
            return invalid(format!("the body of a request has at most {} MiB", MAX_BODY_BYTES >> 20));
        }
        let limit = u64::from(outgoing.max_response_bytes).min(self.call.limits().read_bytes);
        Ok(HttpRequest {
            method,
            headers,
            secret_headers: secrets,
            body,
            follow_see_other: true,
            max_body_bytes: limit,
            ..HttpRequest::new(outgoing.url)
        })
    }

    /// Returns the value of a named secret for a request to `url`.
    fn secret(&self, name: &str, prefix: &str, url: &str) -> Result<Secret, CallRejection> {
        let denied = |message| Err(CallRejection { reason: ComponentReason::Denied, message });
        let (id, shown) = (&self.call.grants.id, aiw_core::one_line(name, 60));
        let Some(bound) = self.state.secrets.get(name) else {
            return denied(format!("component `{id}` names a secret that does not exist: `{shown}`"));
        };
        let to = origin(url);
        if to.is_none() || !bound.urls.iter().any(|url| origin(url) == to) {
            let to = to.unwrap_or_else(|| "what is not a web address".into());
            let bound: Vec<String> = bound.urls.iter().filter_map(|url| origin(url)).collect();
            return denied(format!(
                "component `{id}` may not send the secret `{shown}` to `{to}`: it is bound to `{}`",
                bound.join("`, `")
            ));
        }
        Ok(Secret::new(format!("{prefix}{}", bound.value.expose())))
    }

    /// Removes the secrets from a response, because servers repeat keys in their error messages.
    fn blind(&self, mut response: Response) -> Response {
        for bound in self.state.secrets.values() {
            let secret = bound.value.expose();
            // Shorter values are not secrets, and occur everywhere.
            if secret.len() < 8 {
                continue;
            }
            response.body = without(response.body, secret.as_bytes());
            for (_, text) in &mut response.headers {
                *text = text.replace(secret, REDACTED);
            }
            response.url = response.url.replace(secret, REDACTED);
        }
        response
    }
}

/// Whether a response says that it is JSON: then no component has to know that others write unpaired surrogates.
fn is_json(response: &Response) -> bool {
    let kind = response.header("content-type");
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    kind.is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"))
}

/// The replacement for a secret.
const REDACTED: &str = "(secret)";

fn without(body: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let find = |from: usize| body[from..].windows(secret.len()).position(|part| part == secret);
    let Some(first) = find(0) else { return body };
    let mut clean = Vec::with_capacity(body.len());
    let (mut from, mut found) = (0, Some(first));
    while let Some(at) = found {
        clean.extend_from_slice(&body[from..from + at]);
        clean.extend_from_slice(REDACTED.as_bytes());
        from += at + secret.len();
        found = find(from);
    }
    clean.extend_from_slice(&body[from..]);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_wherever_it_stands() {
        let clean = |body: &str| String::from_utf8(without(body.as_bytes().to_vec(), b"hunter22")).unwrap();
        assert_eq!(clean("hunter22 and hunter22hunter22!"), "(secret) and (secret)(secret)!");
        assert_eq!(clean("hunter2"), "hunter2");
        assert_eq!(clean(""), "");
    }
}
