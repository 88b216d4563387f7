//! The server's side of the protocol. rmcp handles versions, sessions and ids; tools, answers and everything else that
//! an offer has bypass it as JSON values.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::{FutureExt, StreamExt};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientNotification, ClientRequest, CustomNotification,
    CustomRequest, CustomResult, ErrorCode, Implementation, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ServerCapabilities, ServerConfig, ServerResult, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, RequestContext, Service, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::caller::{Call, Caller, CallerSession, Cancellation, Subscription, Subscriptions};
use crate::elicitation::{Elicitations, INPUT_REQUIRED, RequestOutcome, RetryParams};
use crate::incoming::{NOTIFICATION_METHOD, REQUEST_METHOD, unwrap_params};
use crate::{Arguments, RpcError, ServerBackend, Tool, ToolResult};

/// The most resources that one subscription follows, and how many servers are asked at once for that.
const MAX_SUBSCRIBED_RESOURCES: usize = 1000;
const MAX_PARALLEL_SUBSCRIPTIONS: usize = 8;

/// One session's.
#[derive(Clone)]
pub(crate) struct Handler {
    offer: Arc<dyn ServerBackend>,
    session: CallerSession,
    /// The offer knows the client.
    has_begun: Arc<AtomicBool>,
    rounds: Arc<Elicitations>,
}

impl Handler {
    pub(crate) fn new(offer: Arc<dyn ServerBackend>, gone: CancellationToken) -> Self {
        let session = CallerSession { subscriptions: Subscriptions::default(), disconnected: gone };
        Self { offer, session, has_begun: Arc::default(), rounds: Arc::default() }
    }

    fn call_of(&self, context: &RequestContext<RoleServer>) -> Call {
        let meta = match serde_json::to_value(&context.meta) {
            Ok(Value::Object(meta)) => meta,
            _ => Map::new(),
        };
        Call {
            caller: Caller::from_context(context, self.session.clone()).with_log_level(&meta),
            cancellation: Cancellation::from_tokens(context.ct.clone(), self.session.disconnected.clone()),
            meta,
        }
    }

    /// Works on a request. A client without a session is asked in its answer, and sends it again.
    async fn work<F>(
        &self,
        what: String,
        again: RetryParams,
        context: RequestContext<RoleServer>,
        start: impl FnOnce(Call) -> F + Send,
    ) -> RequestOutcome
    where
        F: Future<Output = RequestOutcome> + Send + 'static,
    {
        let call = self.call_of(&context);
        if context.protocol_version().is_none_or(|version| version.has_initialize()) {
            return start(call).await;
        }
        let gone = self.session.disconnected.clone();
        let begun = |asker, cancel| {
            let cancelled = Cancellation::from_tokens(cancel, gone);
            start(Call { caller: call.caller.with_question_sender(asker), cancellation: cancelled, meta: call.meta })
        };
        self.rounds.run(what, again, &context.ct, begun).await
    }

    /// A call that panics is one failed call, and its client doesn't wait forever.
    pub(crate) async fn dispatch_call(
        &self,
        name: &str,
        arguments: Arguments,
        call: Call,
    ) -> Result<ToolResult, ErrorData> {
        let answer = AssertUnwindSafe(self.offer.call(name, arguments, call)).catch_unwind().await;
        let defect = |_| Ok(ToolResult::error("a bug in aiw ended this call; see standard error"));
        answer.unwrap_or_else(defect).map_err(ErrorData::from)
    }

    /// Sends the request for each of these resources. That a server does not know one, or has no subscriptions, is not
    /// its client's: the others are followed all the same.
    async fn request_each(&self, method: &'static str, resources: &[String], call: &Call) {
        let requests = resources.iter().map(|uri| {
            let (offer, call, params) = (self.offer.clone(), call.clone(), json!({ "uri": uri }));
            async move {
                let request = tokio::spawn(async move { offer.request(method, Some(params), call).await });
                drop(request.await);
            }
        });
        futures::stream::iter(requests).for_each_concurrent(MAX_PARALLEL_SUBSCRIPTIONS, |request| request).await;
    }

    pub(crate) fn session(&self) -> &CallerSession {
        &self.session
    }

    /// Whether the client of a request without a session has yet to answer a question.
    pub(crate) fn has_open_question(&self) -> bool {
        self.rounds.has_open_question()
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Introduces the client to the offer, once.
    pub(crate) async fn initialize_once(&self, client: impl FnOnce(CallerSession) -> Caller + Send) {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            self.offer.on_session_start(client(self.session.clone())).await;
        }
    }
}

