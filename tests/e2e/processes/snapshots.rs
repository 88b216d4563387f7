//! Snapshots in YAML: of a project that runs, by a user and by a model.

use std::fs;

use serde_json::json;

use super::Project;
use super::tools::client;
use crate::until;

/// Arguments that programs of every kind have stumbled over.
const ODD: [&str; 9] = ["a b", "", "'", "\"", "\\n", "line\nline", "yes", "ü\u{1F600}\u{85}", "$HOME; `id`"];

#[test]
fn what_ran_is_started_again_with_its_arguments() {
    let project = Project::new(
        "process \"mine\" { command \"sleep\" \"1000\" }\nprocess \"idle\" { command \"x\"; auto-start #false }\n",
    );
    let mut client = client(&project);
    let script = "import sys; print(ascii(sys.argv[1:]), flush=True); import time; time.sleep(1000)";
    let args: Vec<&str> = ["-c", script].into_iter().chain(ODD).collect();
    client.good("create_process", json!({"id": "odd", "command": "python3", "args": args}));
    project.up(&["mine", "odd"]);
    let printed = || project.lines("odd");
    until(|| printed().len() == 1);
    let first = printed();
    let saved = client.good("create_snapshot", json!({"name": "work"}));
    assert!(saved["message"].as_str().unwrap().starts_with("2 processes run"), "{saved}");
    assert!(client.bad("create_snapshot", json!({"name": "work"})).contains("choose another name"));
    assert_eq!(project.run(&["process", "snapshot", "save", "work"]).code, 2);
    let file = project.home().join("processes/snapshots/work.yaml");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(project.run(&["process", "snapshot", "show", "work"]).ok().stdout.lines().next(), text.lines().next());
    assert!(project.run(&["process", "snapshot", "diff", "work"]).ok().stdout.contains("everything is as in"));
    // It is gone, and the file is another one.
    project.run(&["down"]).ok();
    client.good("remove_process", json!({"id": "odd"}));
    project.write("process \"mine\" { command \"sleep\" \"2000\" }\n");
    let difference = project.json(&["process", "snapshot", "diff", "work"]);
    let ids: Vec<&str> =
        difference["changes"].as_array().unwrap().iter().map(|change| change["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["idle", "mine", "odd"], "{difference:#}");
    // A model gets neither.
    let told = client.good("restore_snapshot", json!({"name": "work"}))["message"].as_str().unwrap().to_owned();
    assert!(
        told.contains("no longer defined: odd") && told.contains("nothing of it runs until you allow it"),
        "{told}"
    );
    assert!(told.contains("`mine` has changed since") && told.contains("+ command"), "{told}");
    assert_eq!(project.run(&["process", "snapshot", "restore", "work"]).code, 2);
    assert_eq!(project.ps("mine")["state"], "stopped");
    let restored = project.run(&["process", "snapshot", "restore", "work", "--yes"]).ok();
    assert!(
        restored.stdout.contains("Defined odd again") && restored.stdout.contains("Started `mine`"),
        "{}",
        restored.whole()
    );
    assert_eq!(project.ps("mine")["command"], "sleep 2000");
    until(|| printed() == first);
    let again = project.run(&["process", "snapshot", "restore", "work", "--yes"]).ok();
    assert!(again.stdout.contains("nothing was to be started"), "{}", again.whole());
    let listed = project.json(&["process", "snapshot", "list"]);
    assert_eq!(listed["snapshots"][0]["running"], json!(["mine", "odd"]), "{listed}");
    project.run(&["process", "snapshot", "remove", "work"]).ok();
    assert_eq!((file.exists(), project.run(&["process", "snapshot", "show", "work"]).code), (false, 2));
}

#[test]
fn an_export_in_yaml_comes_back_as_it_was() {
    let project = Project::empty();
    let mut client = client(&project);
    client.good(
        "create_process",
        json!({"id": "odd", "command": "x", "args": ODD, "ready_port": 80, "restart": "always"}),
    );
    let before = client.good("export_processes", json!({}));
    client.good("export_processes", json!({"file_path": ".ichimi/out.yaml", "format": "yaml"}));
    fs::create_dir_all(project.path("sub/.ichimi")).unwrap();
    std::os::unix::fs::symlink("../sub", project.path(".ichimi/sub")).unwrap();
    // Other programs read YAML elsewhere in a project.
    for wrong in [
        ".ichimi/out.kdl",
        ".ichimi/out.yml",
        ".ichimi/Makefile",
        ".ichimi/../x.yaml",
        ".ichimi/sub/x.yaml",
        "sub/.ichimi/x.yaml",
        "compose.yaml",
        "pnpm-workspace.yaml",
        ".git/x.yaml",
        ".github/x.yaml",
        "../x.yaml",
    ] {
        let path = project.path(wrong);
        client.bad("export_processes", json!({"file_path": wrong, "format": "yaml"}));
        assert!(!path.exists(), "{wrong}");
    }
    // What is there and is not an export stays.
    fs::write(project.path(".ichimi/mine.yaml"), "a: 1\n").unwrap();
    let refused = client.bad("export_processes", json!({"file_path": ".ichimi/mine.yaml", "format": "yaml"}));
    assert!(refused.contains("not an export"), "{refused}");
    client.good("export_processes", json!({"file_path": ".ichimi/out.yaml", "format": "yaml"}));
    client.good("remove_process", json!({"id": "odd"}));
    client.good("import_processes", json!({"file_path": ".ichimi/out.yaml"}));
    assert_eq!(client.good("export_processes", json!({})), before);
    client.good("remove_process", json!({"id": "odd"}));
    project.json(&["process", "add", "--from", ".ichimi/out.yaml", "--yes"]);
    assert_eq!(project.run(&["process", "export"]).ok().stdout, before["text"].as_str().unwrap());
}
