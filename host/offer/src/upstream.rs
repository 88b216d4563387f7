//! The servers behind aiw, as one session's client sees them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::workflows::ScriptTools;
use aiw_core::{Diagnostic, quoted, quoted_list};
use aiw_home::Home;
use aiw_mcp::{Call, Caller, LOG_LEVELS, RpcError, Tool};
use aiw_routing::definition::estimate_tokens;
use aiw_routing::{CatalogItem, Cost, ListingChoice, Pool, PoolError, SWEEP_INTERVAL};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::event_messages;
use crate::saved::workflow_tools;
use crate::shared::{SharedBackend, proxied_names};
use crate::toolset::Toolset;

/// Changes that come within this time are one.
const COALESCE_WINDOW: Duration = Duration::from_millis(20);

/// The tools that a client lists at any time, and what becomes of each server's.
pub(crate) struct BaseToolList {
    /// aiw's own, the kept workflows, and those of the servers.
    pub(crate) tools: Vec<Tool>,
    pub(crate) choices: Vec<ListingChoice>,
}

impl BaseToolList {
    /// The tools of a session with these toolsets, of which `own` are aiw's own.
    pub(crate) fn new<'a>(
        own: impl Iterator<Item = &'a Tool>,
        home: &Home,
        pool: &Pool,
        tools: &ScriptTools,
        toolsets: &[Toolset],
    ) -> Self {
        let kept = match toolsets.contains(&Toolset::Workflows) {
            true => workflow_tools(home, pool, tools),
            false => Vec::new(),
        };
        // A server of the user's may have that name.
        let kept = kept.into_iter().filter(|kept| tools.tool(kept.name()).is_err());
        let mut listed: Vec<Tool> = own.cloned().chain(kept).collect();
        let choices = match toolsets.contains(&Toolset::Servers) {
            true => pool.choose(tools.all(), Cost::new(listed.iter().map(estimate_tool_tokens))),
            false => Vec::new(),
        };
        let servers: BTreeSet<&str> = choices.iter().filter(|c| c.is_listed()).map(|c| c.server.as_str()).collect();
        let foreign = tools.all().iter().filter(|tool| servers.contains(tool.server.as_str()));
        listed.extend(foreign.filter_map(|tool| Tool::from_definition(tool.client_definition())));
        if toolsets.contains(&Toolset::Servers) {
            // Models do not see them, so they cost no tokens.
            let app_only = pool.app_only_tools(tools.all());
            let listed_app_only = app_only.iter().filter(|tool| servers.contains(tool.server.as_str()));
            listed.extend(listed_app_only.filter_map(|tool| Tool::from_definition(tool.client_definition())));
        }
        Self { tools: listed, choices }
    }
}

/// About how many tokens a tool costs a client that lists it.
pub(crate) fn estimate_tool_tokens(tool: &Tool) -> usize {
    estimate_tokens(tool.definition().to_string().len())
}

/// One sentence for each server that is left out of the list.
fn left_out(choices: &[ListingChoice]) -> Vec<String> {
    let out = choices.iter().filter(|choice| !choice.is_listed());
    let sentence = |c: &ListingChoice| format!("the tools of the server {} are not listed: {c}", quoted(&c.server));
    out.map(sentence).collect()
}

impl SharedBackend {
    /// Brings the list of tools up to date. Returns whether it changed.
    pub(crate) fn refresh(&self) -> bool {
        let tools = ScriptTools::new(&self.context.pool);
        let offered = tools.all();
        let named = [offered, &self.context.pool.app_only_tools(offered)].concat();
        *self.proxied_names.write() = proxied_names(&named, &self.toolsets);
        let base = BaseToolList::new(self.own_tools(), &self.context.home, &self.context.pool, &tools, &self.toolsets);
        let changed = self.context.registry.set_base(base.tools);
        *self.choices.write() = base.choices;
        // A registered tool that its server has changed or dropped goes at once.
        let is_offered = |tool: &Tool| {
            named.iter().any(|o| o.proxied_name == tool.name() && o.client_definition() == *tool.definition())
        };
        let planned = &self.context.plans;
        let changed =
            changed | self.context.registry.retain(|tool| is_offered(tool) || planned.is_callable(tool.name(), &tools));
        let listed = self.context.registry.tools();
        planned.retain(|name| listed.iter().any(|tool| tool.name() == name));
        changed
    }

