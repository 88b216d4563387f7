use aiw_net::{RESERVED_HEADERS, Request};

use super::{State, to_wit};
use crate::bindings::v0_1::aiw::plugin::{http, types};
use crate::limits;

impl http::Host for State {
    async fn get(&mut self, request: http::Request) -> wasmtime::Result<Result<http::Response, types::Error>> {
        self.charge_request()?;
        if let Some(refused) = self.check_host(&self.http, "hosts", &request.url) {
            return Ok(Err(refused));
        }
        let reserved = |h: &&http::Header| RESERVED_HEADERS.contains(&h.name.to_ascii_lowercase().as_str());
        if let Some(header) = request.headers.iter().find(reserved) {
            return Ok(Err(types::Error::Invalid(format!("the header `{}` is the host's", header.name))));
        }
        let request = Request {
            url: request.url,
            headers: request.headers.into_iter().map(|h| (h.name, h.value)).collect(),
            limit: u64::from(request.limit).min(limits::READ_BYTES),
        };
        let (http, policy) = (self.capabilities.http.clone(), self.http.clone());
        let answer = self.waiting(http.get(&policy, &request)).await;
        Ok(answer.map_err(to_wit).map(|response| http::Response {
            status: response.status,
            headers: response.headers.into_iter().map(|(name, value)| http::Header { name, value }).collect(),
            body: response.body,
            url: response.url,
        }))
    }
}
