//! Tests of what each CLI is started with, for every intent.

use std::collections::BTreeMap;
use std::ffi::OsString;

use aiw_core::provider::{Account, Auth, Header, Intent, Models, Tuning, Value as Text};
use aiw_core::{Api, Family, Secret};
use aiw_home::Home;
use serde_json::{Value, json};

use super::*;
use crate::AiwServer;
use crate::access::ResolvedProvider;
use crate::builder::RunBuilder;
use crate::environment::Environment;
use crate::served::McpServerCommand;
use crate::{LaunchError, Permission};

/// Returns a run of a user whose own environment contains `variables`.
pub(super) fn draft(dir: &std::path::Path, variables: &[(&str, &str)]) -> RunBuilder {
    let pairs = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    RunBuilder {
        home: Home::from_root(dir.join("aiw")),
        provider: "mine".into(),
        cwd: dir.to_owned(),
        isolated: false,
        environment: Environment::from_parent(pairs),
        settings: None,
        servers: None,
        restrictions: Default::default(),
        arguments: Vec::new(),
        notes: Vec::new(),
        provider_variables: Default::default(),
        cleared_variables: Default::default(),
        withheld_variables: Default::default(),
        non_inherited_variables: Default::default(),
        secrets: Vec::new(),
    }
}

fn intent(api: Api) -> Intent {
    Intent {
        api,
        auth: Auth::Bearer("token".into()),
        headers: Vec::new(),
        models: Models::default(),
        tuning: Tuning::default(),
        tag: None,
        notes: Vec::new(),
    }
}

pub(super) fn express(kind: CliKind, intent: &Intent, draft: &mut RunBuilder) -> Result<(), LaunchError> {
    let base_urls: BTreeMap<Family, String> =
        Family::ALL.into_iter().map(|family| (family, format!("https://{family}.example/"))).collect();
    let account = Account {
        name: "mine".parse().unwrap(),
        preset: "p".into(),
        trusted_families: Default::default(),
        base_urls,
        model: None,
        secrets: Default::default(),
    };
    let secrets =
        BTreeMap::from([("token".to_owned(), Secret::new("canary-1")), ("more".to_owned(), Secret::new("canary-2"))]);
    for_kind(kind).apply_provider(&ResolvedProvider::new(&account, "aiw-id", intent, &secrets, &[])?, draft)
}

pub(super) fn variable(draft: &RunBuilder, name: &str) -> Option<String> {
    draft.environment.get(name).map(|value| value.to_string_lossy().into_owned())
}

