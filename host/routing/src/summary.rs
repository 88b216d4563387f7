//! Servers, their tools and what changed in them, as programs see them.

use std::time::Duration;

use aiw_servers::Transport;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    ConfiguredServer, ListingChoice, Match, PoolError, Records, ServerRecord, SlotStatus, ToolDefinition,
    to_proxied_name,
};

/// A server in `aiw mcp list`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct ServerEntry {
    /// Its name
    pub name: String,
    /// Where it is declared: `aiw` for mcp.json, `project` for `.mcp.json`
    pub scope: &'static str,
    /// `stdio` or `http`; null if its entry can't be used
    pub transport: Option<&'static str>,
    /// The command that it runs, or the address that it reaches
    pub target: String,
    /// Whether clients see it
    pub enabled: bool,
    /// `enabled`, `disabled`, `blocked` if a part of it waits for `aiw mcp approve`, or `invalid` if its entry can't be used
    pub state: &'static str,
    /// How many of its definitions wait for `aiw mcp approve`
    pub unapproved: usize,
    /// The plugin that brought it
    pub plugin: Option<String>,
    /// How many tools it is known to have; null if it was never started
    pub tools: Option<usize>,
    /// Whether clients list its tools, with the toolsets and `mcp.list` of settings.json; null if its tools are not known. If
    /// not, they are found and called all the same
    pub listed: Option<bool>,
    /// Why they are listed, or not
    pub listing: Option<String>,
    /// Why it can't be used
    pub error: Option<String>,
}

impl ServerEntry {
    /// An entry of a file that declares servers. `shown` takes out secrets that stand in the target; `plugin` is the
    /// plugin that brought it, and `choices` are the decisions about listings.
    pub fn new(
        found: &ConfiguredServer,
        records: &Records,
        plugin: Option<String>,
        choices: &[ListingChoice],
        shown: impl Fn(&str) -> String,
    ) -> Self {
        let (server, record) = (found.server.as_ref(), records.load(&found.key));
        let unapproved = record.as_ref().map_or(0, ServerRecord::unapproved);
        let choice = choices.iter().find(|choice| choice.server == found.key);
        Self {
            state: match (server, found.settings.enabled, unapproved) {
                (Err(_), ..) => "invalid",
                (Ok(_), false, _) => "disabled",
                (Ok(_), true, 1..) => "blocked",
                (Ok(_), true, 0) => "enabled",
            },
            unapproved,
            listed: choice.map(ListingChoice::is_listed),
            listing: choice.map(ListingChoice::to_string),
            name: found.key.clone(),
            scope: found.scope.as_str(),
            transport: server.ok().map(|server| server.transport.as_str()),
            target: server.map(|server| shown(&server.target())).unwrap_or_default(),
            enabled: found.settings.enabled,
            plugin,
            tools: record.map(|record| record.accepted_tools().count()),
            error: server.err().cloned(),
        }
    }
}

/// A server in `aiw mcp status`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct ServerStatus {
    /// Its name
    pub name: String,
    /// `stdio` or `http`; null if its entry can't be used
    pub transport: Option<&'static str>,
    /// `ready`, `failed`, `disabled`, `invalid` if its entry can't be used, or `auth_required` if it waits for `aiw mcp login`
    pub state: &'static str,
    /// How many tools it offers to clients
    pub tools: usize,
    /// The tools that it has changed or that are suspicious: clients don't get them until you approve them
    pub blocked: Vec<String>,
    /// The items that it lists and clients can't use: a sentence each
    pub skipped: Vec<String>,
    /// The cost of its tools' definitions for a client, in tokens
    pub tokens: usize,
    /// Whether clients list its tools, with the toolsets and `mcp.list` of settings.json. If not, they are found and
    /// called all the same
    pub listed: bool,
    /// Why they are listed, or not
    pub listing: Option<String>,
    /// Its version, as it says
    pub version: Option<String>,
    /// The version of the protocol
    pub protocol: Option<String>,
    /// Why it failed
    pub error: Option<String>,
    /// How long it takes to answer a ping, in milliseconds
    pub latency_ms: Option<f64>,
    /// How long its start took, in milliseconds
    pub startup_duration_ms: Option<u64>,
}

