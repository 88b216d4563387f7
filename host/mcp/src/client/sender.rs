//! How a request gets to a server: past rmcp over lines, by rmcp over HTTP.

use futures::future::BoxFuture;
use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, ClientNotification, ClientRequest, CustomRequest, CustomResult,
    GetExtensions, RequestId, ServerResult,
};
use rmcp::service::{Peer, PeerRequestOptions, RoleClient};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::in_flight::{InFlightRequests, ProgressSender};
use super::lines::DirectRequests;
use super::request::{CANCEL_REASON, ClientError, McpRequest, Params, map_service_error};

/// Sends requests over one connection.
#[derive(Clone)]
pub(super) struct RequestSender {
    pub(super) peer: Peer<RoleClient>,
    pub(super) in_flight: InFlightRequests,
    /// Takes requests, where rmcp does not have to.
    pub(super) direct: Option<DirectRequests>,
}

impl RequestSender {
    pub(super) async fn send(&self, request: McpRequest) -> Result<Box<RawValue>, ClientError> {
        match &self.direct {
            Some(direct) => direct.send(request)?.response().await,
            None => self.send_by_rmcp(request).await,
        }
    }

    /// A large future: as a part of every call's, it would be moved around with it.
    fn send_by_rmcp(&self, request: McpRequest) -> BoxFuture<'_, Result<Box<RawValue>, ClientError>> {
        Box::pin(async move {
            let params = request.params.map(Params::into_value).transpose()?;
            let mut sent = CustomRequest::new(request.method, params);
            if let Some(progress) = request.progress {
                sent.extensions_mut().insert(ProgressSender(progress));
            }
            let sent = ClientRequest::CustomRequest(sent);
            let options = PeerRequestOptions::with_timeout(request.timeout);
            let handle = self.peer.send_cancellable_request(sent, options).await.map_err(map_service_error)?;
            let mut unanswered =
                InFlightGuard { peer: self.peer.clone(), raw: self.in_flight.clone(), id: Some(handle.id.clone()) };
            let answer = handle.await_response().await;
            if let Some(id) = unanswered.id.take() {
                self.in_flight.forget(&id);
            }
            match answer.map_err(map_service_error)? {
                // As it was written.
                ServerResult::CustomResult(CustomResult(Value::String(text))) => Ok(RawValue::from_string(text)),
                // Nothing else comes out of `raw`; if it does, it is still complete.
                other => Ok(to_raw_value(&other)),
            }
            .map(|result| result.unwrap_or_default())
        })
    }
}

/// Cancels a request that nobody waits for anymore.
struct InFlightGuard {
    peer: Peer<RoleClient>,
    raw: InFlightRequests,
    id: Option<RequestId>,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        self.raw.forget(&id);
        let peer = self.peer.clone();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            // rmcp's own: without `initialize`, it ends the request's stream instead.
            let params = CancelledNotificationParam::new(Some(id), Some(CANCEL_REASON.to_owned()));
            let notification = ClientNotification::CancelledNotification(CancelledNotification::new(params));
            // The server may be gone.
            let _ = peer.send_notification(notification).await;
        });
    }
}
