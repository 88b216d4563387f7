//! Templates: listed, shown, asked for, and started for real where the machine has their programs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use aiw_tests::{not_run, real_cli};
use serde_json::{Value, json};

use super::tools::client;
use super::{Project, free_port};
use crate::terminal::Terminal;

/// A server in Python that takes its port from the variable.
const SERVER: &str = "import http.server, os\n\
    http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler).serve_forever()\n";

fn defined(project: &Project) -> String {
    fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap_or_default()
}

#[test]
fn a_template_is_shown_asked_for_and_runs() {
    let project = Project::empty();
    fs::write(project.path("pyproject.toml"), "").unwrap();
    fs::write(project.path("main.py"), SERVER).unwrap();
    let listed = project.json(&["process", "add", "--template"]);
    let names: Vec<&str> =
        listed["templates"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["python", "postgres", "redis", "worker", "tunnel"]);
    let set = format!("port={}", free_port());
    let words = ["process", "add", "--template", "python", "web", "--set", &set];
    // Nobody can be asked.
    assert_eq!((project.run(&words).code, defined(&project)), (2, String::new()));
    let mut terminal = Terminal::start(&project, &words);
    terminal.wait_for("[y/N]");
    assert!(terminal.shown().contains("command \"python3\" \"main.py\""), "{}", terminal.shown());
    terminal.press("n\r");
    assert!(!terminal.ends().success());
    terminal.wait_for("nothing was added");
    assert_eq!(defined(&project), "");
    let added = project.json(&[&words[..], &["--yes"]].concat());
    assert_eq!(added["added"], "web", "{added}");
    project.up(&["web"]);
    project.until("web", "running");
    for wrong in [
        &["process", "add", "--template", "nope"][..],
        &["process", "add", "--template", "python", "web", "--yes"],
        &["process", "add", "--template", "python", "x", "--set", "prot=1", "--yes"],
        &["process", "add", "x", "--set", "port=1", "--", "y"],
        &["process", "add", "--template", "python", "--from", "Procfile"],
        &["process", "add", "--template", "python", "x", "--shell", "--", "y"],
    ] {
        assert!([2, 64].contains(&project.run(wrong).code), "{wrong:?}");
    }
}

#[test]
fn a_model_defines_by_a_template_in_the_home_and_starts_it() {
    let project = Project::empty();
    fs::write(project.path("package.json"), "{\"scripts\": {\"dev\": \"python3 main.py\"}}").unwrap();
    fs::write(project.path("main.py"), SERVER).unwrap();
    let mut client = client(&project);
    let listed = client.good("list_templates", json!({}));
    assert_eq!(listed["templates"][0]["command"], "npm run dev", "{listed}");
    for (arguments, problem) in [
        (json!({"template": "nodes"}), "did you mean `node`?"),
        (json!({"template": "node", "values": {"script": "gone"}}), "no such script"),
        (json!({"template": "tunnel", "values": {"host": "-oProxyCommand=id"}}), "it begins with `-`"),
        (json!({"template": "node", "shell": true}), "not an argument"),
    ] {
        let refused = client.bad("instantiate_template", arguments);
        assert!(refused.contains(problem), "{refused}");
    }
    let values = json!({"port": free_port()});
    let made = client.good("instantiate_template", json!({"template": "node", "id": "web", "values": values}));
    assert_eq!((&made["process"]["state"], &made["process"]["source"]), (&json!("not_started"), &json!("home")));
    assert_eq!(defined(&project), "");
    if real_cli("npm").is_none() {
        return not_run("npm is absent");
    }
    client.good("start_process", json!({"id": "web"}));
    let ready = client.good("wait_for_process", json!({"id": "web", "timeout_seconds": 40}));
    assert_eq!((&ready["done"], &ready["process"]["ready"]), (&json!(true), &json!(true)), "{ready}");
}

/// Adds a template, starts it and waits until it is ready.
fn runs(project: &Project, template: &str, values: &[String]) {
    let mut words = vec!["process", "add", "--template", template, "--yes"];
    values.iter().for_each(|value| words.extend(["--set", value]));
    project.json(&words);
    project.up(&[template]);
    let running: Value = project.until(template, "running");
    assert_eq!(running["ready"], true, "{running:#}");
    let log = project.run(&["logs", template]);
    project.run(&["stop", template]).ok();
    assert_eq!(project.ps(template)["state"], "stopped", "{}", log.stdout);
}

#[test]
fn redis_starts_for_real() {
    if real_cli("redis-server").is_none() {
        return not_run("redis-server is absent");
    }
    runs(&Project::empty(), "redis", &[format!("port={}", free_port())]);
}

#[test]
fn postgres_starts_for_real() {
    let programs = real_cli("postgres").zip(real_cli("initdb")).or_else(|| {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|version| version.path().join("bin"));
        let newest = versions.max()?;
        Some((newest.join("postgres"), newest.join("initdb"))).filter(|(postgres, _)| postgres.is_file())
    });
    let Some((postgres, initdb)) = programs else { return not_run("postgres is absent") };
    let project = Project::empty();
    // The server refuses to be root.
    let place = tempfile::tempdir().unwrap();
    let is_root = chown(place.path(), Some(65534), Some(65534)).is_ok();
    let other = if is_root { "setpriv --reuid=65534 --regid=65534 --clear-groups " } else { "" };
    let data = place.path().join("data").display().to_string();
    let made = Command::new("sh").args(["-c", &format!("{other}'{}' -D '{data}'", initdb.display())]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let program = project.path("server");
    fs::write(&program, format!("#!/bin/sh\nexec {other}'{}' \"$@\"\n", postgres.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let values = [format!("program={}", program.display()), format!("data={data}"), format!("port={}", free_port())];
    runs(&project, "postgres", &values);
    assert!(!Path::new(&data).join("postmaster.pid").exists(), "it was not asked to end as it likes it");
}