pub(super) fn arguments(draft: &RunBuilder) -> Vec<String> {
    draft.arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

#[test]
fn claude_gets_one_credential_in_both_places() {
    let dir = tempfile::tempdir().unwrap();
    for (auth, set, value, other) in [
        (Auth::Bearer("token".into()), "ANTHROPIC_AUTH_TOKEN", "canary-1", "ANTHROPIC_API_KEY"),
        (Auth::ApiKey("token".into()), "ANTHROPIC_API_KEY", "canary-1", "ANTHROPIC_AUTH_TOKEN"),
        (Auth::None, "ANTHROPIC_AUTH_TOKEN", "none", "ANTHROPIC_API_KEY"),
        (
            Auth::Header { header: "X-Acme".parse().unwrap(), secret: "token".into() },
            "ANTHROPIC_AUTH_TOKEN",
            "none",
            "ANTHROPIC_API_KEY",
        ),
    ] {
        let mut draft = draft(dir.path(), &[("ANTHROPIC_API_KEY", "users"), ("ANTHROPIC_AUTH_TOKEN", "users")]);
        express(CliKind::Claude, &Intent { auth: auth.clone(), ..intent(Api::Messages) }, &mut draft).unwrap();
        let env = &draft.settings.as_ref().unwrap()["env"];
        assert_eq!((variable(&draft, set).as_deref(), &env[set]), (Some(value), &json!(value)), "{auth:?}");
        assert_eq!((variable(&draft, other), &env[other]), (None, &json!("")), "{auth:?}");
        assert_eq!(env["ANTHROPIC_BASE_URL"], "https://anthropic.example");
        let headers = if matches!(auth, Auth::Header { .. }) { "X-Acme: canary-1" } else { "" };
        assert_eq!(env["ANTHROPIC_CUSTOM_HEADERS"], headers);
        assert!(draft.arguments.is_empty());
    }
}

/// Each of these would send it elsewhere, with another key or for another model, or tell another host about the run.
#[test]
fn nothing_of_the_users_own_competes_with_a_provider_of_claude() {
    let dir = tempfile::tempdir().unwrap();
    let competes = [
        "ANTHROPIC_UNIX_SOCKET",
        "ANTHROPIC_CUSTOM_HEADERS",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLOUD_ML_REGION",
        "VERTEX_REGION_CLAUDE_4_5_SONNET",
        "ANTHROPIC_VERTEX_PROJECT_ID",
        "ANTHROPIC_SMALL_FAST_MODEL",
        "ANTHROPIC_DEFAULT_OPUS_MODEL",
        "CLAUDE_CODE_ENABLE_TELEMETRY",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ];
    let users: Vec<(&str, &str)> = competes.iter().map(|name| (*name, "users")).collect();
    let stays = [("HTTPS_PROXY", "http://proxy"), ("AWS_PROFILE", "work"), ("JIRA_BASE_URL", "https://jira")];
    let mut draft = draft(dir.path(), &[&users[..], &stays].concat());
    express(CliKind::Claude, &intent(Api::Messages), &mut draft).unwrap();
    let settings = draft.settings.clone().unwrap();
    for name in competes {
        assert_eq!((variable(&draft, name), &settings["env"][name]), (None, &json!("")), "{name}");
    }
    for (name, value) in stays {
        assert_eq!((variable(&draft, name).as_deref(), settings["env"].get(name)), (Some(value), None));
    }
    for helper in ["apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "gcpAuthRefresh", "otelHeadersHelper"] {
        assert_eq!(settings[helper], "");
    }
    // Variables that the user gives for the provider or the run are the user's choice.
    for_kind(CliKind::Claude).set_user_variable("CLAUDE_CODE_USE_BEDROCK", "1", &mut draft);
    assert_eq!(variable(&draft, "CLAUDE_CODE_USE_BEDROCK").as_deref(), Some("1"));
    assert_eq!(draft.settings.unwrap()["env"]["CLAUDE_CODE_USE_BEDROCK"], "1");
}

#[test]
fn claude_gets_models_by_size_headers_and_limits() {
    let dir = tempfile::tempdir().unwrap();
    let mut draft = draft(dir.path(), &[]);
    let models = Models { main: Some("m".into()), small: Some("s".into()), ..Models::default() };
    let tuning = Tuning {
        context_tokens: Some(1000),
        output_tokens: Some(100),
        timeout_seconds: Some(60),
        no_betas: true,
        no_prompt_caching: true,
        no_tool_search: true,
    };
    let headers = vec![
        Header { name: "X-Team".parse().unwrap(), value: Text::Literal("tools".into()) },
        Header {
            name: "X-Second".parse().unwrap(),
            value: Text::Secret { name: "more".into(), prefix: "Token ".into() },
        },
    ];
    express(CliKind::Claude, &Intent { models, tuning, headers, ..intent(Api::Messages) }, &mut draft).unwrap();
    for (name, value) in [
        ("ANTHROPIC_MODEL", "m"),
        ("ANTHROPIC_DEFAULT_OPUS_MODEL", "m"),
        ("ANTHROPIC_DEFAULT_SONNET_MODEL", "m"),
        ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "s"),
        ("ANTHROPIC_CUSTOM_HEADERS", "X-Team: tools\nX-Second: Token canary-2"),
        ("CLAUDE_CODE_MAX_CONTEXT_TOKENS", "1000"),
        ("CLAUDE_CODE_MAX_OUTPUT_TOKENS", "100"),
        ("API_TIMEOUT_MS", "60000"),
        ("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS", "1"),
        ("DISABLE_PROMPT_CACHING", "1"),
        ("ENABLE_TOOL_SEARCH", "false"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ] {
        let env = &draft.settings.as_ref().unwrap()["env"];
        assert_eq!((variable(&draft, name).as_deref(), &env[name]), (Some(value), &json!(value)));
    }
}

#[test]
fn codex_gets_a_provider_of_its_own_and_no_secret_as_an_argument() {
    let dir = tempfile::tempdir().unwrap();
    let mut draft = draft(dir.path(), &[("OPENAI_API_KEY", "users"), ("OPENAI_BASE_URL", "users")]);
    let headers = vec![Header { name: "X-Team".parse().unwrap(), value: Text::Literal("a\"b".into()) }];
    let models = Models { main: Some("gpt-x".into()), ..Models::default() };
    let tuning = Tuning { context_tokens: Some(1000), timeout_seconds: Some(60), ..Tuning::default() };
    express(CliKind::Codex, &Intent { headers, models, tuning, ..intent(Api::Responses) }, &mut draft).unwrap();
    assert_eq!(
        arguments(&draft).join(" "),
        "-c model_provider=\"aiw-id\" \
         -c model_providers.aiw-id={name=\"mine\",base_url=\"https://openai.example\",wire_api=\"responses\",\
         env_key=\"AIW_CODEX_KEY\",env_http_headers={\"X-Team\"=\"AIW_CODEX_HEADER_1\"},stream_idle_timeout_ms=60000} \
         -c model_context_window=1000 -c cli_auth_credentials_store=\"ephemeral\" -c otel.exporter=\"none\" \
         -c otel.trace_exporter=\"none\" -c otel.metrics_exporter=\"none\" -c analytics.enabled=false \
         -c feedback.enabled=false -c check_for_update_on_startup=false -c features.plugins=false -m gpt-x"
    );
    assert_eq!(variable(&draft, "AIW_CODEX_KEY").as_deref(), Some("canary-1"));
    assert_eq!(variable(&draft, "AIW_CODEX_HEADER_1").as_deref(), Some("a\"b"));
    assert_eq!((variable(&draft, "OPENAI_API_KEY"), variable(&draft, "OPENAI_BASE_URL")), (None, None));
    assert!(draft.settings.is_none());
}

#[test]
fn codex_without_a_key_sends_none_and_its_own_header_where_that_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let provider = |auth: Auth| {
        let mut draft = draft(dir.path(), &[]);
        express(CliKind::Codex, &Intent { auth, ..intent(Api::Responses) }, &mut draft).unwrap();
        (arguments(&draft)[3].clone(), variable(&draft, "AIW_CODEX_KEY"), variable(&draft, "AIW_CODEX_HEADER_1"))
    };
    let (none, key, _) = provider(Auth::None);
    assert!(!none.contains("env_key") && !none.contains("headers") && key.is_none(), "{none}");
    let (own, key, header) = provider(Auth::Header { header: "api-key-2".parse().unwrap(), secret: "token".into() });
    assert!(
        own.contains("env_http_headers={\"api-key-2\"=\"AIW_CODEX_HEADER_1\"}") && !own.contains("env_key"),
        "{own}"
    );
    assert_eq!((key, header.as_deref()), (None, Some("canary-1")));
}

