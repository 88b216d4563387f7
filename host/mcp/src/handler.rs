//! The server's side of the protocol. rmcp handles versions, sessions and ids; tools and answers bypass it as JSON
//! values.

use std::borrow::Cow;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientNotification, ClientRequest, CustomRequest,
    CustomResult, ErrorCode, Implementation, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ServerCapabilities, ServerConfig, ServerResult,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, Service};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{Answer, Cancelled, Offer, Tool};

#[derive(Clone)]
pub(crate) struct Handler {
    pub(crate) offer: Arc<dyn Offer>,
    /// The client has disconnected.
    pub(crate) gone: CancellationToken,
}

impl Handler {
    async fn answer(&self, name: String, arguments: Map<String, Value>, request: CancellationToken) -> Answer {
        let cancelled = Cancelled { request, gone: self.gone.clone() };
        let offer = self.offer.clone();
        // On its own task: a call that panics is one failed call, and its client doesn't wait forever.
        let call = tokio::spawn(async move { offer.call(&name, arguments, cancelled).await });
        call.await.unwrap_or_else(|_| Answer::error("a bug in aiw ended this call; see standard error"))
    }

    /// Notifies the client of each change of the tools, until it disconnects.
    async fn tell_changes(self, peer: Peer<RoleServer>) {
        let mut changes = self.offer.changes();
        loop {
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() || peer.notify_tool_list_changed().await.is_err() {
                        return;
                    }
                }
                () = self.gone.cancelled() => return,
            }
        }
    }
}

/// A placeholder answer, which rmcp passes on unchanged.
fn carried(answer: Answer) -> CallToolResult {
    let mut result = CallToolResult::success(Vec::new());
    result.structured_content = Some(Value::Object(answer.into_value()));
    result
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let about = self.offer.about();
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(about.name, about.version))
            .with_instructions(about.instructions)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // [`Front`] puts them in.
        Ok(ListToolsResult::with_all_items(Vec::new()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        Ok(carried(self.answer(request.name.into_owned(), arguments, context.ct).await).into())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        tokio::spawn(self.clone().tell_changes(context.peer));
    }

    /// Unknown methods, and known ones with invalid parameters.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        const KNOWN: [&str; 4] = ["initialize", "tools/list", "prompts/list", "resources/list"];
        let method = request.method;
        if method == "tools/call" {
            let answer = Answer::error("a call needs the tool's `name`, a string, and `arguments`, an object");
            return Ok(CustomResult::new(answer.into_value().into()));
        }
        if KNOWN.contains(&method.as_str()) {
            return Err(ErrorData::invalid_params(format!("the parameters of `{method}` are not valid"), None));
        }
        let message = format!("there is no method `{method}`");
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None))
    }
}

/// [`Handler`] with its tools and answers inserted unchanged: rmcp's types drop unknown fields.
pub(crate) struct Front(pub(crate) Handler);

impl Service<RoleServer> for Front {
    async fn handle_request(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        let result = Service::handle_request(&self.0, request, context).await?;
        // Keeps what rmcp adds for the negotiated version.
        let mut fields = match &result {
            ServerResult::ListToolsResult(_) | ServerResult::CallToolResult(_) => match serde_json::to_value(&result) {
                Ok(Value::Object(fields)) => fields,
                _ => return Err(ErrorData::internal_error("an answer cannot be written", None)),
            },
            _ => return Ok(result),
        };
        if matches!(result, ServerResult::ListToolsResult(_)) {
            // On one page: Gemini reads only the first.
            let tools = self.0.offer.tools();
            fields.insert("tools".into(), tools.iter().map(Tool::definition).cloned().collect());
        } else if let Some(Value::Object(answer)) = fields.shift_remove("structuredContent") {
            fields.shift_remove("isError");
            fields.extend(answer);
        }
        Ok(ServerResult::CustomResult(CustomResult::new(Value::Object(fields))))
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Service::handle_notification(&self.0, notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        ServerHandler::get_info(&self.0)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Service::supported_protocol_versions(&self.0)
    }
}
