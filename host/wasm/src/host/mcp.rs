//! The interface `mcp`.

use aiw_core::one_line;
use aiw_extensions::{CapabilityKind, ToolPattern};

use super::{CallState, refused};
use crate::bindings::v0_1::aiw::plugin::{mcp, types};
use crate::capabilities::McpTool;

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

/// The longest name of a server or tool. Longer ones exist nowhere.
const MAX_NAME: usize = 256;

impl mcp::Host for CallState {
    async fn list(&mut self) -> Answer<Vec<mcp::McpTool>> {
        self.allow("mcp.list")?;
        self.charge_request()?;
        let capability = self.call.capabilities.mcp.clone();
        let known = self.waiting(capability.list()).await.map_err(refused);
        let convert = |tool: McpTool| mcp::McpTool {
            server: tool.server,
            name: tool.name,
            description: tool.description,
            input_schema: tool.input_schema,
            destructive: tool.destructive,
        };
        Ok(known.map(|known| {
            let may = |tool: &McpTool| self.may_call(&tool.server, &tool.name, tool.destructive).is_ok();
            known.into_iter().filter(may).map(convert).collect()
        }))
    }

    async fn call(&mut self, server: String, tool: String, arguments: String) -> Answer<mcp::McpResult> {
        self.allow("mcp.call")?;
        self.charge_request()?;
        let capability = self.call.capabilities.mcp.clone();
        // What no pattern could cover starts no server.
        if let Err(denied) = self.may_call(&server, &tool, false) {
            return Ok(Err(denied));
        }
        let found = match self.waiting(capability.find(&server, &tool)).await {
            Ok(found) => found,
            Err(e) => return Ok(Err(refused(e))),
        };
        if let Err(denied) = self.may_call(&server, &tool, found.destructive) {
            return Ok(Err(denied));
        }
        let result = match self.waiting(capability.call(&server, &tool, &arguments)).await {
            Ok(result) => result,
            Err(e) => return Ok(Err(refused(e))),
        };
        if result.json.len() as u64 > self.call.limits.read_bytes {
            let limit = self.call.limits.read_bytes >> 20;
            return Ok(Err(types::Error::Malformed(format!("the result is longer than {limit} MiB"))));
        }
        Ok(Ok(mcp::McpResult { is_error: result.is_error, json: result.json }))
    }
}

impl CallState {
    /// Checks that a pattern of the manifest, which the user agreed to, covers a tool.
    fn may_call(&self, server: &str, tool: &str, destructive: bool) -> Result<(), types::Error> {
        let shown = format!("{}/{}", one_line(server, 60), one_line(tool, 60));
        if server.len() > MAX_NAME || tool.len() > MAX_NAME {
            return Err(types::Error::Invalid(format!("there is no MCP tool `{shown}`")));
        }
        let to = match destructive {
            true => format!("call the MCP tool `{shown}`, which may destroy something"),
            false => format!("call the MCP tool `{shown}`"),
        };
        self.both_keys(CapabilityKind::Mcp, &to, |value| {
            ToolPattern::parse(value).is_some_and(|pattern| pattern.covers(server, tool, destructive))
        })
    }
}