#[test]
fn a_profile_in_the_users_configuration_of_codex_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    let home = dir.path().display().to_string();
    let run = |isolated: bool| {
        let mut draft = RunBuilder { isolated, ..draft(dir.path(), &[("CODEX_HOME", &home)]) };
        express(CliKind::Codex, &intent(Api::Responses), &mut draft)
    };
    for (text, fine) in
        [("model = \"x\"\n[profiles.a]\nmodel_provider = \"y\"", true), ("profile = \"a\"", false), ("[", true)]
    {
        std::fs::write(&config, text).unwrap();
        assert_eq!(run(false).is_ok(), fine, "{text}");
        assert!(run(true).is_ok());
    }
}

#[test]
fn codex_keeps_the_users_plugins_where_there_are_any() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().display().to_string();
    for (text, off) in [("", true), ("[plugins.\"a@b\"]\nenabled = true", false)] {
        std::fs::write(dir.path().join("config.toml"), text).unwrap();
        let mut draft = draft(dir.path(), &[("CODEX_HOME", &home)]);
        express(CliKind::Codex, &intent(Api::Responses), &mut draft).unwrap();
        assert_eq!(arguments(&draft).contains(&"features.plugins=false".to_owned()), off, "{text}");
    }
}

#[test]
fn no_login_of_the_users_own_takes_the_place_of_claudes_key() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().display().to_string();
    let given = |auth: Auth, task: bool, state: &str| {
        std::fs::write(dir.path().join(".claude.json"), state).unwrap();
        let mut draft = draft(dir.path(), &[("HOME", &home)]);
        express(CliKind::Claude, &Intent { auth, ..intent(Api::Messages) }, &mut draft).unwrap();
        let line = CommandParts {
            is_task: task,
            permission: Permission::Default,
            model: None,
            provider: Some("mine"),
            user_arguments: &[],
        };
        for_kind(CliKind::Claude).command(line, &mut draft).ok().unwrap();
        let env = draft.settings.as_ref().unwrap()["env"].clone();
        ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS"].map(|name| {
            let value = variable(&draft, name).unwrap_or_default();
            assert_eq!(env[name], value, "{name}");
            value
        })
    };
    let (key, bearer) = (|| Auth::ApiKey("token".into()), || Auth::Bearer("token".into()));
    let saved = r#"{"primaryApiKey": "users"}"#;
    // In a task, Claude Code does not ask whether to use the key.
    assert_eq!(given(key(), true, saved), ["canary-1", "", ""]);
    for state in [saved, "{}"] {
        assert_eq!(given(key(), false, state), ["", "canary-1", "x-api-key: canary-1"], "{state}");
    }
    for task in [true, false] {
        assert_eq!(given(bearer(), task, "{}"), ["", "canary-1", ""]);
        assert_eq!(given(bearer(), task, saved), ["", "canary-1", "x-api-key: canary-1"]);
        assert_eq!(given(Auth::None, task, saved), ["", "none", "x-api-key: none"]);
    }
    let own = Auth::Header { header: "X-Acme".parse().unwrap(), secret: "token".into() };
    assert_eq!(given(own, true, saved), ["", "none", "X-Acme: canary-1\nx-api-key: none"]);
}

