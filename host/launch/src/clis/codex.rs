//! Codex. Seen in 0.169.0.
//!
//! It takes providers only from its configuration, and settings on the command line override the user's
//! `config.toml`. A provider on the command line is merged with the user's own provider of the same id, including
//! headers and query. So ours has an id that nobody can guess. The id is made when the provider is added, and kept,
//! because Codex resumes a session only if its provider is configured.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use aiw_core::provider::Auth;
use aiw_core::{Api, CliKind, toml_string};
use aiw_home::CliFiles;
use aiw_tasks::TaskUsage;
use serde_json::Value;

use super::{AiCli, CommandLine, CommandParts, Injection, to_os_strings};
use crate::access::ResolvedProvider;
use crate::arguments;
use crate::builder::RunBuilder;
use crate::served::{McpServerCommand, SERVER_NAME};
use crate::stream::{CliStream, RunEvent, StreamFindings, flatten_text, text};
use crate::{LaunchError, Permission, RunRequest};

pub(super) struct Codex;

const CODEX_FILES: CliFiles = CliFiles::for_cli(CliKind::Codex);

/// The variable that holds the provider's key.
const KEY_VARIABLE: &str = "AIW_CODEX_KEY";
/// The variables that hold its headers, with a number each, because headers must not be on a command line.
const HEADER_VARIABLE_PREFIX: &str = "AIW_CODEX_HEADER_";

/// Variables of other services. Codex passes them on to the commands that it runs.
const CONFLICTING_VARIABLES: &[&str] = &[
    "AWS_BEARER_TOKEN_BEDROCK",
    "AZURE_OPENAI_API_KEY",
    "CODEX_ACCESS_TOKEN",
    "CODEX_API_KEY",
    "CODEX_EXEC_SERVER_URL",
    "OPENAI_API_BASE",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORGANIZATION",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT",
    "OPENAI_PROJECT_ID",
];

/// Disables what it would tell others about the run: the user's own exporters, the maker's analytics (which go to the
/// provider's address), and the check for a newer version. Also disables the user's own login: with it, Codex asks
/// ChatGPT for settings, plugins and apps, and offers those to the provider's model.
const ISOLATION_SETTINGS: [&str; 7] = [
    "cli_auth_credentials_store=\"ephemeral\"",
    "otel.exporter=\"none\"",
    "otel.trace_exporter=\"none\"",
    "otel.metrics_exporter=\"none\"",
    "analytics.enabled=false",
    "feedback.enabled=false",
    "check_for_update_on_startup=false",
];

impl AiCli for Codex {
    fn kind(&self) -> CliKind {
        CliKind::Codex
    }

