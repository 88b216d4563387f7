//! The tools that a session offers for its project although nobody has named their toolset.

use std::fs;

use serde_json::{Value, json};

use super::Project;
use crate::mcp::Client;

const DECLARED: [&str; 6] =
    ["get_process_output", "get_process_status", "list_processes", "start_process", "stop_process", "wait_for_process"];
const CI: [&str; 4] = ["get_ci_failed_logs", "get_ci_run_details", "list_ci_runs", "wait_for_ci_completion"];
const FILE: &str = "process \"web\" { command \"sleep\" \"1000\"; auto-start #false }";

fn client(project: &Project, arguments: &[&str], capabilities: Value) -> Client {
    let mut client = Client::start_with(&project.env, &[&["mcp", "serve"], arguments].concat());
    client.introduce("2025-06-18", capabilities);
    client
}

/// Those of the listed tools that are about processes or CI, in order.
fn offered(client: &mut Client) -> Vec<String> {
    let listed = client.result("tools/list", json!({}))["tools"].clone();
    let names = listed.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
    let mut names: Vec<String> = names.filter(|name| name.contains("_process") || name.contains("_ci_")).collect();
    names.sort();
    names
}

#[test]
fn what_is_declared_and_allowed_is_offered_and_what_defines_is_not() {
    let project = Project::new(FILE);
    fs::create_dir_all(project.path(".github/workflows")).unwrap();
    fs::write(project.path(".github/workflows/test.yml"), "on: push").unwrap();
    // A repository that nobody has said anything about.
    assert_eq!(offered(&mut client(&project, &[], json!({}))), [""; 0]);
    project.run(&["process", "start", "--yes", "web"]).ok();
    project.run(&["down"]).ok();
    let mut session = client(&project, &[], json!({}));
    let mut both: Vec<&str> = DECLARED.into_iter().chain(CI).collect();
    both.sort_unstable();
    assert_eq!(offered(&mut session), both);
    let listed = session.result("tools/list", json!({}))["tools"].clone();
    for name in ["start_process", "stop_process"] {
        let tool = listed.as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
        assert_eq!(tool["annotations"]["readOnlyHint"], json!(false), "{tool}");
    }
    session.good("start_process", json!({"id": "web"}));
    project.until("web", "running");
    session.good("stop_process", json!({"id": "web"}));
    let bad = session.bad("create_process", json!({"id": "x", "command": "y"}));
    assert!(bad.contains("the tool `create_process` is in the toolset `processes`"), "{bad}");
    assert!(bad.contains("`aiw setup --toolsets default,processes`"), "{bad}");
    // Whoever names toolsets gets those and no others.
    assert_eq!(offered(&mut client(&project, &["--toolsets", "default"], json!({}))), [""; 0]);
    // Somebody else has changed the file since.
    fs::write(project.path(".ichimi/processes.kdl"), FILE.replace("1000", "2000")).unwrap();
    assert_eq!(offered(&mut client(&project, &[], json!({}))), [""; 0]);
    project.run(&["trust", "add", "--yes"]).ok();
    assert_eq!(offered(&mut client(&project, &[], json!({}))), CI);
}

#[test]
fn the_first_start_of_a_session_asks_the_person_where_the_client_can() {
    let project = Project::new(FILE);
    project.run(&["process", "start", "--yes", "web"]).ok();
    project.run(&["down"]).ok();
    let mut session = client(&project, &[], json!({"elicitation": {}}));
    let start = json!({"name": "start_process", "arguments": {"id": "web"}});
    let answer = |session: &mut Client, action: &str| {
        let call = session.send("tools/call", &start);
        let question = session.next_request();
        let message = question["params"]["message"].as_str().unwrap();
        assert!(message.starts_with("Start `web`, outside of the sandbox of your AI CLI?"), "{question}");
        assert!(message.contains("web: sleep 1000"), "{question}");
        let result = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": action, "content": {}}});
        session.line(&result.to_string());
        session.answer(call)["result"].clone()
    };
    let declined = answer(&mut session, "decline");
    assert_eq!(declined["isError"], json!(true), "{declined}");
    assert!(declined.to_string().contains("the user has not agreed to start `web`"), "{declined}");
    assert_eq!(project.ps("web")["state"], "stopped");
    let unknown = session.bad("start_process", json!({"id": "nothing"}));
    assert!(unknown.contains("nothing"), "{unknown}");
    assert_eq!(answer(&mut session, "accept")["isError"], json!(false));
    project.until("web", "running");
    // Once is enough in a session, and each session asks.
    session.good("stop_process", json!({"id": "web"}));
    session.good("start_process", json!({"id": "web"}));
    drop(session);
    project.run(&["down"]).ok();
    let mut next = client(&project, &[], json!({"elicitation": {}}));
    assert_eq!(answer(&mut next, "accept")["isError"], json!(false));
    project.run(&["down"]).ok();
}
