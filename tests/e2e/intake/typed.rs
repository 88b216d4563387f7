//! The real Claude Code on a terminal, with our hooks: what is typed is found, and its ends are heard.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use super::real::Client;
use crate::terminal::Terminal;

/// A client that asks nothing before the first prompt, and has a hook of the user's own that says what it heard.
fn client() -> Option<Client> {
    // A side request for a title has no tools.
    let answers = ["first", "second", "cleared", "last"]
        .map(|word| json!({"match": format!("{word}ask"), "offers": "^Bash$", "text": format!("{word}answer")}));
    let client = Client::new("claude", &json!(answers))?;
    let state = json!({
        "hasCompletedOnboarding": true,
        "theme": "dark",
        "customApiKeyResponses": {"approved": ["the-key"], "rejected": []},
        "projects": {client.project.display().to_string(): {"hasTrustDialogAccepted": true}},
    });
    fs::write(client.env.user().join(".claude.json"), state.to_string()).unwrap();
    let own = json!({"hooks": {"SessionEnd": [{"hooks": [{"type": "command", "command": "cat >> ~/ends; echo >> ~/ends"}]}]}});
    fs::create_dir_all(client.env.user().join(".claude")).unwrap();
    fs::write(client.env.user().join(".claude/settings.json"), own.to_string()).unwrap();
    client.env.run(&["history", "hooks", "install"]).ok();
    Some(client)
}

/// Types a line, and presses enter once it is there: keys that come all at once are a paste.
fn enter(terminal: &mut Terminal, line: &str) {
    terminal.wait_for("❯");
    terminal.press(line);
    // What follows the sign is not a plain space.
    terminal.wait(line, |shown| shown.lines().any(|shown| shown.starts_with('❯') && shown.trim_end().ends_with(line)));
    terminal.press("\r");
}

fn ask(terminal: &mut Terminal, word: &str) {
    enter(terminal, &format!("{word}ask"));
    terminal.wait_for(&format!("{word}answer"));
}

/// The sessions of which the user's own hook heard the end, and why they ended.
fn ends(client: &Client, count: usize) -> Vec<(String, String)> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(client.env.user().join("ends")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
        let ends: Vec<_> = lines.map(|line| (text(&line, "session_id"), text(&line, "reason"))).collect();
        if ends.len() >= count || start.elapsed() > aiw_tests::HANG_TIMEOUT {
            return ends;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// What the history has of a session: who said what.
fn said(client: &Client, session: &str) -> Vec<(String, String)> {
    let shown = client.env.json(&["history", "show", session]);
    let text = |message: &Value, key: &str| message[key].as_str().unwrap().to_owned();
    let messages = shown["messages"].as_array().unwrap_or_else(|| panic!("{shown}"));
    messages.iter().map(|message| (text(message, "role"), text(message, "text"))).collect()
}

fn talk(words: &[&str]) -> Vec<(String, String)> {
    let both =
        |word: &&str| [("user".to_owned(), format!("{word}ask")), ("assistant".to_owned(), format!("{word}answer"))];
    words.iter().flat_map(both).collect()
}

#[test]
fn what_is_typed_before_and_after_clear_is_found_in_the_session_that_it_was_said_in() {
    let Some(client) = client() else { return };
    let mut terminal = Terminal::program(&client.env, &client.program, &client.project);
    ask(&mut terminal, "first");
    ask(&mut terminal, "second");
    enter(&mut terminal, "/clear");
    let ended = ends(&client, 1);
    assert_eq!(ended.len(), 1, "{}", terminal.shown());
    // What was said before is found while the client runs on.
    assert_eq!(client.found("firstask"), [(ended[0].0.clone(), "user".to_owned())]);
    ask(&mut terminal, "cleared");
    enter(&mut terminal, "/exit");
    assert!(terminal.ends().success());
    let ended = ends(&client, 2);
    let [(before, clear), (after, exit)] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!((clear.as_str(), exit.as_str()), ("clear", "prompt_input_exit"));
    assert_ne!(before, after);
    for (word, session) in [("first", before), ("second", before), ("cleared", after)] {
        for (kind, role) in [("ask", "user"), ("answer", "assistant")] {
            assert_eq!(client.found(&format!("{word}{kind}")), [(session.clone(), role.to_owned())], "{word}{kind}");
        }
    }
    // The commands are nobody's words.
    assert_eq!(said(&client, before), talk(&["first", "second"]));
    assert_eq!(said(&client, after), talk(&["cleared"]));
    assert_eq!(client.env.json(&["history", "import", "--all"])["messages"], 0);
    assert_eq!(client.env.read("logs/history.log"), "");
}

#[test]
fn a_session_under_a_provider_goes_on_under_it_although_no_hook_tells() {
    let Some(mut client) = client() else { return };
    client.env.run(&["history", "hooks", "uninstall"]).ok();
    let path = format!("{}:{}", client.program.parent().unwrap().display(), client.env.parts().1["PATH"]);
    client.env.set("PATH", path);
    client.env.set("THE_KEY", "the-key");
    let add = ["--preset", "litellm", "--base-url", client.api.url(), "--token-env", "THE_KEY", "--model", "m"];
    client.env.run(&[&["provider", "add", "gw"][..], &add].concat()).ok();
    let project = client.project.display().to_string();
    let mut terminal = Terminal::start(&client.env, &["claude", "-p", "gw", "--cwd", &project]);
    ask(&mut terminal, "first");
    enter(&mut terminal, "/clear");
    // What is typed before it is done would be a part of it.
    assert_eq!(ends(&client, 1).len(), 1, "{}", terminal.shown());
    ask(&mut terminal, "cleared");
    enter(&mut terminal, "/exit");
    assert!(terminal.ends().success());
    client.env.run(&["history", "import", "--all"]).ok();
    for word in ["firstask", "clearedask"] {
        let hits = super::hits(&client.env, word);
        let session = hits[0]["session"].as_str().unwrap();
        assert_eq!(hits[0]["provider"], "gw", "{word}");
        assert_eq!(hits[0]["resume"], format!("cd {project} && aiw claude -p gw -- --resume {session}"));
    }
}

#[test]
fn a_session_that_is_ended_with_a_key_is_found() {
    let Some(client) = client() else { return };
    for (number, (key, word)) in [("\u{3}", "first"), ("\u{4}", "last")].into_iter().enumerate() {
        let mut terminal = Terminal::program(&client.env, &client.program, &client.project);
        ask(&mut terminal, word);
        terminal.press(key);
        terminal.wait_for("again to exit");
        terminal.press(key);
        assert!(terminal.ends().success(), "{word}");
        let ended = ends(&client, number + 1);
        assert_eq!(ended.len(), number + 1);
        let (session, reason) = &ended[number];
        assert_eq!(reason, "prompt_input_exit");
        assert_eq!(client.found(&format!("{word}ask")), [(session.clone(), "user".to_owned())]);
        assert_eq!(said(&client, session), talk(&[word]));
    }
    assert_eq!(client.env.json(&["history", "import", "--all"])["messages"], 0);
}
