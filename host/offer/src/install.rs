//! Installing a server by asking the user through the client (elicitation in form mode,
//! <https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation>).

use aiw_app::AppError;
use aiw_app::installs::{self, InstallRequest};
use aiw_app::servers::ServerError;
use aiw_core::{NonInteractive, PromptError, one_line, shell_quote};
use aiw_mcp::Call;
use aiw_registries::MergedServer;
use serde::Serialize;

use crate::ask::{FormPrompter, can_prompt};
use crate::context::Context;
use crate::error::CallError;

/// The most names of tools that the answer lists.
const MAX_TOOL_NAMES: usize = 50;

/// The outcome of an installation.
#[derive(Serialize)]
pub(crate) struct InstallOutcome {
    message: String,
    installed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<String>,
}

/// Asks the user whether to install a server, and for what it needs. None if they can't be asked here.
pub(crate) async fn ask_and_install(
    context: &Context,
    found: &MergedServer,
    call: &Call,
) -> Result<Option<InstallOutcome>, CallError> {
    if !can_prompt(&call.caller) {
        return Ok(None);
    }
    let version = one_line(&found.server.version, 40);
    let installed =
        installs::install(&context.client, found, InstallRequest::default(), &FormPrompter(call), &NonInteractive)
            .await;
    let installed = match installed {
        Ok(installed) => installed,
        // What can't be installed at all is said with its ways.
        Err(ServerError::App(AppError::Prompt(PromptError::Unsupported)) | ServerError::NoUsableMethod { .. }) => {
            return Ok(None);
        }
        Err(ServerError::App(AppError::Prompt(PromptError::Declined))) => {
            let message = "the user declined: nothing was installed".into();
            return Ok(Some(InstallOutcome { message, installed: false, key: None, version, tools: Vec::new() }));
        }
        Err(e) => return Err(e.into()),
    };
    context.pool.reload().await;
    let key = installed.server.key;
    let message = match installed.needs_login {
        true => format!("it is installed, and wants a login: the user types `aiw mcp login {}`", shell_quote(&key)),
        false => "it is installed and works: its tools are here now".to_owned(),
    };
    let tools = installed.record.iter().flat_map(|seen| seen.accepted_tools().map(|tool| tool.name().to_owned()));
    Ok(Some(InstallOutcome {
        message,
        installed: true,
        key: Some(key),
        tools: tools.take(MAX_TOOL_NAMES).collect(),
        version,
    }))
}
