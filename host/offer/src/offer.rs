//! The server's offer: aiw's own tools, and those of the servers behind it.

use std::sync::Arc;

use aiw_app::workflows::ScriptTools;
use aiw_app::{ClientSession, ProjectFeatures};
use aiw_mcp::{Arguments, Call, Caller, RpcError, ServerBackend, ServerDescription, Tool, ToolResult};
use aiw_routing::{CurrentEmbeddings, DynamicToolRegistry, ListingChoice};
use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use serde_json::Value;

use crate::context::Context;
use crate::error::CallError;
use crate::shared::{SharedBackend, allowed_own_tools, proxied_names};
use crate::table::{ToolEntry, instructions, tool_table};
use crate::toolset::{SessionToolsets, Toolset, is_for_project};
use crate::upstream::{BaseToolList, estimate_tool_tokens};

/// The offer for one client session.
pub struct SessionBackend {
    shared: Arc<SharedBackend>,
}

/// How a session is served.
pub struct SessionOptions {
    /// The client: where it is, whose tasks it sees, and which tools it may see.
    pub client: Arc<ClientSession>,
    /// The vectors of tools by the model in use.
    pub embeddings: Arc<CurrentEmbeddings>,
    /// Which of aiw's own tools it offers.
    pub toolsets: SessionToolsets,
}

/// The tools of aiw's own in a session, and what its project has.
fn session_table(client: &ClientSession, toolsets: &SessionToolsets) -> (Vec<ToolEntry>, ProjectFeatures) {
    let SessionToolsets { toolsets, has_project_tools } = toolsets;
    let project = match has_project_tools {
        true => ProjectFeatures::collect(client.home(), client.cwd()),
        false => ProjectFeatures::default(),
    };
    let is_offered = |entry: &ToolEntry| {
        let name = entry.tool.name();
        toolsets.iter().any(|toolset| *toolset == entry.toolset || toolset.includes(name))
            || is_for_project(name, project)
    };
    let mut table: Vec<ToolEntry> = tool_table().into_iter().filter(is_offered).collect();
    if !toolsets.contains(&Toolset::Workflows) {
        // What is for scripts alone costs tokens.
        table.iter_mut().for_each(|entry| entry.hide_argument("declarations"));
    }
    (table, project)
}

/// Returns which servers' tools a session lists with the toolsets of the settings, by what is known of them. No server is
/// started. Without usable settings, and without the toolset `servers`, nothing is listed.
pub fn listing_choices(client: &ClientSession) -> Vec<ListingChoice> {
    let Ok(settings) = client.home().settings().and_then(|settings| settings.mcp()) else { return Vec::new() };
    let Ok(toolsets) = SessionToolsets::from_names(settings.toolsets.as_deref()) else { return Vec::new() };
    let (pool, (table, _)) = (client.pool(), session_table(client, &toolsets));
    let tools = ScriptTools::new(pool);
    let own = allowed_own_tools(&table, pool);
    BaseToolList::new(own, client.home(), pool, &tools, &toolsets.toolsets).choices
}

