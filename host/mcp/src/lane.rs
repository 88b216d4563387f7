//! Tool calls past rmcp, in sessions that began with a handshake. rmcp's types and its tasks for each message take
//! several times longer than a call through aiw may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{ErrorData, RequestId};
use rmcp::service::Peer;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::caller::{Call, Caller, Cancelled};
use crate::handler::Handler;
use crate::incoming::ToolCall;

/// The tool calls of one session.
pub(crate) struct Lane {
    handler: Handler,
    caller: Caller,
    open: Mutex<HashMap<RequestId, CancellationToken>>,
    tasks: TaskTracker,
}

/// An answer as it is written.
#[derive(Serialize)]
struct Answered<'a> {
    jsonrpc: &'static str,
    id: &'a RequestId,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorData>,
}

impl Lane {
    /// None if the session's version of the protocol has no handshake.
    pub(crate) fn of(handler: Handler, peer: &Peer<RoleServer>) -> Option<Arc<Self>> {
        let has_begun = peer.peer_info().is_some_and(|info| info.protocol_version.has_initialize());
        let caller = Caller::ready(peer.clone(), handler.session().clone());
        has_begun.then(|| Arc::new(Self { handler, caller, open: Mutex::default(), tasks: TaskTracker::new() }))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<RequestId, CancellationToken>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call. Its answer is the last that happens to it, unless it is cancelled before.
    pub(crate) fn call(self: &Arc<Self>, asked: ToolCall, answer: impl FnOnce(String) + Send + 'static) {
        let ToolCall { id, name, arguments, meta } = asked;
        let request = CancellationToken::new();
        self.open().insert(id.clone(), request.clone());
        let lane = self.clone();
        self.tasks.spawn(async move {
            if !lane.handler.has_begun() {
                Box::pin(lane.handler.introduce(|_| lane.caller.clone())).await;
            }
            let cancelled = Cancelled { request, gone: lane.handler.session().gone.clone() };
            let call = Call { caller: lane.caller.within(id.clone()), cancelled, meta };
            let (result, error) = match lane.handler.answer(&name, arguments, call).await {
                Ok(answer) => (Some(answer.into_raw()), None),
                Err(error) => (None, Some(error)),
            };
            // A cancelled call has no answer.
            if lane.open().remove(&id).is_some() {
                let answered = Answered { jsonrpc: "2.0", id: &id, result, error };
                answer(serde_json::to_string(&answered).unwrap_or_default());
            }
        });
    }

    /// Cancels a call. Returns whether there is one with this id.
    pub(crate) fn cancel(&self, id: &RequestId) -> bool {
        let call = self.open().remove(id);
        call.inspect(CancellationToken::cancel).is_some()
    }

    /// Waits until every call has ended. None may begin any more.
    pub(crate) async fn done(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
