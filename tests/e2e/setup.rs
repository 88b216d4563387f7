//! `aiw setup` and `--mcp`: aiw in the configuration of clients, or as the only server of a run. The real Claude Code,
//! Codex and Gemini CLI call a tool of it, and a scripted model gets the result.

mod behind;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::{Environment, FakeClis, ModelApi, Run, git, not_run, python, real_cli};
use serde_json::{Value, json};

use crate::crash::rounds;
use crate::mcp_clients::tool_use;
use crate::terminal::Terminal;

const PROMPT: &str = "Say which roles there are";
const ROLE: &str = "A canary that sings";
const ANSWER: &str = "There is a canary.";

/// A real client with a model that calls `list_roles`, answers only if it got the role, and an own server that must
/// not get lost.
struct Client {
    env: Environment,
    project: PathBuf,
    config: PathBuf,
    marker: PathBuf,
    model: ModelApi,
    cli: &'static str,
}

impl Client {
    /// A client whose model calls `list_roles`.
    fn new(cli: &'static str) -> Option<Self> {
        Self::that_calls(cli, "list_roles", json!({}), ROLE)
    }

    /// A client whose model calls a tool of aiw's, and answers if it got what it expects.
    fn that_calls(cli: &'static str, tool: &str, input: Value, expected: &str) -> Option<Self> {
        let Some(real) = real_cli(cli) else {
            not_run(&format!("{cli} is absent"));
            return None;
        };
        let call = tool_use(cli, tool, input);
        // The first that fits is taken: the call, unless its result is there.
        let search = json!({"name": "ToolSearch", "input": {"query": format!("select:mcp__aiw__{tool}")}});
        let turns = json!([
            {"match": PROMPT, "result": expected, "text": ANSWER, "repeat": true},
            {"match": PROMPT, "offers": tool, "tools": [call], "times": 3},
            // Claude Code offers a tool of a server behind aiw once its own search has found it.
            {"match": PROMPT, "offers": "^ToolSearch$", "tools": [search]},
        ]);
        let Some(model) = ModelApi::start(&turns) else {
            not_run("python3 is absent");
            return None;
        };
        let mut env = Environment::new();
        let (project, marker) = (env.path("project"), env.path("started"));
        fs::create_dir_all(&project).unwrap();
        git(&project, &["init", "-q"]);
        fs::create_dir_all(env.home().join("role")).unwrap();
        fs::write(env.home().join("role/canary.md"), format!("{ROLE}\n------------\nSing.\n")).unwrap();
        let path = format!("{}:{}", real.parent().unwrap().display(), std::env::var("PATH").unwrap());
        crate::mcp_clients::under_gateway(&mut env, &path, model.url());
        // A server that only tells that it was started.
        let touch = format!("touch '{}'", marker.display());
        let config = env.user().join(match cli {
            "claude" => ".claude.json",
            "codex" => ".codex/config.toml",
            _ => ".gemini/settings.json",
        });
        let text = match cli {
            "codex" => format!("# mine\r\n[mcp_servers.other]\r\ncommand = \"sh\"\r\nargs = [\"-c\", \"{touch}\"]\r\n"),
            _ => format!(
                "{{\n    \"mcpServers\": {{\"other\": {{\"command\": \"sh\", \"args\": [\"-c\", \"{touch}\"], \"trust\": true}}}}\n}}"
            ),
        };
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(&config, text).unwrap();
        Some(Self { env, project, config, marker, model, cli })
    }

    /// Runs a task, whose model has to get the result of the tool.
    fn run(&self, flags: &[&str]) {
        let project = self.project.display().to_string();
        let line = [self.cli, "--cwd", &project, "-p", "gw", "--timeout", "140s"];
        let run = self.env.run(&[&line[..], flags, &[PROMPT]].concat());
        let requests = self.model.requests();
        let offered = requests.iter().map(|request| request["body"]["tools"].as_array().into_iter().flatten());
        let offered: Vec<Vec<&str>> =
            offered.map(|tools| tools.filter_map(|tool| tool["name"].as_str()).collect()).collect();
        assert!(run.code == 0 && run.stdout.contains(ANSWER), "{}\noffered: {offered:#?}", run.whole());
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.config).unwrap()
    }
}

