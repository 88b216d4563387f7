//! `aiw mcp tools --session CLIENT`: what a client lists, and what it costs.

use std::collections::BTreeMap;

use aiw_app::servers::{fetch_tools, pool};
use aiw_core::{ErrorKind, pluralize, quoted, to_visible_line};
use aiw_home::{Home, HomeError};
use aiw_routing::{AIW_SERVER_NAME, ListingChoice};
use aiw_setup::{AiwEntry, ClientPaths, Setup, SetupScope};
use clap::Parser;
use schemars::JsonSchema;
use serde::Serialize;

use super::client::client;
use super::serve;
use crate::cli::mcp::McpServeArgs;
use crate::failure::CliError;
use crate::output::Output;

/// `aiw mcp tools --session`
#[derive(Serialize, JsonSchema)]
struct ToolsOfSession {
    /// The client's list of tools
    session: SessionTools,
}

/// The list of tools that a client sees
#[derive(Serialize, JsonSchema)]
pub struct SessionTools {
    /// The client, as `aiw setup` names it
    pub client: String,
    /// Whether aiw is registered there; else this is what it would list
    pub registered: bool,
    /// The toolsets that it is offered
    pub toolsets: Vec<&'static str>,
    /// Its profile
    pub profile: Option<String>,
    /// The tools that it lists
    pub tools: Vec<ClientToolEntry>,
    /// The cost of their definitions, in tokens
    pub tokens: usize,
    /// The servers behind aiw whose tools are known; none without the toolset `servers`
    pub servers: Vec<ClientServerEntry>,
}

/// A tool that a client lists
#[derive(Serialize, JsonSchema)]
pub struct ClientToolEntry {
    /// The name under which the client sees it
    pub name: String,
    /// Its server; `aiw` for aiw's own
    pub server: String,
    /// The cost of its definition, in tokens
    pub tokens: usize,
}

/// A server in what a client lists
#[derive(Serialize, JsonSchema)]
pub struct ClientServerEntry {
    /// Its name
    pub name: String,
    /// How many tools it offers
    pub tools: usize,
    /// The cost of their definitions, in tokens
    pub tokens: usize,
    /// Whether they are listed. If not, they are found and called all the same
    pub listed: bool,
    /// `always`, `used` lately, `fits`, `never`, or `over-budget`
    pub reason: &'static str,
    /// The reason in words
    pub message: String,
}

impl ClientServerEntry {
    fn of(choice: &ListingChoice) -> Self {
        Self {
            name: choice.server.clone(),
            tools: choice.cost.tools,
            tokens: choice.cost.tokens,
            listed: choice.is_listed(),
            reason: choice.reason.as_str(),
            message: choice.to_string(),
        }
    }
}

/// The arguments of a server in a client's entry.
#[derive(Parser)]
struct ServedArguments {
    #[command(flatten)]
    args: McpServeArgs,
}

/// Shows what a client lists, and what it costs.
pub async fn session(id: &str, home: &Home, output: &Output) -> Result<(), CliError> {
    let place = aiw_setup::client(id).ok_or_else(|| CliError::new(ErrorKind::Usage, "there is no such client"))?;
    let places = ClientPaths::from_context(home.context()).ok_or(HomeError::HomeNotFound)?;
    let setup = Setup::new(home.clone(), places, AiwEntry::default());
    let entry = setup.registered_options(place, &SetupScope::User)?;
    if entry.is_none() {
        output.note(format!("note: aiw is not registered in {}: `aiw setup {id}` does it", place.name));
    }
    let words = std::iter::once("serve".to_owned()).chain(entry.iter().flatten().cloned());
    let served = ServedArguments::try_parse_from(words).map_err(|_| {
        let failure = CliError::new(
            ErrorKind::Config,
            format!("the entry of aiw in {} has options that it does not have", place.name),
        );
        failure.with_hint(format!("`aiw setup {id} --undo`, and `aiw setup {id}`"))
    })?;
    let McpServeArgs { profile, toolsets, .. } = served.args;
    let toolsets = serve::toolsets(toolsets, home)?;
    let client = client(home, profile.as_deref(), output)?;
    let pool = pool(&client, output).clone();
    fetch_tools(&pool, &[], output).await;
    let offer = serve::offer(client, toolsets.clone(), output);
    let of: BTreeMap<String, String> = pool.tools().into_iter().map(|tool| (tool.proxied_name, tool.server)).collect();
    let tool = |(name, tokens): (String, usize)| {
        let server = of.get(&name).cloned().unwrap_or_else(|| AIW_SERVER_NAME.to_owned());
        ClientToolEntry { name, server, tokens }
    };
    let tools: Vec<ClientToolEntry> = offer.listed_tools().into_iter().map(tool).collect();
    let shown = SessionTools {
        client: id.to_owned(),
        registered: entry.is_some(),
        toolsets: toolsets.toolsets.iter().map(|toolset| toolset.as_str()).collect(),
        profile,
        tokens: tools.iter().map(|tool| tool.tokens).sum(),
        servers: offer.choices().iter().map(ClientServerEntry::of).collect(),
        tools,
    };
    pool.unknown_server_warnings().iter().for_each(|problem| output.note(format!("note: {problem}")));
    pool.shut_down().await;
    show(&shown, place.name, output);
    output.set_json_or_error(ToolsOfSession { session: shown }, None)
}

fn show(shown: &SessionTools, name: &str, output: &Output) {
    let profile = shown.profile.as_ref().map(|profile| format!(", profile {}", quoted(profile))).unwrap_or_default();
    output.line(format!(
        "{name} lists {}, which cost about {} tokens (toolsets {}{profile})",
        pluralize(shown.tools.len(), "tool"),
        shown.tokens,
        shown.toolsets.join(", ")
    ));
    let own: Vec<&ClientToolEntry> = shown.tools.iter().filter(|tool| tool.server == AIW_SERVER_NAME).collect();
    let cost: usize = own.iter().map(|tool| tool.tokens).sum();
    let mut rows = vec![vec![
        AIW_SERVER_NAME.to_owned(),
        own.len().to_string(),
        cost.to_string(),
        "yes".into(),
        "aiw's own".into(),
    ]];
    rows.extend(shown.servers.iter().map(|server| {
        let listed = if server.listed { "yes" } else { "no" };
        let (tools, tokens) = (server.tools.to_string(), server.tokens.to_string());
        vec![server.name.clone(), tools, tokens, listed.to_owned(), server.message.clone()]
    }));
    output.table(&["SERVER", "TOOLS", "TOKENS", "LISTED", "WHY"], &rows);
    output.line("");
    let row = |tool: &ClientToolEntry| vec![to_visible_line(&tool.name).to_string(), tool.tokens.to_string()];
    output.table(&["TOOL", "TOKENS"], &shown.tools.iter().map(row).collect::<Vec<_>>());
}
