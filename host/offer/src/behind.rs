//! The servers behind aiw, as one session's client sees them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use aiw_app::workflows::ScriptTools;
use aiw_home::Home;
use aiw_mcp::{Call, Caller, LOG_LEVELS, RpcError, Tool};
use aiw_routing::{Offered, Pool, PoolError, SWEEP};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::saved::kept_tools;
use crate::shared::{SharedOffer, names};

/// The tools of the servers are listed as they are up to so many, and up to so many tokens in all. Beyond that their
/// definitions would fill a model's context; then they are called through `call_tool`. Large servers don't keep those of
/// the others away: only their own are left out, as long as a quarter of the servers are listed.
const DIRECT_TOOLS: usize = 100;
const DIRECT_TOKENS: usize = 10_000;

/// Changes that come within this time are one.
const SETTLE: Duration = Duration::from_millis(20);

/// The tools of the servers that the client lists.
pub(crate) fn direct(offered: &[Offered]) -> Vec<Tool> {
    let mut servers: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for tool in offered {
        let (tokens, tools) = servers.entry(&tool.server).or_default();
        *tokens += tool.definition.tokens();
        *tools += 1;
    }
    let mut by_cost: Vec<_> = servers.into_iter().map(|(server, (tokens, tools))| (tokens, tools, server)).collect();
    by_cost.sort_unstable();
    let all = by_cost.len();
    let (mut room, mut places) = (DIRECT_TOKENS, DIRECT_TOOLS);
    by_cost.retain(|(tokens, tools, _)| {
        let fits = *tokens <= room && *tools <= places;
        if fits {
            (room, places) = (room - tokens, places - tools);
        }
        fits
    });
    if 4 * by_cost.len() < all {
        return Vec::new();
    }
    let is_listed = |tool: &&Offered| by_cost.iter().any(|(.., server)| *server == tool.server);
    offered.iter().filter(is_listed).filter_map(|tool| Tool::foreign(tool.renamed())).collect()
}

/// Returns the tools that the client lists at any time: aiw's own, the kept workflows, and those of the servers.
pub(crate) fn base<'a>(
    own: impl Iterator<Item = &'a Tool>,
    home: &Home,
    pool: &Pool,
    tools: &ScriptTools,
    has_workflows: bool,
) -> Vec<Tool> {
    let kept = if has_workflows { kept_tools(home, pool, tools) } else { Vec::new() };
    // A server of the user's may have that name.
    let kept = kept.into_iter().filter(|kept| tools.named(kept.name()).is_err());
    own.cloned().chain(kept).chain(direct(tools.all())).collect()
}

impl SharedOffer {
    /// Brings the list of tools up to date. Returns whether it changed.
    pub(crate) fn refresh(&self) -> bool {
        let tools = ScriptTools::of(&self.context.pool);
        let offered = tools.all();
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names(offered);
        let base = base(self.own(), &self.context.home, &self.context.pool, &tools, self.has_workflows());
        let changed = self.context.registry.set_base(base);
        // A registered tool that its server has changed or dropped goes at once.
        let is_offered =
            |tool: &Tool| offered.iter().any(|o| o.proxied == tool.name() && o.renamed() == *tool.definition());
        let planned = &self.context.planned;
        let changed =
            changed | self.context.registry.retain(|tool| is_offered(tool) || planned.holds(tool.name(), &tools));
        let listed = self.context.registry.tools();
        planned.retain(|name| listed.iter().any(|tool| tool.name() == name));
        changed
    }

    /// Follows the servers and the time, and notifies the client of each change, until the session is over.
    pub(crate) fn follow(self: &Arc<Self>, client: Caller) {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut changes) = changes else { return };
        let shared = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut sweep = tokio::time::interval(SWEEP);
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
                shared.context.registry.sweep(Instant::now());
                shared.tell_changes(&client, &mut told).await;
            }
        });
    }

    async fn tell_changes(&self, client: &Caller, told: &mut Option<Lists>) {
        let tools = self.refresh();
        let now = Lists::of(self);
        let before = told.replace(now.clone());
        let is_new = |of: fn(&Lists) -> u64| before.as_ref().is_some_and(|before| of(before) != of(&now));
        let prompts = is_new(|lists| lists.prompts);
        let resources = is_new(|lists| lists.resources);
        for (changed, kind) in [(tools, "tools"), (prompts, "prompts"), (resources, "resources")] {
            if changed {
                // It may be gone.
                let _ = client.notify(&format!("notifications/{kind}/list_changed"), None).await;
            }
        }
        for sentence in &now.withheld {
            if before.as_ref().is_some_and(|before| !before.withheld.contains(sentence)) {
                let params = json!({"level": "warning", "logger": "aiw", "data": sentence});
                let _ = client.notify("notifications/message", Some(params)).await;
            }
        }
    }

    /// Returns the servers' capabilities besides tools, in the protocol's form.
    pub(crate) fn capabilities(&self) -> Map<String, Value> {
        if !self.context.pool.has_servers() {
            return Map::new();
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
        let pool = &self.context.pool;
        let listed = |field: &str, offered: Vec<Offered<Value>>| {
            let items: Vec<Value> = offered.iter().map(Offered::<Value>::renamed).collect();
            Ok(json!({ field: items }))
        };
        let params = match params {
            Some(Value::Object(params)) => params,
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(RpcError::invalid(&format!("the parameters of `{method}` are no object"))),
        };
        let answer = match method {
            // On one page: Gemini CLI reads only the first.
            "prompts/list" => return listed("prompts", pool.prompts()),
            "resources/list" => return listed("resources", pool.resources()),
            "resources/templates/list" => return listed("resourceTemplates", pool.templates()),
            "prompts/get" => pool.get_prompt(params, call).await,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                pool.ask_resource(method, params, call).await
            }
            "completion/complete" => pool.complete(params, call).await,
            "logging/setLevel" => {
                let level = params.get("level").and_then(Value::as_str).unwrap_or_default();
                if !LOG_LEVELS.contains(&level) {
                    return Err(RpcError::invalid(&format!("`level` must be one of {}", LOG_LEVELS.join(", "))));
                }
                pool.set_log_level(level).await;
                Ok(json!({}))
            }
            other => return Err(RpcError::no_method(other)),
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
    withheld: Vec<String>,
}

impl Lists {
    fn of(shared: &SharedOffer) -> Self {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let pool = &shared.context.pool;
        let digest = |offered: Vec<Offered<Value>>| {
            let mut hasher = DefaultHasher::new();
            offered.iter().for_each(|o| o.renamed().to_string().hash(&mut hasher));
            hasher.finish()
        };
        let (mut resources, templates) = pool.located();
        resources.extend(templates);
        Self { prompts: digest(pool.prompts()), resources: digest(resources), withheld: pool.withheld() }
    }
}

async fn settle(changes: &mut mpsc::UnboundedReceiver<()>) {
    tokio::time::sleep(SETTLE).await;
    while changes.try_recv().is_ok() {}
}
