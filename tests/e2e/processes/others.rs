//! Processes from the files of other tools.

use std::fs;

use serde_json::json;

use super::Project;
use crate::terminal::Terminal;
use crate::until;

#[test]
fn what_a_procfile_says_is_shown_asked_for_and_runs() {
    let project = Project::new("process \"web\" { command \"sleep\" \"1000\" }\n");
    fs::write(project.path("Procfile"), "web: mine stays\ntick: echo port $PORT and $WORD; sleep 1000\n").unwrap();
    fs::write(project.path(".env"), "WORD=env-word\n").unwrap();
    let before = fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap();
    // Nobody can be asked.
    let unasked = project.run(&["process", "add", "--from", "Procfile"]);
    assert_eq!((unasked.code, fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap()), (2, before.clone()));
    let mut terminal = Terminal::start(&project, &["process", "add", "--from", "Procfile"]);
    terminal.wait_for("[y/N]");
    let shown = terminal.shown();
    assert!(shown.contains("shell \"echo port $PORT and $WORD; sleep 1000\""), "{shown}");
    assert!(shown.contains("`web`: all of it is left out: there is a process with this id already"), "{shown}");
    terminal.press("n\r");
    assert!(!terminal.ends().success());
    terminal.wait_for("nothing was added");
    assert_eq!(fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap(), before);
    let added = project.json(&["process", "add", "--from", "Procfile", "--yes"]);
    assert_eq!(added["added"], json!(["tick"]), "{added}");
    assert!(fs::read_to_string(project.path(".ichimi/processes.kdl")).unwrap().starts_with(&before));
    project.up(&["tick"]);
    until(|| project.lines("tick") == ["port 5100 and env-word"]);
    let again = project.run(&["process", "add", "--from", "Procfile", "--yes"]);
    assert_eq!((again.code, again.stderr.contains("has no process that can be taken")), (2, true), "{}", again.stderr);
    for wrong in
        [&["process", "add", "--from", "gone"][..], &["process", "add"], &["process", "add", "x", "--from", "Procfile"]]
    {
        assert!([2, 64].contains(&project.run(wrong).code), "{wrong:?}");
    }
}

#[test]
fn a_compose_file_of_images_alone_is_refused_and_a_service_with_a_command_runs() {
    let project = Project::empty();
    fs::write(project.path("compose.yaml"), "services:\n  db:\n    image: postgres\n").unwrap();
    let refused = project.run(&["process", "add", "--from", "compose.yaml", "--yes"]);
    assert_eq!((refused.code, refused.stderr.contains("aiw runs no images")), (2, true), "{}", refused.stderr);
    let text = "services:\n  db: { image: postgres }\n  say:\n    command: [echo, 'a b']\n    depends_on: [db]\n";
    fs::write(project.path("compose.yaml"), text).unwrap();
    let added = project.json(&["process", "add", "--from", "compose.yaml", "--yes"]);
    assert_eq!(added["skipped"].as_array().unwrap().len(), 2, "{added}");
    project.up(&[]);
    until(|| project.lines("say") == ["a b"]);
}
