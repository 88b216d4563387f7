//! Gemini CLI. Seen in 0.61.0.
//!
//! It fills in missing variables from `.env` files, so competing variables are emptied instead of removed. How it
//! signs in is determined only by its settings.

pub(crate) mod home;

use std::path::Path;

use aiw_core::provider::Auth;
use aiw_core::{Api, CliKind};
use aiw_tasks::TaskUsage;
use serde_json::{Map, Value, json};

use self::home::{FILES, GeminiHome};
use super::{AiCli, CommandLine, CommandParts, Injection, to_os_strings};
use crate::access::ResolvedProvider;
use crate::arguments;
use crate::builder::RunBuilder;
use crate::served::{McpServerCommand, SERVER_NAME};
use crate::stream::{CliStream, RunEvent, StreamFindings, flatten_text, text};
use crate::{LaunchError, Permission, RunRequest, overlay};

pub(super) struct Gemini;

/// The variable that trusts the working directory for a run.
const TRUST_VARIABLE: &str = "GEMINI_CLI_TRUST_WORKSPACE";

const KEY_VARIABLE: &str = "GEMINI_API_KEY";
const BASE_URL: &str = "GOOGLE_GEMINI_BASE_URL";
const HEADERS_VARIABLE: &str = "GEMINI_CLI_CUSTOM_HEADERS";
const AUTH_MECHANISM_VARIABLE: &str = "GEMINI_API_KEY_AUTH_MECHANISM";

/// The variable that names a file of settings that override the user's own, and the default path of that file.
const SYSTEM_SETTINGS: &str = "GEMINI_CLI_SYSTEM_SETTINGS_PATH";
const SYSTEM_FILE: &str = if cfg!(target_os = "macos") {
    "/Library/Application Support/GeminiCli/settings.json"
} else {
    "/etc/gemini-cli/settings.json"
};

/// The user's own variables that could send it elsewhere, with another login or for another model, or tell another
/// host about the run. <https://geminicli.com/docs/reference/configuration>, and the names in its bundle. The user's
/// proxies stay.
const CONFLICTING_VARIABLES: &[&str] = &[
    "CLOUD_SHELL",
    "CODE_ASSIST_API_VERSION",
    "CODE_ASSIST_ENDPOINT",
    HEADERS_VARIABLE,
    "GEMINI_CLI_USE_COMPUTE_ADC",
    AUTH_MECHANISM_VARIABLE,
    "GEMINI_DEFAULT_AUTH_TYPE",
    "GEMINI_MODEL",
    "GEMINI_TELEMETRY_LOG_PROMPTS",
    "GEMINI_TELEMETRY_OTLP_ENDPOINT",
    "GEMINI_TELEMETRY_OUTFILE",
    "GEMINI_TELEMETRY_TRACES_ENABLED",
    "GEMINI_TELEMETRY_USE_CLI_AUTH",
    "GEMINI_TELEMETRY_USE_COLLECTOR",
    "GOOGLE_API_KEY",
    "GOOGLE_CLOUD_ACCESS_TOKEN",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_PROJECT_ID",
    "GOOGLE_CLOUD_QUOTA_PROJECT",
    "GOOGLE_CLOUD_REGION",
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
    "GOOGLE_GENAI_API_VERSION",
    "GOOGLE_GENAI_USE_GCA",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_VERTEX_BASE_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "VERTEX_AI_API_DEFAULT_VERSION",
];

impl AiCli for Gemini {
    fn kind(&self) -> CliKind {
        CliKind::Gemini
    }

