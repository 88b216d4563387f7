//! What commands print with `--json` where a room's own shape is not the whole answer.
//!
//! `cargo xtask docs` writes their fields into `docs/json.md`.

use aiw_app::extensions::{ExtensionSummary, UpdatedExtension, VerifiedExtension};
use aiw_app::models::ModelStatus;
use aiw_app::queries::resume;
use aiw_history::Meaning;
use aiw_launch::{LogLine, Resumes, TaskSummary, WaitedTask};
use aiw_markets::{InstalledSummary, MarketSummary, RemovedPlugin, SwitchedPlugin, UpdatedMarket, UpdatedSummary};
use aiw_providers::{RemovedProvider, RemovedSecret};
use aiw_setup::{ClientSummary, HookStatus, HookSummary};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;

/// `aiw version`
#[derive(Serialize, JsonSchema)]
pub struct Version {
    /// The version
    pub version: &'static str,
}

/// `aiw mcp serve --http`, printed once it listens
#[derive(Serialize, JsonSchema)]
pub struct Listening {
    /// Where MCP clients reach it
    pub url: String,
}

/// `aiw mcp token`
#[derive(Serialize, JsonSchema)]
pub struct McpToken {
    /// The token
    pub token: String,
    /// The file that holds it
    pub path: String,
}

/// `aiw mcp login`
#[derive(Serialize, JsonSchema)]
pub struct McpLogin {
    /// The server
    pub server: String,
    /// Who gave the tokens
    pub issuer: String,
    /// What they allow, as far as it is known
    pub scopes: Vec<String>,
    /// When the first token expires, in seconds since 1970; it is then refreshed, if it can be
    pub expires: Option<u64>,
    /// Whether it can be refreshed
    pub refreshes: bool,
}

/// `aiw mcp logout`
#[derive(Serialize, JsonSchema)]
pub struct McpLogout {
    /// The server
    pub server: String,
    /// Whether there were tokens, which are gone now
    pub removed: bool,
    /// Whether the authorization server took them back
    pub revoked: bool,
}

/// A server in `aiw mcp list`
#[derive(Serialize, JsonSchema)]
pub struct ServerEntry {
    /// Its name
    pub name: String,
    /// Where it is declared: `aiw` for mcp.json, `project` for `.mcp.json`
    pub scope: &'static str,
    /// `stdio` or `http`; null if its entry can't be used
    pub transport: Option<&'static str>,
    /// What it runs or reaches
    pub target: String,
    /// Whether clients see it
    pub enabled: bool,
    /// The plugin that brought it
    pub plugin: Option<String>,
    /// How many tools it is known to have; null if it was never started
    pub tools: Option<usize>,
    /// Why it can't be used
    pub error: Option<String>,
}

/// A server in `aiw mcp status`
#[derive(Serialize, JsonSchema)]
pub struct ServerStatus {
    /// Its name
    pub name: String,
    /// `stdio` or `http`; null if its entry can't be used
    pub transport: Option<&'static str>,
    /// `ready`, `failed`, `disabled`, or `login` if it waits for `aiw mcp login`
    pub state: &'static str,
    /// How many tools it offers to clients
    pub tools: usize,
    /// The tools that it has changed or that are suspicious: they are withheld until you accept them
    pub withheld: Vec<String>,
    /// What it lists and clients can't use: a sentence each
    pub left_out: Vec<String>,
    /// What the definitions of its tools would cost a client, in tokens
    pub tokens: usize,
    /// Its version, as it says
    pub version: Option<String>,
    /// The version of the protocol
    pub protocol: Option<String>,
    /// Why it failed
    pub error: Option<String>,
    /// How long it takes to answer a ping, in milliseconds
    pub latency_ms: Option<f64>,
    /// How long its start took, in milliseconds
    pub start_ms: Option<u64>,
}

/// `aiw mcp show`
#[derive(Serialize, JsonSchema)]
pub struct ShownServer {
    /// Its name
    pub name: String,
    /// `aiw` or `project`: whose file declares it
    pub scope: &'static str,
    /// The file that declares it
    pub file: String,
    /// Whether it is offered to clients
    pub enabled: bool,
    /// Its entry, with keys masked
    pub declaration: Option<serde_json::Value>,
    /// Why it can't be used
    pub error: Option<String>,
    /// How many of its tools are known and offered
    pub tools: Option<usize>,
    /// What it says about its tools
    pub instructions: Option<String>,
}

