use aiw_net::Request;

use super::{State, to_wit};
use crate::bindings::v0_1::aiw::plugin::{http, types};
use crate::limits;

/// Headers that the host sets, or that would change whom a request is for.
const RESERVED: [&str; 8] =
    ["host", "content-length", "transfer-encoding", "connection", "proxy-authorization", "te", "trailer", "upgrade"];

impl http::Host for State {
    async fn get(&mut self, request: http::Request) -> wasmtime::Result<Result<http::Response, types::Error>> {
        self.charge_request()?;
        if let Some(refused) = self.check_host(&self.http, "hosts", &request.url) {
            return Ok(Err(refused));
        }
        if let Some(header) = request.headers.iter().find(|h| RESERVED.contains(&h.name.to_ascii_lowercase().as_str()))
        {
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
