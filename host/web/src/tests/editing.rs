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
            "replicas": null,
        })
    );
    assert_eq!(page.get("/processes/nope/definition").status, 422);
}

#[test]
fn a_form_of_a_copy_is_sent_by_the_name_that_it_shows() {
    let (_served, page, file) = begin();
    std::fs::write(&file, "process \"m\" { command \"true\"; replicas 2 }\n").unwrap();
    let form = page.get("/processes/m-1/definition").json();
    assert_eq!((&form["id"], &form["replicas"]), (&json!("m"), &json!(2)));
    let change = json!({"command": ["echo", "a\u{202e}b\nc"]});
    let asked = page.post("/processes/m/definition", &change);
    assert_eq!(asked.status, 409, "{}", asked.body);
    // The answer shows nothing of others raw, neither what it is about nor its effects.
    let ask = asked.json()["ask"].clone();
    assert_eq!(ask["effects"][0], "runs echo 'a\\u{202e}b\\nc'");
    assert!(ask["details"].to_string().contains("echo 'a\\\\u{202e}b\\\\nc'"), "{ask:#}");
}

#[test]
fn a_change_is_shown_before_it_is_written_and_only_it_is_written() {
    let (_served, page, file) = begin();
    let change = json!({"command": ["bun", "server.js"], "restart": "always", "env": {"PLAIN": "2", "API_KEY": null}});
    let asked = page.post("/processes/api/definition", &change);
    assert_eq!((asked.status, std::fs::read_to_string(&file).unwrap().as_str()), (409, FILE));
    let ask = edited(&page, &change);
    let shown = ask["details"].to_string();
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
fn a_key_that_is_typed_goes_to_the_vault_and_not_into_the_file() {
    let (served, page, file) = begin();
    let secret = |name: &str| served.home.vault().get(&name.parse().unwrap()).map(|secret| secret.expose().to_owned());
    let new = json!({"id": "db", "command": ["true"], "env": {
        "DB_PASSWORD": "hunter2x", "PLAIN": "5", "URL": "postgres://u:hunter3x@h/d", "PASSWORD_FILE": "/run/x",
        "OURS": "secret:token",
    }});
    let added = page.post("/processes", &new);
    assert_eq!(added.json()["secrets"], json!(["db-password", "db-url"]), "{}", added.body);
    let change = json!({"env": {"API_KEY": "hunter4x", "PLAIN": "2"}});
    // Nothing is stored before the yes, and the yes is for this value.
    let asked = page.post("/processes/api/definition", &change).json()["ask"].clone();
    assert!(secret("api-key").is_err() && !asked.to_string().contains("hunter4x"), "{asked}");
    let other = page.post("/processes/api/definition", &json!({"env": {"API_KEY": "hunter5x", "PLAIN": "2"}}));
    assert_ne!(other.json()["ask"]["digest"], asked["digest"]);
    let ask = edited(&page, &change);
    assert!(ask["details"].to_string().contains("API_KEY from the secret api-key"), "{ask}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("hunter"), "{text}");
    assert!(text.contains("secret=\"db-password\"") && text.contains("secret=\"api-key\""), "{text}");
    for (name, value) in [("db-password", "hunter2x"), ("db-url", "postgres://u:hunter3x@h/d"), ("api-key", "hunter4x")]
    {
        assert_eq!(secret(name).unwrap(), value);
    }
    let form = page.get("/processes/db/definition").json();
    let env =
        json!({"DB_PASSWORD": "db-password", "OURS": "token", "PASSWORD_FILE": null, "PLAIN": null, "URL": "db-url"});
    assert_eq!(form["env"], env);
    // The same key again is the same secret, and another one takes no other's place.
    assert_eq!(page.post("/processes/api/definition", &change).json(), json!({"id": "api", "changed": false}));
    edited(&page, &json!({"env": {"API_KEY": "hunter6x"}}));
    assert_eq!((secret("api-key").unwrap(), secret("api-key-2").unwrap()), ("hunter4x".into(), "hunter6x".into()));
    // What can't be written leaves nothing behind.
    let taken = page.post("/processes", &json!({"id": "db", "command": ["true"], "env": {"OTHER_KEY": "hunter7x"}}));
    assert_eq!((taken.status, secret("db-other-key").is_err()), (422, true), "{}", taken.body);
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