/// With `--mcp`, aiw is the only server; after a setup, it is one of the user's; after undo, nothing is left.
fn calls(cli: &'static str, approval: &[&str]) {
    let Some(client) = Client::new(cli) else { return };
    client.run(&["--mcp"]);
    assert!(!client.marker.exists(), "another server was started");

    let before = client.bytes();
    client.env.run(&[&["setup", cli, "-y"], approval].concat()).ok();
    assert_ne!(client.bytes(), before);
    client.env.run(&["setup", cli, "--undo", "-y"]).ok();
    assert_eq!(client.bytes(), before);

    client.env.run(&[&["setup", cli, "-y"], approval].concat()).ok();
    // The user's own entry does not get in the way of the run's.
    client.run(&["--mcp"]);
    assert!(!client.marker.exists(), "another server was started");
    let written = client.bytes();
    client.run(&[]);
    assert!(client.marker.exists(), "the user's own server was not started");
    let is_untouched = client.bytes() == written;
    client.env.run(&["setup", cli, "--undo", "-y"]).ok();
    if is_untouched {
        assert_eq!(client.bytes(), before);
    } else {
        // Claude Code writes its own state there.
        let now: Value = serde_json::from_slice(&client.bytes()).unwrap();
        let servers: Vec<&String> = now["mcpServers"].as_object().unwrap().keys().collect();
        assert_eq!(servers, ["other"]);
    }
    assert!(!client.env.home().join("setup").read_dir().is_ok_and(|mut records| records.next().is_some()));
}

#[test]
fn claude_code_calls_a_tool_of_aiws() {
    calls("claude", &["--approve-calls"]);
}

#[test]
fn codex_calls_a_tool_of_aiws() {
    // What only reads is approved by the setup itself.
    calls("codex", &[]);
}

#[test]
fn gemini_cli_calls_a_tool_of_aiws() {
    calls("gemini", &["--approve-calls"]);
}

/// Keeps a file's bytes.
fn write(path: &Path, text: &str) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    path.to_owned()
}

/// A server that the user has in a client, with a key in clear.
const SERVER: &str = r#"
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "initialize":
        info = {"name": "keys", "version": "1"}
        version = message["params"]["protocolVersion"]
        answer["result"] = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
    elif message["method"] == "tools/list":
        answer["result"] = {"tools": [{"name": "tell", "description": "Tells", "inputSchema": {"type": "object"}}]}
    elif message["method"] == "tools/call":
        text = "it is " + os.environ.get("MY_TOKEN", "nothing")[::-1]
        answer["result"] = {"content": [{"type": "text", "text": text}]}
    else:
        answer["error"] = {"code": -32601, "message": "no"}
    print(json.dumps(answer), flush=True)
"#;

/// What was imported from a client works behind aiw, and its key gets there from the vault.
fn imported(cli: &'static str) {
    let Some(python) = python() else { return not_run("python3 is absent") };
    let input = json!({"server": "keys", "tool": "tell", "arguments": {}});
    let Some(client) = Client::that_calls(cli, "call_tool", input, "it is yranac-yek-eht") else { return };
    let program = client.env.path("server.py");
    fs::write(&program, SERVER).unwrap();
    let (python, program) = (python.display(), program.display());
    let text = match cli {
        "codex" => format!(
            "[mcp_servers.keys]\ncommand = \"{python}\"\nargs = [\"{program}\"]\nenv = {{ MY_TOKEN = \"the-key-canary\" }}\n"
        ),
        _ => json!({"mcpServers": {"keys": {
            "command": python.to_string(), "args": [program.to_string()], "env": {"MY_TOKEN": "the-key-canary"}
        }}})
        .to_string(),
    };
    fs::write(&client.config, &text).unwrap();
    client.env.run(&["setup", cli, "-y", "--import"]).ok();
    assert_eq!(client.env.mcp()["mcpServers"]["keys"]["env"]["MY_TOKEN"], "${secret:keys-my-token}");
    assert!(!String::from_utf8(client.bytes()).unwrap().contains("canary"));
    client.run(&["--mcp"]);
}

#[test]
fn a_server_imported_from_claude_code_is_called_through_aiw() {
    imported("claude");
}

#[test]
fn a_server_imported_from_codex_is_called_through_aiw() {
    imported("codex");
}

#[test]
fn a_server_imported_from_gemini_cli_is_called_through_aiw() {
    imported("gemini");
}