    fn npm_package(&self) -> &'static str {
        "@google/gemini-cli"
    }

    fn supported_apis(&self) -> &'static [Api] {
        &[Api::GenerateContent]
    }

    fn provider_variables(&self) -> &'static [&'static str] {
        &[KEY_VARIABLE, BASE_URL, HEADERS_VARIABLE, AUTH_MECHANISM_VARIABLE]
    }

    fn unsupported_header_chars(&self) -> &'static [char] {
        &[',']
    }

    fn apply_provider(&self, access: &ResolvedProvider<'_>, draft: &mut RunBuilder) -> Result<(), LaunchError> {
        let cannot = |what: &str| Err(access.unsupported(self.kind(), what));
        // It never asks for betas, caching or tool search, so those need no check.
        match &access.intent.tuning {
            tuning if tuning.context_tokens.is_some() => return cannot("limit what a model reads"),
            tuning if tuning.output_tokens.is_some() => return cannot("limit what a model writes"),
            tuning if tuning.timeout_seconds.is_some() => return cannot("wait for a set time"),
            _ => {}
        }
        for name in CONFLICTING_VARIABLES.iter().copied() {
            draft.set_empty(name);
        }
        draft.set(KEY_VARIABLE, access.key()?);
        draft.set(BASE_URL, access.base_url);
        if let Auth::Bearer(_) = access.intent.auth {
            draft.set(AUTH_MECHANISM_VARIABLE, "bearer");
        }
        let headers = access.headers()?;
        if headers.iter().any(|(_, value)| value.contains(self.unsupported_header_chars())) {
            return cannot("send a header with a comma in its value");
        }
        if !headers.is_empty() {
            let pairs: Vec<String> = headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            draft.set(HEADERS_VARIABLE, pairs.join(","));
        }
        // While starting, it sends telemetry to where the settings say, and only then reads these variables. It exits
        // if the target or the protocol is unknown or empty.
        draft.set("GEMINI_TELEMETRY_ENABLED", "false");
        draft.set("GEMINI_TELEMETRY_OTLP_PROTOCOL", "grpc");
        draft.set("GEMINI_TELEMETRY_TARGET", "local");
        draft.override_settings(json!({
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": false},
            "telemetry": {"enabled": false},
            "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false},
        }));
        if let Some(model) = &access.intent.models.main {
            draft.arguments.extend(to_os_strings(&["-m", model]));
        }
        Ok(())
    }

    fn trust(&self, _request: &RunRequest, draft: &mut RunBuilder) {
        // A word of the user's own counts.
        if draft.environment.get(TRUST_VARIABLE).is_none() {
            self.set_user_variable(TRUST_VARIABLE, "true", draft);
            draft.non_inherited_variables.insert(TRUST_VARIABLE.to_owned());
        }
    }

    /// Without trust, it offers no tools in a run with a prompt. The flag outdoes every setting about servers.
    fn pass_server(&self, server: &McpServerCommand, draft: &mut RunBuilder) {
        let mut entry = server.entry();
        entry.insert("trust".to_owned(), json!(true));
        draft.override_settings(json!({"mcpServers": {SERVER_NAME: entry}}));
        draft.arguments.push(format!("--allowed-mcp-server-names={SERVER_NAME}").into());
        // Only system settings override a project's.
        let project = overlay::read(&draft.cwd.join(FILES.project_settings)).ok().flatten();
        if !beats_projects() && project.is_some_and(|project| !project["mcpServers"][SERVER_NAME].is_null()) {
            draft.notes.push(format!(
                "the project's own settings name a server `{SERVER_NAME}`, which Gemini CLI uses instead"
            ));
        }
    }

    fn command(&self, line: CommandParts<'_>, draft: &mut RunBuilder) -> Result<CommandLine, LaunchError> {
        let mut before = Vec::new();
        if line.is_task {
            before.extend(to_os_strings(&["--output-format", "stream-json"]));
        }
        if line.permission == Permission::Edit && !arguments::has_flag(line.user_arguments, &["--approval-mode"]) {
            before.extend(to_os_strings(&["--approval-mode", "auto_edit"]));
        }
        if let Some(model) = line.model {
            before.extend(to_os_strings(&["--model", model]));
        }
        before.append(&mut draft.arguments);
        // One-letter flags can be combined: `-dy`.
        let cluster = || {
            let is_cluster = |text: &&str| {
                text.strip_prefix('-')
                    .is_some_and(|letters| letters.bytes().all(|b| b.is_ascii_alphabetic()) && letters.contains('y'))
            };
            line.user_arguments.iter().filter_map(|argument| argument.to_str()).find(is_cluster).map(str::to_owned)
        };
        // Its parser accepts `--approvalMode` as well.
        let bypass = arguments::find_flag(line.user_arguments, &["--yolo", "--skip-trust", "--skipTrust"])
            .or_else(|| {
                arguments::find_flag_with_value(line.user_arguments, &["--approvalMode", "--approval-mode"], "yolo")
            })
            .or_else(cluster);
        Ok(CommandLine {
            leading_arguments: before,
            trailing_arguments: line.user_arguments.to_vec(),
            bypass_flag: bypass,
        })
    }

    /// Only system settings override the user's. Where aiw can't provide them, the CLI gets a separate home.
    fn pass_settings(&self, settings: &Value, draft: &RunBuilder) -> Result<Injection, LaunchError> {
        if beats_projects() {
            let present = draft.environment.path(SYSTEM_SETTINGS);
            let path = present.unwrap_or_else(|| Path::new(SYSTEM_FILE).to_owned());
            let below = overlay::read(&path)?.unwrap_or_else(|| Value::Object(Map::new()));
            return Ok(Injection::Variable(SYSTEM_SETTINGS, below));
        }
        let root = draft.home.gemini_dir(&draft.provider, draft.isolated);
        let home = GeminiHome::new(&draft.home, root, &draft.environment);
        home.check(settings, &draft.cwd)?;
        Ok(Injection::Home(home))
    }

    fn stream(&self) -> Box<dyn CliStream> {
        Box::new(GeminiStream::default())
    }

    fn session_arguments(&self) -> &'static [(&'static str, bool)] {
        &[("--resume", true), ("-r", true), ("--session-id", true)]
    }

    fn resume_arguments(&self, session: &str) -> Vec<String> {
        vec!["--resume".to_owned(), session.to_owned()]
    }

    fn resume_latest_arguments(&self) -> &'static str {
        "--resume latest"
    }

    #[cfg(test)]
    fn render_stream_lines(&self, pieces: &[String]) -> String {
        let delta = |piece: &String| {
            format!(
                "{{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"{piece}\",\"delta\":true}}\n\
                 {{\"type\":\"message\",\"role\":\"user\",\"content\":\"go on\"}}\n"
            )
        };
        let end = r#"{"type":"result","status":"success","stats":{}}"#;
        pieces.iter().map(delta).collect::<String>() + end + "\n"
    }
}

