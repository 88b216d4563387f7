//! The server's offer: aiw's own tools, and those of the servers behind it.

use std::sync::{Arc, Mutex, RwLock};

use aiw_launch::Session;
use aiw_mcp::{About, Answer, Arguments, Call, Caller, Offer, RpcError, Tool};
use aiw_routing::{CurrentMeaning, DynamicToolRegistry, Ground, Pool, ProfileSource};
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::behind::direct;
use crate::context::{Context, LaunchSource};
use crate::error::CallError;
use crate::shared::{Shared, names, own};
use crate::table::{ToolEntry, instructions, table};
use crate::toolset::Toolset;

/// What one client session is offered.
pub struct Gateway {
    shared: Arc<Shared>,
}

/// How a session is served.
pub struct Setting {
    /// Whose tasks it sees.
    pub session: Session,
    /// Where it runs, and what its servers start with.
    pub ground: Ground,
    /// Which tools its client may see.
    pub profile: ProfileSource,
    /// Servers that it shares with other sessions of this process.
    pub shared: aiw_routing::Shared,
    /// What tools mean to the model in use.
    pub meaning: Arc<CurrentMeaning>,
    /// Which of aiw's own tools it offers.
    pub toolsets: Vec<Toolset>,
}

impl Gateway {
    /// The offer for a new client. Nothing is started.
    pub fn new(setting: Setting, source: Box<dyn LaunchSource>) -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        let (home, cwd) = (setting.ground.home.clone(), setting.ground.cwd.clone());
        let pool = Pool::new(setting.ground, setting.profile, setting.shared, sender);
        let table: Vec<ToolEntry> =
            table().into_iter().filter(|entry| setting.toolsets.contains(&entry.toolset)).collect();
        let offered = pool.tools();
        let base = own(&table, &pool).cloned().chain(direct(&offered)).collect();
        let registry = DynamicToolRegistry::new(base);
        let shared = Shared {
            context: Arc::new(Context::new(home, setting.session, cwd, source, pool, registry, setting.meaning)),
            changes: Mutex::new(Some(changes)),
            names: RwLock::new(names(&offered)),
            table,
            toolsets: setting.toolsets,
        };
        Self { shared: Arc::new(shared) }
    }
}

#[async_trait]
impl Offer for Gateway {
    fn about(&self) -> About {
        let withheld = self.shared.context.pool.withheld();
        let has_servers = self.shared.context.pool.has_servers();
        let sentences = std::iter::once(instructions(&self.shared.toolsets, has_servers)).chain(withheld);
        About {
            name: "aiw".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: sentences.collect::<Vec<_>>().join("\n"),
            capabilities: self.shared.capabilities(),
        }
    }

    fn tools(&self) -> Arc<[Tool]> {
        self.shared.context.listed.notify_waiters();
        let tools = self.shared.context.registry.tools();
        // The list follows a change after a moment. What is withheld by now must not be in it.
        let withheld = self.shared.context.pool.withheld_names();
        if withheld.is_empty() {
            return tools;
        }
        tools.iter().filter(|tool| !withheld.contains(tool.name())).cloned().collect()
    }

    async fn begun(&self, client: Caller) {
        self.shared.context.pool.begin(client.clone());
        self.shared.follow(client);
    }

    async fn call(&self, name: &str, arguments: Arguments, call: Call) -> Result<Answer, RpcError> {
        match self.shared.dispatch(name, arguments, call).await {
            Ok(answer) => Ok(answer),
            Err(CallError::Rpc(e)) => Err(e),
            Err(e) => Ok(Answer::error(e.text())),
        }
    }

    async fn request(&self, method: &str, params: Option<Value>, call: Call) -> Result<Value, RpcError> {
        self.shared.request(method, params, &call).await
    }

    async fn notified(&self, method: &str, params: Option<Value>) {
        if method == "notifications/roots/list_changed" {
            self.shared.context.pool.tell(method, params).await;
        }
    }
}
