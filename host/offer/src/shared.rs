//! What the parts of one session share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use aiw_app::ProjectFeatures;
use aiw_mcp::{Arguments, Call, Tool, ToolResult};
use aiw_orchestrator::TOOL_PREFIX;
use aiw_routing::{CatalogItem, ListingChoice, Pool};
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;

use crate::context::Context;
use crate::error::CallError;
use crate::planning::run_planned;
use crate::saved::run_workflow;
use crate::servers;
use crate::table::{ToolEntry, toolset_for};
use crate::toolset::Toolset;

pub(crate) struct SharedBackend {
    pub(crate) context: Arc<Context>,
    /// Taken when the client has begun.
    pub(crate) changes: Mutex<Option<mpsc::UnboundedReceiver<()>>>,
    /// The servers' tools by the names that the client knows: the server, and the tool's own name.
    pub(crate) proxied_names: RwLock<ProxiedNames>,
    /// The listing choice of each server.
    pub(crate) choices: RwLock<Vec<ListingChoice>>,
    pub(crate) table: Vec<ToolEntry>,
    pub(crate) toolsets: Vec<Toolset>,
    /// The tools beside those of the toolsets.
    pub(crate) project: ProjectFeatures,
}

/// See [`SharedBackend::proxied_names`].
pub(crate) type ProxiedNames = Arc<HashMap<String, (String, String)>>;

/// The names of tools as the client knows them; none for a client that can neither list nor find them.
pub(crate) fn proxied_names(offered: &[CatalogItem], toolsets: &[Toolset]) -> ProxiedNames {
    let reaches = [Toolset::Servers, Toolset::Routing].iter().any(|toolset| toolsets.contains(toolset));
    let offered = if reaches { offered } else { &[] };
    let own = |tool: &CatalogItem| (tool.server.clone(), tool.definition.name().to_owned());
    Arc::new(offered.iter().map(|tool| (tool.proxied_name.clone(), own(tool))).collect())
}

/// See [`SharedBackend::own_tools`].
pub(crate) fn allowed_own_tools<'a>(table: &'a [ToolEntry], pool: &Pool) -> impl Iterator<Item = &'a Tool> {
    let (has_servers, profile) = (pool.has_servers(), pool.profile());
    let is_offered = move |entry: &&ToolEntry| (has_servers || !entry.is_passthrough()) && entry.is_allowed(&profile);
    table.iter().filter(is_offered).map(|entry| &entry.tool)
}

impl SharedBackend {
    /// aiw's own tools. Those for other servers only cost tokens where there is none.
    pub(crate) fn own_tools(&self) -> impl Iterator<Item = &Tool> {
        allowed_own_tools(&self.table, &self.context.pool)
    }

    /// Whether what servers have besides tools passes: prompts, resources, messages.
    pub(crate) fn has_passthrough(&self) -> bool {
        self.toolsets.contains(&Toolset::Servers) && self.context.pool.has_servers()
    }

    /// Whether tools of processes are offered.
    pub(crate) fn has_processes(&self) -> bool {
        self.toolsets.contains(&Toolset::Processes) || self.project.offers_processes
    }

    /// Whether the client gets log messages, once it has set a level.
    pub(crate) fn supports_logging(&self) -> bool {
        self.has_passthrough() || self.toolsets.contains(&Toolset::Processes)
    }

    /// The listing choice of each server.
    pub(crate) fn choices(&self) -> Vec<ListingChoice> {
        self.choices.read().clone()
    }

    /// Whether kept workflows are tools.
    pub(crate) fn has_workflows(&self) -> bool {
        self.toolsets.contains(&Toolset::Workflows)
    }

    pub(crate) async fn dispatch(&self, name: &str, arguments: Arguments, call: Call) -> Result<ToolResult, CallError> {
        let pool = &self.context.pool;
        // Most calls are for servers, and the profile is copied.
        let own = self.table.iter().find(|entry| entry.tool.name() == name);
        if let Some(entry) = own.filter(|entry| entry.is_allowed(&pool.profile())) {
            // A large future.
            return Box::pin(entry.call(self.context.clone(), arguments, call)).await;
        }
        let names = self.proxied_names.read().clone();
        if let Some((server, tool)) = names.get(name) {
            self.context.registry.touch(name, Instant::now());
            return servers::forward_call(&self.context, server, tool, arguments, &call).await;
        }
        if let Some(kept) = name.strip_prefix(TOOL_PREFIX).filter(|_| self.has_workflows()) {
            return Box::pin(run_workflow(&self.context, kept, arguments, call)).await;
        }
        if self.context.plans.get(name).is_some() {
            return Box::pin(run_planned(&self.context, name, arguments, call)).await;
        }
        if let Some(blocked) = pool.blocked_reason(name) {
            return Err(blocked.into());
        }
        if let Some(toolset) = toolset_for(name).filter(|toolset| !self.toolsets.contains(toolset)) {
            let known = match self.toolsets == Toolset::DEFAULT {
                true => vec![Toolset::DEFAULT_NAME],
                false => self.toolsets.iter().map(|toolset| toolset.as_str()).collect(),
            };
            let toolsets = [known, vec![toolset.as_str()]].concat().join(",");
            return Err(CallError::ToolsetDisabled { name: name.to_owned(), toolset, toolsets });
        }
        let tools = self.own_tools().map(|tool| tool.name().to_owned()).collect();
        Err(CallError::UnknownTool { name: name.to_owned(), tools })
    }
}