/// A placeholder answer, which rmcp passes on unchanged.
fn carried(answer: Value) -> CallToolResult {
    let mut result = CallToolResult::success(Vec::new());
    result.structured_content = Some(answer);
    result
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let about = self.offer.describe();
        let mut capabilities = about.capabilities;
        capabilities.insert("tools".into(), json!({"listChanged": true}));
        let known = serde_json::from_value(capabilities.into());
        let capabilities =
            known.unwrap_or_else(|_| ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build());
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(about.name, about.version))
            .with_instructions(about.instructions)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // [`ToolHandler`] puts them in.
        Ok(ListToolsResult::with_all_items(Vec::new()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Arguments::from(request.arguments.unwrap_or_default());
        let again = RetryParams { state: request.request_state, answers: request.input_responses.unwrap_or_default() };
        let (handler, name) = (self.clone(), request.name);
        let what = format!("tools/call {name}");
        let start = |call| async move {
            let answer = handler.dispatch_call(&name, arguments, call).await?;
            Ok(answer.into_map().into())
        };
        Ok(carried(self.work(what, again, context, start).await?).into())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.initialize_once(|session| Caller::from_initialized(context.peer, session)).await;
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let number = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let wanted = context.accepted().resource_subscriptions.iter().flatten();
        let resources: Arc<[String]> = wanted.take(MAX_SUBSCRIBED_RESOURCES).cloned().collect();
        let subscription = Subscription { number, sink: context.sink().clone(), resources: resources.clone() };
        self.session.subscriptions.lock().push(subscription);
        let call = self.call_of(context.request_context());
        let follow = async {
            self.request_each("resources/subscribe", &resources, &call).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = context.cancelled() => {}
            () = self.session.disconnected.cancelled() => {}
            () = follow => {}
        }
        let unused: Vec<String> = {
            let mut open = self.session.subscriptions.lock();
            open.retain(|other| other.number != number);
            let is_used = |uri: &String| open.iter().any(|other| other.resources.contains(uri));
            resources.iter().filter(|uri| !is_used(uri)).cloned().collect()
        };
        // What ended the subscription must not end this.
        let cancellation = Cancellation::from_tokens(CancellationToken::new(), self.session.disconnected.clone());
        let call = Call { caller: call.caller.without_request(), cancellation, meta: Map::new() };
        self.request_each("resources/unsubscribe", &unused, &call).await;
        Ok(())
    }

    async fn on_custom_notification(&self, notification: CustomNotification, _: NotificationContext<RoleServer>) {
        if notification.method == NOTIFICATION_METHOD {
            let (method, params) = unwrap_params(notification.params);
            self.offer.on_notification(&method, params).await;
        }
    }

    /// Handles wrapped requests, unknown methods, and known ones with invalid parameters.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        if method == REQUEST_METHOD {
            let (method, mut params) = unwrap_params(request.params);
            let again = params.as_mut().and_then(Value::as_object_mut).map(RetryParams::extract).unwrap_or_default();
            let named = |field: &str| params.as_ref().and_then(|params| params[field].as_str()).unwrap_or_default();
            let what = format!("{method} {}{}", named("name"), named("uri"));
            let offer = self.offer.clone();
            let start = |call| async move {
                let answer = tokio::spawn(async move { offer.request(&method, params, call).await });
                let defect =
                    |_| Err(RpcError { code: -32603, message: "a bug in aiw ended this request".into(), data: None });
                Ok(answer.await.unwrap_or_else(defect)?)
            };
            return Ok(CustomResult::new(self.work(what, again, context, start).await?));
        }
        if method == "tools/call" {
            let answer = ToolResult::error("a call needs the tool's `name`, a string, and `arguments`, an object");
            return Ok(CustomResult::new(answer.into_map().into()));
        }
        if ["initialize", "tools/list"].contains(&method.as_str()) {
            return Err(ErrorData::invalid_params(format!("the parameters of `{method}` are not valid"), None));
        }
        let message = format!("there is no method `{method}`");
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None))
    }
}

/// The fields that mark a result which must say, from 2026-07-28 on, how long it may be cached.
const CACHEABLE_RESULTS: [&str; 4] = ["prompts", "resources", "resourceTemplates", "contents"];

/// [`Handler`] with its tools and answers inserted unchanged: rmcp's types drop unknown fields.
pub(crate) struct ToolHandler(pub(crate) Handler);

impl Service<RoleServer> for ToolHandler {
    async fn handle_request(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        if !matches!(request, ClientRequest::InitializeRequest(_) | ClientRequest::DiscoverRequest(_)) {
            // From 2026-07-28 on there is no handshake.
            self.0.initialize_once(|session| Caller::from_context(&context, session).without_request()).await;
        }
        let version = context.protocol_version();
        let result = Service::handle_request(&self.0, request, context).await?;
        // Keeps what rmcp adds for the negotiated version.
        let mut fields = match &result {
            ServerResult::ListToolsResult(_) | ServerResult::CallToolResult(_) => match serde_json::to_value(&result) {
                Ok(Value::Object(fields)) => fields,
                _ => return Err(ErrorData::internal_error("an answer cannot be written", None)),
            },
            ServerResult::CustomResult(CustomResult(Value::Object(fields))) => {
                let mut fields = fields.clone();
                if version.is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str()) {
                    fields.entry("resultType").or_insert_with(|| "complete".into());
                    if CACHEABLE_RESULTS.iter().any(|field| fields.contains_key(*field)) {
                        fields.entry("ttlMs").or_insert_with(|| 0.into());
                        fields.entry("cacheScope").or_insert_with(|| "private".into());
                    }
                }
                fields
            }
            _ => return Ok(result),
        };
        if matches!(result, ServerResult::ListToolsResult(_)) {
            // On one page: Gemini reads only the first.
            let tools = self.0.offer.tools();
            fields.insert("tools".into(), tools.iter().map(Tool::definition).cloned().collect());
        } else if matches!(result, ServerResult::CallToolResult(_))
            && let Some(Value::Object(answer)) = fields.shift_remove("structuredContent")
        {
            fields.shift_remove("isError");
            if answer.get("resultType").is_some_and(|kind| kind == INPUT_REQUIRED) {
                fields.shift_remove("content");
            }
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