#[test]
fn gemini_gets_its_key_and_no_other_way_to_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let competes = [
        "GOOGLE_API_KEY",
        "GOOGLE_GENAI_USE_VERTEXAI",
        "GOOGLE_GENAI_USE_GCA",
        "GOOGLE_CLOUD_LOCATION",
        "GEMINI_CLI_USE_COMPUTE_ADC",
        "CODE_ASSIST_ENDPOINT",
        "GEMINI_TELEMETRY_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "GEMINI_CLI_CUSTOM_HEADERS",
        "GEMINI_API_KEY_AUTH_MECHANISM",
    ];
    let users: Vec<(&str, &str)> = competes.iter().map(|name| (*name, "users")).collect();
    let api_key = Intent { auth: Auth::ApiKey("token".into()), ..intent(Api::GenerateContent) };
    let mut first = draft(dir.path(), &users);
    express(CliKind::Gemini, &api_key, &mut first).unwrap();
    for name in competes {
        assert_eq!(variable(&first, name).as_deref(), Some(""), "{name}");
    }
    assert_eq!(variable(&first, "GEMINI_API_KEY").as_deref(), Some("canary-1"));
    assert_eq!(variable(&first, "GOOGLE_GEMINI_BASE_URL").as_deref(), Some("https://gemini.example"));
    assert_eq!(variable(&first, "GEMINI_TELEMETRY_ENABLED").as_deref(), Some("false"));
    assert_eq!(
        first.settings,
        Some(json!({
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": false},
            "telemetry": {"enabled": false},
            "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false}
        }))
    );
    let headers = vec![
        Header { name: "X-A".parse().unwrap(), value: Text::Literal("1: 2".into()) },
        Header { name: "X-B".parse().unwrap(), value: Text::Secret { name: "more".into(), prefix: String::new() } },
    ];
    let models = Models { main: Some("g".into()), ..Models::default() };
    let mut second = draft(dir.path(), &[]);
    express(CliKind::Gemini, &Intent { headers, models, ..intent(Api::GenerateContent) }, &mut second).unwrap();
    assert_eq!(variable(&second, "GEMINI_API_KEY_AUTH_MECHANISM").as_deref(), Some("bearer"));
    assert_eq!(variable(&second, "GEMINI_CLI_CUSTOM_HEADERS").as_deref(), Some("X-A:1: 2,X-B:canary-2"));
    assert_eq!(arguments(&second), ["-m", "g"]);
}