/// Only root's settings go over a user's: for others, Gemini CLI gets a home of its own.
#[test]
fn gemini_cli_calls_a_tool_of_aiws_for_another_user() {
    const USER: u32 = 65_534;

    if !rustix::process::geteuid().is_root() {
        return not_run("only root can become another user");
    }
    let Some(client) = Client::new("gemini") else { return };
    let (aiw, root) = (client.env.path("bin/aiw"), client.env.path(""));
    fs::create_dir_all(aiw.parent().unwrap()).unwrap();
    // By another process: a file open for writing here would be open in other children for a moment too.
    assert!(Command::new("cp").arg(client.env.parts().0).arg(&aiw).status().unwrap().success());
    let owner = format!("{USER}:{USER}");
    assert!(Command::new("chown").args(["-R", &owner]).arg(&root).status().unwrap().success());
    let project = client.project.display().to_string();
    let mut command = client.env.program(&aiw);
    command.args(["gemini", "--cwd", &project, "-p", "gw", "--timeout", "140s", "--mcp", PROMPT]).uid(USER).gid(USER);
    let run = Run::from(command.output().unwrap());
    assert!(run.code == 0 && run.stdout.contains(ANSWER), "{}", run.whole());
    assert!(!client.marker.exists(), "another server was started");
}

#[test]
fn setups_at_the_same_time_leave_one_entry_and_undo_gives_everything_back() {
    let (env, _clis) = FakeClis::environment();
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"env\": {\"A_KEY\": \"sk-1\"}}}}";
    let files =
        [".claude.json", ".cursor/mcp.json", ".gemini/settings.json"].map(|name| write(&env.user().join(name), text));
    let started: Vec<_> = (0..6).map(|_| env.start(&["setup", "-y", "--import"])).collect();
    for child in started {
        let run = Run::from(child.wait_with_output().unwrap());
        // One that came too late says so.
        assert!(run.code == 0 || (run.code == 69 && run.stderr.contains("changed meanwhile")), "{}", run.whole());
    }
    for file in &files {
        let now = fs::read_to_string(file).unwrap();
        assert_eq!((now.matches("\"aiw\"").count(), now.contains("sk-1")), (1, false), "{now}");
    }
    assert_eq!(env.mcp()["mcpServers"]["a"]["env"]["A_KEY"], "${secret:a-key}");
    env.run(&["setup", "--undo", "-y"]).ok();
    for file in &files {
        assert_eq!(fs::read_to_string(file).unwrap(), text);
    }
    assert_eq!(env.json(&["secret", "list"])["secrets"], json!([]));
}

#[test]
fn a_setup_that_is_killed_anywhere_is_undone() {
    let mine = "{\"mcpServers\":   {\"mine\": {\"command\": \"m\"}}}";
    let mut cut = 0;
    for round in 0..rounds() {
        let (env, _clis) = FakeClis::environment();
        let text = |own: &str| {
            let both = r#""both": {"command": "x", "args": ["--token", "ghp_canary0123456789"]}"#;
            format!(
                "{{\"mcpServers\": {{{both},  \"{own}\": {{\"command\": \"y\", \"env\": {{\"A_KEY\": \"sk-{own}\"}}}}}}}}"
            )
        };
        let files = [".claude.json", ".cursor/mcp.json", ".gemini/settings.json"];
        let files = files.map(|name| (write(&env.user().join(name), &text(&name[1..4])), text(&name[1..4])));
        let mcp = env.home().join("mcp.json");
        if round % 2 == 0 {
            write(&mcp, mine);
        }
        let kill = |args: &[&str], after: u64| {
            let mut child = env.start(args);
            std::thread::sleep(std::time::Duration::from_millis(after));
            child.kill().unwrap();
            !child.wait().unwrap().success()
        };
        // Spread over the time that it takes.
        cut += u32::from(kill(&["setup", "-y", "--import"], 2 + round * 13 % 89));
        if round % 3 == 0 {
            kill(&["setup", "--undo", "-y"], 2 + round * 29 % 61);
        }
        if round % 4 == 0 {
            env.run(&["setup", "-y", "--import"]).ok();
        }
        env.run(&["setup", "--undo", "-y"]).ok();
        for (file, before) in &files {
            assert_eq!(fs::read_to_string(file).unwrap(), *before, "{round}");
        }
        assert_eq!(fs::read_to_string(&mcp).ok().as_deref(), (round % 2 == 0).then_some(mine), "{round}");
        assert_eq!(env.json(&["secret", "list"])["secrets"], json!([]), "{round}");
    }
    assert!(cut > 0);
}

