//! `search_servers`, `install_server`: MCP servers that are not installed yet.

use std::sync::Arc;

use aiw_app::queries::find_servers;
use aiw_core::{one_line, shell_quote};
use aiw_mcp::{Call, ToolResult};
use aiw_registries::{MethodSummary, RegistryServer, ServerSearch, install_methods};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::bounds::json_len;
use crate::context::{Context, to_tool_result};
use crate::error::CallError;
use crate::install;
use crate::results::max_result_bytes;

/// How many servers a search lists by default, and at most.
const DEFAULT_SERVERS: usize = 8;
const MAX_SERVERS: usize = 30;

/// The longest description of a server, in characters.
const MAX_DESCRIPTION_LEN: usize = 200;

/// A number, without what only costs a model tokens.
fn number(schema: &mut Schema) {
    schema.remove("minimum");
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchServers {
    /// A few words
    query: String,
    #[serde(default)]
    #[schemars(transform = number)]
    limit: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstallServer {
    /// Its name, as search_servers lists it
    name: String,
    #[serde(default)]
    source: Option<String>,
}

#[derive(Serialize)]
struct FoundServers {
    message: String,
    servers: Vec<FoundServer>,
    /// The registries that did not answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_asked: Vec<String>,
}

#[derive(Serialize)]
struct FoundServer {
    name: String,
    source: String,
    version: String,
    description: String,
    kinds: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// Other servers of the list that it could be mistaken for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    confusable_with: Vec<String>,
}

#[derive(Serialize)]
struct OfferedServer {
    message: String,
    /// The command that the user types.
    command: String,
    name: String,
    source: String,
    version: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    methods: Vec<MethodSummary>,
}

/// Searches the registries.
pub(crate) async fn search_servers(
    context: Arc<Context>,
    asked: SearchServers,
    call: Call,
) -> Result<ToolResult, CallError> {
    if asked.query.trim().is_empty() {
        return Err(CallError::InvalidArgument { name: "query".into(), what: "a few words".into() });
    }
    let registries = context.client.registries()?;
    let most = asked.limit.unwrap_or(DEFAULT_SERVERS).clamp(1, MAX_SERVERS);
    let found = find_servers(&context.home, &registries, &context.embeddings, &asked.query, most, None).await?;
    let not_asked = found.sources.iter().filter(|source| source.problem.is_some() && source.cached_servers.is_none());
    let not_asked: Vec<String> = not_asked.map(|source| source.source.clone()).collect();
    // Twice: as text and as structure.
    let mut room = max_result_bytes(call.caller.name()) * 3 / 4;
    let mut servers = Vec::new();
    for found in ServerSearch::new(&found).servers {
        let RegistryServer { name, source, version, description, kinds, status, confusable_with: looks_like, .. } =
            found;
        let status = Some(status).filter(|status| *status != "active");
        let description = one_line(&description, MAX_DESCRIPTION_LEN);
        let server = FoundServer {
            name,
            source,
            version: one_line(&version, 40),
            description,
            kinds,
            status,
            confusable_with: looks_like,
        };
        let needed = json_len(&server);
        if needed > room {
            break;
        }
        room -= needed;
        servers.push(server);
    }
    let message = match servers.is_empty() {
        false => "install_server with a `name` shows what one would run and how the user installs it",
        true => "no server fits: try other words",
    };
    to_tool_result(&FoundServers { message: message.to_owned(), servers, not_asked })
}

/// Installs a server if the client can ask the user, else says how the user does. A model can't agree for them, and
/// their secrets are not its business.
pub(crate) async fn install_server(
    context: Arc<Context>,
    asked: InstallServer,
    call: Call,
) -> Result<ToolResult, CallError> {
    let registries = context.client.registries()?;
    let (found, _) = registries.find_server(&asked.name, None, asked.source.as_deref()).await?;
    let cancelled = call.cancellation.clone();
    tokio::select! {
        installed = install::ask_and_install(&context, &found, &call) => {
            if let Some(installed) = installed? {
                return to_tool_result(&installed);
            }
        }
        () = cancelled.wait_until_abandoned() => return Err(CallError::NoWaiter),
    }
    let RegistryServer { name, source, version, description, publisher, repository, .. } = RegistryServer::new(&found);
    // Twice: as text and as structure.
    let mut room = max_result_bytes(call.caller.name()) / 2;
    let mut shown = Vec::new();
    let ways = install_methods(&found.server, context.home.context());
    let can_run = ways.iter().any(|way| way.unsupported_reason().is_none());
    for way in ways.iter().map(MethodSummary::new) {
        let needed = json_len(&way);
        if needed <= room {
            room -= needed;
            shown.push(way);
        }
    }
    let ways = shown;
    let command = format!("aiw mcp install {} --source {}", shell_quote(&name), shell_quote(&source));
    let message = match can_run {
        true => {
            "nothing is installed yet, for the user can't be asked here: show them what it runs and needs, and ask them to \
             type `command` in a terminal, where they agree to it and give secrets; its tools are here afterwards"
        }
        false => "it can't be installed: `ways` says why",
    };
    let description = one_line(&description, MAX_DESCRIPTION_LEN);
    to_tool_result(&OfferedServer {
        message: message.to_owned(),
        command,
        name,
        source,
        version,
        description,
        publisher,
        repository,
        methods: ways,
    })
}
