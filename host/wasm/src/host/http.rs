//! The interface `http`.

use aiw_core::Secret;
use aiw_net::{RESERVED_HEADERS, Request, Response, origin};

use super::CallState;
use crate::bindings::v0_1::aiw::plugin::{http, types};

impl http::Host for CallState {
    async fn get(&mut self, request: http::Request) -> wasmtime::Result<Result<http::Response, types::Error>> {
        self.allow("http.get")?;
        self.charge_request()?;
        let request = match self.admit(request) {
            Ok(request) => request,
            Err(refused) => return Ok(Err(refused)),
        };
        let (http, policy) = (self.call.capabilities.http.clone(), self.call.http.clone());
        let answer = self.waiting(http.get(&policy, &request)).await;
        Ok(answer.map(|response| self.blind(response)).map_err(|e| self.to_wit(e)).map(|response| http::Response {
            status: response.status,
            headers: response.headers.into_iter().map(|(name, value)| http::Header { name, value }).collect(),
            body: response.body,
            url: response.url,
        }))
    }
}

impl CallState {
    /// Converts the request for the capability and fills in its secrets.
    fn admit(&self, request: http::Request) -> Result<Request, types::Error> {
        if let Some(refused) = self.check_host(&self.call.http, aiw_extensions::CapabilityKind::Hosts, &request.url) {
            return Err(refused);
        }
        let (mut headers, mut secrets) = (Vec::new(), Vec::new());
        for field in request.headers {
            if RESERVED_HEADERS.contains(&field.name.to_ascii_lowercase().as_str()) {
                return Err(types::Error::Invalid(format!("the header `{}` is set by the host", field.name)));
            }
            match field.value {
                types::Value::Literal(text) => headers.push((field.name, text)),
                types::Value::Secret(named) => secrets.push((field.name, self.secret(&named, &request.url)?)),
            }
        }
        let limit = u64::from(request.limit).min(self.call.limits.read_bytes);
        Ok(Request { headers, secrets, limit, ..Request::new(request.url) })
    }

    /// Returns the value of a named secret for a request to `url`.
    fn secret(&self, named: &types::Secret, url: &str) -> Result<Secret, types::Error> {
        let id = &self.call.id;
        let name = aiw_core::one_line(&named.name, 60);
        let Some(bound) = self.call.secrets.get(&named.name) else {
            return Err(types::Error::Denied(format!("component `{id}` names a secret that does not exist: `{name}`")));
        };
        let to = origin(url);
        if to.is_none() || !bound.urls.iter().any(|url| origin(url) == to) {
            let to = to.unwrap_or_else(|| "what is not a web address".into());
            let bound: Vec<String> = bound.urls.iter().filter_map(|url| origin(url)).collect();
            return Err(types::Error::Denied(format!(
                "component `{id}` may not send the secret `{name}` to `{to}`: it is bound to `{}`",
                bound.join("`, `")
            )));
        }
        Ok(Secret::new(format!("{}{}", named.prefix, bound.value.expose())))
    }

    /// Removes the secrets from a response, because servers repeat keys in their error messages.
    fn blind(&self, mut response: Response) -> Response {
        for bound in self.call.secrets.values() {
            let secret = bound.value.expose();
            // Shorter values are not secrets, and occur everywhere.
            if secret.len() < 8 {
                continue;
            }
            response.body = without(response.body, secret.as_bytes());
            for (_, text) in &mut response.headers {
                *text = text.replace(secret, HIDDEN);
            }
            response.url = response.url.replace(secret, HIDDEN);
        }
        response
    }
}

/// The replacement for a secret.
const HIDDEN: &str = "(secret)";

fn without(body: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let find = |from: usize| body[from..].windows(secret.len()).position(|part| part == secret);
    let Some(first) = find(0) else { return body };
    let mut clean = Vec::with_capacity(body.len());
    let (mut from, mut found) = (0, Some(first));
    while let Some(at) = found {
        clean.extend_from_slice(&body[from..from + at]);
        clean.extend_from_slice(HIDDEN.as_bytes());
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
