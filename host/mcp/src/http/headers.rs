//! The protocol's own headers. From 2026-07-28 on, they repeat what the body says, and must agree with it.
//!
//! <https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http>

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, StatusCode};
use rmcp::RoleServer;
use rmcp::model::{ClientRequest, ErrorData, GetMeta, JsonRpcMessage, ProtocolVersion, RequestId};
use rmcp::service::RxJsonRpcMessage;
use serde_json::{Map, Value};

use super::reply::{Rejection, bad_request, error, method_not_found};

pub(super) const SESSION_HEADER: &str = "mcp-session-id";
pub(super) const VERSION_HEADER: &str = "mcp-protocol-version";
pub(super) const LAST_EVENT_ID_HEADER: &str = "last-event-id";

/// Returns the version in the header, which may be an unknown one.
pub(super) fn parse_version(headers: &HeaderMap) -> Result<Option<ProtocolVersion>, Rejection> {
    let text = single(headers, VERSION_HEADER).map_err(|problem| error(StatusCode::BAD_REQUEST, &problem))?;
    Ok(text.and_then(|text| serde_json::from_value(text.into()).ok()))
}

/// Whether a version has no sessions.
pub(super) fn is_sessionless(version: &ProtocolVersion) -> bool {
    !version.has_initialize()
}

/// Whether a message belongs to a version without sessions. Only those before have a handshake.
pub(super) fn is_modern(message: &RxJsonRpcMessage<RoleServer>, header: Option<&ProtocolVersion>) -> bool {
    let named = match message {
        JsonRpcMessage::Request(request) => {
            match request.request {
                ClientRequest::InitializeRequest(_) => return false,
                ClientRequest::DiscoverRequest(_) => return true,
                _ => {}
            }
            let meta = request.request.get_meta();
            if meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty() {
                return true;
            }
            meta.protocol_version()
        }
        _ => None,
    };
    named.as_ref().or(header).is_some_and(is_sessionless)
}

/// The handshake names its version in the body. A header, which is not required, must name the same.
pub(super) fn check_handshake(
    headers: &HeaderMap,
    header: Option<&ProtocolVersion>,
    body: &ProtocolVersion,
    id: &RequestId,
) -> Result<(), Rejection> {
    if header.is_some_and(|header| header != body) {
        let message = "the header `MCP-Protocol-Version` and `params.protocolVersion` differ";
        return Err(bad_request(ErrorData::invalid_request(message, None), Some(id.clone())));
    }
    match single(headers, "mcp-method") {
        Ok(None | Some("initialize")) => Ok(()),
        _ => Err(mismatch("the header `Mcp-Method` is not `initialize`".into(), Some(id.clone()))),
    }
}

/// A message in a session: its version must be one that has sessions.
pub(super) fn check_session(header: Option<&ProtocolVersion>) -> Result<(), Rejection> {
    match header {
        Some(version) if !ProtocolVersion::KNOWN_VERSIONS.contains(version) => {
            Err(error(StatusCode::BAD_REQUEST, &format!("`MCP-Protocol-Version: {version}` is not supported")))
        }
        _ => Ok(()),
    }
}

/// The methods that versions without sessions no longer have.
const REMOVED_METHODS: [&str; 5] =
    ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];

/// Checks that the headers of a message without a session repeat its body. Returns the body, if it is JSON.
pub(super) fn check_sessionless(
    headers: &HeaderMap,
    header: Option<&ProtocolVersion>,
    message: &RxJsonRpcMessage<RoleServer>,
    body: &[u8],
) -> Result<Option<Value>, Rejection> {
    if !matches!(message, JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_)) {
        return Ok(None);
    }
    let id = id_of(message);
    let named = version_of(message);
    match (header, &named) {
        (_, None) if id.is_some() => {
            let message = "`params._meta` must name the protocol version and the client's capabilities";
            return Err(bad_request(ErrorData::invalid_params(message, None), id));
        }
        (None, Some(_)) => {
            return Err(mismatch("the header `MCP-Protocol-Version` is missing".into(), id));
        }
        (Some(header), Some(named)) if header != named => {
            return Err(mismatch(format!("`MCP-Protocol-Version: {header}` and `_meta` ({named}) differ"), id));
        }
        _ => {}
    }
    let Ok(body) = aiw_core::from_foreign_json::<Value>(body) else { return Ok(None) };
    let method = body["method"].as_str().unwrap_or_default();
    if id.is_some() && REMOVED_METHODS.contains(&method) {
        return Err(method_not_found(method, id));
    }
    agree(headers, &body).map_err(|problem| mismatch(problem, id))?;
    Ok(Some(body))
}

/// Checks the parameters of a tool call that its schema wants as headers (`Mcp-Param-…`). `body` is that of the message.
pub(super) fn check_parameters(
    headers: &HeaderMap,
    message: &RxJsonRpcMessage<RoleServer>,
    body: &Value,
    schema: impl Fn(&str) -> Option<Value>,
) -> Result<(), Rejection> {
    parameters_agree(headers, body, schema).map_err(|problem| mismatch(problem, id_of(message)))
}

