//! Claude Code. Seen in 2.1.197 and 2.1.328.
//!
//! The `env` of the user's settings overrides the process environment, and `--settings` overrides the user's
//! settings. So the provider's variables are set in both places, and competing variables are emptied in both.

mod login;
mod project;

use std::ffi::OsString;

use aiw_core::provider::Auth;
use aiw_core::{Api, CliKind};
use aiw_home::{CLAUDE_SESSIONS_DIR, CliFiles};
use aiw_tasks::TaskUsage;
use serde_json::{Value, json};

use self::login::{API_KEY_VARIABLE, AUTH_TOKEN_VARIABLE, HEADERS_VARIABLE};
use super::{AiCli, CommandLine, CommandParts, Injection, to_os_strings};
use crate::access::ResolvedProvider;
use crate::arguments;
use crate::builder::RunBuilder;
use crate::environment::Environment;
use crate::served::{McpServerCommand, SERVER_NAME};
use crate::stream::{CliStream, RunEvent, StreamFindings, flatten_text, text};
use crate::workspace::Workspace;
use crate::{LaunchError, Permission, RunRequest, overlay};

pub(super) struct Claude;

const CLAUDE_FILES: CliFiles = CliFiles::for_cli(CliKind::Claude);

/// Tells Claude Code that the provider is managed by aiw, so that settings can't choose one. In versions that don't
/// know this variable, the settings that override the user's own have to do.
const MANAGED_VARIABLE: &str = "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST";

/// Disables requests to hosts other than the provider's: telemetry, feature flags, updates, surveys.
const DISABLE_TRAFFIC_VARIABLE: &str = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC";

/// On a terminal it fetches its maker's plugin marketplace even with that switch set.
const DISABLE_MARKETPLACE_VARIABLE: &str = "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL";

/// The variables with the models for the three sizes.
const LARGE_MODEL_VARIABLES: [&str; 2] = ["ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_FABLE_MODEL"];
const MEDIUM_MODEL_VARIABLE: &str = "ANTHROPIC_DEFAULT_SONNET_MODEL";
const SMALL_MODEL_VARIABLE: &str = "ANTHROPIC_DEFAULT_HAIKU_MODEL";