/// A profile in `aiw mcp profile list` and `show`
#[derive(Serialize, JsonSchema)]
pub struct ShownProfile {
    /// Its name
    pub name: String,
    /// `settings` or `project`: which file defines it
    pub scope: &'static str,
    /// What it allows; everything, if there is no list
    pub allow: Option<Vec<String>>,
    /// What it denies
    pub deny: Vec<String>,
    /// The tools that it allows, as `server/tool`
    pub tools: Vec<String>,
    /// The patterns that no known tool matches
    pub unmatched: Vec<String>,
}

/// A tool in `aiw mcp tools`
#[derive(Serialize, JsonSchema)]
pub struct ServerTool {
    /// Its server
    pub server: String,
    /// Its own name
    pub name: String,
    /// The name under which clients see it
    pub proxied: String,
    /// What it says it does
    pub description: String,
    /// Whether it says that it changes nothing
    pub read_only: bool,
    /// What its definition costs a client, in tokens
    pub tokens: usize,
    /// Whether it has changed or is suspicious, and is withheld until you accept it
    pub withheld: bool,
    /// What is suspicious in its definition
    pub suspicions: Vec<String>,
    /// Its parameters: a JSON schema
    pub input_schema: serde_json::Value,
    /// What it answers, if it says so: a JSON schema
    pub output_schema: Option<serde_json::Value>,
    /// What it says about itself: whether it only reads, may destroy, may be repeated
    pub annotations: Option<serde_json::Value>,
}

/// A tool in `aiw mcp route`
#[derive(Serialize, JsonSchema)]
pub struct FoundTool {
    /// Its server
    pub server: String,
    /// Its own name
    pub tool: String,
    /// The name under which clients see it
    pub proxied: String,
    /// How well it fits: 1 is the best of those found
    pub score: f32,
    /// How well its words fit, from 0 to 1
    pub words: f32,
    /// How near its meaning is, from 0 to 1; none without a model
    pub meaning: Option<f32>,
    /// The words of the request that it has, those that tell most first
    pub matched: Vec<String>,
    /// Tools that do about the same and are left out, as `server/tool`
    pub similar: Vec<String>,
    /// What it says it does
    pub description: String,
    /// Its parameters: a JSON schema
    pub input_schema: serde_json::Value,
    /// What it answers, if it says so: a JSON schema
    pub output_schema: Option<serde_json::Value>,
}

/// A definition in `aiw mcp approve`
#[derive(Serialize, JsonSchema)]
pub struct ChangedTool {
    /// `tool`, `prompt`, `resource` or `resource template`
    pub kind: &'static str,
    /// Its name, or its URI
    pub name: String,
    /// What is suspicious in it
    pub suspicions: Vec<String>,
    /// The fields that changed; all of them for one that was not seen before
    pub fields: Vec<ChangedField>,
}

/// A field of a changed definition
#[derive(Serialize, JsonSchema)]
pub struct ChangedField {
    /// Its name
    pub field: String,
    /// What it was; empty if it was not there, or is not known any more
    pub before: String,
    /// What it is now
    pub now: String,
}

/// A server in `aiw mcp doctor`
#[derive(Serialize, JsonSchema)]
pub struct ServerCheck {
    /// What `aiw mcp status` shows
    #[serde(flatten)]
    pub status: ServerStatus,
    /// What is wrong, one sentence each
    pub problems: Vec<String>,
}

/// One of several things for which a command failed.
#[derive(Serialize, JsonSchema)]
pub struct FailedId {
    /// Its id, as you wrote it
    pub id: String,
    /// What went wrong
    pub error: String,
    /// What to do about it
    pub hint: Option<String>,
}

impl FailedId {
    pub fn of(id: &str, failure: &Failure) -> Self {
        Self { id: id.to_owned(), error: failure.message().to_owned(), hint: failure.hint().map(str::to_owned) }
    }
}

/// One of several things for which a command failed, by name.
#[derive(Serialize, JsonSchema)]
pub struct FailedName {
    /// Its name
    pub name: String,
    /// What went wrong
    pub error: String,
    /// What to do about it
    pub hint: Option<String>,
}

impl FailedName {
    pub fn of(name: &str, failure: &Failure) -> Self {
        Self { name: name.to_owned(), error: failure.message().to_owned(), hint: failure.hint().map(str::to_owned) }
    }
}

