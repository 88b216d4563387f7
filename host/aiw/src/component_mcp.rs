//! The tools of the user's MCP servers, as components are given them.

use std::sync::Arc;

use aiw_core::one_line;
use aiw_home::Home;
use aiw_mcp::value_of;
use aiw_net::Client;
use aiw_routing::{Definition, Ground, Pool, PoolError, Profile, Shared};
use aiw_wasm::Refusal;
use aiw_wasm::capabilities::{Mcp, McpResult, McpTool, Refused};
use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::executable::own_executable;

/// The servers of the directory that aiw was started in. None is started before a component calls it; all end with
/// the command.
pub struct ComponentMcp {
    home: Home,
    client: Client,
    pool: OnceCell<Arc<Pool>>,
}

fn refused(refusal: Refusal, message: impl Into<String>) -> Refused {
    Refused { refusal, message: message.into() }
}

fn unavailable(message: impl Into<String>) -> Refused {
    refused(Refusal::Unavailable { retry_after: None }, message)
}

fn error(e: PoolError) -> Refused {
    let refusal = match &e {
        PoolError::NoServer { .. } | PoolError::NoTool { .. } => Refusal::NotFound,
        PoolError::NotAllowed { .. } | PoolError::Withheld { .. } | PoolError::Disabled { .. } => Refusal::Denied,
        PoolError::Rpc(_) => Refusal::Invalid,
        _ => Refusal::Unavailable { retry_after: None },
    };
    refused(refusal, e.to_string())
}

impl ComponentMcp {
    pub fn new(home: Home, client: Client) -> Self {
        Self { home, client, pool: OnceCell::new() }
    }

    async fn pool(&self) -> Result<&Pool, Refused> {
        let open = || async {
            let executable = own_executable().map_err(|e| unavailable(e.message()))?;
            let cwd = std::env::current_dir().map_err(|e| unavailable(format!("the directory is gone: {e}")))?;
            let ground = Ground { home: self.home.clone(), net: self.client.clone(), executable, cwd };
            let (changes, _) = tokio::sync::mpsc::unbounded_channel();
            Ok(Arc::new(Pool::new(ground, Arc::new(Profile::everything), Shared::default(), changes)))
        };
        self.pool.get_or_try_init(open).await.map(Arc::as_ref)
    }
}

fn tool(server: &str, definition: &Definition) -> McpTool {
    let value = definition.value();
    McpTool {
        server: server.to_owned(),
        name: definition.name().to_owned(),
        description: value["description"].as_str().unwrap_or_default().to_owned(),
        input_schema: value["inputSchema"].to_string(),
        destructive: definition.may_destroy(),
    }
}

/// Finds a tool that is known and not withheld.
fn known(pool: &Pool, server: &str, wanted: &str) -> Option<McpTool> {
    let offered =
        pool.tools().into_iter().find(|offered| offered.server == server && offered.definition.name() == wanted);
    offered.map(|offered| tool(server, &offered.definition))
}

#[async_trait]
impl Mcp for ComponentMcp {
    async fn list(&self) -> Result<Vec<McpTool>, Refused> {
        let offered = self.pool().await?.tools();
        Ok(offered.iter().map(|offered| tool(&offered.server, &offered.definition)).collect())
    }

    async fn find(&self, server: &str, wanted: &str) -> Result<McpTool, Refused> {
        let pool = self.pool().await?;
        if let Some(tool) = known(pool, server, wanted) {
            return Ok(tool);
        }
        pool.look(server).await.map_err(error)?;
        known(pool, server, wanted).ok_or_else(|| {
            let wanted = one_line(wanted, 80);
            refused(Refusal::NotFound, format!("the MCP server `{server}` offers no tool `{wanted}`"))
        })
    }

    async fn call(&self, server: &str, tool: &str, arguments: &str) -> Result<McpResult, Refused> {
        let arguments: Map<String, Value> = match arguments.trim() {
            "" => Map::new(),
            text => serde_json::from_str(text).map_err(|e| {
                refused(
                    Refusal::Invalid,
                    format!("the arguments are not a JSON object: {}", one_line(&e.to_string(), 200)),
                )
            })?,
        };
        let result = self.pool().await?.call(server, tool, arguments.into(), None).await.map_err(error)?;
        let is_error = value_of(&result).is_ok_and(|result| result["isError"] == true);
        Ok(McpResult { is_error, json: result.get().to_owned() })
    }
}