/// Kills a command at one renaming after the other, until a temporary file is left in a directory. Returns such files.
fn left_by_a_kill(env: &Environment, at: &Path, arguments: &[&str], directory: &Path) -> Option<Vec<PathBuf>> {
    let left = || {
        let all = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_left = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(".aiw-");
        all.filter(is_left).collect::<Vec<_>>()
    };
    for nth in 1..60 {
        let renamings = "?rename,?renameat,renameat2";
        let inject = format!("inject={renamings}:signal=KILL:when={nth}");
        let mut traced = env.program("strace".as_ref());
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={renamings}"), "-e", &inject]);
        if traced.arg(env.parts().0).args(arguments).current_dir(at).output().is_err() {
            not_run("strace is absent");
            return None;
        }
        let left = left();
        if !left.is_empty() {
            return Some(left);
        }
    }
    panic!("{arguments:?} was never killed between")
}

#[test]
fn temporary_files_beside_files_of_others_are_swept_after_a_kill() {
    let (env, _clis) = FakeClis::environment();
    write(&env.user().join(".claude.json"), "{}");
    let project = env.path("project");
    fs::create_dir_all(project.join(".ichimi")).unwrap();
    write(&project.join(".ichimi/processes.kdl"), "");
    let (claude, add) = (["setup", "claude", "--yes"], ["process", "add", "x", "--", "true"]);
    for (arguments, directory) in [(&claude[..], env.user()), (&add[..], project.join(".ichimi"))] {
        let Some(left) = left_by_a_kill(&env, &project, arguments, &directory) else { return };
        let sweep = || {
            let _ = fs::remove_file(env.home().join(".swept"));
            env.run(&["provider", "add", "p", "--preset", "anthropic", "--token-env", "KEY"]).ok();
            env.run(&["provider", "remove", "p"]).ok();
            left.iter().filter(|path| path.exists()).count()
        };
        // It may be that of a process that is at work.
        assert_eq!(sweep(), left.len(), "{left:?}");
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 60 * 60);
        left.iter().for_each(|path| fs::File::open(path).unwrap().set_modified(old).unwrap());
        assert_eq!(sweep(), 0, "{left:?}");
    }
}