    fn npm_package(&self) -> &'static str {
        "@openai/codex"
    }

    fn supported_apis(&self) -> &'static [Api] {
        &[Api::Responses]
    }

    fn provider_variables(&self) -> &'static [&'static str] {
        &[KEY_VARIABLE]
    }

    fn apply_provider(&self, access: &ResolvedProvider<'_>, draft: &mut RunBuilder) -> Result<(), LaunchError> {
        let cannot = |what: &str| Err(access.unsupported(self.kind(), what));
        let tuning = &access.intent.tuning;
        match tuning {
            tuning if tuning.output_tokens.is_some() => return cannot("limit what a model writes"),
            tuning if tuning.no_betas => return cannot("do without experimental features of the API"),
            tuning if tuning.no_prompt_caching => return cannot("do without prompt caching"),
            tuning if tuning.no_tool_search => return cannot("do without tool search"),
            _ => {}
        }
        let users = users_config(draft);
        refuse_profile(&users, draft)?;
        for name in CONFLICTING_VARIABLES.iter().copied() {
            draft.unset(name);
        }
        let mut fields = vec![
            format!("name={}", toml_string(access.provider)),
            format!("base_url={}", toml_string(access.base_url)),
            "wire_api=\"responses\"".to_owned(),
        ];
        // Without a key, `env_key` is left out: Codex fails if the variable that it names is unset.
        if let Auth::Bearer(_) | Auth::ApiKey(_) = access.intent.auth {
            draft.set(KEY_VARIABLE, access.key()?);
            fields.push(format!("env_key={}", toml_string(KEY_VARIABLE)));
        }
        let mut headers = Vec::new();
        for (number, (name, value)) in access.headers()?.into_iter().enumerate() {
            let variable = format!("{HEADER_VARIABLE_PREFIX}{}", number + 1);
            draft.set(&variable, value);
            headers.push(format!("{}={}", toml_string(name), toml_string(&variable)));
        }
        if !headers.is_empty() {
            fields.push(format!("env_http_headers={{{}}}", headers.join(",")));
        }
        if let Some(seconds) = tuning.timeout_seconds {
            fields.push(format!("stream_idle_timeout_ms={}", u64::from(seconds) * 1000));
        }
        let id = access.id;
        let mut settings =
            vec![format!("model_provider=\"{id}\""), format!("model_providers.{id}={{{}}}", fields.join(","))];
        settings.extend(tuning.context_tokens.map(|tokens| format!("model_context_window={tokens}")));
        settings.extend(ISOLATION_SETTINGS.map(str::to_owned));
        // If the user has no plugins, the feature only makes Codex fetch its maker's list of them.
        if users.table.get("plugins").is_none() {
            settings.push("features.plugins=false".to_owned());
        }
        for setting in settings {
            draft.arguments.extend(["-c".into(), setting.into()]);
        }
        if let Some(model) = &access.intent.models.main {
            draft.arguments.extend(["-m".into(), model.into()]);
        }
        Ok(())
    }

    /// Its trust also decides what it may write, so only its own record gives that.
    fn trust(&self, request: &RunRequest, draft: &mut RunBuilder) {
        if request.trust {
            draft
                .notes
                .push("Codex uses a project's settings where you trusted it in Codex: run `codex` there once".into());
        }
    }

    /// Without approval, `codex exec` refuses tools that change something. Without `required`, it starts without a
    /// server that is not ready at once.
    fn pass_server(&self, server: &McpServerCommand, draft: &mut RunBuilder) {
        let list = |items: &[String]| items.iter().map(|item| toml_string(item)).collect::<Vec<_>>().join(",");
        let mut fields = vec![
            format!("command={}", toml_string(&server.command)),
            format!("args=[{}]", list(&server.args)),
            "enabled=true".to_owned(),
            "required=true".to_owned(),
            "default_tools_approval_mode=\"approve\"".to_owned(),
        ];
        if !server.env.is_empty() {
            let pairs = server.env.iter().map(|(name, value)| format!("{name}={}", toml_string(value)));
            fields.push(format!("env={{{}}}", pairs.collect::<Vec<_>>().join(",")));
        }
        let mut settings = vec![format!("mcp_servers.{SERVER_NAME}={{{}}}", fields.join(","))];
        for (name, place) in other_servers(draft) {
            // What is on the command line is merged with the configuration. The dummy is for one that Codex does not
            // read, because it does not trust the project: without it, it would be an entry that leads nowhere.
            settings.push(format!("mcp_servers.{name}={{{place}=\"off\",enabled=false}}"));
        }
        draft.arguments.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
    }

    fn command(&self, line: CommandParts<'_>, draft: &mut RunBuilder) -> Result<CommandLine, LaunchError> {
        if let Some(provider) = line.provider {
            refuse_another_provider(line.user_arguments, provider)?;
        }
        let mut before = Vec::new();
        if line.is_task {
            before.extend(to_os_strings(&["exec", "--json"]));
        }
        if line.permission == Permission::Edit && !arguments::has_flag(line.user_arguments, &["-s", "--sandbox"]) {
            before.extend(to_os_strings(&["--sandbox", "workspace-write"]));
        }
        if let Some(model) = line.model {
            before.extend(to_os_strings(&["--model", model]));
        }
        before.append(&mut draft.arguments);
        let flags = ["--dangerously-bypass-approvals-and-sandbox", "--yolo", "--dangerously-bypass-hook-trust"];
        // `-c sandbox_mode="danger-full-access"`, in any spelling.
        let setting = || {
            let mut texts = line.user_arguments.iter().filter_map(|argument| argument.to_str());
            texts.find(|text| text.contains("danger-full-access") || text.contains("dangerously")).map(str::to_owned)
        };
        let bypass = arguments::find_flag(line.user_arguments, &flags)
            .or_else(|| {
                arguments::find_flag_with_value(line.user_arguments, &["-s", "--sandbox"], "danger-full-access")
            })
            .or_else(setting);
        let mut after = line.user_arguments.to_vec();
        if line.is_task {
            after.push("-".into());
        }
        Ok(CommandLine { leading_arguments: before, trailing_arguments: after, bypass_flag: bypass })
    }

    fn pass_settings(&self, _settings: &Value, _draft: &RunBuilder) -> Result<Injection, LaunchError> {
        Err(LaunchError::Invalid { message: "`codex` takes settings as arguments only".into(), hint: None })
    }

    fn stream(&self) -> Box<dyn CliStream> {
        Box::new(CodexStream)
    }

    fn session_arguments(&self) -> &'static [(&'static str, bool)] {
        &[("resume", true), ("--last", false), ("fork", true)]
    }

    fn resume_arguments(&self, session: &str) -> Vec<String> {
        vec!["resume".to_owned(), session.to_owned()]
    }

    fn resume_latest_arguments(&self) -> &'static str {
        "resume --last"
    }

    #[cfg(test)]
    fn render_stream_lines(&self, pieces: &[String]) -> String {
        let whole = pieces.concat();
        format!(
            r#"{{"type":"item.started","item":{{"type":"command_execution","command":"{whole}"}}}}
{{"type":"item.completed","item":{{"type":"command_execution","aggregated_output":"{whole}\n","exit_code":1}}}}
{{"type":"item.completed","item":{{"type":"agent_message","text":"{whole}"}}}}
{{"type":"error","message":"{whole}"}}
"#
        )
    }
}