#[test]
fn what_a_cli_has_no_way_to_do_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |kind: CliKind, api: Api, tuning: Tuning, headers: &[(&str, &str)]| {
        let header = |(name, value): &(&str, &str)| Header {
            name: name.parse().unwrap(),
            value: Text::Literal((*value).to_owned()),
        };
        let headers = headers.iter().map(header).collect();
        let error = express(kind, &Intent { tuning, headers, ..intent(api) }, &mut draft(dir.path(), &[]));
        error.map_err(|e| e.to_string())
    };
    let none = Tuning::default();
    for (kind, api, tuning, headers, what) in [
        (
            CliKind::Codex,
            Api::Responses,
            Tuning { output_tokens: Some(1), ..none },
            &[][..],
            "`codex` has no way to limit what a model writes, which provider `mine` needs",
        ),
        (
            CliKind::Codex,
            Api::Responses,
            Tuning { no_prompt_caching: true, ..none },
            &[],
            "`codex` has no way to do without prompt caching, which provider `mine` needs",
        ),
        (
            CliKind::Gemini,
            Api::GenerateContent,
            Tuning { timeout_seconds: Some(1), ..none },
            &[],
            "`gemini` has no way to wait for a set time, which provider `mine` needs",
        ),
        (
            CliKind::Gemini,
            Api::GenerateContent,
            none,
            &[("x-a", "1, authorization: evil")],
            "`gemini` has no way to send a header with a comma in its value, which provider `mine` needs",
        ),
    ] {
        assert_eq!(refused(kind, api, tuning, headers), Err(what.to_owned()));
    }
    let quirks = Tuning { no_betas: true, no_prompt_caching: true, no_tool_search: true, ..none };
    assert_eq!(refused(CliKind::Gemini, Api::GenerateContent, quirks, &[]), Ok(()));
}

fn os(arguments: &[&str]) -> Vec<OsString> {
    arguments.iter().map(OsString::from).collect()
}

fn command(
    kind: CliKind,
    permission: Permission,
    own: &[&str],
    task: bool,
    provider: Option<&str>,
) -> Result<CommandLine, LaunchError> {
    let dir = tempfile::tempdir().unwrap();
    let mut draft = RunBuilder { arguments: os(&["PLAN"]), ..draft(dir.path(), &[]) };
    let own = os(own);
    for_kind(kind).command(
        CommandParts { is_task: task, permission, model: Some("m"), provider, user_arguments: &own },
        &mut draft,
    )
}

#[test]
fn each_cli_is_told_to_stream_and_no_guard_is_lifted() {
    use Permission::{Default, Edit};

    let line = |kind, permission, own: &[&str], task| {
        let line = command(kind, permission, own, task, None).ok().unwrap();
        let all: Vec<String> = line
            .leading_arguments
            .iter()
            .chain(&line.trailing_arguments)
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        all.join(" ")
    };
    assert_eq!(
        line(CliKind::Claude, Edit, &["--x"], true),
        "-p --output-format stream-json --verbose --permission-mode acceptEdits --model m PLAN --x"
    );
    assert_eq!(line(CliKind::Codex, Edit, &[], true), "exec --json --sandbox workspace-write --model m PLAN -");
    assert_eq!(
        line(CliKind::Gemini, Edit, &[], true),
        "--output-format stream-json --approval-mode auto_edit --model m PLAN"
    );
    assert_eq!(line(CliKind::Gemini, Default, &["--approval-mode=plan"], false), "--model m PLAN --approval-mode=plan");
    assert_eq!(line(CliKind::Codex, Edit, &["-s", "read-only"], false), "--model m PLAN -s read-only");
}

