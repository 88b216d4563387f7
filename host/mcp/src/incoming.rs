//! Received messages in the form that rmcp takes, for the server's side.
//!
//! rmcp handles the session itself: versions, ids, subscriptions. Its types drop unknown fields, so everything else is
//! wrapped: a request becomes a custom one, a notification too, and a client's answer a JSON string.

use std::borrow::Cow;

use rmcp::RoleServer;
use rmcp::model::{ProgressToken, RequestId};
use rmcp::service::RxJsonRpcMessage;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::Arguments;

/// The longest id that is echoed; clients count, or take a UUID.
pub(crate) const MAX_ID: usize = 64 << 10;

/// The method of a wrapped request.
pub(crate) const REQUEST_METHOD: &str = "aiw/asked";

/// The method of a wrapped notification.
pub(crate) const NOTIFICATION_METHOD: &str = "aiw/told";

/// The methods that rmcp handles itself.
const RMCP_METHODS: [&str; 8] = [
    "initialize",
    "ping",
    "server/discover",
    "subscriptions/listen",
    "tools/list",
    "tools/call",
    "notifications/initialized",
    "notifications/cancelled",
];

/// A tool call in its usual form, read in one go. rmcp would try its types one after the other.
#[derive(Debug)]
pub(crate) struct ToolCall {
    pub(crate) id: RequestId,
    pub(crate) name: String,
    pub(crate) arguments: Arguments,
    pub(crate) meta: Map<String, Value>,
}

impl ToolCall {
    /// None if it is anything else, or has anything unusual.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct CallMessage<'a> {
            #[serde(borrow)]
            jsonrpc: Cow<'a, str>,
            #[serde(borrow)]
            id: &'a RawValue,
            method: CallMethod,
            #[serde(borrow)]
            params: Params<'a>,
        }
        #[derive(Deserialize)]
        enum CallMethod {
            #[serde(rename = "tools/call")]
            Call,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Params<'a> {
            name: String,
            #[serde(borrow)]
            arguments: Option<&'a RawValue>,
            #[serde(default, rename = "_meta")]
            meta: Map<String, Value>,
        }
        // Checking the whole text once takes less time than each string in it.
        let line = std::str::from_utf8(line).ok()?;
        let CallMessage { jsonrpc, id, method: CallMethod::Call, params } = serde_json::from_str(line).ok()?;
        let id = match id.get().parse() {
            Ok(number) => RequestId::Number(number),
            Err(_) => {
                let text: String = serde_json::from_str(id.get()).ok()?;
                (text.len() <= MAX_ID).then(|| RequestId::String(text.into()))?
            }
        };
        let Params { name, arguments, meta } = params;
        let arguments = match arguments {
            Some(written) => Arguments::from_raw(written)?,
            None => Arguments::default(),
        };
        (jsonrpc == "2.0").then_some(Self { id, name, arguments, meta })
    }

    /// Whether it belongs to a session that has begun with a handshake. From 2026-07-28 on, each request names its
    /// version and its client.
    pub(crate) fn has_session(&self) -> bool {
        !self.meta.keys().any(|key| key.starts_with("io.modelcontextprotocol/"))
    }

    /// Returns the token under which its progress is reported.
    pub(crate) fn progress_token(&self) -> Option<ProgressToken> {
        ProgressToken::deserialize(self.meta.get("progressToken")?).ok()
    }

    /// Converts the message for rmcp.
    pub(crate) fn into_rmcp(self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let mut params = json!({"name": self.name, "arguments": self.arguments.parse().ok()?});
        if !self.meta.is_empty() {
            params["_meta"] = self.meta.into();
        }
        serde_json::from_value(json!({"jsonrpc": "2.0", "id": self.id, "method": "tools/call", "params": params})).ok()
    }
}

/// Wraps a message of JSON-RPC 2.0 for rmcp. Anything else stays as it is; rmcp refuses it.
pub(crate) fn wrap_for_rmcp(mut message: Value) -> Value {
    let Some(fields) = message.as_object_mut() else { return message };
    let asked = match fields.get("method") {
        Some(Value::String(method)) if RMCP_METHODS.contains(&method.as_str()) => return message,
        Some(Value::String(method)) => Some(method.clone()),
        // It can't be a message.
        Some(_) => return message,
        None => None,
    };
    match asked {
        Some(method) => {
            let wrapper = if fields.contains_key("id") { REQUEST_METHOD } else { NOTIFICATION_METHOD };
            let params = fields.shift_remove("params");
            let mut wrapped = json!({"method": method});
            // The metadata says which version of the protocol the request follows.
            if let Some(meta) = params.as_ref().and_then(|params| params.get("_meta")) {
                wrapped["_meta"] = meta.clone();
            }
            if let Some(params) = params {
                wrapped["params"] = params;
            }
            fields.insert("method".into(), wrapper.into());
            fields.insert("params".into(), wrapped);
        }
        None => {
            if let Some(result) = fields.get_mut("result") {
                *result = Value::String(result.to_string());
            }
        }
    }
    message
}

/// The method and parameters of a wrapped message.
pub(crate) fn unwrap_params(params: Option<Value>) -> (String, Option<Value>) {
    let mut params = params.unwrap_or_default();
    let method = params["method"].as_str().unwrap_or_default().to_owned();
    (method, params.get_mut("params").map(Value::take))
}

/// A result as the other side sent it.
pub(crate) fn unwrap_result(value: Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rmcp_would_parse_is_wrapped_and_its_own_is_not() {
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        assert_eq!(wrap_for_rmcp(ping.clone()), ping);
        let read = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "x", "odd": null}});
        let wrapped = wrap_for_rmcp(read);
        assert_eq!(wrapped["method"], REQUEST_METHOD);
        let (method, params) = unwrap_params(wrapped.get("params").cloned());
        assert_eq!((method.as_str(), params), ("resources/read", Some(json!({"uri": "x", "odd": null}))));
        let answer = wrap_for_rmcp(json!({"jsonrpc": "2.0", "id": 1, "result": {"odd": [1]}}));
        assert_eq!(unwrap_result(answer["result"].clone()), json!({"odd": [1]}));
        let told = wrap_for_rmcp(json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}));
        assert_eq!(
            (&told["method"], &told["params"]["method"]),
            (&json!(NOTIFICATION_METHOD), &json!("notifications/roots/list_changed"))
        );
        for odd in [json!(null), json!([1]), json!({"method": 7}), json!({})] {
            assert_eq!(wrap_for_rmcp(odd.clone()), odd);
        }
    }
}
