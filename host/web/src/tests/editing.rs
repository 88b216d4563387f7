//! Editing a definition: what a form sees, the plan that is shown, and what is written.

use serde_json::{Value, json};

use super::{Page, Served};

const FILE: &str = r#"// ours
process "api" {
    command "node" "server.js" // the server
    env { PLAIN "1"; API_KEY "sk-live-0123456789abcdef"; TOKEN secret="token" }
}
"#;

fn begin() -> (Served, Page, std::path::PathBuf) {
    let served = Served::begin();
    let page = served.page();
    let file = served.directory.path().join("project/.ichimi/processes.kdl");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, FILE).unwrap();
    (served, page, file)
}

/// Sends a change, and again with a yes to what was asked. Returns the question.
fn edited(page: &Page, change: &Value) -> Value {
    let asked = page.post("/processes/api/definition", change);
    assert_eq!(asked.status, 409, "{}", asked.body);
    let ask = asked.json()["ask"].clone();
    let mut again = change.clone();
    again["person"] = json!({(ask["digest"].as_str().unwrap()): {"yes": true}});
    let answer = page.post("/processes/api/definition", &again);
    assert_eq!(answer.json(), json!({"id": "api", "changed": true}));
    ask
}

#[test]
fn a_form_sees_names_of_variables_and_no_value() {
    let (_served, page, _) = begin();
    let form = page.get("/processes/api/definition");
    assert!(!form.body.contains("sk-live"), "{}", form.body);
    assert_eq!(
        form.json(),
        json!({
            "id": "api", "source": "file", "command": ["node", "server.js"], "shell": false, "cwd": null,
            "env": {"API_KEY": null, "PLAIN": null, "TOKEN": "token"}, "restart": "no", "needs": [], "auto_start": true,
            "copies": null,
        })
    );
    assert_eq!(page.get("/processes/nope/definition").status, 422);
}

#[test]
fn a_form_of_a_copy_is_sent_by_the_name_that_it_shows() {
    let (_served, page, file) = begin();
    std::fs::write(&file, "process \"m\" { command \"true\"; copies 2 }\n").unwrap();
    let form = page.get("/processes/m-1/definition").json();
    assert_eq!((&form["id"], &form["copies"]), (&json!("m"), &json!(2)));
    let change = json!({"command": ["echo", "a\u{202e}b\nc"]});
    let asked = page.post("/processes/m/definition", &change);
    assert_eq!(asked.status, 409, "{}", asked.body);
    // The answer shows nothing of others raw, neither what it is about nor its effects.
    let ask = asked.json()["ask"].clone();
    assert_eq!(ask["effects"][0], "runs echo 'a\\u{202e}b\\nc'");
    assert!(ask["about"].to_string().contains("echo 'a\\\\u{202e}b\\\\nc'"), "{ask:#}");
}

#[test]
fn a_change_is_shown_before_it_is_written_and_only_it_is_written() {
    let (_served, page, file) = begin();
    let change = json!({"command": ["bun", "server.js"], "restart": "always", "env": {"PLAIN": "2", "API_KEY": null}});
    let asked = page.post("/processes/api/definition", &change);
    assert_eq!((asked.status, std::fs::read_to_string(&file).unwrap().as_str()), (409, FILE));
    let ask = edited(&page, &change);
    let shown = ask["about"].to_string();
    for wanted in ["node server.js", "bun server.js", "restart \\\"always\\\"", "with another value of PLAIN"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    assert!(!shown.contains("sk-live"), "{shown}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("// ours\nprocess") && text.contains("command \"bun\" \"server.js\" // the server"),
        "{text}"
    );
    assert!(text.contains("restart \"always\"") && !text.contains("API_KEY"), "{text}");
    let form = page.get("/processes/api/definition").json();
    assert_eq!((&form["env"], &form["restart"]), (&json!({"PLAIN": null, "TOKEN": "token"}), &json!("always")));
    // The same again changes nothing, and asks nothing.
    let same = page.post("/processes/api/definition", &json!({"restart": "always"}));
    assert_eq!(same.json(), json!({"id": "api", "changed": false}));
}

#[test]
fn a_yes_is_for_the_definition_that_was_shown() {
    let (_served, page, file) = begin();
    let change = json!({"cwd": "web"});
    let ask = page.post("/processes/api/definition", &change).json()["ask"].clone();
    std::fs::write(&file, FILE.replace("server.js", "evil.js")).unwrap();
    let yes = json!({"cwd": "web", "person": {(ask["digest"].as_str().unwrap()): {"yes": true}}});
    let changed = page.post("/processes/api/definition", &yes);
    assert_eq!(changed.status, 409, "{}", changed.body);
    assert_ne!(changed.json()["ask"]["digest"], ask["digest"]);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("cwd"));
}

#[test]
fn a_change_that_makes_no_sense_is_refused_before_anything_is_asked() {
    let (_served, page, file) = begin();
    for (change, why) in [
        (json!({"command": []}), "has no command"),
        (json!({"command": ["a", "b"], "shell": true}), "one word"),
        (json!({"command": ["run", "--key=[secret]"]}), "[secret]"),
        (json!({"restart": "sometimes"}), "sometimes"),
        (json!({"needs": ["nope"]}), "nope"),
        (json!({"needs": ["api"]}), "api"),
        (json!({"cwd": "../.."}), "outside"),
        (json!({"env": {"A": "secret:not a name"}}), "not a valid name"),
        (json!({"env": {"A=B": "x"}}), "A=B"),
    ] {
        let refused = page.post("/processes/api/definition", &change);
        assert_eq!(refused.status, 422, "{change}: {}", refused.body);
        assert!(refused.body.contains(why), "{change}: {}", refused.body);
    }
    assert_eq!(page.post("/processes/api/definition", &json!({"id": "other"})).status, 400);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), FILE);
}