impl SessionBackend {
    /// Returns the offer for a new client. Nothing is started.
    pub fn new(setting: SessionOptions) -> Self {
        let pool = setting.client.pool().clone();
        let changes = setting.client.changes();
        let (table, project) = session_table(&setting.client, &setting.toolsets);
        let toolsets = setting.toolsets.toolsets;
        let tools = ScriptTools::new(&pool);
        let base = BaseToolList::new(allowed_own_tools(&table, &pool), setting.client.home(), &pool, &tools, &toolsets);
        let registry = DynamicToolRegistry::new(base.tools);
        let asks_before_start = !toolsets.contains(&Toolset::Processes);
        let shared = SharedBackend {
            context: Arc::new(Context::new(setting.client, pool, registry, setting.embeddings, asks_before_start)),
            changes: Mutex::new(changes),
            proxied_names: RwLock::new(proxied_names(tools.all(), &toolsets)),
            choices: RwLock::new(base.choices),
            table,
            toolsets,
            project,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns the listing choice of each server; empty without the toolset `servers`.
    pub fn choices(&self) -> Vec<ListingChoice> {
        self.shared.choices()
    }

    /// The names of the tools that the client lists, and about how many tokens each costs it.
    pub fn listed_tools(&self) -> Vec<(String, usize)> {
        self.tools().iter().map(|tool| (tool.name().to_owned(), estimate_tool_tokens(tool))).collect()
    }
}

#[async_trait]
impl ServerBackend for SessionBackend {
    fn describe(&self) -> ServerDescription {
        let has_servers = self.shared.context.pool.has_servers();
        let is_about_servers = self.shared.toolsets.iter().any(|toolset| toolset.needs_servers());
        let blocked = if is_about_servers { self.shared.context.pool.blocked_notices() } else { Vec::new() };
        let parts = [
            instructions(&self.shared.toolsets, self.shared.project, has_servers),
            self.shared.unlisted_servers_notice(),
        ];
        let sentences = parts.into_iter().filter(|part| !part.is_empty()).chain(blocked);
        ServerDescription {
            name: "aiw".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: sentences.collect::<Vec<_>>().join("\n"),
            capabilities: self.shared.capabilities(),
        }
    }

    fn tools(&self) -> Arc<[Tool]> {
        self.shared.context.tools_listed.notify_waiters();
        let tools = self.shared.context.registry.tools();
        // The list follows a change after a moment. What is blocked by now must not be in it.
        let blocked = self.shared.context.pool.blocked_names();
        if blocked.is_empty() {
            return tools;
        }
        tools.iter().filter(|tool| !blocked.contains(tool.name())).cloned().collect()
    }

    async fn on_session_start(&self, client: Caller) {
        self.shared.context.pool.begin(client.clone());
        // Apps have tools of their own.
        if client.supports_apps() {
            self.shared.refresh();
        }
        self.shared.notify_on_changes(client);
        if self.shared.has_workflows() && self.shared.context.pool.has_servers() {
            let orchestrator = self.shared.context.client.app().orchestrator().clone();
            tokio::task::spawn_blocking(move || orchestrator.prepare());
        }
        if self.shared.has_processes() {
            crate::processes::reconcile_processes(&self.shared.context);
        }
    }

    async fn call(&self, name: &str, arguments: Arguments, call: Call) -> Result<ToolResult, RpcError> {
        match self.shared.dispatch(name, arguments, call).await {
            Ok(answer) => Ok(answer),
            Err(CallError::Rpc(e)) => Err(e),
            Err(e) => Ok(ToolResult::error(e.text())),
        }
    }

    async fn request(&self, method: &str, params: Option<Value>, call: Call) -> Result<Value, RpcError> {
        self.shared.request(method, params, &call).await
    }

    async fn on_notification(&self, method: &str, params: Option<Value>) {
        if method == "notifications/roots/list_changed" {
            self.shared.context.pool.notify(method, params).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::time::Instant;

    use aiw_app::{App, BundledScripts, NoopObserver};
    use aiw_home::Home;
    use aiw_routing::TTL;
    use serde_json::json;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_client_is_notified_when_a_dynamic_tool_expires() {
        const NO_SCRIPTS: BundledScripts = BundledScripts { component: &[], code: &[], sha256: "" };
        let directory = tempfile::tempdir().unwrap();
        let home = Home::from_root(directory.path());
        let client = ClientSession::from_app(App::open(home.clone(), &[], NO_SCRIPTS, Arc::new(NoopObserver))).unwrap();
        let embeddings = Arc::new(CurrentEmbeddings::none(&home));
        let toolsets = SessionToolsets::from_toolsets(vec![Toolset::Servers]);
        let offer = Arc::new(SessionBackend::new(SessionOptions { client, embeddings, toolsets }));
        let tool = Tool::from_definition(json!({"name": "old__tool", "inputSchema": {"type": "object"}})).unwrap();
        let last_use = Instant::now().checked_sub(TTL * 2).expect("the machine has run for longer than the TTL");
        assert!(offer.shared.context.registry.register(vec![tool], last_use));
        assert!(offer.tools().iter().any(|tool| tool.name() == "old__tool"));

        let (input, mut requests) = std::io::pipe().unwrap();
        let (responses, output) = std::io::pipe().unwrap();
        let served = tokio::spawn(aiw_mcp::serve(offer.clone(), input, output));
        let begin = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params":
            {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}});
        let begun = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        writeln!(requests, "{begin}\n{begun}").unwrap();
        let is_notice = |line: &String| line.contains("notifications/tools/list_changed");
        let lines = move || BufReader::new(responses).lines().map(Result::unwrap).any(|line| is_notice(&line));
        assert!(tokio::task::spawn_blocking(lines).await.unwrap());
        assert!(offer.tools().iter().all(|tool| tool.name() != "old__tool"));
        drop(requests);
        served.await.unwrap();
    }
}