    /// Follows the servers and the time, and notifies the client of each change, until the session is over.
    pub(crate) fn notify_on_changes(self: &Arc<Self>, client: Caller) {
        let changes = self.changes.lock().take();
        let Some(mut changes) = changes else { return };
        let shared = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
            let mut told = None;
            loop {
                tokio::select! {
                    change = changes.recv() => {
                        if change.is_none() {
                            return;
                        }
                        settle(&mut changes).await;
                    }
                    _ = sweep.tick() => {}
                }
                let Some(shared) = shared.upgrade() else { return };
                let has_expired = shared.context.registry.sweep(Instant::now());
                shared.tell_changes(&client, &mut told, has_expired).await;
            }
        });
    }

    /// Notifies the client of lists that changed; the list of tools did where `has_expired` says so.
    async fn tell_changes(&self, client: &Caller, told: &mut Option<Lists>, has_expired: bool) {
        let tools = self.refresh() || has_expired;
        let now = Lists::of(self);
        let before = told.replace(now.clone());
        let passes = self.has_passthrough();
        let is_new = |of: fn(&Lists) -> u64| passes && before.as_ref().is_some_and(|before| of(before) != of(&now));
        let prompts = is_new(|lists| lists.prompts);
        let resources = is_new(|lists| lists.resources);
        for (changed, kind) in [(tools, "tools"), (prompts, "prompts"), (resources, "resources")] {
            if changed {
                // It may be gone.
                let _ = client.notify(&format!("notifications/{kind}/list_changed"), None).await;
            }
        }
        for sentence in &now.skipped {
            if before.as_ref().is_none_or(|before| !before.skipped.contains(sentence)) {
                self.context.pool.write_log(sentence);
            }
        }
        for sentence in &now.blocked {
            if passes && before.as_ref().is_some_and(|before| !before.blocked.contains(sentence)) {
                let params = json!({"level": "warning", "logger": "aiw", "data": sentence});
                let _ = client.notify("notifications/message", Some(params)).await;
            }
        }
    }

    /// Names the servers whose tools are not in the list, for the model: it would not look for what it does not know of.
    pub(crate) fn unlisted_servers_notice(&self) -> String {
        let choices = self.choices();
        let out: Vec<&str> = choices.iter().filter(|c| !c.is_listed()).map(|c| c.server.as_str()).collect();
        if out.is_empty() {
            return String::new();
        }
        format!("Servers whose tools are not listed: {}.", quoted_list(&out))
    }

    /// Returns the servers' capabilities besides tools, in the protocol's form.
    pub(crate) fn capabilities(&self) -> Map<String, Value> {
        if !self.has_passthrough() {
            return if self.supports_logging() {
                Map::from_iter([("logging".to_owned(), json!({}))])
            } else {
                Map::new()
            };
        }
        let capabilities = json!({
            "logging": {},
            "completions": {},
            "prompts": {"listChanged": true},
            "resources": {"listChanged": true, "subscribe": true},
        });
        capabilities.as_object().cloned().unwrap_or_default()
    }

    /// Answers what is not about tools.
    pub(crate) async fn request(&self, method: &str, params: Option<Value>, call: &Call) -> Result<Value, RpcError> {
        let is_level = method == "logging/setLevel" && self.supports_logging();
        if !is_level && !self.toolsets.contains(&Toolset::Servers) {
            return Err(RpcError::method_not_found(method));
        }
        let pool = &self.context.pool;
        let listed = |field: &str, offered: Vec<CatalogItem<Value>>| {
            let items: Vec<Value> = offered.iter().map(CatalogItem::<Value>::client_definition).collect();
            Ok(json!({ field: items }))
        };
        let params = match params {
            Some(Value::Object(params)) => params,
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(RpcError::invalid_params(&format!("the parameters of `{method}` are no object"))),
        };
        let answer = match method {
            // On one page: Gemini CLI reads only the first.
            "prompts/list" => return listed("prompts", pool.prompts()),
            "resources/list" => return listed("resources", pool.resources()),
            "resources/templates/list" => return listed("resourceTemplates", pool.templates()),
            "prompts/get" => pool.get_prompt(params, call).await,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                pool.request_resource(method, params, call).await
            }
            "completion/complete" => pool.complete(params, call).await,
            "logging/setLevel" => {
                let level = params.get("level").and_then(Value::as_str).unwrap_or_default();
                if !LOG_LEVELS.contains(&level) {
                    return Err(RpcError::invalid_params(&format!("`level` must be one of {}", LOG_LEVELS.join(", "))));
                }
                if self.toolsets.contains(&Toolset::Servers) {
                    pool.set_log_level(level).await;
                }
                if self.supports_logging() {
                    event_messages::forward_events(&self.context, level, call.caller.without_request()).await;
                }
                Ok(json!({}))
            }
            other => return Err(RpcError::method_not_found(other)),
        };
        answer.map_err(|e| match e {
            PoolError::Rpc(e) => *e,
            e => RpcError { code: -32603, message: crate::error::with_hint(&e, e.hint()), data: None },
        })
    }
}

/// The lists of which the client was told last.
#[derive(Clone)]
struct Lists {
    prompts: u64,
    resources: u64,
    blocked: Vec<String>,
    skipped: Vec<String>,
}

impl Lists {
    fn of(shared: &SharedBackend) -> Self {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let pool = &shared.context.pool;
        let digest = |offered: Vec<CatalogItem<Value>>| {
            let mut hasher = DefaultHasher::new();
            offered.iter().for_each(|o| o.client_definition().to_string().hash(&mut hasher));
            hasher.finish()
        };
        let (mut resources, templates) = pool.resources_and_templates();
        resources.extend(templates);
        Self {
            prompts: digest(pool.prompts()),
            resources: digest(resources),
            blocked: pool.blocked_notices(),
            skipped: left_out(&shared.choices()),
        }
    }
}

async fn settle(changes: &mut mpsc::UnboundedReceiver<()>) {
    tokio::time::sleep(COALESCE_WINDOW).await;
    while changes.try_recv().is_ok() {}
}
