//! The server's side of the protocol, by hand: the list of tools is the offer's, not a router's.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest, CustomResult, ErrorCode,
    Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{Answer, Cancelled, Offer};

#[derive(Clone)]
pub(crate) struct Handler {
    pub(crate) offer: Arc<dyn Offer>,
    /// The client has gone away.
    pub(crate) gone: CancellationToken,
}

impl Handler {
    async fn answer(&self, name: String, arguments: Map<String, Value>, request: CancellationToken) -> Answer {
        let cancelled = Cancelled { request, gone: self.gone.clone() };
        let offer = self.offer.clone();
        // On its own: a call that panics is one failed call, and its client does not wait for ever.
        let call = tokio::spawn(async move { offer.call(&name, arguments, cancelled).await });
        call.await.unwrap_or_else(|_| Answer::error("a defect of aiw has ended this call; standard error says more"))
    }
}

fn result(answer: Answer) -> CallToolResult {
    let content = vec![ContentBlock::text(answer.text)];
    let mut result = if answer.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = answer.structured;
    result
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let about = self.offer.about();
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(about.name, about.version))
            .with_instructions(about.instructions)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // On one page: Gemini reads no other.
        Ok(ListToolsResult::with_all_items(self.offer.tools().iter().map(|tool| tool.0.clone()).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        Ok(result(self.answer(request.name.into_owned(), arguments, context.ct).await).into())
    }

    /// Unknown methods, and known ones whose parameters are not of their form.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        const KNOWN: [&str; 4] = ["initialize", "tools/list", "prompts/list", "resources/list"];
        let method = request.method;
        if method == "tools/call" {
            let answer = Answer::error("a call needs the tool's `name`, a string, and `arguments`, an object");
            let answer = serde_json::to_value(result(answer));
            return answer.map(CustomResult::new).map_err(|e| ErrorData::internal_error(e.to_string(), None));
        }
        if KNOWN.contains(&method.as_str()) {
            return Err(ErrorData::invalid_params(format!("the parameters of `{method}` are not of its form"), None));
        }
        let message = format!("there is no method `{method}`");
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None))
    }
}