/// The user's own variables that could send it elsewhere, with another key or for another model, or tell another host
/// about the run. <https://code.claude.com/docs/en/env-vars>, and the names in its binary. The user's proxies stay.
const CONFLICTING_VARIABLES: &[&str] = &[
    // Addresses, headers, sockets.
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_BETAS",
    HEADERS_VARIABLE,
    "ANTHROPIC_UNIX_SOCKET",
    "CLAUDE_CODE_API_BASE_URL",
    "CLAUDE_CODE_ARTIFACTS_API_BASE_URL",
    "CLAUDE_CODE_CUSTOM_OAUTH_URL",
    "CLAUDE_CODE_GB_BASE_URL",
    "CLAUDE_CODE_EXTRA_BODY",
    "CLAUDE_CODE_EXTRA_METADATA",
    "_CLAUDE_CODE_ASSUME_FIRST_PARTY_BASE_URL",
    "USE_LOCAL_OAUTH",
    "USE_STAGING_OAUTH",
    // Logins and keys. Where Claude Code thinks that it runs remotely, a login overrides the token.
    API_KEY_VARIABLE,
    AUTH_TOKEN_VARIABLE,
    "CLAUDE_CODE_REMOTE",
    "CLAUDE_API_KEY",
    "CLAUDE_BRIDGE_OAUTH_TOKEN",
    "CLAUDE_CODE_ACCOUNT_UUID",
    "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
    "CLAUDE_CODE_API_KEY_HELPER_TTL_MS",
    "CLAUDE_CODE_HFI_BEARER_TOKEN",
    "CLAUDE_CODE_HOST_AUTH_ENV_VAR",
    "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
    "CLAUDE_CODE_OAUTH_SCOPES",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
    "CLAUDE_CODE_ORGANIZATION_UUID",
    "CLAUDE_CODE_SDK_HAS_HOST_AUTH_REFRESH",
    "CLAUDE_CODE_SDK_HAS_OAUTH_REFRESH",
    "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
    "CLAUDE_CODE_USER_EMAIL",
    "CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR",
    "CLAUDE_SESSION_INGRESS_TOKEN_FILE",
    "CLAUDE_TRUSTED_DEVICE_TOKEN",
    // Federated identities.
    "ANTHROPIC_CONFIG_DIR",
    "ANTHROPIC_ENVIRONMENT_ID",
    "ANTHROPIC_ENVIRONMENT_KEY",
    "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
    "ANTHROPIC_ORGANIZATION_ID",
    "ANTHROPIC_PROFILE",
    "ANTHROPIC_SCOPE",
    "ANTHROPIC_SERVICE_ACCOUNT_ID",
    "ANTHROPIC_WORKSPACE_ID",
    // Clouds: switches, addresses, keys, regions.
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_GATEWAY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_SKIP_ANTHROPIC_AWS_AUTH",
    "CLAUDE_CODE_SKIP_BEDROCK_AUTH",
    "CLAUDE_CODE_SKIP_FOUNDRY_AUTH",
    "CLAUDE_CODE_SKIP_MANTLE_AUTH",
    "CLAUDE_CODE_SKIP_VERTEX_AUTH",
    "ANTHROPIC_AWS_API_KEY",
    "ANTHROPIC_AWS_BASE_URL",
    "ANTHROPIC_AWS_WORKSPACE_ID",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "ANTHROPIC_BEDROCK_MANTLE_API_KEY",
    "ANTHROPIC_BEDROCK_MANTLE_BASE_URL",
    "ANTHROPIC_BEDROCK_SERVICE_TIER",
    "ANTHROPIC_FOUNDRY_API_KEY",
    "ANTHROPIC_FOUNDRY_AUTH_TOKEN",
    "ANTHROPIC_FOUNDRY_BASE_URL",
    "ANTHROPIC_FOUNDRY_RESOURCE",
    "ANTHROPIC_SMALL_FAST_MODEL_AWS_REGION",
    "ANTHROPIC_VERTEX_BASE_URL",
    "ANTHROPIC_VERTEX_PROJECT_ID",
    "AWS_BEARER_TOKEN_BEDROCK",
    "CLOUD_ML_REGION",
    // Models.
    "ANTHROPIC_MODEL",
    "ANTHROPIC_CUSTOM_MODEL_OPTION",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "CLAUDE_CODE_AUTO_MODE_MODEL",
    "CLAUDE_CODE_BG_CLASSIFIER_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "CLAUDE_CONTEXT_COLLAPSE_MODEL",
    // Telemetry: what it reports about the run, and where.
    "BETA_TRACING_ENDPOINT",
    "CLAUDE_CODE_BYOC_ENABLE_DATADOG",
    "CLAUDE_CODE_ENABLE_TELEMETRY",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA",
    "CLAUDE_CODE_PROPAGATE_TRACEPARENT",
    "ENABLE_BETA_TRACING_DETAILED",
    "ENABLE_ENHANCED_TELEMETRY_BETA",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_LOGS_EXPORTER",
    "OTEL_LOG_RAW_API_BODIES",
    "OTEL_LOG_USER_PROMPTS",
    "OTEL_METRICS_EXPORTER",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_EXPORTER",
];

/// Regions by model, such as `VERTEX_REGION_CLAUDE_4_5_SONNET`.
const REGION_VARIABLE_PREFIX: &str = "VERTEX_REGION_CLAUDE_";

