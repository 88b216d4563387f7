//! How aiw was installed: the command that updates it, and the path that others start it by.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use aiw_tests::{Answer, Environment, FakeClis, Server};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::mcp::Client;
use crate::servers::{Servers, text};
use crate::until;

/// Puts the binary at a path, as a package manager would.
fn put(env: &Environment, path: &Path) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let binary = env.command(&[]);
    if fs::hard_link(binary.get_program(), path).is_err() {
        fs::copy(binary.get_program(), path).unwrap();
    }
    path.to_owned()
}

fn ran(mut command: Command) -> (bool, String) {
    let done = command.output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap())
}

fn run(env: &Environment, aiw: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = env.program(aiw);
    command.args(arguments);
    ran(command)
}

#[test]
fn an_update_is_looked_for_only_if_somebody_asks() {
    let env = Environment::new();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = sent.clone();
    let server = Server::start(move |request| match request.path.as_str() {
        // All that is sent: of the user and the machine, nothing.
        "/bare" => {
            seen.lock().unwrap().extend(request.headers.clone());
            assert_eq!((request.method.as_str(), request.body.len()), ("GET", 0));
            Answer::ok(r#"{"version": "99.0.0"}"#)
        }
        "/newer" => Answer::ok(r#"{"tag_name": "v99.0.0", "name": "A release"}"#),
        "/same" => Answer::ok(json!({"version": env!("CARGO_PKG_VERSION")}).to_string()),
        "/page" => Answer::ok("<html>Sign in</html>"),
        _ => Answer::status(503),
    });
    let at =
        |path: &str| env.settings(&json!({"updates": {"url": format!("{}{path}?key=not-for-eyes", server.url())}}));
    at("/newer");
    let plain = env.json(&["update"]);
    assert_eq!((&plain["newest"], &plain["is_newer"]), (&Value::Null, &Value::Null));
    assert_eq!(plain["version"], env!("CARGO_PKG_VERSION"));
    assert!(server.seen().is_empty(), "{:?}", server.seen());

    let asked = env.json(&["update", "--check"]);
    assert_eq!((&asked["newest"], &asked["is_newer"]), (&json!("99.0.0"), &json!(true)));
    at("/bare");
    let host = server.url().trim_start_matches("http://").to_owned();
    env.run(&["update", "--check"]).ok();
    let headers = sent.lock().unwrap().clone();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let agent = concat!("aiw/", env!("CARGO_PKG_VERSION"));
    let all = [("accept", "*/*"), ("accept-encoding", "gzip"), ("host", host.as_str()), ("user-agent", agent)];
    assert_eq!(headers, all);
    at("/newer");
    let said = env.run(&["update", "--check"]).ok().stdout;
    assert!(said.contains("99.0.0 is out") && said.contains("to update: "), "{said}");
    at("/same");
    let said = env.run(&["update", "--check"]).ok().stdout;
    assert!(said.contains("no newer version") && !said.contains("to update"), "{said}");

    for (path, reason) in [("/page", "names none"), ("/down", "status 503")] {
        at(path);
        let run = env.run(&["update", "--check"]);
        assert_eq!(run.code, 69, "{}", run.whole());
        assert!(run.whole().contains(reason) && !run.whole().contains("not-for-eyes"), "{}", run.whole());
    }
}

#[test]
fn from_a_cache_nothing_is_set_up() {
    let env = Environment::new();
    for (path, command) in [
        (".npm/_npx/0a1b/node_modules/aiw/bin/aiw", "npm install -g aiw"),
        (".cache/uv/archive-v0/x/bin/aiw", "uv tool install agentic-warden"),
    ] {
        let aiw = put(&env, &env.user().join(path));
        for arguments in [&["setup", "claude", "--yes"][..], &["history", "hooks", "install", "--yes"]] {
            let (is_done, said) = run(&env, &aiw, arguments);
            assert!(!is_done && said.contains(command), "{arguments:?}: {said}");
        }
        assert!(!env.user().join(".claude.json").exists() && !env.user().join(".claude").exists());
        let (is_done, said) = run(&env, &aiw, &["setup", "claude", "--undo"]);
        assert!(is_done, "{said}");
    }
}

#[test]
fn what_npm_installed_is_started_by_its_lasting_name() {
    let env = Environment::new();
    let prefix = fs::canonicalize(env.user()).unwrap().join("prefix");
    let modules = prefix.join("lib/node_modules/aiw");
    let launcher = modules.join("bin/aiw");
    let aiw = put(&env, &modules.join("node_modules/aiw-linux-x64/bin/aiw"));
    fs::create_dir_all(launcher.parent().unwrap()).unwrap();
    fs::write(&launcher, "#!/usr/bin/env node\n").unwrap();
    fs::create_dir_all(prefix.join("bin")).unwrap();
    let name = prefix.join("bin/aiw");
    symlink("../lib/node_modules/aiw/bin/aiw", &name).unwrap();

    let (is_done, said) = run(&env, &aiw, &["setup", "claude", "--yes"]);
    assert!(is_done, "{said}");
    let written: Value = serde_json::from_str(&fs::read_to_string(env.user().join(".claude.json")).unwrap()).unwrap();
    assert_eq!(written["mcpServers"]["aiw"]["command"], json!(name));
    // The launcher is the first in PATH: its plain name is enough, though another file runs behind it.
    let mut command = env.program(&aiw);
    command.args(["history", "hooks", "install", "--yes"]).env("PATH", prefix.join("bin"));
    let (is_done, said) = ran(command);
    assert!(is_done, "{said}");
    let hooks = fs::read_to_string(env.user().join(".claude/settings.json")).unwrap();
    assert!(hooks.contains("aiw history hooks handle") && !hooks.contains("node_modules"), "{hooks}");
    let (_, said) = run(&env, &aiw, &["update"]);
    assert!(said.contains("npm install -g aiw@latest"), "{said}");
}

/// Puts another program in the place of the file, as an update does.
fn replace(aiw: &Path) {
    let newer = aiw.with_extension("new");
    fs::write(&newer, "#!/bin/sh\nexit 97\n").unwrap();
    fs::set_permissions(&newer, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::rename(newer, aiw).unwrap();
}

/// Removes the directory of the file, as an update does that installs into another one.
fn remove(aiw: &Path) {
    fs::remove_dir_all(aiw.parent().unwrap()).unwrap();
}

#[test]
fn a_session_goes_on_with_its_own_file_after_an_update() {
    let Some(mut servers) = Servers::new() else { return };
    FakeClis::install(&mut servers.env);
    let servers = servers.with("behind", &[]).known();
    let aiw = put(&servers.env, &servers.env.path("bin/aiw"));
    let mut command = servers.env.program(&aiw);
    command.args(["mcp", "serve", "--toolsets", "tasks,servers"]);
    let mut client = Client::of(command);
    client.initialize("2025-06-18");
    for update in [replace as fn(&Path), remove] {
        update(&aiw);
        let go = servers.env.path("go");
        let script = FakeClis::script(&format!("while [ ! -e '{}' ]; do sleep 0.05; done", go.display()));
        let task = client.good("start_task", json!({"ai_type": "claude", "task": script}))["task"].clone();
        // Its supervisor is known by its name.
        let stat = fs::read_to_string(format!("/proc/{}/stat", task["pid"])).unwrap();
        let shim = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap();
        let read = |file: &str| fs::read_to_string(format!("/proc/{shim}/{file}")).unwrap();
        assert!(read("cmdline").starts_with("aiw\0shim\0"), "{}", read("cmdline"));
        assert_eq!(read("comm"), "aiw\n");
        fs::write(&go, "").unwrap();
        let report = client.good("wait_task", json!({"id": task["id"]}));
        assert_eq!(report["state"], "succeeded", "{report:#}");
        fs::remove_file(&go).unwrap();
        // A server that is gone is started again, below a supervisor too.
        let starts = servers.starts("behind");
        if let Some(pid) = Pid::from_raw(starts.last().unwrap()["pid"].as_i64().unwrap().try_into().unwrap()) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let call = json!({"server": "behind", "tool": "echo", "arguments": {"a": 1}});
        until(|| {
            let said = client.call("call_tool", call.clone());
            assert!(said["isError"] != true || !text(&said).contains("executable"), "{said:#}");
            said["isError"] != true
        });
        assert!(servers.starts("behind").len() > starts.len());
    }
    drop(client);
}