/// The user's `config.toml`.
#[derive(Default)]
struct UsersConfig {
    path: PathBuf,
    table: toml::Table,
}

/// Reads the user's configuration.
fn users_config(draft: &RunBuilder) -> UsersConfig {
    let dir = match draft.isolated {
        true => Some(draft.isolated_dir(CliKind::Codex)),
        false => CODEX_FILES.directory(|name| draft.environment.path(name)),
    };
    let Some(dir) = dir else { return UsersConfig::default() };
    let path = dir.join(CODEX_FILES.settings);
    let table = config(&path);
    UsersConfig { path, table }
}

/// Refuses a profile in the user's configuration, because it chooses its own provider over ours: old versions use
/// that provider silently, newer ones refuse to start.
fn refuse_profile(users: &UsersConfig, draft: &RunBuilder) -> Result<(), LaunchError> {
    // The error message recommends `--isolated`.
    if draft.isolated || !users.table.contains_key("profile") {
        return Ok(());
    }
    Err(LaunchError::invalid(
        format!("`profile` in `{}` chooses another provider", users.path.display()),
        "take it out there, or run with `--isolated`",
    ))
}

/// Refuses arguments that would choose another provider.
fn refuse_another_provider(own: &[OsString], provider: &str) -> Result<(), LaunchError> {
    let refuse = |argument: &str| {
        Err(LaunchError::invalid(
            format!("`{argument}` chooses another provider than `{provider}`"),
            format!("leave out one of the two; `-p {}` means the CLI's own configuration", aiw_home::CLI_LOGIN_NAME),
        ))
    };
    for (at, argument) in own.iter().enumerate() {
        let text = argument.to_string_lossy();
        // The value of a one-letter flag may follow it directly.
        let short = text.starts_with("-p") && !text.starts_with("--");
        let long = ["--profile", "--oss", "--local-provider"]
            .iter()
            .any(|flag| text == *flag || text.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')));
        if short || long {
            return refuse(&text);
        }
        let setting = match text.as_ref() {
            "-c" | "--config" => own.get(at + 1).map(|next| next.to_string_lossy().into_owned()),
            text => text
                .strip_prefix("--config=")
                .or_else(|| text.strip_prefix("-c").filter(|rest| !rest.is_empty()))
                .map(|rest| rest.trim_start_matches('=').to_owned()),
        };
        let key = setting.as_deref().map(|setting| setting.split('=').next().unwrap_or_default().trim());
        if key.is_some_and(chooses_provider) {
            return refuse(setting.as_deref().unwrap_or_default().split('=').next().unwrap_or_default());
        }
    }
    Ok(())
}

fn chooses_provider(key: &str) -> bool {
    let first = key.split('.').next().unwrap_or_default().trim_matches(['"', '\'', ' ']);
    ["model_provider", "model_providers", "profile", "profiles", "openai_base_url", "chatgpt_base_url"].contains(&first)
}

/// Returns the names of the user's and the project's own servers, each with the key of how it is reached.
fn other_servers(draft: &RunBuilder) -> Vec<(String, &'static str)> {
    let projects = draft.cwd.ancestors().map(|dir| config(&dir.join(CODEX_FILES.project_settings)));
    let mut servers = Vec::new();
    for table in std::iter::once(users_config(draft).table).chain(projects) {
        let Some(named) = table.get("mcp_servers").and_then(toml::Value::as_table) else { continue };
        for (name, server) in named {
            // Codex refuses other names itself.
            let is_valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if name != SERVER_NAME && is_valid && !name.is_empty() && !servers.iter().any(|(other, _)| other == name) {
                servers.push((name.clone(), if server.get("url").is_some() { "url" } else { "command" }));
            }
        }
    }
    servers
}

/// Reads a configuration. A file that can't be read counts as empty: Codex refuses it itself.
fn config(path: &Path) -> toml::Table {
    let bytes = aiw_home::read_capped(path, aiw_home::json::MAX_BYTES).ok().flatten().unwrap_or_default();
    str::from_utf8(&bytes).ok().and_then(|text| toml::from_str(text).ok()).unwrap_or_default()
}

/// Reads its JSON lines.
struct CodexStream;

impl CliStream for CodexStream {
    fn read(&mut self, value: &Value, found: &mut StreamFindings) -> Vec<RunEvent> {
        let item = &value["item"];
        match text(&value["type"]) {
            "thread.started" => {
                found.record_session(&value["thread_id"]);
                Vec::new()
            }
            "turn.started" => {
                found.facts.is_structured = true;
                Vec::new()
            }
            "item.started" => match text(&item["type"]) {
                "command_execution" => {
                    vec![RunEvent::ToolCall { tool: "exec".into(), input: text(&item["command"]).to_owned() }]
                }
                "mcp_tool_call" => {
                    let tool = format!("{}.{}", text(&item["server"]), text(&item["tool"]));
                    vec![RunEvent::ToolCall { tool, input: item["arguments"].to_string() }]
                }
                _ => Vec::new(),
            },
            "item.completed" => completed(item, found),
            "turn.completed" => {
                let usage = &value["usage"];
                let count = |key: &str| usage[key].as_u64();
                if let (Some(input), Some(output)) = (count("input_tokens"), count("output_tokens")) {
                    let (cached, reasoning) = (count("cached_input_tokens"), count("reasoning_output_tokens"));
                    found.facts.usage = Some(TaskUsage { input, output, cached, reasoning, ..TaskUsage::default() });
                }
                found.record_end(false);
                Vec::new()
            }
            "turn.failed" => {
                found.record_end(true);
                let message = text(&value["error"]["message"]).to_owned();
                // An `error` event has reported it already.
                found.facts.final_message.get_or_insert(message);
                Vec::new()
            }
            "error" => vec![RunEvent::Failed(text(&value["message"]).to_owned())],
            _ => Vec::new(),
        }
    }
}

fn completed(item: &Value, found: &mut StreamFindings) -> Vec<RunEvent> {
    match text(&item["type"]) {
        "agent_message" => {
            let said = text(&item["text"]);
            found.facts.final_message = Some(said.to_owned());
            RunEvent::message(said, false).into_iter().collect()
        }
        "command_execution" => {
            let failed = item["exit_code"].as_i64().is_some_and(|code| code != 0) || item["status"] == "failed";
            vec![RunEvent::ToolResult { text: text(&item["aggregated_output"]).to_owned(), failed }]
        }
        "mcp_tool_call" => {
            let failed = item["status"] == "failed";
            let answer = if failed { &item["error"]["message"] } else { &item["result"]["content"] };
            vec![RunEvent::ToolResult { text: flatten_text(answer), failed }]
        }
        "file_change" => {
            let paths = item["changes"].as_array().into_iter().flatten().map(|change| text(&change["path"]));
            vec![RunEvent::ToolCall { tool: "edit".into(), input: paths.collect::<Vec<_>>().join(" ") }]
        }
        "web_search" => vec![RunEvent::ToolCall { tool: "search".into(), input: text(&item["query"]).to_owned() }],
        "error" => vec![RunEvent::Line(text(&item["message"]).to_owned())],
        _ => Vec::new(),
    }
}
