//! The tools of the user's MCP servers, as components are given them.

use std::sync::{Arc, Weak};

use aiw_core::one_line;
use aiw_mcp::parse_result;
use aiw_routing::{Pool, PoolError, ToolDefinition};
use aiw_wasm::host::{Mcp, McpResult, McpTool};
use aiw_wasm::{CallRejection, ComponentReason};
use async_trait::async_trait;
use serde_json::{Map, Value};

use super::refusal::{rejection, session_ended};
use crate::reach::ComponentClient;

/// The servers and tools that the component's client may use. None is started before a component calls it.
pub(crate) struct SessionMcp(pub(crate) Weak<dyn ComponentClient>);

fn error(e: PoolError) -> CallRejection {
    let refusal = match &e {
        PoolError::ServerNotFound { .. } | PoolError::ToolNotFound { .. } => ComponentReason::NotFound,
        PoolError::NotAllowed { .. } | PoolError::Blocked { .. } | PoolError::Disabled { .. } => {
            ComponentReason::Denied
        }
        PoolError::Rpc(_) => ComponentReason::Invalid,
        _ => ComponentReason::Unavailable { retry_after: None },
    };
    rejection(refusal, e.to_string())
}

impl SessionMcp {
    fn pool(&self) -> Result<Arc<Pool>, CallRejection> {
        Ok(self.0.upgrade().ok_or_else(session_ended)?.servers())
    }
}

fn tool(server: &str, definition: &ToolDefinition) -> McpTool {
    let value = definition.value();
    McpTool {
        server: server.to_owned(),
        name: definition.name().to_owned(),
        description: value["description"].as_str().unwrap_or_default().to_owned(),
        input_schema: value["inputSchema"].to_string(),
        destructive: definition.is_destructive(),
    }
}

/// Finds a tool that is known and not blocked.
fn known(pool: &Pool, server: &str, wanted: &str) -> Option<McpTool> {
    let offered =
        pool.tools().into_iter().find(|offered| offered.server == server && offered.definition.name() == wanted);
    offered.map(|offered| tool(server, &offered.definition))
}

#[async_trait]
impl Mcp for SessionMcp {
    async fn list(&self) -> Result<Vec<McpTool>, CallRejection> {
        let offered = self.pool()?.tools();
        Ok(offered.iter().map(|offered| tool(&offered.server, &offered.definition)).collect())
    }

    async fn find(&self, server: &str, wanted: &str) -> Result<McpTool, CallRejection> {
        let pool = &*self.pool()?;
        if let Some(tool) = known(pool, server, wanted) {
            return Ok(tool);
        }
        pool.refresh(server).await.map_err(error)?;
        known(pool, server, wanted).ok_or_else(|| {
            let wanted = one_line(wanted, 80);
            rejection(ComponentReason::NotFound, format!("the MCP server `{server}` offers no tool `{wanted}`"))
        })
    }

    async fn call(&self, server: &str, tool: &str, arguments: &str) -> Result<McpResult, CallRejection> {
        let arguments: Map<String, Value> = match arguments.trim() {
            "" => Map::new(),
            text => serde_json::from_str(text).map_err(|e| {
                rejection(
                    ComponentReason::Invalid,
                    format!("the arguments are not a JSON object: {}", one_line(&e.to_string(), 200)),
                )
            })?,
        };
        let result = self.pool()?.call(server, tool, arguments.into(), None, None).await.map_err(error)?;
        let is_error = parse_result(&result).is_ok_and(|result| result["isError"] == true);
        Ok(McpResult { is_error, json: result.get().to_owned() })
    }
}
