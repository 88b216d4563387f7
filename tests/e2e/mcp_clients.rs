//! The real Claude Code, Codex and Gemini CLI as clients of `aiw mcp serve`. The model is a script on loopback. It
//! starts a real CLI as a task, waits for it and reads its log.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aiw_tests::{Environment, ModelApi, Run, git, not_run, real_cli};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

/// The scripted model, which replaces `TASK_ID` in its turns with the id of the task that it was told about.
const MODEL: &str = r#"
import json, os, re, sys
sys.path.insert(0, os.path.dirname(sys.argv.pop(1)))
import fake_model_api as api
take, ids = api.Script.take, []
def named(script, request):
    for text in request["results"]:
        ids.extend(re.findall(r'wait_task with id \\*"([0-9a-z]{12})', text))
    turn = json.dumps(take(script, request))
    return json.loads(turn.replace("TASK_ID", ids[0]) if ids else turn)
api.Script.take = named
api.main()
"#;

const PROMPT: &str = "Have the greeting done by another";
const TASK: &str = "Greet whoever asks";
const GREETING: &str = "Greetings from the other one.";

/// Returns the raw bodies of the requests that offered aiw's tools.
fn asked(model: &ModelApi) -> Vec<String> {
    let bodies = model.requests().into_iter().map(|request| request["body"].to_string());
    bodies.filter(|body| body.contains("get_task_logs") && body.contains(PROMPT)).collect()
}