#[test]
fn a_flag_that_lifts_the_guards_is_named() {
    let bypass = |kind, own: &[&str]| command(kind, Permission::Default, own, false, None).ok().unwrap().bypass_flag;
    for (cli, own, expected) in [
        (CliKind::Claude, &["--dangerously-skip-permissions"][..], "--dangerously-skip-permissions"),
        (CliKind::Claude, &["--permission-mode=bypassPermissions"], "--permission-mode bypassPermissions"),
        (
            CliKind::Claude,
            &["--settings", r#"{"permissions": {"defaultMode": "bypassPermissions"}}"#],
            "--settings permissions.defaultMode bypassPermissions",
        ),
        (CliKind::Codex, &["-s", "danger-full-access"], "--sandbox danger-full-access"),
        (CliKind::Codex, &["-c", "sandbox_mode=\"danger-full-access\""], "sandbox_mode=\"danger-full-access\""),
        (CliKind::Gemini, &["--approval-mode", "yolo"], "--approval-mode yolo"),
        (CliKind::Gemini, &["-dy"], "-dy"),
        (CliKind::Gemini, &["--approvalMode", "yolo"], "--approval-mode yolo"),
        (CliKind::Gemini, &["--approval-mode", "plan", "--approval-mode=yolo"], "--approval-mode yolo"),
        (
            CliKind::Claude,
            &["--permission-mode", "plan", "--permission-mode", "bypassPermissions"],
            "--permission-mode bypassPermissions",
        ),
    ] {
        assert_eq!(bypass(cli, own).as_deref(), Some(expected));
    }
    for (cli, own) in
        [(CliKind::Claude, "--permission-mode=plan"), (CliKind::Codex, "--yolo-not"), (CliKind::Gemini, "-s")]
    {
        assert_eq!(bypass(cli, &[own]), None);
    }
}

#[test]
fn arguments_that_choose_another_provider_are_refused() {
    let refused = |own: &[&str], provider| command(CliKind::Codex, Permission::Default, own, false, provider).is_err();
    for own in [
        &["-c", "model_provider=\"x\""][..],
        &["-c", "\"model_provider\"=\"x\""],
        &["--config=model_providers.x.base_url=\"y\""],
        &["-cmodel_provider=x"],
        &["--profile", "x"],
        &["--profile=x"],
        &["-px"],
        &["--oss"],
    ] {
        assert!(refused(own, Some("p")), "{own:?}");
        assert!(!refused(own, None), "{own:?}");
    }
    for own in [&["-c", "model_reasoning_effort=\"low\""][..], &["--color", "never"], &["-c"]] {
        assert!(!refused(own, Some("p")), "{own:?}");
    }
}

#[test]
fn the_users_settings_go_beneath_aiws() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.json"), r#"{"a": 1, "env": {"K": "users", "L": "users"}}"#).unwrap();
    let own = os(&["--a", "--settings", "x.json", "b", "--settings={\"c\": 2}"]);
    let line = |settings: Option<Value>| {
        let mut draft = RunBuilder { settings, ..draft(dir.path(), &[]) };
        let line = CommandParts {
            is_task: false,
            permission: Permission::Default,
            model: None,
            provider: None,
            user_arguments: &own,
        };
        let line = for_kind(CliKind::Claude).command(line, &mut draft).ok().unwrap();
        (line.trailing_arguments, draft.settings)
    };
    let (after, settings) = line(Some(json!({"env": {"K": "ours"}})));
    assert_eq!(after, os(&["--a", "b"]));
    assert_eq!(settings, Some(json!({"c": 2, "a": 1, "env": {"K": "ours", "L": "users"}})));
    // Without settings of ours, the user's stay where they are.
    assert_eq!(line(None), (own.clone(), None));
}

fn served(draft: &RunBuilder) -> McpServerCommand {
    let server = AiwServer { command: "/opt/a\"iw".into(), profile: Some("small".into()), toolsets: None };
    McpServerCommand::new(&server, draft).unwrap()
}

