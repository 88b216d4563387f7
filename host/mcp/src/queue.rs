//! Tool calls past rmcp, in sessions that began with a handshake. rmcp's types and its tasks for each message take
//! several times longer than a call through aiw may.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rmcp::RoleServer;
use rmcp::model::{ErrorData, RequestId};
use rmcp::service::Peer;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::task::TaskTracker;

use crate::caller::{Call, Caller, Cancellation, QueuedCall};
use crate::handler::Handler;
use crate::incoming::ToolCall;

/// Room for what stands around a result.
const FRAME_OVERHEAD_BYTES: usize = 64;

/// The tool calls of one session.
pub(crate) struct CallQueue {
    handler: Handler,
    caller: Caller,
    /// The calls without an answer, by their numbers here.
    open: Mutex<BTreeMap<u64, (RequestId, Arc<QueuedCall>)>>,
    next: AtomicU64,
    tasks: TaskTracker,
}

/// An answer as it is written.
#[derive(Serialize)]
struct WrittenResponse<'a> {
    jsonrpc: &'static str,
    id: &'a RequestId,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorData>,
}

impl WrittenResponse<'_> {
    fn text(&self) -> String {
        let length = self.result.as_ref().map_or(0, |result| result.get().len());
        let mut text = Vec::with_capacity(length + FRAME_OVERHEAD_BYTES);
        // It can always be written to memory, as UTF-8.
        let _ = serde_json::to_writer(&mut text, self);
        String::from_utf8(text).unwrap_or_default()
    }
}

impl CallQueue {
    /// None if the session's version of the protocol has no handshake.
    pub(crate) fn new(handler: Handler, peer: &Peer<RoleServer>) -> Option<Arc<Self>> {
        let has_begun = peer.peer_info().is_some_and(|info| info.protocol_version.has_initialize());
        let caller = Caller::from_initialized(peer.clone(), handler.session().clone());
        has_begun.then(|| {
            let open = Mutex::default();
            let lane = Arc::new(Self { handler, caller, open, next: AtomicU64::new(0), tasks: TaskTracker::new() });
            let (gone, open) = (lane.handler.session().disconnected.clone(), Arc::downgrade(&lane));
            tokio::spawn(async move {
                gone.cancelled().await;
                if let Some(lane) = open.upgrade() {
                    lane.open().values().for_each(|(_, wanted)| wanted.abandon());
                }
            });
            lane
        })
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, (RequestId, Arc<QueuedCall>)>> {
        self.open.lock()
    }

    /// Begins a call. Its answer is the last that happens to it, unless it is cancelled before.
    pub(crate) fn call(self: &Arc<Self>, asked: ToolCall, answer: impl FnOnce(String) + Send + 'static) {
        let ToolCall { id, name, arguments, meta } = asked;
        let wanted = Arc::<QueuedCall>::default();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut open = self.open();
            if open.values().any(|(known, _)| *known == id) {
                drop(open);
                let error = ErrorData::invalid_request("a request with this id is still open", None);
                return answer(WrittenResponse { jsonrpc: "2.0", id: &id, result: None, error: Some(error) }.text());
            }
            open.insert(number, (id.clone(), wanted.clone()));
        }
        if self.handler.session().disconnected.is_cancelled() {
            wanted.abandon();
        }
        let lane = self.clone();
        self.tasks.spawn(async move {
            if !lane.handler.has_begun() {
                Box::pin(lane.handler.initialize_once(|_| lane.caller.clone())).await;
            }
            let cancelled = Cancellation::from_queued_call(wanted);
            let call = Call { caller: lane.caller.for_request(id.clone()), cancellation: cancelled, meta };
            let (result, error) = match lane.handler.dispatch_call(&name, arguments, call).await {
                Ok(answer) => (Some(answer.into_raw()), None),
                Err(error) => (None, Some(error)),
            };
            // A cancelled call has no answer.
            if lane.open().remove(&number).is_some() {
                answer(WrittenResponse { jsonrpc: "2.0", id: &id, result, error }.text());
            }
        });
    }

    /// Cancels a call. Returns whether there is one with this id.
    pub(crate) fn cancel(&self, id: &RequestId) -> bool {
        let mut open = self.open();
        let before = open.len();
        open.retain(|_, (known, wanted)| {
            let is_it = known == id;
            if is_it {
                wanted.cancel();
            }
            !is_it
        });
        open.len() < before
    }

    /// Waits until every call has ended. None may begin any more.
    pub(crate) async fn close_and_wait(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