/// `aiw setup`
#[derive(Serialize, JsonSchema)]
pub struct SetupAnswer {
    /// The clients
    pub clients: Vec<ClientSummary>,
    /// Those that could not be set up
    pub failed: Vec<FailedName>,
    /// Whether it was only shown, and nothing written
    pub dry_run: bool,
}

/// `aiw provider remove`
#[derive(Serialize, JsonSchema)]
pub struct ProviderRemove {
    /// The providers that were removed
    pub removed: Vec<RemovedProvider>,
    /// Those that could not be removed
    pub failed: Vec<FailedName>,
}

/// `aiw role remove`
#[derive(Serialize, JsonSchema)]
pub struct RoleRemove {
    /// The names of the roles that were removed
    pub removed: Vec<String>,
    /// Those that could not be removed
    pub failed: Vec<FailedName>,
}

/// `aiw model pull`
#[derive(Default, Serialize, JsonSchema)]
pub struct ModelPull {
    /// What was fetched
    pub pulled: Vec<String>,
    /// What was there already
    pub unchanged: Vec<String>,
    /// Whether there is a model to use now
    pub model: Option<ModelStatus>,
}

/// `aiw model remove`
#[derive(Serialize, JsonSchema)]
pub struct ModelRemove {
    /// The names of the models that were removed
    pub removed: Vec<String>,
    /// Those that could not be removed
    pub failed: Vec<FailedName>,
}

/// `aiw plugin install`
#[derive(Default, Serialize, JsonSchema)]
pub struct PluginInstall {
    /// The plugins that are installed now
    pub installed: Vec<InstalledSummary>,
    /// Those that could not be installed
    pub failed: Vec<FailedId>,
}

/// `aiw plugin update`
#[derive(Default, Serialize, JsonSchema)]
pub struct PluginUpdate {
    /// The plugins that were updated
    pub updated: Vec<UpdatedSummary>,
    /// The ids of those that were not
    pub unchanged: Vec<String>,
    /// Those that could not be updated
    pub failed: Vec<FailedId>,
}

/// `aiw secret remove`
#[derive(Serialize, JsonSchema)]
pub struct SecretRemove {
    /// The secret
    #[serde(flatten)]
    pub removed: RemovedSecret,
    /// The MCP servers of mcp.json that still refer to it
    pub servers: Vec<String>,
}

/// `aiw plugin remove`
#[derive(Default, Serialize, JsonSchema)]
pub struct PluginRemove {
    /// The plugins that were removed
    pub removed: Vec<RemovedPlugin>,
    /// Those that could not be removed
    pub failed: Vec<FailedId>,
}

/// `aiw plugin enable`, `disable`
#[derive(Default, Serialize, JsonSchema)]
pub struct PluginSwitch {
    /// The plugins as they are now
    pub plugins: Vec<SwitchedPlugin>,
    /// Those that could not be enabled or disabled
    pub failed: Vec<FailedId>,
}

/// `aiw plugin marketplace add`
#[derive(Serialize, JsonSchema)]
pub struct MarketAdd {
    /// The marketplace
    pub marketplaces: Vec<MarketSummary>,
    /// What you should know, a sentence each
    pub notes: Vec<String>,
}

/// `aiw plugin marketplace update`
#[derive(Default, Serialize, JsonSchema)]
pub struct MarketUpdate {
    /// The marketplaces that were fetched
    pub marketplaces: Vec<UpdatedMarket>,
    /// Those that could not be
    pub failed: Vec<FailedName>,
}

/// `aiw extension update`
#[derive(Default, Serialize, JsonSchema)]
pub struct ExtensionUpdate {
    /// The extensions that were updated
    pub updated: Vec<UpdatedExtension>,
    /// The ids of those that were not
    pub unchanged: Vec<String>,
    /// Those that could not be updated
    pub failed: Vec<FailedId>,
}

/// `aiw extension verify`
#[derive(Serialize, JsonSchema)]
pub struct ExtensionVerify {
    /// The extensions
    pub extensions: Vec<VerifiedExtension>,
}

/// `aiw extension info`
#[derive(Serialize, JsonSchema)]
pub struct ExtensionDetails {
    /// What lists show of it
    #[serde(flatten)]
    pub summary: ExtensionSummary,
    /// The forms of references to marketplaces that it reads
    pub references: Vec<Reference>,
    /// The forms of plugin sources that only it understands
    pub entry_forms: Vec<String>,
    /// The presets of providers that it adds
    pub presets: Vec<String>,
}