#[test]
fn claude_gets_aiw_as_its_only_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut draft = draft(dir.path(), &[]);
    for_kind(CliKind::Claude).pass_server(&served(&draft), &mut draft);
    let home = dir.path().join("aiw");
    let config = json!({"mcpServers": {"aiw": {
        "command": "/opt/a\"iw", "args": ["mcp", "serve", "--profile", "small"], "env": {"AIW_HOME": home}
    }}});
    assert_eq!(
        arguments(&draft),
        [&format!("--mcp-config={config}"), "--strict-mcp-config", "--allowedTools=mcp__aiw"]
    );
}

#[test]
fn codex_gets_aiw_as_its_only_server() {
    let dir = tempfile::tempdir().unwrap();
    let (user, project) = (dir.path().join("user"), dir.path().join("project/sub"));
    for (at, text) in [
        (&user, "[mcp_servers.one]\ncommand = \"x\"\nenv = { K = \"canary\" }\n[mcp_servers.aiw]\ncommand = \"old\"\n"),
        (
            &project,
            "[mcp_servers.two]\nurl = \"https://canary@h\"\n[mcp_servers.one]\ncommand = \"y\"\n[mcp_servers.\"a b\"]\n",
        ),
    ] {
        std::fs::create_dir_all(at.join(".codex")).unwrap();
        std::fs::write(at.join(".codex/config.toml"), text).unwrap();
    }
    let home = user.to_string_lossy().into_owned();
    let mut draft = RunBuilder {
        // Its own default: nothing to say.
        home: Home::from_root(user.join(".aiw")),
        ..draft(&project, &[("HOME", &home), ("AIW_RUNTIME_DIR", "/run/x")])
    };
    for_kind(CliKind::Codex).pass_server(&served(&draft), &mut draft);
    assert_eq!(
        arguments(&draft),
        [
            "-c",
            r#"mcp_servers.aiw={command="/opt/a\"iw",args=["mcp","serve","--profile","small"],enabled=true,required=true,default_tools_approval_mode="approve",env={AIW_RUNTIME_DIR="/run/x"}}"#,
            "-c",
            r#"mcp_servers.one={command="off",enabled=false}"#,
            "-c",
            r#"mcp_servers.two={url="off",enabled=false}"#,
        ]
    );
}

#[test]
fn gemini_gets_aiw_as_its_only_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut draft = draft(dir.path(), &[]);
    for_kind(CliKind::Gemini).pass_server(&served(&draft), &mut draft);
    let aiw = &draft.settings.as_ref().unwrap()["mcpServers"]["aiw"];
    assert_eq!((&aiw["trust"], &aiw["args"][1]), (&json!(true), &json!("serve")));
    assert_eq!(arguments(&draft), ["--allowed-mcp-server-names=aiw"]);
}

#[test]
fn an_older_claude_code_looks_names_up() {
    for (version, wants) in [
        (None, true),
        (Some("2.1.197"), true),
        (Some("2.1.327"), true),
        (Some("2.1.328"), false),
        (Some("2.2.0"), false),
        (Some("3.0.0-beta.1"), false),
    ] {
        assert_eq!(for_kind(CliKind::Claude).needs_real_paths(version), wants, "{version:?}");
    }
    assert!(!for_kind(CliKind::Codex).needs_real_paths(None));
}

/// A file in the runtime directory is below `/tmp`, where anyone can write: Gemini CLI skips it, and would use the user's own
/// login.
#[test]
fn gemini_gets_a_home_of_its_own_where_it_would_skip_system_settings() {
    use super::gemini::can_use_system_settings;

    assert!(can_use_system_settings(true, true));
    assert!(!can_use_system_settings(true, false), "root without descriptors, as on macOS");
    assert!(!can_use_system_settings(false, true));
    let dir = tempfile::tempdir().unwrap();
    let mut draft = draft(dir.path(), &[]);
    express(CliKind::Gemini, &intent(Api::GenerateContent), &mut draft).unwrap();
    let passed = for_kind(CliKind::Gemini).pass_settings(draft.settings.as_ref().unwrap(), &draft).unwrap();
    let is_systems = cfg!(target_os = "linux") && rustix::process::geteuid().is_root();
    assert_eq!(matches!(passed, Injection::Variable(..)), is_systems);
    assert_eq!(matches!(passed, Injection::Home(_)), !is_systems);
}