#[test]
fn every_installed_client_is_set_up_after_a_question() {
    let (env, _clis) = FakeClis::environment();
    let cursor = write(&env.user().join(".cursor/mcp.json"), "{} // mine\n");
    // Nobody can be asked.
    let run = env.run(&["setup"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert!(run.stderr.contains("hint: answer with `--yes`"), "{}", run.whole());
    let shown = env.json(&["setup", "--dry-run"]);
    let clients: Vec<&str> =
        shown["clients"].as_array().unwrap().iter().map(|c| c["client"].as_str().unwrap()).collect();
    assert_eq!(clients, ["claude", "codex", "gemini", "cursor"]);
    assert_eq!((&shown["dry_run"], &shown["clients"][0]["changed"]), (&json!(true), &json!(true)));
    assert_eq!(fs::read_to_string(&cursor).unwrap(), "{} // mine\n");
    assert!(!env.user().join(".claude.json").exists() && !env.home().join("setup").exists());

    let done = env.json(&["setup", "-y"]);
    assert_eq!(done["failed"], json!([]));
    let again = env.json(&["setup", "-y"]);
    assert!(again["clients"].as_array().unwrap().iter().all(|client| client["changed"] == false), "{again}");
    let claude: Value = serde_json::from_slice(&fs::read(env.user().join(".claude.json")).unwrap()).unwrap();
    let (aiw, _) = env.parts();
    assert_eq!(
        claude["mcpServers"]["aiw"],
        json!({"type": "stdio", "command": aiw, "args": ["mcp", "serve"], "env": {"AIW_HOME": env.home()}})
    );
    env.run(&["setup", "--undo", "-y"]).ok();
    assert_eq!(fs::read_to_string(&cursor).unwrap(), "{} // mine\n");
    assert!(!env.user().join(".claude.json").exists() && !env.user().join(".codex").exists());
}

/// The arguments with which each of three clients starts aiw.
fn arguments(env: &Environment) -> Vec<Value> {
    let json = |path: &str| -> Value { serde_json::from_slice(&fs::read(env.user().join(path)).unwrap()).unwrap() };
    let codex = fs::read_to_string(env.user().join(".codex/config.toml")).unwrap();
    let codex = codex.lines().find_map(|line| line.strip_prefix("args = ")).unwrap().to_owned();
    let [claude, gemini] = [".claude.json", ".gemini/settings.json"].map(json);
    vec![
        claude["mcpServers"]["aiw"]["args"].clone(),
        serde_json::from_str(&codex).unwrap(),
        gemini["mcpServers"]["aiw"]["args"].clone(),
    ]
}

#[test]
fn toolsets_are_written_to_each_client_and_kept_until_others_are_chosen() {
    let (env, _clis) = FakeClis::environment();
    let unknown = env.run(&["setup", "-y", "--toolsets", "default,registry"]);
    assert_eq!(unknown.code, 64, "{}", unknown.whole());
    assert!(
        unknown.stderr.starts_with("error: there is no toolset `registry`\nhint: the toolsets are: "),
        "{}",
        unknown.whole()
    );
    assert!(!env.user().join(".claude.json").exists() && !env.home().join("setup").exists());

    let registries = json!(["mcp", "serve", "--toolsets", "default,registries"]);
    env.run(&["setup", "-y", "--toolsets", "default,registries"]).ok();
    let written = arguments(&env);
    assert_eq!(written, vec![registries.clone(); 3]);
    // A server that starts as it is written offers them.
    let words: Vec<&str> = written[0].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let mut client = crate::mcp::Client::start_with(&env, &words);
    client.initialize("2025-06-18");
    let listed = client.result("tools/list", json!({}));
    let tools: Vec<&str> =
        listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(tools.contains(&"search_servers") && tools.contains(&"start_task"), "{tools:?}");
    client.leave_whatever_comes();
    for again in [&["setup", "-y"][..], &["setup", "-y", "--toolsets", "default, registries"]] {
        let again = env.json(again);
        assert!(again["clients"].as_array().unwrap().iter().all(|client| client["changed"] == false), "{again}");
    }
    assert_eq!(arguments(&env), vec![registries; 3]);
    env.run(&["setup", "claude", "codex", "gemini", "-y", "--toolsets", "tasks"]).ok();
    assert_eq!(arguments(&env), vec![json!(["mcp", "serve", "--toolsets", "tasks"]); 3]);
    env.run(&["setup", "--undo", "-y"]).ok();
    assert!(!env.user().join(".claude.json").exists() && !env.user().join(".codex").exists());

    // What may be called without asking starts no processes of a project, unless their toolset is named.
    env.run(&["setup", "-y", "--approve-calls"]).ok();
    assert_eq!(arguments(&env), vec![json!(["mcp", "serve", "--toolsets", "default"]); 3]);
    env.run(&["setup", "-y", "--approve-calls", "--toolsets", "default,processes"]).ok();
    env.run(&["setup", "-y", "--approve-calls"]).ok();
    assert_eq!(arguments(&env), vec![json!(["mcp", "serve", "--toolsets", "default,processes"]); 3]);
}

#[test]
fn where_a_project_declares_processes_a_setup_in_a_terminal_asks_for_their_tools() {
    let (env, _clis) = FakeClis::environment();
    fs::create_dir_all(env.path(".ichimi")).unwrap();
    fs::write(env.path(".ichimi/processes.kdl"), "process \"web\" { command \"x\" }").unwrap();
    let mut terminal = Terminal::start(&env, &["setup", "gemini"]);
    terminal.wait_for("Offer agents the tools that define processes, too");
    terminal.press("y\r");
    terminal.wait_for("Write these changes?");
    terminal.press("y\r");
    assert!(terminal.ends().success());
    let text = fs::read_to_string(env.user().join(".gemini/settings.json")).unwrap();
    assert!(text.contains("default,processes"), "{text}");
    // It is asked once.
    let mut terminal = Terminal::start(&env, &["setup", "gemini"]);
    terminal.wait_for("aiw is set up already");
    assert!(terminal.ends().success());
}

#[test]
fn a_plain_name_is_written_where_the_path_leads_to_this_file() {
    let mut env = Environment::new();
    let (aiw, variables) = env.parts();
    let (bin, path) = (env.path("bin"), variables["PATH"].clone());
    fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(&aiw, bin.join("aiw")).unwrap();
    env.set("PATH", format!("{}:{path}", bin.display()));
    // The default home needs no variable.
    env.unset("AIW_HOME");
    env.run(&["setup", "gemini", "-y"]).ok();
    let text = fs::read(env.user().join(".gemini/settings.json")).unwrap();
    let settings: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(settings, json!({"mcpServers": {"aiw": {"command": "aiw", "args": ["mcp", "serve"]}}}));
}

#[test]
fn an_import_shows_no_secret_and_undo_brings_the_servers_back() {
    let (env, _clis) = FakeClis::environment();
    let text = r#"{"mcpServers": {"gh": {"command": "npx", "env": {"GH_TOKEN": "ghp_canary"},
        "args": ["-y", "--token", "canary-2", "--key=ghp_canary3", "ghp_canary4", "--token-file", "/run/x", "plain"]}}}"#;
    let config = write(&env.user().join(".claude.json"), text);
    let cursor = write(&env.user().join(".cursor/mcp.json"), text);
    let mut said = String::new();
    for flags in [&["--import", "--dry-run"][..], &["--import", "-y"], &["--import", "-y", "--json"]] {
        said += &env.run(&[&["setup", "claude", "cursor"], flags].concat()).ok().whole();
    }
    assert_eq!(env.mcp()["mcpServers"]["gh"]["env"]["GH_TOKEN"], "${secret:gh-token}");
    assert_eq!(
        env.mcp()["mcpServers"]["gh"]["args"],
        json!([
            "-y",
            "--token",
            "${secret:gh-token-2}",
            "--key=${secret:gh-key}",
            "${secret:gh-argument}",
            "--token-file",
            "/run/x",
            "plain"
        ])
    );
    for path in [&config, &cursor] {
        let now = fs::read_to_string(path).unwrap();
        assert!(now.contains("aiw") && !now.contains("npx"), "{now}");
    }
    said += &env.run(&["setup", "--undo", "-y"]).ok().whole();
    assert!(!said.contains("canary"), "{said}");
    assert_eq!(
        (fs::read_to_string(&config).unwrap(), fs::read_to_string(&cursor).unwrap()),
        (text.into(), text.into())
    );
    assert!(!env.home().join("mcp.json").exists());
    assert_eq!(env.json(&["secret", "list"])["secrets"], json!([]));
}