/// A form of reference to a marketplace.
#[derive(Serialize, JsonSchema)]
pub struct Reference {
    /// The form: `owner/repo[@ref]`
    pub form: String,
    /// An example of it
    pub example: String,
}

/// `aiw extension remove`
#[derive(Serialize, JsonSchema)]
pub struct ExtensionRemove {
    /// Its id
    pub removed: String,
    /// The marketplaces that only it can read
    pub marketplaces: Vec<String>,
    /// The providers that need it
    pub providers: Vec<String>,
}

/// `aiw extension new`
#[derive(Serialize, JsonSchema)]
pub struct NewProject {
    /// The directory that was written
    pub directory: String,
    /// The commands that build, test and add it
    pub commands: Vec<String>,
}

/// `aiw status`
#[derive(Serialize, JsonSchema)]
pub struct Status {
    /// The tasks that are queued or running, and those that finished since you last looked
    pub tasks: Vec<TaskSummary>,
    /// How many are running
    pub running: usize,
    /// How many are queued
    pub queued: usize,
    /// How many finished since you last looked
    pub unread: usize,
}

/// `aiw wait`
#[derive(Serialize, JsonSchema)]
pub struct Wait {
    /// The tasks that were waited for
    pub tasks: Vec<WaitedTask>,
    /// Whether all of them have ended; with `--any`, whether one has
    pub done: bool,
}

/// `aiw task logs`
#[derive(Serialize, JsonSchema)]
pub struct TaskLog {
    /// The task's id
    pub id: String,
    /// The log file
    pub log: String,
    /// Its lines
    pub lines: Vec<LogLine>,
}

/// `aiw task remove`, `prune`
#[derive(Serialize, JsonSchema)]
pub struct TaskRemove {
    /// The ids of the tasks that were removed
    pub removed: Vec<String>,
    /// Whether they would have been removed, but were not
    pub dry_run: bool,
}

/// `aiw history search`
#[derive(Serialize, JsonSchema)]
pub struct HistorySearch {
    /// What was found, the best first
    pub hits: Vec<HistoryHit>,
    /// The sessions that have ended and are not searched yet, because they are still being read
    pub waiting: usize,
    /// How long it took, in milliseconds
    pub took_ms: f64,
}

/// A hit of `aiw history search`
#[derive(Serialize, JsonSchema)]
pub struct HistoryHit {
    /// The session's id, as its CLI has it
    pub session: String,
    /// `claude`, `codex` or `gemini`
    pub cli: &'static str,
    /// The session's directory; empty if unknown
    pub project: String,
    /// When it was said; null if unknown
    pub time: Option<String>,
    /// `user`, `assistant` or `tool`
    pub role: &'static str,
    /// The part of the message that answers best
    pub snippet: String,
    /// The greater, the better; to be compared within one answer only
    pub score: f64,
    /// The provider under which aiw ran the CLI; null if aiw did not, or nothing tells
    pub provider: Option<String>,
    /// The command line that goes on with the session, under the provider that it had
    pub resume: String,
    /// Why that line fails, and what to do instead
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The transcript
    pub path: String,
    /// The message's id in the transcript
    pub uuid: String,
}