fn id_of(message: &RxJsonRpcMessage<RoleServer>) -> Option<RequestId> {
    match message {
        JsonRpcMessage::Request(request) => Some(request.id.clone()),
        _ => None,
    }
}

/// Returns the version that a request states in `_meta`.
fn version_of(message: &RxJsonRpcMessage<RoleServer>) -> Option<ProtocolVersion> {
    match message {
        JsonRpcMessage::Request(request) => request.request.get_meta().protocol_version(),
        _ => None,
    }
}

fn mismatch(problem: String, id: Option<RequestId>) -> Rejection {
    bad_request(ErrorData::header_mismatch(problem, None), id)
}

/// Compares `Mcp-Method` and `Mcp-Name` with the body.
fn agree(headers: &HeaderMap, body: &Value) -> Result<(), String> {
    let method = body["method"].as_str().unwrap_or_default();
    match single(headers, "mcp-method")? {
        Some(named) if named == method => {}
        Some(named) => return Err(format!("`Mcp-Method: {named}` and the body's method `{method}` differ")),
        None => return Err("the header `Mcp-Method` is missing".into()),
    }
    let field = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return Ok(()),
    };
    let Some(name) = body["params"][field].as_str() else { return Ok(()) };
    same(headers, "Mcp-Name", Some(name.to_owned()))
}

/// Compares the `Mcp-Param-…` of a tool call with the body.
fn parameters_agree(headers: &HeaderMap, body: &Value, schema: impl Fn(&str) -> Option<Value>) -> Result<(), String> {
    let tool = body["params"]["name"].as_str().filter(|_| body["method"] == "tools/call");
    let Some(schema) = tool.and_then(schema) else { return Ok(()) };
    let mut annotated = Vec::new();
    annotations(schema["properties"].as_object(), &body["params"]["arguments"], &mut annotated);
    for (header, value) in annotated {
        same(headers, &format!("Mcp-Param-{header}"), value)?;
    }
    Ok(())
}

/// The parameters that a schema wants as headers, with their values in the body.
fn annotations(properties: Option<&Map<String, Value>>, values: &Value, found: &mut Vec<(String, Option<String>)>) {
    for (name, schema) in properties.into_iter().flatten() {
        let value = &values[name];
        if let Some(header) = schema["x-mcp-header"].as_str().filter(|header| !header.is_empty()) {
            let text = match value {
                Value::String(text) => Some(text.clone()),
                Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
                _ => None,
            };
            found.push((header.to_owned(), text));
        }
        annotations(schema["properties"].as_object(), value, found);
    }
}

/// A header says what the body says, and is missing where the body says nothing.
fn same(headers: &HeaderMap, name: &str, expected: Option<String>) -> Result<(), String> {
    let given = match single(headers, name)? {
        Some(given) => Some(decoded(given).ok_or_else(|| format!("the header `{name}` is not valid Base64"))?),
        None => None,
    };
    match (given, expected) {
        (Some(given), Some(expected)) if given == expected => Ok(()),
        (None, None) => Ok(()),
        (None, Some(_)) => Err(format!("the header `{name}` is missing")),
        _ => Err(format!("the header `{name}` and the body differ")),
    }
}

/// A value that can't be a header is written as `=?base64?…?=`.
fn decoded(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(inner) => String::from_utf8(BASE64_STANDARD.decode(inner).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

/// A header that may be there once, as text.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, String> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| format!("the header `{name}` is not text")),
        _ => Err(format!("the header `{name}` is there twice")),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    fn said(headers: &[(&str, &str)]) -> Result<(), String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let schema = json!({"properties": {"region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"properties": {"on": {"type": "boolean", "x-mcp-header": "On"}}}}});
        let body = json!({"method": "tools/call", "params": {"name": "t", "arguments": {"region": " ü", "deep": {}}}});
        agree(&map, &body)?;
        parameters_agree(&map, &body, |name| (name == "t").then(|| schema.clone()))
    }

    #[test]
    fn headers_repeat_what_the_body_says() {
        let whole =
            [("mcp-method", "tools/call"), ("mcp-name", "=?base64?dA==?="), ("mcp-param-region", "=?base64?IMO8?=")];
        assert_eq!(said(&whole), Ok(()));
        let without = |name: &str| whole.iter().filter(|(known, _)| *known != name).copied().collect::<Vec<_>>();
        for (name, _) in whole {
            assert!(said(&without(name)).unwrap_err().to_lowercase().contains(&format!("`{name}` is missing")));
        }
        let with =
            |name: &'static str, value: &'static str| said(&[without(name), vec![(name, value)]].concat()).unwrap_err();
        assert_eq!(
            with("mcp-method", "tools/list"),
            "`Mcp-Method: tools/list` and the body's method `tools/call` differ"
        );
        assert_eq!(with("mcp-name", "u"), "the header `Mcp-Name` and the body differ");
        assert_eq!(with("mcp-param-region", "=?base64?%?="), "the header `Mcp-Param-Region` is not valid Base64");
        assert_eq!(with("mcp-param-on", "true"), "the header `Mcp-Param-On` and the body differ");
        let twice = [whole.to_vec(), vec![("mcp-name", "t")]].concat();
        assert_eq!(said(&twice).unwrap_err(), "the header `Mcp-Name` is there twice");
    }
}
