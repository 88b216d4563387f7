//! Codex. Seen in 0.169.0.
//!
//! It takes providers only from its configuration, and settings on the command line override the user's
//! `config.toml`. A provider on the command line is merged with the user's own provider of the same id, including
//! headers and query. So ours has an id that nobody can guess. The id is made when the provider is added, and kept,
//! because Codex resumes a session only if its provider is configured.

use std::ffi::OsString;
use std::path::PathBuf;

use aiw_core::provider::Auth;
use aiw_core::{Api, CliKind, EnvName, one_line};
use aiw_providers::is_vendor_key;
use aiw_tasks::Usage;
use serde_json::{Map, Value};

use super::{AiCli, CommandLine, Line, Passed, words};
use crate::access::Access;
use crate::arguments;
use crate::draft::Draft;
use crate::stream::{CliStream, Event, Findings, flat, text};
use crate::{LaunchError, Permission};

pub(super) struct Codex;

/// The variable that holds the provider's key.
const KEY: &str = "AIW_CODEX_KEY";
/// The variables that hold its headers, with a number each, because headers must not be on a command line.
const HEADER: &str = "AIW_CODEX_HEADER_";

/// It does not use all of these itself, but passes them on to the commands it runs.
const COMPETES: &[&str] = &[
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
const QUIET: [&str; 7] = [
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

    fn speaks(&self) -> &'static [Api] {
        &[Api::Responses]
    }

    fn config_variable(&self) -> &'static str {
        "CODEX_HOME"
    }

    fn sets(&self) -> &'static [&'static str] {
        &[KEY]
    }

    fn express(&self, access: &Access<'_>, draft: &mut Draft) -> Result<(), LaunchError> {
        let cannot = |what: &str| Err(access.cannot(self.kind(), what));
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
        for name in COMPETES.iter().copied() {
            draft.unset(name);
        }
        let mut fields = vec![
            format!("name={}", toml_string(access.provider)),
            format!("base_url={}", toml_string(access.base_url)),
            "wire_api=\"responses\"".to_owned(),
        ];
        // Without a key, `env_key` is left out: Codex fails if the variable that it names is unset.
        if let Auth::Bearer(_) | Auth::ApiKey(_) = access.intent.auth {
            draft.set(KEY, access.key()?);
            fields.push(format!("env_key={}", toml_string(KEY)));
        }
        let mut headers = Vec::new();
        for (number, (name, value)) in access.headers()?.into_iter().enumerate() {
            let variable = format!("{HEADER}{}", number + 1);
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
        settings.extend(QUIET.map(str::to_owned));
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

    fn pass_servers(&self, servers: &Map<String, Value>, draft: &mut Draft) -> Result<Vec<String>, LaunchError> {
        let mut passed = Vec::new();
        for (name, server) in servers {
            match mcp_setting(name, server, draft) {
                Ok(setting) => {
                    draft.arguments.extend(["-c".into(), setting.into()]);
                    passed.push(name.clone());
                }
                Err(problem) => {
                    draft.notes.push(format!("MCP server `{}` is not passed on: {problem}", one_line(name, 60)));
                }
            }
        }
        Ok(passed)
    }

    fn about_servers(&self, passed: &[String]) -> String {
        let name = passed.first().map_or("NAME", String::as_str);
        format!(
            "; `codex exec` refuses tools that change something unless you approve them: \
             `-- -c 'mcp_servers.{name}.default_tools_approval_mode=\"approve\"'`"
        )
    }

    fn command(&self, line: Line<'_>, draft: &mut Draft) -> Result<CommandLine, LaunchError> {
        if let Some(provider) = line.provider {
            refuse_another_provider(line.own, provider)?;
        }
        let mut before = Vec::new();
        if line.task {
            before.extend(words(&["exec", "--json"]));
        }
        if line.permission == Permission::Edit && !arguments::has(line.own, &["-s", "--sandbox"]) {
            before.extend(words(&["--sandbox", "workspace-write"]));
        }
        if let Some(model) = line.model {
            before.extend(words(&["--model", model]));
        }
        before.append(&mut draft.arguments);
        let flags = ["--dangerously-bypass-approvals-and-sandbox", "--yolo", "--dangerously-bypass-hook-trust"];
        // `-c sandbox_mode="danger-full-access"`, in any spelling.
        let setting = || {
            let mut texts = line.own.iter().filter_map(|argument| argument.to_str());
            texts.find(|text| text.contains("danger-full-access") || text.contains("dangerously")).map(str::to_owned)
        };
        let bypass = arguments::first_of(line.own, &flags)
            .or_else(|| arguments::pair(line.own, &["-s", "--sandbox"], "danger-full-access"))
            .or_else(setting);
        let mut after = line.own.to_vec();
        if line.task {
            after.push("-".into());
        }
        Ok(CommandLine { before, after, bypass })
    }

    fn pass_settings(&self, _settings: &Value, _draft: &Draft) -> Result<Passed, LaunchError> {
        Err(LaunchError::Invalid { message: "`codex` takes settings as arguments only".into(), hint: None })
    }

    fn stream(&self) -> Box<dyn CliStream> {
        Box::new(Stream)
    }

    fn resume(&self, session: &str) -> String {
        format!("resume {session}")
    }

    fn resume_latest(&self) -> &'static str {
        "resume --last"
    }

    #[cfg(test)]
    fn says(&self, pieces: &[String]) -> String {
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

/// Reads the user's configuration. A file that can't be read counts as empty here: Codex refuses it itself.
fn users_config(draft: &Draft) -> UsersConfig {
    let set = |name: &str| draft.environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = match draft.isolated {
        true => Some(draft.isolated_dir(CliKind::Codex)),
        false => set("CODEX_HOME").or_else(|| Some(set("HOME")?.join(".codex"))),
    };
    let Some(dir) = dir else { return UsersConfig::default() };
    let path = dir.join("config.toml");
    let bytes = aiw_home::read_capped(&path, aiw_home::json::MAX_BYTES).ok().flatten().unwrap_or_default();
    let table = str::from_utf8(&bytes).ok().and_then(|text| toml::from_str(text).ok()).unwrap_or_default();
    UsersConfig { path, table }
}

/// Refuses a profile in the user's configuration, because it chooses its own provider over ours: old versions use
/// that provider silently, newer ones refuse to start.
fn refuse_profile(users: &UsersConfig, draft: &Draft) -> Result<(), LaunchError> {
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
            format!("leave out one of the two; `-p {}` means the CLI's own configuration", aiw_home::OWN),
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

/// Returns a setting `mcp_servers.NAME={…}`. Every user of the machine can read it, so it contains no values of
/// variables: those go through the environment, and Codex is told only their names.
fn mcp_setting(name: &str, server: &Value, draft: &mut Draft) -> Result<String, String> {
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') || name.is_empty() {
        return Err("Codex does not accept such a name".into());
    }
    let plain = |value: &Value| match value.as_str() {
        Some(text) if text.contains("${") => {
            Err("Codex puts no variables into commands, arguments and addresses".into())
        }
        Some(text) => Ok(toml_string(text)),
        None => Err("its entry in mcp.json is not valid".to_owned()),
    };
    let mut fields = Vec::new();
    match (server.get("command"), server.get("url")) {
        (Some(command), _) => fields.push(format!("command={}", plain(command)?)),
        (None, Some(_)) if server.get("headers").and_then(Value::as_object).is_some_and(|h| !h.is_empty()) => {
            return Err("its headers would stand on the command line".into());
        }
        (None, Some(url)) if url.as_str().is_some_and(|url| url.contains(['@', '?'])) => {
            return Err("its address, which may hold a secret, would stand on the command line".into());
        }
        (None, Some(url)) => fields.push(format!("url={}", plain(url)?)),
        (None, None) => return Err("it has neither a command nor an address".into()),
    }
    let arguments = server.get("args").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let arguments = arguments.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
    if !arguments.is_empty() {
        fields.push(format!("args=[{}]", arguments.join(",")));
    }
    let mut names = Vec::new();
    for (key, value) in server.get("env").and_then(Value::as_object).into_iter().flatten() {
        let key: EnvName = key.parse().map_err(|_| "it has a variable without a usable name".to_owned())?;
        let key = key.as_str();
        let value = value.as_str().ok_or("it has a variable that is not text")?;
        if means_something(key, draft) {
            return Err(format!("its variable `{key}` would reach Codex itself, which it means something to"));
        }
        let own = format!("${{{key}}}");
        if value.contains("${") && value != own {
            return Err(format!("its variable `{key}` is made of others"));
        }
        if value != own {
            match draft.environment.get(key) {
                Some(other) if other != value => {
                    return Err(format!("its variable `{key}` has another value in your environment"));
                }
                _ => draft.environment.set(key, value),
            }
        }
        names.push(toml_string(key));
    }
    if !names.is_empty() {
        fields.push(format!("env_vars=[{}]", names.join(",")));
    }
    Ok(format!("mcp_servers.{name}={{{}}}", fields.join(",")))
}

/// Returns whether a variable changes what the CLI itself does, or holds its key. `mcp.json` is written by plugins,
/// and Codex passes variables to its servers only through its own environment.
fn means_something(name: &str, draft: &Draft) -> bool {
    const BEGINNINGS: [&str; 15] = [
        "AIW_",
        "ANTHROPIC_",
        "AWS_",
        "BASH_",
        "CLAUDE",
        "CODEX_",
        "DYLD_",
        "GEMINI_",
        "GIT_",
        "GOOGLE_",
        "LD_",
        "NODE_",
        "OPENAI_",
        "RUST_",
        "SSL_",
    ];
    const NAMES: [&str; 9] = ["ENV", "HOME", "IFS", "LANG", "PATH", "PWD", "SHELL", "TMPDIR", "XDG_CONFIG_HOME"];
    let upper = name.to_ascii_uppercase();
    is_vendor_key(&upper)
        || draft.set.contains(name)
        || draft.cleared.contains(name)
        || NAMES.contains(&upper.as_str())
        || upper.ends_with("_PROXY")
        || BEGINNINGS.iter().any(|beginning| upper.starts_with(beginning))
}

/// Returns a basic string of TOML. <https://toml.io/en/v1.0.0#string>
fn toml_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Reads its JSON lines.
struct Stream;

impl CliStream for Stream {
    fn read(&mut self, value: &Value, found: &mut Findings) -> Vec<Event> {
        let item = &value["item"];
        match text(&value["type"]) {
            "thread.started" => {
                found.session(&value["thread_id"]);
                Vec::new()
            }
            "turn.started" => {
                found.facts.structured = true;
                Vec::new()
            }
            "item.started" => match text(&item["type"]) {
                "command_execution" => {
                    vec![Event::Called { tool: "exec".into(), input: text(&item["command"]).to_owned() }]
                }
                "mcp_tool_call" => {
                    let tool = format!("{}.{}", text(&item["server"]), text(&item["tool"]));
                    vec![Event::Called { tool, input: item["arguments"].to_string() }]
                }
                _ => Vec::new(),
            },
            "item.completed" => completed(item, found),
            "turn.completed" => {
                let usage = &value["usage"];
                let count = |key: &str| usage[key].as_u64();
                if let (Some(input), Some(output)) = (count("input_tokens"), count("output_tokens")) {
                    let (cached, reasoning) = (count("cached_input_tokens"), count("reasoning_output_tokens"));
                    found.facts.usage = Some(Usage { input, output, cached, reasoning });
                }
                found.end(false);
                Vec::new()
            }
            "turn.failed" => {
                found.end(true);
                let message = text(&value["error"]["message"]).to_owned();
                // An `error` event has reported it already.
                found.facts.final_message.get_or_insert(message);
                Vec::new()
            }
            "error" => vec![Event::Failed(text(&value["message"]).to_owned())],
            _ => Vec::new(),
        }
    }
}

fn completed(item: &Value, found: &mut Findings) -> Vec<Event> {
    match text(&item["type"]) {
        "agent_message" => {
            let said = text(&item["text"]);
            found.facts.final_message = Some(said.to_owned());
            Event::said(said, false).into_iter().collect()
        }
        "command_execution" => {
            let failed = item["exit_code"].as_i64().is_some_and(|code| code != 0) || item["status"] == "failed";
            vec![Event::Returned { text: text(&item["aggregated_output"]).to_owned(), failed }]
        }
        "mcp_tool_call" => {
            let failed = item["status"] == "failed";
            let answer = if failed { &item["error"]["message"] } else { &item["result"]["content"] };
            vec![Event::Returned { text: flat(answer), failed }]
        }
        "file_change" => {
            let paths = item["changes"].as_array().into_iter().flatten().map(|change| text(&change["path"]));
            vec![Event::Called { tool: "edit".into(), input: paths.collect::<Vec<_>>().join(" ") }]
        }
        "web_search" => vec![Event::Called { tool: "search".into(), input: text(&item["query"]).to_owned() }],
        "error" => vec![Event::Line(text(&item["message"]).to_owned())],
        _ => Vec::new(),
    }
}