/// A session in `aiw history sessions`
#[derive(Serialize, JsonSchema)]
pub struct HistorySession {
    /// Its id, as its CLI has it
    pub session: String,
    /// `claude`, `codex` or `gemini`
    pub cli: &'static str,
    /// Its directory; empty if unknown
    pub project: String,
    /// How the first thing that was asked begins
    pub title: String,
    /// When its first message was said; null if unknown
    pub first: Option<String>,
    /// When its last message was said; null if unknown
    pub last: Option<String>,
    /// How many messages it has
    pub messages: u64,
    /// The provider under which aiw ran the CLI; null if aiw did not, or nothing tells
    pub provider: Option<String>,
    /// The command line that goes on with it, under the provider that it had
    pub resume: String,
    /// Why that line fails, and what to do instead
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl HistorySession {
    pub fn of(session: &aiw_history::PastSession, resumes: &Resumes) -> Self {
        let resume = resume(resumes, session.cli, &session.id, &session.project, &session.launch);
        Self {
            session: session.id.clone(),
            cli: session.cli.as_str(),
            project: session.project.clone(),
            title: session.title.clone(),
            first: session.first.and_then(aiw_home::rfc3339_of),
            last: session.last.and_then(aiw_home::rfc3339_of),
            messages: session.messages,
            provider: session.launch.provider.clone(),
            resume: resume.line(),
            problem: resume.problem,
        }
    }
}

/// `aiw history sessions`
#[derive(Serialize, JsonSchema)]
pub struct HistorySessions {
    /// The sessions, the latest first
    pub sessions: Vec<HistorySession>,
}

/// A message in `aiw history show`
#[derive(Serialize, JsonSchema)]
pub struct HistoryMessage {
    /// Its id in the transcript
    pub uuid: String,
    /// When it was said; null if unknown
    pub time: Option<String>,
    /// `user`, `assistant` or `tool`
    pub role: &'static str,
    /// The tools that it calls or answers for
    pub tools: Vec<String>,
    /// The subagent that said it, or was told it
    pub agent: Option<String>,
    /// What was said
    pub text: String,
    /// The transcript
    pub path: String,
}

impl HistoryMessage {
    pub fn of(message: &aiw_history::Stored) -> Self {
        Self {
            uuid: message.uuid.clone(),
            time: message.time.and_then(aiw_home::rfc3339_of),
            role: message.role.as_str(),
            tools: message.tools.clone(),
            agent: message.agent.clone(),
            text: message.text.clone(),
            path: message.path.to_string_lossy().into_owned(),
        }
    }
}

/// `aiw history show`, `aiw history export --format json`
#[derive(Serialize, JsonSchema)]
pub struct HistoryShow {
    /// The session
    pub session: HistorySession,
    /// Its messages, in their order
    pub messages: Vec<HistoryMessage>,
    /// How many come before them
    pub earlier: usize,
    /// How many come after them
    pub later: usize,
}

/// `aiw history forget`
#[derive(Serialize, JsonSchema)]
pub struct HistoryForget {
    /// How many sessions have messages less
    pub sessions: usize,
    /// How many messages are gone
    pub messages: usize,
}

/// `aiw hooks install`, `aiw hooks uninstall`
#[derive(Serialize, JsonSchema)]
pub struct HooksAnswer {
    /// The settings, and what changes in them
    #[serde(flatten)]
    pub settings: HookSummary,
    /// Whether nothing was written because of `--dry-run`
    pub dry_run: bool,
}

/// `aiw hooks status`
#[derive(Serialize, JsonSchema)]
pub struct HooksStatus {
    /// Whether they are installed anywhere
    pub installed: bool,
    /// Each settings file of Claude Code's
    pub settings: Vec<HookStatus>,
}

/// `aiw history import`, `aiw history watch --once`
#[derive(Serialize, JsonSchema)]
pub struct HistoryImport {
    /// The transcripts that were looked at
    pub transcripts: usize,
    /// The messages that are new
    pub messages: usize,
    /// The bytes that were read
    pub bytes: u64,
    /// The transcripts in which something could not be read; `aiw history doctor` names them
    pub with_problems: usize,
    /// The messages that were there, and that new rules about secrets have changed
    pub cleaned: usize,
    /// The messages that were taken out, because their projects are excluded now
    pub taken_out: usize,
    /// How long it took, in milliseconds
    pub took_ms: u64,
}

/// `aiw history doctor`
#[derive(Serialize, JsonSchema)]
pub struct HistoryDoctor {
    /// Whether Claude Code tells aiw of its sessions, in any of its settings
    pub hooks_installed: bool,
    /// Each settings file of Claude Code's
    pub hooks: Vec<HookStatus>,
    /// Whether `AIW_HISTORY` switches the history off here
    pub off: bool,
    /// The requests of hooks that were not carried out yet
    pub queued: usize,
    /// How far the messages have vectors of the model in use
    pub meaning: Option<Meaning>,
    /// The messages that are there although their projects are excluded now
    pub excluded: usize,
    /// The transcripts that there are
    pub transcripts: usize,
    /// Those of them of which nothing was read yet
    pub unread: usize,
    /// Where transcripts, or lines of them, were left out, the latest first
    pub skipped: Vec<HistorySkipped>,
    /// Why secrets of the vault can't be read: their values are not taken out of sessions
    pub unreadable_secrets: Vec<String>,
}

/// A transcript in `aiw history doctor`
#[derive(Serialize, JsonSchema)]
pub struct HistorySkipped {
    /// The transcript
    pub path: String,
    /// What is wrong with it
    pub reason: String,
    /// How often that was seen
    pub count: u64,
    /// When it was last seen
    pub time: String,
}
