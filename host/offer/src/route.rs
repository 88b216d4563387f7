//! `intelligent_route`, `search_tools`: tools of the servers behind aiw by what they do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::{one_line, quoted_list};
use aiw_mcp::{Call, Tool, ToolResult};
use aiw_orchestrator::{DeclaredTool, declaration};
use aiw_routing::definition::name;
use aiw_routing::{CatalogItem, Match, ToolMatches};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bounds::{UNTRUSTED_SERVER_NOTICE, json_len};
use crate::context::{Context, to_tool_result};
use crate::error::CallError;
use crate::planning::{no_plan_reason, plan_tool};
use crate::results::{CODEX_CLIENT_NAME, max_result_bytes};

/// How many tools a request gets: more would fill the context that routing is to keep empty.
const DEFAULT_TOOLS: usize = 5;
const MAX_TOOLS: usize = 20;

/// How many a search lists.
const DEFAULT_LISTED_COUNT: usize = 10;
const MAX_LISTED: usize = 100;

/// The length of a line about a tool, in characters.
const MAX_LINE_LEN: usize = 120;

/// The most words of a request that a line repeats.
const MAX_WORDS: usize = 4;

/// The length of what a server says about all of its tools, in characters, and of how many servers it is repeated.
const MAX_NOTE_LEN: usize = 800;
const MAX_NOTES: usize = 5;

