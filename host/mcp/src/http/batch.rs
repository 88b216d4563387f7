//! Several messages in one body, which only version 2025-03-26 of the protocol has.
//!
//! <https://modelcontextprotocol.io/specification/2025-03-26/basic#batching>

use std::sync::Arc;

use rmcp::model::{ErrorData, GetMeta, JsonRpcMessage, ProgressToken, RequestId};
use serde_json::json;

use super::log::StreamLog;
use super::session::{HttpSession, SessionError};
use crate::wire::Incoming;

impl HttpSession {
    /// Passes the messages on. All answers come in one log; there is none if nothing is to be answered.
    pub(super) async fn forward_batch(
        self: &Arc<Self>,
        batch: Vec<Incoming>,
    ) -> Result<Option<Arc<StreamLog>>, SessionError> {
        let log = self.new_stream();
        let (mut taken, mut is_asked, mut is_refused) = (Vec::with_capacity(batch.len()), false, false);
        // The last answer ends the log, so all requests are known to it before one is passed on.
        for message in batch {
            let problem = match (&message, asked(&message)) {
                (Incoming::ErrorResponse(problem, id), _) => Some((problem.clone(), id.clone())),
                (_, None) => None,
                (_, Some((id, token))) => match self.register_request(&log, &id, token) {
                    Ok(()) => {
                        is_asked = true;
                        None
                    }
                    Err(e) => Some((ErrorData::invalid_request(e.message(), None), Some(id))),
                },
            };
            match problem {
                None => taken.push(message),
                Some((problem, id)) => {
                    is_refused = true;
                    // This version has `null` for an id that is not known.
                    log.push(json!({"jsonrpc": "2.0", "id": id, "error": problem}).to_string(), false);
                }
            }
        }
        if !is_asked {
            log.finish();
        }
        for message in taken {
            match message {
                Incoming::Call(call) => self.start_call(call).await?,
                Incoming::Message(message) => self.forward(*message).await?,
                Incoming::ErrorResponse(..) | Incoming::Batch(_) => {}
            }
        }
        Ok((is_asked || is_refused).then_some(log))
    }
}

/// The id of a request, and what its progress is reported under.
fn asked(message: &Incoming) -> Option<(RequestId, Option<ProgressToken>)> {
    match message {
        Incoming::Call(call) => Some((call.id.clone(), call.progress_token())),
        Incoming::Message(message) => match &**message {
            JsonRpcMessage::Request(request) => {
                Some((request.id.clone(), request.request.get_meta().get_progress_token()))
            }
            _ => None,
        },
        Incoming::ErrorResponse(..) | Incoming::Batch(_) => None,
    }
}
