//! Requests whose servers ask for something first, from protocol version 2026-07-28 on: the answer names what is
//! needed, and the request is sent again with it.
//!
//! <https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr>

use futures::future::BoxFuture;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::events::RpcError;
use super::malformed::{INTERNAL_ERROR, parse_result, result_type};
use super::request::{ClientError, McpRequest, Params};
use super::sender::RequestSender;
use crate::elicitation::INPUT_REQUIRED;

/// How often a server may ask before it answers.
const MAX_ROUNDS: usize = 16;

/// How much it may ask for at once.
const MAX_INPUTS: usize = 16;

/// What a server needs before it answers.
struct InputRequired {
    requests: Map<String, Value>,
    state: Option<Value>,
}

/// A large future: as a part of every call's, it would be moved around with it.
pub(super) fn send(
    sender: &RequestSender,
    mut request: McpRequest,
) -> BoxFuture<'_, Result<Box<RawValue>, ClientError>> {
    Box::pin(async move {
        for _ in 0..MAX_ROUNDS {
            let McpRequest { method, params, timeout: patience, call_number: call, progress } = &request;
            let (method, params, progress) = (method.clone(), params.clone(), progress.clone());
            let result =
                sender.send(McpRequest { method, params, timeout: *patience, call_number: *call, progress }).await?;
            let Some(required) = InputRequired::in_result(&result)? else { return Ok(result) };
            let mut answers = Map::new();
            for (name, asked) in required.requests {
                let method = asked["method"].as_str().unwrap_or_default();
                let answer =
                    sender.in_flight.forward_request(method, asked.get("params").cloned(), request.call_number).await?;
                answers.insert(name, answer);
            }
            let params = request.params.take().unwrap_or_else(|| Params::Values(json!({})));
            request.params = Some(params.into_resumed(answers, required.state));
        }
        Err(invalid(&format!("asks for more than {MAX_ROUNDS} times")))
    })
}

impl InputRequired {
    /// Returns what a result asks for; none if it is the end of its request.
    fn in_result(result: &RawValue) -> Result<Option<Self>, ClientError> {
        if result_type(result.get()).as_deref() != Some(INPUT_REQUIRED) {
            return Ok(None);
        }
        let mut fields = parse_result(result)?;
        let requests = match fields.get_mut("inputRequests").map(Value::take) {
            Some(Value::Object(requests)) => requests,
            _ => Map::new(),
        };
        let state = fields.get_mut("requestState").map(Value::take).filter(Value::is_string);
        match requests.len() {
            0 if state.is_none() => Err(invalid("asks for something, and does not say for what")),
            0..=MAX_INPUTS => Ok(Some(Self { requests, state })),
            _ => Err(invalid(&format!("asks for more than {MAX_INPUTS} things at once"))),
        }
    }
}

fn invalid(why: &str) -> ClientError {
    RpcError { code: INTERNAL_ERROR, message: format!("the server's answer {why}"), data: None }.into()
}