/// Returns the first of the CLIs that is installed, to run the task.
fn worker(wanted: [&'static str; 3]) -> Option<&'static str> {
    wanted.into_iter().find(|cli| real_cli(cli).is_some())
}

pub(crate) fn with_limit(mut command: Command) -> Run {
    // Two of the three clients are parents of the process that does the work, so the whole group is killed.
    let mut child =
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let group = Pid::from_child(&child);
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = std::thread::spawn(move || std::io::read_to_string(&mut stdout).unwrap_or_default());
    let err = std::thread::spawn(move || std::io::read_to_string(&mut stderr).unwrap_or_default());
    let start = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        if start.elapsed() > aiw_tests::HANG_TIMEOUT {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait();
            break -1;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    Run { code, stdout: out.join().unwrap(), stderr: err.join().unwrap() }
}

/// What a client printed, and the requests of its model that offered aiw's tools.
pub(crate) struct Asked {
    run: Run,
    requests: Vec<String>,
}

impl Asked {
    /// The requests of a client that succeeded and printed this.
    pub(crate) fn all(self, printed: &[&str]) -> Vec<String> {
        let last = self.requests.last().map_or("", |body| &body[body.len().saturating_sub(6000)..]);
        assert_eq!(self.run.code, 0, "{}\n{last}", self.run.whole());
        let is_whole = printed.iter().all(|text| self.run.stdout.contains(text));
        assert!(is_whole, "{}\n{last}", self.run.whole());
        self.requests
    }
}

/// The command line of a client with aiw as its MCP server.
pub(crate) type Line = fn(&Environment, &Path, &str, &str) -> Command;

/// Runs a client whose model is a script. `offered` is a tool of aiw that its requests offer.
pub(crate) fn asks(
    env: &mut Environment,
    real: &Path,
    prompt: &str,
    offered: &str,
    turns: &Value,
    line: Line,
) -> Option<Asked> {
    let Some(model) = ModelApi::start(turns) else {
        not_run("python3 is absent");
        return None;
    };
    let project = env.path("project");
    fs::create_dir_all(&project).unwrap();
    git(&project, &["init", "-q"]);
    let path = env.parts().1["PATH"].clone();
    let bins: Vec<PathBuf> =
        std::iter::once(real.parent().unwrap().to_owned()).chain(std::env::split_paths(&path)).collect();
    under_gateway(env, std::env::join_paths(bins).unwrap().to_str().unwrap(), model.url());
    let mut command = line(env, real, model.url(), prompt);
    command.current_dir(&project);
    let run = with_limit(command);
    let requests = model.requests().into_iter().map(|request| request["body"].to_string());
    let requests = requests.filter(|body| body.contains(offered) && body.contains(prompt)).collect();
    Some(Asked { run, requests })
}

/// Tests a client. `tool` makes a call to one of aiw's tools, as the client's model would; `command` is the
/// client's command line.
fn client(cli: &str, worker: [&'static str; 3]) {
    let Some(real) = real_cli(cli) else { return not_run(&format!("{cli} is absent")) };
    let Some(worker) = self::worker(worker) else { return };
    let mut env = Environment::new();
    let start = json!({"ai_type": worker, "task": TASK, "provider": "gw"});
    let turn = |name: &str, input: Value| json!({"match": PROMPT, "offers": "get_task_logs", "tools": [tool_use(cli, name, input)]});
    let turns = json!([
        {"match": TASK, "text": GREETING, "repeat": true},
        turn("start_task", start),
        turn("wait_task", json!({"id": "TASK_ID"})),
        turn("get_task_logs", json!({"id": "TASK_ID"})),
        {"match": PROMPT, "offers": "get_task_logs", "text": "It is done."},
    ]);
    let Some(model) = ModelApi::start_with(MODEL, &turns) else { return not_run("python3 is absent") };
    let project = env.path("project");
    fs::create_dir_all(&project).unwrap();
    git(&project, &["init", "-q"]);
    let bins: Vec<PathBuf> =
        [Some(real.clone()), real_cli(worker)].iter().flatten().map(|path| path.parent().unwrap().to_owned()).collect();
    let path = std::env::join_paths(bins.into_iter().chain(std::env::split_paths(&std::env::var("PATH").unwrap())));
    under_gateway(&mut env, path.unwrap().to_str().unwrap(), model.url());

    let mut command = line_of(cli)(&env, &real, model.url(), PROMPT);
    command.current_dir(&project);
    let run = with_limit(command);
    let asked = asked(&model);
    let seen =
        || format!("{}\n{}", run.whole(), asked.last().map_or("", |body| &body[body.len().saturating_sub(6000)..]));
    assert_eq!(run.code, 0, "{}", seen());
    assert!(run.stdout.contains("It is done."), "{}", seen());
    // There is one request for each turn, and each shows the model the answer to its previous call.
    assert_eq!(asked.len(), 4, "{}", seen());
    let task =
        env.json(&["task", "list"])["tasks"].as_array().unwrap().iter().find(|task| task["prompt"] == TASK).cloned();
    let task = task.unwrap_or_else(|| panic!("no task: {}", seen()));
    let id = task["id"].as_str().unwrap();
    assert!(asked[1].contains(id) && asked[1].contains("root_pid"), "{}", seen());
    assert!(asked[2].contains(GREETING) && asked[2].contains("final_message"), "{}", seen());
    assert!(
        asked[3].contains("earlier_lines") && asked[3].matches(GREETING).count() > asked[2].matches(GREETING).count()
    );
    assert_eq!(
        (&task["cli"], &task["outcome"], &task["provider"]),
        (&json!(worker), &json!("succeeded"), &json!("gw"))
    );
    // Waiting marked the report as read.
    assert_eq!(task["unseen"], false);
}

/// How a client's model calls one of aiw's tools, as the scripted model says it.
pub(crate) fn tool_use(cli: &str, name: &str, input: Value) -> Value {
    match cli {
        "claude" => json!({"name": format!("mcp__aiw__{name}"), "input": input}),
        "codex" => json!({"name": name, "namespace": "mcp__aiw", "input": input}),
        _ => json!({"name": format!("mcp_aiw_{name}"), "input": input}),
    }
}

/// The command line of a client with aiw as its MCP server.
pub(crate) fn line_of(cli: &str) -> Line {
    match cli {
        "claude" => claude,
        "codex" => codex,
        _ => gemini,
    }
}

/// The command line of Claude Code with aiw as its MCP server.
pub(crate) fn claude(env: &Environment, claude: &Path, url: &str, prompt: &str) -> Command {
    let config = env.path("servers.json");
    let server = json!({"command": env.parts().0, "args": ["mcp", "serve"]});
    fs::write(&config, json!({"mcpServers": {"aiw": server}}).to_string()).unwrap();
    let mut command = env.program(claude);
    // Its tools are offered at once, not behind the search.
    command.args(["-p", prompt, "--strict-mcp-config", "--allowedTools", "mcp__aiw", "--mcp-config"]).arg(config);
    command.env("ANTHROPIC_BASE_URL", url).env("ANTHROPIC_API_KEY", "sk-ant-dummy");
    command
}

/// The command line of Codex with aiw as its MCP server.
pub(crate) fn codex(env: &Environment, codex: &Path, url: &str, prompt: &str) -> Command {
    let mut command = env.program(codex);
    command.args(["exec", "--skip-git-repo-check"]);
    let text = |text: &str| Value::from(text).to_string();
    let variables = variables(env);
    let pairs: Vec<String> =
        variables.as_object().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
    for setting in [
        "analytics.enabled=false".to_owned(),
        "model_provider=\"fake\"".into(),
        "model=\"fake-model\"".into(),
        format!(
            "model_providers.fake={{name=\"Fake\",base_url=\"{url}/v1\",env_key=\"THE_KEY\",wire_api=\"responses\"}}"
        ),
        format!("mcp_servers.aiw.command={}", text(env.parts().0.to_str().unwrap())),
        "mcp_servers.aiw.args=[\"mcp\",\"serve\"]".into(),
        format!("mcp_servers.aiw.env={{{}}}", pairs.join(",")),
        "mcp_servers.aiw.required=true".into(),
        "mcp_servers.aiw.default_tools_approval_mode=\"approve\"".into(),
    ] {
        command.args(["-c", &setting]);
    }
    command.arg(prompt);
    command
}

/// The command line of Gemini CLI with aiw as its MCP server.
pub(crate) fn gemini(env: &Environment, gemini: &Path, url: &str, prompt: &str) -> Command {
    let settings = json!({
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": false},
        "telemetry": {"enabled": false},
        "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false},
        "mcpServers": {"aiw": {"command": env.parts().0, "args": ["mcp", "serve"], "env": variables(env), "trust": true}},
    });
    fs::create_dir_all(env.user().join(".gemini")).unwrap();
    fs::write(env.user().join(".gemini/settings.json"), settings.to_string()).unwrap();
    let mut command = env.program(gemini);
    command.args(["-p", prompt, "-m", "gemini-2.5-flash", "--approval-mode", "yolo"]);
    command.env("GEMINI_API_KEY", "dummy").env("GOOGLE_GEMINI_BASE_URL", url);
    command
}

/// Returns the variables that the server needs, which a client may not pass on.
fn variables(env: &Environment) -> Value {
    let (_, variables) = env.parts();
    let names = [
        "AIW_HOME",
        "AIW_RUNTIME_DIR",
        "PATH",
        "THE_KEY",
        "GEMINI_CLI_TRUST_WORKSPACE",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    ];
    names.into_iter().map(|name| (name.to_owned(), json!(variables[name]))).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn claude_code_starts_waits_and_reads() {
    client("claude", ["codex", "gemini", "claude"]);
}

#[test]
fn codex_starts_waits_and_reads() {
    client("codex", ["gemini", "claude", "codex"]);
}

#[test]
fn gemini_cli_starts_waits_and_reads() {
    client("gemini", ["claude", "codex", "gemini"]);
}

/// Lets the CLIs on a path answer quietly, under a provider `gw` at an address.
pub(crate) fn under_gateway(env: &mut Environment, path: &str, url: &str) {
    for (name, value) in [
        ("PATH", path),
        ("THE_KEY", "a-key"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
        ("TERM", "xterm-256color"),
    ] {
        env.set(name, value);
    }
    let gateway = ["--preset", "litellm", "--base-url", url, "--token-env", "THE_KEY", "--model", "m"];
    env.run(&[&["provider", "add", "gw"][..], &gateway].concat()).ok();
}