impl ServerStatus {
    /// The state of a server after it was tried: why that failed, if it did, and how long it took to answer a ping.
    /// `choices` are what becomes of the servers in lists.
    pub fn new(
        status: &SlotStatus,
        failure: Option<&PoolError>,
        ping: Option<Duration>,
        choices: &[ListingChoice],
    ) -> Self {
        let choice = choices.iter().find(|choice| choice.server == status.name).filter(|_| failure.is_none());
        let record = status.record.as_ref().filter(|_| failure.is_none());
        let (state, error) = match failure {
            None => ("ready", None),
            Some(PoolError::Disabled { .. }) => ("disabled", None),
            Some(e @ PoolError::InvalidDeclaration { .. }) => ("invalid", Some(e.message_without_server())),
            Some(e) if e.needs_login() => ("auth_required", Some(e.message_without_server())),
            Some(e) => ("failed", Some(e.message_without_server())),
        };
        Self {
            name: status.name.clone(),
            transport: status.transport.map(Transport::as_str),
            state,
            tools: record.map_or(0, |record| record.accepted_tools().count()),
            blocked: record.iter().flat_map(|r| r.blocked_tools()).map(|tool| tool.name().to_owned()).collect(),
            skipped: record.iter().flat_map(|r| r.skipped_item_notices()).map(str::to_owned).collect(),
            tokens: record.map_or(0, |_| status.tokens),
            listed: choice.is_some_and(ListingChoice::is_listed),
            listing: choice.map(ListingChoice::to_string),
            version: record.and_then(|r| r.server["version"].as_str()).map(str::to_owned),
            protocol: record.map(|record| record.protocol.clone()),
            error,
            latency_ms: ping.map(|ping| (ping.as_secs_f64() * 1e6).round() / 1e3),
            startup_duration_ms: record.map(|record| record.started_ms),
        }
    }
}

/// A tool in `aiw mcp tools`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct ServerTool {
    /// Its server
    pub server: String,
    /// Its own name
    pub name: String,
    /// The name under which clients see it
    pub proxied: String,
    /// Its description
    pub description: String,
    /// Whether it says that it changes nothing
    pub read_only: bool,
    /// The cost of its definition for a client, in tokens
    pub tokens: usize,
    /// Whether it has changed or is suspicious, and is blocked until you accept it
    pub blocked: bool,
    /// The suspicious signs in its definition
    pub injection_findings: Vec<String>,
    /// Its parameters: a JSON schema
    pub input_schema: Value,
    /// The JSON schema of its answers, if it has one
    pub output_schema: Option<Value>,
    /// Its hints about itself: whether it only reads, may destroy, may be repeated
    pub annotations: Option<Value>,
}

impl ServerTool {
    /// A tool of a server. `injection_findings` are those of all servers.
    pub fn new(
        server: &str,
        tool: &ToolDefinition,
        record: &ServerRecord,
        injection_findings: &[(String, String, String)],
    ) -> Self {
        let mut value = tool.value();
        let of_it = injection_findings.iter().filter(|(of, known, _)| of == server && known == tool.name());
        Self {
            server: server.to_owned(),
            name: tool.name().to_owned(),
            proxied: to_proxied_name(server, tool.name()),
            description: value["description"].as_str().unwrap_or_default().to_owned(),
            input_schema: value["inputSchema"].take(),
            output_schema: value.get_mut("outputSchema").map(Value::take),
            annotations: value.get_mut("annotations").map(Value::take),
            read_only: tool.is_read_only(),
            tokens: tool.tokens_with_name(&to_proxied_name(server, tool.name())),
            blocked: !record.is_accepted(tool),
            injection_findings: of_it.map(|(.., sentence)| sentence.clone()).collect(),
        }
    }
}

/// A tool in `aiw mcp route`
#[warn(missing_docs)]
#[derive(Serialize, JsonSchema)]
pub struct ToolMatch {
    /// Its server
    pub server: String,
    /// Its own name
    pub tool: String,
    /// The name under which clients see it
    pub proxied: String,
    /// How well it fits: 1 is the best of those found
    pub score: f32,
    /// How well its words fit, from 0 to 1
    pub keyword_score: f32,
    /// How near its meaning is, from 0 to 1; none without a model
    pub semantic_score: Option<f32>,
    /// The words of the request that it has, those that tell most first
    pub matched: Vec<String>,
    /// Tools that do about the same and are left out, as `server/tool`
    pub similar: Vec<String>,
    /// Its description
    pub description: String,
    /// Its parameters: a JSON schema
    pub input_schema: Value,
    /// The JSON schema of its answers, if it has one
    pub output_schema: Option<Value>,
}

impl ToolMatch {
    /// A tool that a search found, with what is known of its definition.
    pub fn new(found: &Match, statuses: &[SlotStatus]) -> Self {
        let status = statuses.iter().find(|status| status.name == found.server);
        let record = status.and_then(|status| status.record.as_ref());
        let mut value =
            record.and_then(|record| record.tool(&found.tool)).map(ToolDefinition::value).unwrap_or_default();
        Self {
            description: value["description"].as_str().unwrap_or_default().to_owned(),
            output_schema: value.get_mut("outputSchema").map(Value::take),
            input_schema: value.get_mut("inputSchema").map(Value::take).unwrap_or_default(),
            server: found.server.clone(),
            tool: found.tool.clone(),
            proxied: to_proxied_name(&found.server, &found.tool),
            score: found.score,
            keyword_score: found.lexical_score,
            semantic_score: found.semantic_score,
            matched: found.matched_terms.clone(),
            similar: found.variant_names(),
        }
    }
}