/// Commands in the user's settings that fetch credentials or headers. They are set to an empty string, because `null`
/// would break the file.
const HELPER_SETTINGS: [&str; 5] =
    ["apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "gcpAuthRefresh", "otelHeadersHelper"];

impl AiCli for Claude {
    fn kind(&self) -> CliKind {
        CliKind::Claude
    }

    fn npm_package(&self) -> &'static str {
        "@anthropic-ai/claude-code"
    }

    fn supported_apis(&self) -> &'static [Api] {
        &[Api::Messages]
    }

    fn provider_variables(&self) -> &'static [&'static str] {
        &["ANTHROPIC_BASE_URL", HEADERS_VARIABLE, API_KEY_VARIABLE, AUTH_TOKEN_VARIABLE]
    }

    fn apply_provider(&self, access: &ResolvedProvider<'_>, draft: &mut RunBuilder) -> Result<(), LaunchError> {
        let regions: Vec<String> = draft
            .environment
            .names()
            .filter(|name| name.starts_with(REGION_VARIABLE_PREFIX))
            .map(str::to_owned)
            .collect();
        for name in CONFLICTING_VARIABLES.iter().copied().chain(regions.iter().map(String::as_str)) {
            draft.unset(name);
            draft.override_settings(json!({"env": {name: ""}}));
        }
        for helper in HELPER_SETTINGS {
            draft.override_settings(json!({helper: ""}));
        }
        let mut set = |name: &str, value: &str| {
            draft.set(name, value);
            draft.override_settings(json!({"env": {name: value}}));
        };
        set("ANTHROPIC_BASE_URL", access.base_url);
        // Exactly one: if both were set, it would send both.
        match access.intent.auth {
            Auth::ApiKey(_) => set(API_KEY_VARIABLE, access.key()?),
            Auth::None | Auth::Bearer(_) | Auth::Header { .. } => set(AUTH_TOKEN_VARIABLE, access.key()?),
        }
        let headers = access.headers()?;
        if !headers.is_empty() {
            let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            set(HEADERS_VARIABLE, &lines.join("\n"));
        }
        let models = &access.intent.models;
        let sized = |model: &Option<String>| model.clone().or_else(|| models.main.clone());
        let by_size = LARGE_MODEL_VARIABLES.map(|name| (name, sized(&models.large))).into_iter().chain([
            ("ANTHROPIC_MODEL", models.main.clone()),
            (MEDIUM_MODEL_VARIABLE, sized(&models.medium)),
            (SMALL_MODEL_VARIABLE, sized(&models.small)),
        ]);
        for (name, model) in by_size {
            if let Some(model) = model {
                set(name, &model);
            }
        }
        let tuning = &access.intent.tuning;
        for (name, number) in [
            ("CLAUDE_CODE_MAX_CONTEXT_TOKENS", tuning.context_tokens.map(u64::from)),
            ("CLAUDE_CODE_MAX_OUTPUT_TOKENS", tuning.output_tokens.map(u64::from)),
            ("API_TIMEOUT_MS", tuning.timeout_seconds.map(|seconds| u64::from(seconds) * 1000)),
        ] {
            if let Some(number) = number {
                set(name, &number.to_string());
            }
        }
        for (name, value, wanted) in [
            ("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS", "1", tuning.no_betas),
            ("DISABLE_PROMPT_CACHING", "1", tuning.no_prompt_caching),
            ("ENABLE_TOOL_SEARCH", "false", tuning.no_tool_search),
        ] {
            if wanted {
                set(name, value);
            }
        }
        set(MANAGED_VARIABLE, "1");
        for name in [DISABLE_TRAFFIC_VARIABLE, DISABLE_MARKETPLACE_VARIABLE] {
            self.set_user_variable(name, "1", draft);
            draft.non_inherited_variables.insert(name.to_owned());
        }
        Ok(())
    }

    fn set_user_variable(&self, name: &str, value: &str, draft: &mut RunBuilder) {
        draft.set_user_variable(name, value);
        draft.override_settings(json!({"env": {name: value}}));
    }

    /// Strict: a server of the user's could ask for a login, or be slow to start, in a run that nobody watches. Each
    /// flag holds its value, because it would take the words after it too.
    fn pass_server(&self, server: &McpServerCommand, draft: &mut RunBuilder) {
        draft.servers = None;
        let config = json!({"mcpServers": {SERVER_NAME: server.entry()}});
        draft.arguments.extend([
            format!("--mcp-config={config}").into(),
            "--strict-mcp-config".into(),
            format!("--allowedTools=mcp__{SERVER_NAME}").into(),
        ]);
    }

    fn command(&self, line: CommandParts<'_>, draft: &mut RunBuilder) -> Result<CommandLine, LaunchError> {
        if line.provider.is_some() {
            login::override_login(line.is_task, draft);
        }
        let mut before = Vec::new();
        if line.is_task {
            before.extend(to_os_strings(&["-p", "--output-format", "stream-json", "--verbose"]));
        }
        if line.permission == Permission::Edit && !arguments::has_flag(line.user_arguments, &["--permission-mode"]) {
            before.extend(to_os_strings(&["--permission-mode", "acceptEdits"]));
        }
        if let Some(model) = line.model {
            before.extend(to_os_strings(&["--model", model]));
        }
        before.append(&mut draft.arguments);
        let mut bypass = arguments::find_flag(
            line.user_arguments,
            &["--dangerously-skip-permissions", "--allow-dangerously-skip-permissions"],
        )
        .or_else(|| arguments::find_flag_with_value(line.user_arguments, &["--permission-mode"], "bypassPermissions"));
        if !draft.restrictions.is_empty() {
            draft.add_default_settings(json!({}));
        }
        let (rest, given) = take_settings(line.user_arguments);
        for settings in given {
            let settings = overlay::read_settings(&settings, &draft.cwd)?;
            bypass = bypass.or_else(|| bypass_in(&settings));
            if draft.settings.is_some() {
                draft.add_default_settings(settings);
            }
        }
        project::add_restrictions(draft);
        // If `--settings` is given twice, the last one counts. Without settings of ours, the user's stay where they
        // are.
        let after = if draft.settings.is_some() { rest } else { line.user_arguments.to_vec() };
        Ok(CommandLine { leading_arguments: before, trailing_arguments: after, bypass_flag: bypass })
    }

    fn pass_settings(&self, _settings: &Value, _draft: &RunBuilder) -> Result<Injection, LaunchError> {
        Ok(Injection::Argument("--settings"))
    }

    /// 2.1.197 looks up names, 2.1.328 does not; the versions between them were not tried.
    fn needs_real_paths(&self, version: Option<&str>) -> bool {
        const MIN_FD_VERSION: [u64; 3] = [2, 1, 328];

        let numbers: Vec<u64> =
            version.unwrap_or_default().split(['.', '-']).map_while(|part| part.parse().ok()).collect();
        *numbers < MIN_FD_VERSION[..]
    }

    fn stream(&self) -> Box<dyn CliStream> {
        Box::new(ClaudeStream::default())
    }

    /// Reads the file that Claude Code keeps about each of its processes. The session changes with `/clear` and
    /// `/resume`.
    fn running_session(&self, environment: &Environment, process: u32) -> Option<String> {
        let directory = CLAUDE_FILES.directory(|name| environment.path(name))?;
        let path = directory.join(CLAUDE_SESSIONS_DIR).join(format!("{process}.json"));
        let bytes = aiw_home::read_capped(&path, 64 << 10).ok()??;
        let value: Value = aiw_core::from_foreign_json(&bytes).ok()?;
        value["sessionId"].as_str().map(str::to_owned)
    }

    fn skips_trust_prompt(&self, request: &RunRequest) -> bool {
        project::skips_trust_prompt(request)
    }

    fn has_recorded_trust(&self, workspace: &Workspace, environment: &Environment) -> bool {
        project::has_recorded_trust(workspace, environment)
    }

    fn has_project_files(&self, workspace: &Workspace, environment: &Environment) -> bool {
        project::has_project_files(workspace, environment)
    }

    fn restrict(&self, workspace: &Workspace, why: String, draft: &mut RunBuilder) {
        project::restrict(workspace, why, draft);
    }

    fn session_arguments(&self) -> &'static [(&'static str, bool)] {
        &[
            ("--resume", true),
            ("-r", true),
            ("--continue", false),
            ("-c", false),
            ("--session-id", true),
            ("--fork-session", false),
        ]
    }

    fn resume_arguments(&self, session: &str) -> Vec<String> {
        vec!["--resume".to_owned(), session.to_owned()]
    }

    fn resume_latest_arguments(&self) -> &'static str {
        "--continue"
    }

    #[cfg(test)]
    fn render_stream_lines(&self, pieces: &[String]) -> String {
        let whole = pieces.concat();
        format!(
            r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":"{whole}"}},{{"type":"tool_use","name":"Bash","input":{{"command":"{whole}","{whole}":1}}}}]}},"parent_tool_use_id":null}}
{{"type":"user","message":{{"content":[{{"type":"tool_result","content":[{{"type":"text","text":"{whole}"}}],"is_error":true}}]}},"parent_tool_use_id":null}}
{{"type":"result","is_error":false,"result":"{whole}","session_id":"a"}}
"#
        )
    }
}

