//! The interface `mcp`.

use aiw_core::one_line;
use aiw_extensions::{CapabilityKind, ToolPattern};
use async_trait::async_trait;

use super::{Given, Interface, Nothing, Setup, Within};
use crate::error::{Refusal, Refused};

/// The longest name of a server or tool. Longer ones exist nowhere.
const MAX_NAME: usize = 256;

/// The tools of the user's MCP servers.
#[async_trait]
pub trait Mcp: Send + Sync {
    /// Returns the tools that are known without starting a server.
    async fn list(&self) -> Result<Vec<McpTool>, Refused>;

    /// Returns one tool. Starts its server if it is not known.
    async fn find(&self, server: &str, tool: &str) -> Result<McpTool, Refused>;

    /// Calls a tool with a JSON object, and returns the server's result.
    async fn call(&self, server: &str, tool: &str, arguments: &str) -> Result<McpResult, Refused>;
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
impl Mcp for Nothing {
    async fn list(&self) -> Result<Vec<McpTool>, Refused> {
        Ok(Vec::new())
    }

    async fn find(&self, _server: &str, _tool: &str) -> Result<McpTool, Refused> {
        Self::refused("MCP servers")
    }

    async fn call(&self, _server: &str, _tool: &str, _arguments: &str) -> Result<McpResult, Refused> {
        Self::refused("MCP servers")
    }
}

/// The interface `mcp`.
pub(crate) struct McpImport;

impl Interface for McpImport {
    const NAME: &'static str = "mcp";
    type Capability = dyn Mcp;
    type State = ();

    fn begin(_setup: &Setup<'_>) -> Self::State {}
}

impl Within<'_, McpImport> {
    pub(crate) async fn list(&mut self) -> Given<Vec<McpTool>> {
        self.request("list")?;
        let known = self.call.waiting(self.capability.list()).await?;
        let may = |tool: &McpTool| self.may_call(&tool.server, &tool.name, tool.destructive).is_ok();
        Ok(known.into_iter().filter(may).collect())
    }

    pub(crate) async fn call(&mut self, server: &str, tool: &str, arguments: &str) -> Given<McpResult> {
        self.request("call")?;
        // What no pattern could cover starts no server.
        self.may_call(server, tool, false)?;
        let found = self.call.waiting(self.capability.find(server, tool)).await?;
        self.may_call(server, tool, found.destructive)?;
        let result = self.call.waiting(self.capability.call(server, tool, arguments)).await?;
        let limit = self.call.limits().read_bytes;
        if result.json.len() as u64 > limit {
            let message = format!("the result is longer than {} MiB", limit >> 20);
            return Err(Refused { refusal: Refusal::Malformed, message }.into());
        }
        Ok(result)
    }

    /// Checks that a pattern of the manifest, which the user agreed to, covers a tool.
    fn may_call(&self, server: &str, tool: &str, destructive: bool) -> Result<(), Refused> {
        let shown = format!("{}/{}", one_line(server, 60), one_line(tool, 60));
        if server.len() > MAX_NAME || tool.len() > MAX_NAME {
            return Err(Refused { refusal: Refusal::Invalid, message: format!("there is no MCP tool `{shown}`") });
        }
        let to = match destructive {
            true => format!("call the MCP tool `{shown}`, which may destroy something"),
            false => format!("call the MCP tool `{shown}`"),
        };
        self.call.keys.check(CapabilityKind::Mcp, &to, |value| {
            ToolPattern::parse(value).is_some_and(|pattern| pattern.covers(server, tool, destructive))
        })
    }
}