#[test]
fn on_a_terminal_both_questions_are_asked() {
    let (env, _clis) = FakeClis::environment();
    let mut terminal = Terminal::start(&env, &["setup", "gemini", "--approve-calls"]);
    terminal.wait("the question about calls", |screen| screen.contains("Approve all calls? [y/N]"));
    terminal.press("n\r");
    terminal.wait("the question about the file", |screen| screen.contains("Write these changes? [y/N]"));
    terminal.press("y\r");
    terminal.wait("the end", |screen| screen.contains("aiw is set up in Gemini CLI"));
    let settings: Value = serde_json::from_slice(&fs::read(env.user().join(".gemini/settings.json")).unwrap()).unwrap();
    assert_eq!(settings["mcpServers"]["aiw"].get("trust"), None);
}

#[test]
fn a_question_is_not_answered_by_what_was_typed_before_it() {
    let (env, _clis) = FakeClis::environment();
    let mut terminal = Terminal::start(&env, &["setup", "gemini", "--approve-calls"]);
    terminal.wait_for("Approve all calls? [y/N]");
    terminal.press("n\ry\ry\r");
    terminal.wait_for("Write these changes? [y/N]");
    terminal.press("n\r");
    assert_eq!(terminal.ends().exit_code(), 2, "{}", terminal.shown());
    assert!(!env.user().join(".gemini/settings.json").exists());
}

#[test]
fn a_run_gets_aiw_and_nothing_of_mcp_json() {
    let (mut env, clis) = FakeClis::environment();
    env.set("CANARY_TOKEN", "canary-1");
    env.write_mcp(
        &json!({"mcpServers": {"mine": {"command": "canary-2", "env": {"A": "canary-3", "B": "${secret:canary-4}"}}}})
            .to_string(),
    );
    for cli in ["claude", "codex", "gemini"] {
        env.run(&[cli, "--mcp=small", "hello"]).ok();
    }
    let seen = clis.seen();
    assert_eq!(seen.len(), 3);
    for start in &seen {
        let line = start.arguments.join(" ");
        let variables: Vec<&String> = start.environment.values().collect();
        assert!(!line.contains("canary"), "{line}");
        assert!(!format!("{variables:?}").contains("canary-3") && !start.environment.contains_key("A"));
    }
    let said: String =
        seen.iter().map(|start| format!("{}\n{}\n", start.arguments.join("\n"), start.settings)).collect();
    assert_eq!(said.matches("--profile").count(), if said.contains("\"trust\":true") { 3 } else { 2 }, "{said}");
    assert!(said.contains("--strict-mcp-config") && said.contains("default_tools_approval_mode=\"approve\""));
    assert_eq!(env.run(&["claude", "--mcp=-x", "hello"]).code, 64);
    assert_eq!(env.run(&["claude", "--mcp=a\nb", "hello"]).code, 64);
}