/// Takes the user's own `--settings` out of the arguments. Returns the other arguments, and the values: paths or
/// JSON.
fn take_settings(own: &[OsString]) -> (Vec<OsString>, Vec<OsString>) {
    let (mut rest, mut settings) = (Vec::new(), Vec::new());
    let mut arguments = own.iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--settings") => settings.extend(arguments.next().cloned()),
            Some(text) if text.starts_with("--settings=") => settings.push(text["--settings=".len()..].into()),
            _ => rest.push(argument.clone()),
        }
    }
    (rest, settings)
}

/// Returns what disables the guards in settings that the user gave.
fn bypass_in(settings: &Value) -> Option<String> {
    let mode = &settings["permissions"]["defaultMode"];
    (mode == "bypassPermissions").then(|| "--settings permissions.defaultMode bypassPermissions".to_owned())
}

/// Reads its `stream-json`.
#[derive(Default)]
struct ClaudeStream {
    /// The message that was counted last. Each of its parts repeats what the whole message used.
    message: Option<String>,
}

impl CliStream for ClaudeStream {
    fn read(&mut self, value: &Value, found: &mut StreamFindings) -> Vec<RunEvent> {
        let kind = text(&value["type"]);
        if kind == "system" && value["subtype"] == "init" {
            found.record_session(&value["session_id"]);
            found.facts.model = value["model"].as_str().map(str::to_owned);
        }
        match kind {
            // What a subagent says concerns only its caller.
            "assistant" | "user" if value["parent_tool_use_id"].is_null() => {
                self.count(&value["message"], found);
                let content = &value["message"]["content"];
                let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
                blocks.iter().filter_map(|block| event(kind, block)).collect()
            }
            "system" if value["subtype"] == "api_retry" => {
                let status = value["error_status"].as_u64().or_else(|| value["status"].as_u64());
                let what = match status {
                    Some(status) => format!("the API answered with status {status}"),
                    None => "the API did not answer".to_owned(),
                };
                vec![RunEvent::Line(format!("{what}; trying again"))]
            }
            "result" => result(value, found),
            _ => Vec::new(),
        }
    }
}

