//! Requests of protocol versions without sessions, from 2026-07-28 on: each is complete in itself, and ends when its
//! connection does.

use std::time::Duration;

use futures::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use rmcp::RoleServer;
use rmcp::model::{
    ClientRequest, ErrorCode, ErrorData, GetMeta, InitializeRequestParams, JsonRpcMessage, JsonRpcRequest,
    ProtocolVersion,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage, serve_directly_with_ct};
use rmcp::transport::OneshotTransport;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::log::KEEP_ALIVE_INTERVAL;
use super::reply::{self, ReplyBody, accepted, bad_request, event_response, frame, unavailable};
use super::sessions::{STOPPING_MESSAGE, StatelessGuard};

/// How long an answer's beginning may take. Then a stream begins, so that clients don't give up.
const FIRST_BYTE_DEADLINE: Duration = Duration::from_secs(10);

/// Answers a request without a session.
pub(super) async fn handle_request(
    unbound: StatelessGuard,
    message: RxJsonRpcMessage<RoleServer>,
    version: Option<ProtocolVersion>,
) -> Response<ReplyBody> {
    let request = match message {
        JsonRpcMessage::Request(request) => request,
        JsonRpcMessage::Notification(_) => return accepted(),
        JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {
            let problem = ErrorData::invalid_request("nothing was asked that this could answer", None);
            return *bad_request(problem, None);
        }
    };
    let is_malformed = !request.request.get_meta().missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty();
    let mut messages = begin(unbound, request, version);
    // The status says what went wrong, so it waits for the first message.
    let first = match tokio::time::timeout(FIRST_BYTE_DEADLINE, messages.next()).await {
        Ok(Some(first)) if is_last(&first) => return reply::json(status(&first, is_malformed), text(&first)),
        Ok(Some(first)) => Some(first),
        Ok(None) => return *unavailable(STOPPING_MESSAGE),
        Err(_) => None,
    };
    let events = stream::unfold((first, messages), |(first, mut messages)| async move {
        let event = match first {
            Some(first) => format!("data: {}\n\n", text(&first)),
            None => match tokio::time::timeout(KEEP_ALIVE_INTERVAL, messages.next()).await {
                Ok(message) => format!("data: {}\n\n", text(&message?)),
                Err(_) => ":\n\n".into(),
            },
        };
        Some((frame(event), (None, messages)))
    });
    event_response(StreamBody::new(events).boxed_unsync())
}

/// The messages for one request. Dropping them cancels the request.
struct Messages {
    receiver: mpsc::Receiver<TxJsonRpcMessage<RoleServer>>,
    is_done: bool,
    _unbound: StatelessGuard,
    _cancel: DropGuard,
}

impl Messages {
    async fn next(&mut self) -> Option<TxJsonRpcMessage<RoleServer>> {
        if self.is_done {
            return None;
        }
        let message = self.receiver.recv().await?;
        self.is_done = is_last(&message);
        Some(message)
    }
}

fn begin(
    unbound: StatelessGuard,
    request: JsonRpcRequest<ClientRequest>,
    version: Option<ProtocolVersion>,
) -> Messages {
    let mut client = InitializeRequestParams::default();
    let meta = request.request.get_meta();
    client.protocol_version = version.or_else(|| meta.protocol_version()).unwrap_or_default();
    let (transport, receiver) = OneshotTransport::<RoleServer>::new(JsonRpcMessage::Request(request));
    let cancel = CancellationToken::new();
    let running = serve_directly_with_ct(unbound.tool_handler(), transport, Some(client), cancel.clone());
    tokio::spawn(async move {
        let _ = running.waiting().await;
    });
    Messages { receiver, is_done: false, _unbound: unbound, _cancel: cancel.drop_guard() }
}

fn is_last(message: &TxJsonRpcMessage<RoleServer>) -> bool {
    matches!(message, JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_))
}

fn text(message: &TxJsonRpcMessage<RoleServer>) -> String {
    serde_json::to_string(message).unwrap_or_default()
}

/// <https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http>
fn status(message: &TxJsonRpcMessage<RoleServer>, is_malformed: bool) -> StatusCode {
    let JsonRpcMessage::Error(error) = message else { return StatusCode::OK };
    match error.error.code {
        ErrorCode::UNSUPPORTED_PROTOCOL_VERSION
        | ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY
        | ErrorCode::HEADER_MISMATCH => StatusCode::BAD_REQUEST,
        ErrorCode::INVALID_PARAMS if is_malformed => StatusCode::BAD_REQUEST,
        ErrorCode::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}