/// How long a client may take to list new tools, and then to take the list over.
const CLIENT_LIST_TIMEOUT: Duration = Duration::from_millis(500);
const LIST_SETTLE_DELAY: Duration = Duration::from_millis(100);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntelligentRoute {
    /// The job: a short sentence for each step, saying what is done to what, and with which service if that
    /// is known. General words find more than names, URLs and numbers: "Take a screenshot of a web page. Send an
    /// email."
    user_request: String,
    /// The most tools to get; 5 if absent
    #[serde(default)]
    max_tools: Option<usize>,
    /// For scripts: a line of TypeScript for each tool in place of its schemas
    #[serde(default)]
    declarations: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchTools {
    /// A description of the tool, or a part of its name
    query: String,
    /// The most tools to list; 10 if absent
    #[serde(default)]
    limit: Option<usize>,
    /// For scripts: a line of TypeScript for each tool
    #[serde(default)]
    declarations: bool,
}

#[derive(Serialize)]
struct Routed {
    message: String,
    /// `vector`: found by words and meaning. `llm` is a [`PlanResponse`](crate::planned::PlanResponse).
    mode: &'static str,
    /// Why no model has planned the job.
    mode_reason: String,
    tools: Vec<RoutedTool>,
    /// The servers' own words about all of their tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<ServerNote>,
}

/// Tools for a script.
#[derive(Serialize)]
struct DeclaredTools {
    message: String,
    /// A line of TypeScript for each tool.
    declarations: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<ServerNote>,
}

impl DeclaredTools {
    fn new(context: &Context, found: &ToolMatches, offered: &[Option<CatalogItem>], client: &str) -> Self {
        let mut declared = Self { message: message(found), declarations: String::new(), notes: notes(context, found) };
        // Twice: as text and as structure.
        let room = (max_result_bytes(client) * 3 / 4).saturating_sub(json_len(&declared.notes));
        let mut left_out = 0;
        for tool in offered.iter().flatten() {
            let definition = tool.definition.value();
            let line = declaration(DeclaredTool { qualified_name: &tool.proxied_name, definition: &definition });
            match declared.declarations.len() + line.len() < room {
                true => declared.declarations.extend([line.as_str(), "\n"]),
                false => left_out += 1,
            }
        }
        if left_out > 0 {
            declared.message.push_str(&format!(" {left_out} more would be too long to show here."));
        }
        declared
    }
}

#[derive(Serialize)]
struct ServerNote {
    server: String,
    says: String,
}

/// Returns the found servers' own words about all of their tools, up to a limit.
fn notes(context: &Context, found: &ToolMatches) -> Vec<ServerNote> {
    let mut servers: Vec<&str> = Vec::new();
    for found in &found.matches {
        if !servers.contains(&found.server.as_str()) {
            servers.push(&found.server);
        }
    }
    let note =
        |server: &str| Some(ServerNote { server: server.to_owned(), says: cut(&context.pool.instructions(server)?) });
    servers.into_iter().filter_map(note).take(MAX_NOTES).collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_NOTE_LEN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[derive(Serialize)]
struct RoutedTool {
    /// The name under which it can be called; none if another server's tool has that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    server: String,
    tool: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<Value>,
    read_only: bool,
    /// Others that do about the same, as `server/tool`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    similar: Vec<String>,
}

#[derive(Serialize)]
struct ListedTools {
    message: String,
    tools: Vec<RouteTool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<ServerNote>,
}

#[derive(Serialize)]
struct RouteTool {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    server: String,
    tool: String,
    description: String,
}

/// Finds tools and registers them.
pub(crate) async fn intelligent_route(
    context: Arc<Context>,
    asked: IntelligentRoute,
    call: Call,
) -> Result<ToolResult, CallError> {
    let most = asked.max_tools.unwrap_or(DEFAULT_TOOLS).clamp(1, MAX_TOOLS);
    let (found, offered) = find(&context, asked.user_request.clone(), most).await?;
    // A script calls tools that are not listed, too.
    if asked.declarations {
        return to_tool_result(&DeclaredTools::new(&context, &found, &offered, call.caller.name()));
    }
    let candidates: Vec<CatalogItem> = offered.iter().flatten().cloned().collect();
    let planned = tokio::select! {
        planned = plan_tool(&context, &asked.user_request, &candidates) => planned,
        () = call.cancellation.wait_until_abandoned() => return Err(CallError::NoWaiter),
    };
    let no_plan = match planned {
        Ok((tool, planned)) => {
            if context.registry.register(vec![tool], Instant::now()) {
                announce(&context, &call).await;
            }
            return to_tool_result(&planned);
        }
        Err(no_plan) => no_plan,
    };
    // The page of a tool calls those that its server has for apps. They come first, so that they are evicted first.
    let app_only = context.pool.app_only_tools(&context.pool.tools());
    let is_of_found = |tool: &&CatalogItem| candidates.iter().any(|found| found.server == tool.server);
    let registered = app_only.iter().filter(is_of_found).chain(&candidates);
    let registered = registered.filter_map(|tool| Tool::from_definition(tool.client_definition())).collect();
    if context.registry.register(registered, Instant::now()) {
        announce(&context, &call).await;
    }
    let mut routed = Routed {
        message: message(&found),
        mode: "vector",
        mode_reason: no_plan_reason(&no_plan),
        tools: Vec::new(),
        notes: notes(&context, &found),
    };
    // Twice: as text and as structure.
    let mut room = (max_result_bytes(call.caller.name()) * 3 / 4).saturating_sub(json_len(&routed.notes));
    for (found, offered) in found.matches.iter().zip(offered) {
        let mut tool = RoutedTool::new(found, offered);
        let mut size = json_len(&tool);
        if size > room {
            tool.input_schema = None;
            tool.output_schema = None;
            tool.description = tool.description.and_then(|text| Some(one_line(text.as_str()?, MAX_LINE_LEN).into()));
            tool.reason.push_str("; its schema is too long to show here");
            size = json_len(&tool);
        }
        room = room.saturating_sub(size);
        routed.tools.push(tool);
    }
    to_tool_result(&routed)
}

/// Tells the client of new tools, and gives it time to list them: Claude Code takes the tools for its next request from
/// what it knows when this one is answered. One that does not list has the schemas in the answer.
async fn announce(context: &Context, call: &Call) {
    let listed = context.tools_listed.notified();
    tokio::pin!(listed);
    listed.as_mut().enable();
    let told = call.caller.notify("notifications/tools/list_changed", None).await;
    // Codex lists once and never again.
    if told.is_err() || call.caller.name() == CODEX_CLIENT_NAME {
        return;
    }
    if tokio::time::timeout(CLIENT_LIST_TIMEOUT, listed).await.is_ok() {
        tokio::time::sleep(LIST_SETTLE_DELAY).await;
    }
}

/// Finds tools and lists them.
pub(crate) async fn search_tools(
    context: Arc<Context>,
    asked: SearchTools,
    call: Call,
) -> Result<ToolResult, CallError> {
    let most = asked.limit.unwrap_or(DEFAULT_LISTED_COUNT).clamp(1, MAX_LISTED);
    let (found, offered) = find(&context, asked.query, most).await?;
    if asked.declarations {
        return to_tool_result(&DeclaredTools::new(&context, &found, &offered, call.caller.name()));
    }
    let tool = |(found, offered): (&Match, Option<CatalogItem>)| RouteTool {
        description: offered.as_ref().map(|offered| about(&offered.definition.value())).unwrap_or_default(),
        name: offered.map(|offered| offered.proxied_name),
        server: found.server.clone(),
        tool: found.tool.clone(),
    };
    let tools = found.matches.iter().zip(offered).map(tool).collect();
    to_tool_result(&ListedTools { message: message(&found), tools, notes: notes(&context, &found) })
}

async fn find(
    context: &Arc<Context>,
    request: String,
    most: usize,
) -> Result<(ToolMatches, Vec<Option<CatalogItem>>), CallError> {
    let here = context.clone();
    let work = move || {
        let found = here.pool.find(&here.finder, &request, most);
        let wanted: Vec<_> = found.matches.iter().map(|m| (m.server.clone(), m.tool.clone())).collect();
        let offered = here.pool.tools_by_name(&wanted);
        Ok((found, offered))
    };
    context.concurrency_limits.view.run(work).await
}

fn message(found: &ToolMatches) -> String {
    let mut message = match found.matches.len() {
        _ if !found.has_search_terms => "There is no word to search for: say what the tool should do.".to_owned(),
        0 => format!("Found none of {} tools. Say it in other words, more generally.", found.tool_count),
        1 => format!("Found 1 of {} tools. {UNTRUSTED_SERVER_NOTICE}", found.tool_count),
        count => format!("Found {count} of {} tools, the best first. {UNTRUSTED_SERVER_NOTICE}", found.tool_count),
    };
    if !found.unknown_servers.is_empty() {
        let names = quoted_list(&found.unknown_servers);
        message.push_str(&format!(" Not searched, because their tools are not known yet: {names}."));
    }
    message
}

impl RoutedTool {
    fn new(found: &Match, offered: Option<CatalogItem>) -> Self {
        let definition = offered.as_ref().map(|offered| offered.definition.value()).unwrap_or_default();
        let part = |key: &str| definition.get(key).cloned();
        Self {
            server: found.server.clone(),
            tool: found.tool.clone(),
            reason: why(found),
            description: part("description"),
            input_schema: part("inputSchema"),
            output_schema: part("outputSchema"),
            read_only: offered.as_ref().is_some_and(|offered| offered.definition.is_read_only()),
            similar: found.variant_names(),
            name: offered.map(|offered| offered.proxied_name),
        }
    }
}

/// Why a tool was found, in a line.
fn why(found: &Match) -> String {
    let words: Vec<String> =
        found.matched_terms.iter().take(MAX_WORDS).map(|word| format!("`{}`", one_line(word, 40))).collect();
    let near = found.semantic_score.is_some_and(|meaning| meaning > 0.8);
    match (words.is_empty(), near) {
        (false, true) => format!("has {}, and is close in meaning", words.join(", ")),
        (false, false) => format!("has {}", words.join(", ")),
        (true, _) => "is close in meaning".to_owned(),
    }
}

/// A tool in one line.
fn about(definition: &Value) -> String {
    let text = [&definition["description"], &definition["title"]].into_iter().find_map(Value::as_str);
    one_line(text.unwrap_or_else(|| name(definition)), MAX_LINE_LEN)
}