impl ClaudeStream {
    /// Adds what a message used, for those who watch. The result has the final count.
    fn count(&mut self, message: &Value, found: &mut StreamFindings) {
        let Some(id) = message["id"].as_str().filter(|id| self.message.as_deref() != Some(*id)) else { return };
        let Some(usage) = usage(&message["usage"]) else { return };
        let before = found.facts.usage.unwrap_or_default();
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        };
        found.facts.usage = Some(TaskUsage {
            input: before.input.saturating_add(usage.input),
            output: before.output.saturating_add(usage.output),
            cached: sum(before.cached, usage.cached),
            cache_written: sum(before.cache_written, usage.cache_written),
            cache_written_1h: sum(before.cache_written_1h, usage.cache_written_1h),
            reasoning: sum(before.reasoning, usage.reasoning),
        });
        self.message = Some(id.to_owned());
    }
}

fn usage(usage: &Value) -> Option<TaskUsage> {
    let count = |key: &str| usage[key].as_u64();
    let (input, output) = (count("input_tokens")?, count("output_tokens")?);
    let (written, cached) = (count("cache_creation_input_tokens"), count("cache_read_input_tokens"));
    let input = input.saturating_add(written.unwrap_or(0)).saturating_add(cached.unwrap_or(0));
    let reasoning = usage["output_tokens_details"]["thinking_tokens"].as_u64();
    let cache_written_1h = usage["cache_creation"]["ephemeral_1h_input_tokens"].as_u64();
    Some(TaskUsage { input, output, cached, cache_written: written, cache_written_1h, reasoning })
}

fn result(value: &Value, found: &mut StreamFindings) -> Vec<RunEvent> {
    found.record_session(&value["session_id"]);
    let failed = value["is_error"] != false;
    found.record_end(failed);
    let said = text(&value["result"]).to_owned();
    found.facts.cost_usd = value["total_cost_usd"].as_f64().filter(|cost| cost.is_finite());
    found.facts.usage = usage(&value["usage"]).or(found.facts.usage);
    let mut events = Vec::new();
    if failed {
        let what = if said.is_empty() { text(&value["subtype"]).to_owned() } else { said.clone() };
        events.push(RunEvent::Failed(what));
    }
    found.facts.final_message = (!said.is_empty()).then_some(said);
    events
}

fn event(speaker: &str, block: &Value) -> Option<RunEvent> {
    match (speaker, text(&block["type"])) {
        ("assistant", "text") => RunEvent::message(text(&block["text"]), false),
        ("assistant", "tool_use") => {
            let input = &block["input"];
            let input = input["command"].as_str().map_or_else(|| input.to_string(), str::to_owned);
            Some(RunEvent::ToolCall { tool: text(&block["name"]).to_owned(), input })
        }
        ("user", "tool_result") => {
            Some(RunEvent::ToolResult { text: flatten_text(&block["content"]), failed: block["is_error"] == true })
        }
        ("user", "text") => Some(RunEvent::Line(text(&block["text"]).to_owned())),
        _ => None,
    }
}
