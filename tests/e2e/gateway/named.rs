//! Gateways with names: an address and a token that stay.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use aiw_tests::Environment;
use serde_json::{Value, json};

use super::{Gateway, Upstream, add_providers, chat, events, question};

/// Starts `aiw gateway serve`, and returns what it prints first.
fn start(env: &Environment, arguments: &[&str]) -> (Child, String) {
    let mut command = env.command(&[&["gateway", "serve"], arguments].concat());
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let is_json = arguments.contains(&"--json");
    let said: Vec<String> = lines.by_ref().take(if is_json { 1 } else { 2 }).map(Result::unwrap).collect();
    (process, said.join("\n"))
}

fn stop(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Asks a gateway that some process serves.
fn status(address: &str, token: &str) -> u16 {
    let process = std::process::Command::new("true").spawn().unwrap();
    let gateway = Gateway { process, address: address.parse().unwrap(), token: token.to_owned() };
    gateway.ask("/v1/messages", &question(false)).status
}

#[test]
fn address_and_token_stay_until_they_are_revoked() {
    let upstream = Upstream::new(|_, _| events(&chat("Hello")));
    let mut env = Environment::new();
    add_providers(&mut env, &upstream.server.url());
    let unknown = env.run(&["gateway", "serve", "--name", "editor"]);
    assert_eq!(unknown.code, 2, "{}", unknown.whole());
    assert!(unknown.stderr.contains("`aiw gateway serve --name editor -p PROVIDER` makes it"), "{}", unknown.whole());
    let (first, said) = start(&env, &["--name", "editor", "-p", "chat-completions", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let (url, token) = (said["url"].as_str().unwrap(), said["token"].as_str().unwrap().to_owned());
    let address = url.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(said["name"], "editor");
    assert_eq!(status(&address, &token), 200);
    // One process at a time.
    let second = env.run(&["gateway", "serve", "--name", "editor"]);
    assert!(second.stderr.contains("another process serves the gateway `editor` already"), "{}", second.whole());
    let listed = env.json(&["gateway", "list"])["gateways"].clone();
    let expected = json!({"name": "editor", "provider": "chat-completions", "model": null, "url": url,
        "since": listed[0]["since"], "served": true, "problem": null});
    assert_eq!(listed, json!([expected]));
    stop(first);
    assert_eq!(env.json(&["gateway", "list"])["gateways"][0]["served"], false);
    // The next time, it needs no more than its name, and the token is not printed again.
    let (again, said) = start(&env, &["--name", "editor"]);
    assert_eq!(said, format!("address: {url}\ntoken: as before; `aiw gateway token editor` prints it"));
    assert_eq!(env.run(&["gateway", "token", "editor"]).ok().stdout.trim(), token);
    assert_eq!(status(&address, &token), 200);
    let mistyped = env.run(&["gateway", "revoke", "edtor"]);
    assert!(mistyped.stderr.contains("did you mean `editor`?"), "{}", mistyped.whole());
    // What it serves stays, a provider or a pool: it would go on with the key that it has.
    let refused = env.run(&["provider", "remove", "chat-completions"]);
    let serves = "the gateway `editor` serves `chat-completions`";
    assert!(refused.stderr.contains(serves), "{}", refused.whole());
    env.run(&["pool", "add", "several", "chat-completions", "messages"]).ok();
    let (of_pool, _) = start(&env, &["--name", "pooled", "-p", "several"]);
    let refused = env.run(&["pool", "remove", "several"]);
    assert!(refused.stderr.contains("the gateway `pooled` serves `several`"), "{}", refused.whole());
    stop(of_pool);
    env.run(&["gateway", "revoke", "pooled"]).ok();
    // A new token counts at once, and so does that there is none.
    let rotated = env.json(&["gateway", "token", "editor", "--rotate"])["token"].as_str().unwrap().to_owned();
    assert_eq!((status(&address, &token), status(&address, &rotated)), (401, 200));
    let others = env.run(&["gateway", "revoke", "other", "editor"]);
    assert!(
        others.stderr.contains("there is no gateway `other`") && others.stdout.contains("Revoked gateway `editor`")
    );
    let begun = Instant::now();
    let mut again = again;
    while again.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it still serves");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(env.json(&["gateway", "list"])["gateways"].as_array().unwrap().is_empty());
    assert_eq!(env.run(&["gateway", "token", "editor"]).code, 2);
    // No file holds a token as it is.
    for entry in walk(&env.home()) {
        let bytes = std::fs::read(&entry).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&token) && !text.contains(&rotated), "{}", entry.display());
    }
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() && !path.is_symlink() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn a_gateway_without_a_name_says_where_it_is_before_it_serves() {
    let upstream = Upstream::new(|_, _| events(&chat("Hello")));
    let mut env = Environment::new();
    add_providers(&mut env, &upstream.server.url());
    let (process, said) = start(&env, &["-p", "messages"]);
    assert!(said.starts_with("address: http://127.0.0.1:") && said.contains("\ntoken: aiw-"), "{said}");
    stop(process);
    // Its address is one of this machine.
    let open = env.run(&["gateway", "serve", "-p", "messages", "--listen", "0.0.0.0:0"]);
    assert_eq!(open.code, 64, "{}", open.whole());
    assert!(env.json(&["gateway", "list"])["gateways"].as_array().unwrap().is_empty());
}