/// Returns whether Gemini takes our settings as the system's, which override those of the user and the project.
fn beats_projects() -> bool {
    #[cfg(unix)]
    let is_root = rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    let is_root = false;
    can_use_system_settings(is_root, overlay::HAS_REOPENABLE_FDS)
}

/// Gemini skips system settings, with nothing but a warning, if anyone but root can write to one of the directories above
/// them. The runtime directory is below `/tmp`, so only a descriptor will do.
pub(super) fn can_use_system_settings(is_root: bool, has_descriptors: bool) -> bool {
    is_root && has_descriptors
}

/// More than a record keeps of the final message. A model may write gigabytes.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Reads its `stream-json`.
#[derive(Default)]
struct GeminiStream {
    /// The model's text since it last did something else.
    saying: String,
}

impl CliStream for GeminiStream {
    fn read(&mut self, value: &Value, found: &mut StreamFindings) -> Vec<RunEvent> {
        let kind = text(&value["type"]);
        if kind != "message" && kind != "result" {
            self.saying.clear();
        }
        match kind {
            "init" => {
                found.record_session(&value["session_id"]);
                found.facts.model = value["model"].as_str().map(str::to_owned);
                Vec::new()
            }
            "message" if value["role"] == "assistant" => {
                let (said, part) = (text(&value["content"]), value["delta"] == true);
                if !part {
                    self.saying.clear();
                }
                if self.saying.len() < MAX_MESSAGE_BYTES {
                    self.saying.push_str(said);
                }
                RunEvent::message(said, part).into_iter().collect()
            }
            "tool_use" => {
                let input = &value["parameters"];
                let input = input["command"].as_str().map_or_else(|| input.to_string(), str::to_owned);
                vec![RunEvent::ToolCall { tool: text(&value["tool_name"]).to_owned(), input }]
            }
            "tool_result" => {
                let failed = value["status"] != "success";
                let answer = if failed { &value["error"]["message"] } else { &value["output"] };
                vec![RunEvent::ToolResult { text: flatten_text(answer), failed }]
            }
            "error" => vec![RunEvent::Line(text(&value["message"]).to_owned())],
            "result" => {
                let failed = value["status"] != "success";
                found.record_end(failed);
                let stats = &value["stats"];
                let count = |key: &str| stats[key].as_u64();
                if let (Some(input), Some(output)) = (count("input_tokens"), count("output_tokens")) {
                    found.facts.usage =
                        Some(TaskUsage { input, output, cached: count("cached"), ..TaskUsage::default() });
                }
                let error = text(&value["error"]["message"]).to_owned();
                let said = std::mem::take(&mut self.saying);
                found.facts.final_message =
                    [said, error.clone()].into_iter().find(|message| !message.trim().is_empty());
                if failed { vec![RunEvent::Failed(error)] } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    }
}
