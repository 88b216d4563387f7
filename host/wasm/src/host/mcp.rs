//! The interface `mcp`.

use aiw_core::one_line;
use aiw_extensions::{CapabilityKind, ToolPattern};
use async_trait::async_trait;

use tokio::task::JoinSet;

use super::{CallSetup, HostCall, HostResult, Interface, NoCapability};
use crate::budget::LimitExceeded;
use crate::call::ComponentGrants;
use crate::error::{CallRejection, ComponentReason};

/// The longest name of a server or tool. Longer ones exist nowhere.
const MAX_NAME_LEN: usize = 256;

/// The calls that may be under way at once. Each may hold a result of 8 MiB.
const MAX_IN_FLIGHT: usize = 8;

/// The tools of the user's MCP servers.
#[async_trait]
pub trait Mcp: Send + Sync {
    /// Returns the tools that are known without starting a server.
    async fn list(&self) -> Result<Vec<McpTool>, CallRejection>;

    /// Returns one tool. Starts its server if it is not known.
    async fn find(&self, server: &str, tool: &str) -> Result<McpTool, CallRejection>;

    /// Calls a tool with a JSON object, and returns the server's result.
    async fn call(&self, server: &str, tool: &str, arguments: &str) -> Result<McpResult, CallRejection>;
}

/// A tool of an MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpTool {
    /// The server's key.
    pub server: String,
    /// The tool's own name.
    pub name: String,
    /// The server's description.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub input_schema: String,
    /// Whether it may destroy something.
    pub destructive: bool,
}

/// The result of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpResult {
    /// Whether the tool failed.
    pub is_error: bool,
    /// The result in JSON.
    pub json: String,
}

#[async_trait]
impl Mcp for NoCapability {
    async fn list(&self) -> Result<Vec<McpTool>, CallRejection> {
        Ok(Vec::new())
    }

    async fn find(&self, _server: &str, _tool: &str) -> Result<McpTool, CallRejection> {
        Self::reject("MCP servers")
    }

    async fn call(&self, _server: &str, _tool: &str, _arguments: &str) -> Result<McpResult, CallRejection> {
        Self::reject("MCP servers")
    }
}

/// The interface `mcp`.
pub(crate) struct McpImport;

/// The calls that are under way, which end when this is dropped.
#[derive(Default)]
pub(crate) struct InFlightCalls {
    started: u32,
    running: JoinSet<Finished>,
}

/// A call that has ended, by its number.
type Finished = (u32, Result<McpResult, CallRejection>);

impl Interface for McpImport {
    const NAME: &'static str = "mcp";
    type Capability = dyn Mcp;
    type State = InFlightCalls;

    fn initial_state(_setup: &CallSetup<'_>) -> Self::State {
        InFlightCalls::default()
    }
}

impl HostCall<'_, McpImport> {
    pub(crate) async fn list(&mut self) -> HostResult<Vec<McpTool>> {
        self.begin_request("list")?;
        let known = self.call.track_wait(self.capability.list()).await?;
        let may = |tool: &McpTool| may_call(&self.call.grants, &tool.server, &tool.name, tool.destructive).is_ok();
        Ok(known.into_iter().filter(may).collect())
    }

    pub(crate) async fn call(&mut self, server: &str, tool: &str, arguments: &str) -> HostResult<McpResult> {
        self.begin_request("call")?;
        let call = self.prepared(server, tool, arguments)?;
        Ok(self.call.track_wait(call).await?)
    }

    pub(crate) fn start_call(&mut self, server: &str, tool: &str, arguments: &str) -> HostResult<u32> {
        self.begin_request("start-call")?;
        if self.state.running.len() >= MAX_IN_FLIGHT {
            return Err(CallRejection::invalid(format!("more than {MAX_IN_FLIGHT} calls are under way")).into());
        }
        let call = self.prepared(server, tool, arguments)?;
        self.state.started += 1;
        let number = self.state.started;
        self.state.running.spawn(async move { (number, call.await) });
        Ok(number)
    }

    pub(crate) async fn next_result(&mut self) -> Result<Option<Finished>, LimitExceeded> {
        self.begin_read("next-result")?;
        let ended = self.call.track_wait(self.state.running.join_next()).await;
        // A call neither panics nor is aborted while it is waited for.
        Ok(ended.and_then(Result::ok))
    }

    /// Returns a call that nothing borrows, after the checks that need no server.
    fn prepared(
        &self,
        server: &str,
        tool: &str,
        arguments: &str,
    ) -> Result<impl Future<Output = Result<McpResult, CallRejection>> + Send + 'static, CallRejection> {
        // What no pattern could cover starts no server.
        may_call(&self.call.grants, server, tool, false)?;
        let (keys, mcp, limit) = (self.call.grants.clone(), self.capability.clone(), self.call.limits().read_bytes);
        let (server, tool, arguments) = (server.to_owned(), tool.to_owned(), arguments.to_owned());
        Ok(async move {
            let found = mcp.find(&server, &tool).await?;
            may_call(&keys, &server, &tool, found.destructive)?;
            let result = mcp.call(&server, &tool, &arguments).await?;
            if result.json.len() as u64 > limit {
                let message = format!("the result is longer than {} MiB", limit >> 20);
                return Err(CallRejection { reason: ComponentReason::Malformed, message });
            }
            Ok(result)
        })
    }
}

/// Checks that a pattern of the manifest, which the user agreed to, covers a tool.
fn may_call(keys: &ComponentGrants, server: &str, tool: &str, destructive: bool) -> Result<(), CallRejection> {
    let shown = format!("{}/{}", one_line(server, 60), one_line(tool, 60));
    if server.len() > MAX_NAME_LEN || tool.len() > MAX_NAME_LEN {
        return Err(CallRejection {
            reason: ComponentReason::Invalid,
            message: format!("there is no MCP tool `{shown}`"),
        });
    }
    let to = match destructive {
        true => format!("call the MCP tool `{shown}`, which may destroy something"),
        false => format!("call the MCP tool `{shown}`"),
    };
    keys.check(CapabilityKind::Mcp, &to, |value| {
        ToolPattern::parse(value).is_some_and(|pattern| pattern.matches(server, tool, destructive))
    })
}
