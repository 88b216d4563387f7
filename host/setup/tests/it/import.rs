//! Moving the servers of clients to `mcp.json`, and back.

use std::fs;

use serde_json::{Value, json};

use crate::world::{IMPORT, REGISTER, World, text};

fn mcp(world: &World) -> Value {
    serde_json::from_str(&text(&world.home.mcp_path())).unwrap()
}

const CANARY: &str = "ghp_canary0123456789";

#[test]
fn servers_move_and_their_secrets_go_to_the_vault() {
    let world = World::new();
    let before = json!({
        "theme": "dark",
        "mcpServers": {
            "github": {"command": "npx", "args": ["gh"], "env": {"GITHUB_TOKEN": CANARY, "HOST": "h", "OTHER_KEY": "${MINE}"}},
            "far": {"type": "http", "url": "https://h/mcp", "headers": {"Authorization": format!("Bearer {CANARY}2")}},
            "old": {"type": "sse", "url": "https://h/sse"},
            "self": {"command": "aiw", "args": ["mcp", "serve"]},
        }
    });
    let before = format!("{before:#}");
    let path = world.write("claude", &before);
    let plan = world.plan("claude", &IMPORT).unwrap();
    let shown = format!("{}{}", plan.changes().join("\n"), plan.notes.join("\n"));
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("server `old` stays in Claude Code: it speaks sse, which aiw does not"), "{shown}");
    world.setup.apply(&plan).unwrap();
    assert_eq!(
        mcp(&world)["mcpServers"],
        json!({
            "github": {"command": "npx", "args": ["gh"],
                "env": {"GITHUB_TOKEN": "${secret:github-token}", "HOST": "h", "OTHER_KEY": "${MINE}"}},
            "far": {"type": "http", "url": "https://h/mcp", "headers": {"Authorization": "Bearer ${secret:far-authorization}"}},
        })
    );
    let secret = world.home.vault().get(&"github-token".parse().unwrap()).unwrap();
    assert_eq!(secret.expose(), CANARY);
    let now: Value = serde_json::from_str(&text(&path)).unwrap();
    let left: Vec<&String> = now["mcpServers"].as_object().unwrap().keys().collect();
    assert_eq!(left, ["old", "self", "aiw"]);
    assert!(!text(&path).contains("canary") && !text(&world.home.mcp_path()).contains("canary"));
    assert!(!world.set_up("claude", &IMPORT));

    world.undo("claude");
    assert_eq!(text(&path), before);
    assert!(!world.home.mcp_path().exists());
    assert!(world.home.vault().names().unwrap().is_empty());
}

#[test]
fn a_server_of_another_declaration_stays_and_the_same_one_is_shared() {
    let world = World::new();
    fs::create_dir_all(world.home.root()).unwrap();
    let mine = "{\"mcpServers\": {\"a\": {\"command\": \"mine\"}}}";
    fs::write(world.home.mcp_path(), mine).unwrap();
    let servers =
        "{\"mcpServers\": {\"a\": {\"command\": \"x\"}, \"b\": {\"command\": \"y\", \"env\": {\"B_KEY\": \"sk-1\"}}}}";
    let (cursor, gemini) = (world.write("cursor", servers), world.write("gemini", servers));
    let plan = world.plan("cursor", &IMPORT).unwrap();
    assert!(plan.notes[0].contains("server `a` stays in Cursor: mcp.json has another one of that name"));
    world.setup.apply(&plan).unwrap();
    world.set_up("gemini", &IMPORT);
    assert!(!text(&gemini).contains("\"b\"") && text(&gemini).contains("\"a\""));
    assert_eq!(world.home.vault().names().unwrap().len(), 1);
    // The other client still needs it.
    world.undo("cursor");
    assert_eq!(text(&cursor), servers);
    assert_eq!(mcp(&world)["mcpServers"]["b"]["env"]["B_KEY"], "${secret:b-key}");
    world.undo("gemini");
    assert_eq!(text(&gemini), servers);
    assert_eq!(mcp(&world), json!({"mcpServers": {"a": {"command": "mine"}}}));
    assert!(world.home.vault().names().unwrap().is_empty());
}

#[test]
fn servers_come_back_to_a_file_that_others_changed() {
    let world = World::new();
    let path = world.write(
        "codex",
        "[mcp_servers.one]\ncommand = \"x\"\nenv = { X_TOKEN = \"sk-canary\" }\n\n[mcp_servers.two]\nurl = \"https://h/mcp\"\nhttp_headers = { X = \"y\" }\n",
    );
    world.set_up("codex", &IMPORT);
    assert_eq!(
        mcp(&world)["mcpServers"]["two"],
        json!({"type": "http", "url": "https://h/mcp", "headers": {"X": "y"}})
    );
    assert_eq!(mcp(&world)["mcpServers"]["one"]["env"]["X_TOKEN"], "${secret:one-x-token}");
    fs::write(&path, format!("model = \"m\"\n{}", text(&path))).unwrap();
    // Edited since: it is the user's now.
    fs::write(world.home.mcp_path(), text(&world.home.mcp_path()).replace("\"x\"", "\"edited\"")).unwrap();
    world.undo("codex");
    let now: toml::Table = text(&path).parse().unwrap();
    assert_eq!(now["mcp_servers"]["one"]["env"]["X_TOKEN"].as_str(), Some("sk-canary"));
    assert_eq!((now["model"].as_str(), now["mcp_servers"].as_table().unwrap().len()), (Some("m"), 2));
    assert_eq!(mcp(&world)["mcpServers"].as_object().unwrap().keys().collect::<Vec<_>>(), ["one"]);
    assert_eq!(world.home.vault().names().unwrap().len(), 1);
}

#[test]
fn placeholders_become_those_of_mcp_json_or_the_server_stays() {
    let world = World::new();
    world.write(
        "vscode",
        "{\"servers\": {\"a\": {\"command\": \"x\", \"env\": {\"K\": \"${env:K}\"}}, \"b\": {\"command\": \"${input:y}\"}}} // end\n",
    );
    let plan = world.plan("vscode", &IMPORT).unwrap();
    assert!(plan.notes[0].contains("server `b` stays in VS Code: it contains `${input:y}`"), "{:?}", plan.notes);
    world.setup.apply(&plan).unwrap();
    assert_eq!(mcp(&world), json!({"mcpServers": {"a": {"command": "x", "env": {"K": "${K}"}}}}));
}

#[test]
fn an_mcp_json_that_is_invalid_is_left_alone_and_the_client_too() {
    let world = World::new();
    fs::create_dir_all(world.home.root()).unwrap();
    fs::write(world.home.mcp_path(), "{ // no").unwrap();
    let path = world.write("cursor", "{\"mcpServers\": {\"a\": {\"command\": \"x\"}}}");
    assert!(world.plan("cursor", &IMPORT).is_err());
    assert!(world.set_up("cursor", &REGISTER));
    world.undo("cursor");
    assert_eq!(
        (text(&path).as_str(), text(&world.home.mcp_path()).as_str()),
        ("{\"mcpServers\": {\"a\": {\"command\": \"x\"}}}", "{ // no")
    );
}
