//! Moving the servers of clients to `mcp.json`, and back.

use std::fs;

use serde_json::{Value, json};

use crate::world::{IMPORT, REGISTER, World, text};
use aiw_setup::{SetupScope, client};

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
fn variables_that_a_client_keeps_to_itself_are_named() {
    let world = World::new();
    let codex = "[mcp_servers.a]\ncommand = \"x\"\nenv_vars = [\"MY_TOKEN\"]\n";
    world.write("codex", codex);
    let notes = world.plan("codex", &IMPORT).unwrap().notes.join("\n");
    assert!(
        notes.contains(
            "server `a` needs `MY_TOKEN`, which Codex does not pass on by itself: add `env_vars = [\"MY_TOKEN\"]`"
        ),
        "{notes}"
    );
    world.write("gemini", r#"{"mcpServers": {"b": {"command": "x", "env": {"K": "$MY_TOKEN", "H": "$HOME"}}}}"#);
    let notes = world.plan("gemini", &IMPORT).unwrap().notes.join("\n");
    assert!(notes.contains(r#"add `"env": {"MY_TOKEN": "$MY_TOKEN"}` to aiw's entry there"#), "{notes}");
}

#[test]
fn a_server_that_would_start_without_what_it_needs_stays() {
    let world = World::new();
    let entry = json!({"command": "x", "envFile": "/abs/.env"});
    let http = json!({"type": "http", "url": "https://h/mcp", "headersHelper": "helper"});
    world.write("claude", json!({"mcpServers": {"a": entry, "b": http}}).to_string());
    let plan = world.plan("claude", &IMPORT).unwrap();
    let notes = plan.notes.join("\n");
    assert!(notes.contains("server `a` stays in Claude Code: it has `envFile`, which aiw does not read"), "{notes}");
    assert!(
        notes.contains("server `b` stays in Claude Code: it has `headersHelper`, which aiw does not read"),
        "{notes}"
    );
    assert!(!plan.changes().join("\n").contains("moves to"), "{:?}", plan.changes());
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

#[test]
fn whichever_client_is_undone_last_gives_mcp_json_back() {
    let ids = ["claude", "cursor", "gemini"];
    let mine = "{\"mcpServers\":   {\"a\": {\"command\": \"mine\"}\n}}";
    for (order, before) in [[0, 1, 2], [2, 1, 0], [1, 2, 0]].into_iter().flat_map(|o| [(o, None), (o, Some(mine))]) {
        let world = World::new();
        fs::create_dir_all(world.home.root()).unwrap();
        before.inspect(|text| fs::write(world.home.mcp_path(), text).unwrap());
        let texts = ids.map(|id| {
            format!("{{\"mcpServers\": {{\"both\": {{\"command\": \"b\"}}, \"{id}\": {{\"command\": \"x\"}}}}}}")
        });
        for (id, text) in ids.iter().zip(&texts) {
            world.write(id, text);
            world.set_up(id, &IMPORT);
        }
        for (at, client) in order.into_iter().enumerate() {
            world.undo(ids[client]);
            assert_eq!(text(&world.file(ids[client])), texts[client]);
            assert_eq!(world.home.mcp_path().exists(), at < 2 || before.is_some(), "{order:?}");
        }
        assert_eq!(fs::read_to_string(world.home.mcp_path()).ok().as_deref(), before);
        assert_eq!(fs::read_dir(world.home.root().join("setup")).unwrap().count(), 0);
    }
}

#[test]
fn an_import_that_ended_before_mcp_json_was_written_is_undone() {
    let world = World::new();
    let before = "{\"mcpServers\": {\"a\": {\"command\": \"x\"}}}";
    let path = world.write("claude", before);
    world.set_up("claude", &IMPORT);
    // As if the process had been killed once the records were written.
    fs::remove_file(world.home.mcp_path()).unwrap();
    fs::write(&path, before).unwrap();
    world.set_up("claude", &IMPORT);
    world.undo("claude");
    assert_eq!(text(&path), before);
    assert!(!world.home.mcp_path().exists());
}

#[test]
fn a_key_in_an_address_goes_to_the_vault() {
    let key = "aB3dE5fG7hI9jK1lM3nO5pQ7rS";
    for (address, expected) in [
        ("https://h/mcp?team=a&api_key=canary%2F1&x=y#z", "https://h/mcp?team=a&api_key=${secret:s-api-key}&x=y#z"),
        (&format!("https://h/s/{key}/mcp"), "https://h/s/${secret:s-url}/mcp"),
        (&format!("https://h/s/{key}"), "https://h/s/${secret:s-url}"),
        ("https://h?token=a/b==", "https://h?token=${secret:s-token}"),
        (
            "https://a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6.lambda.example:8443",
            "https://a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6.lambda.example:8443",
        ),
        ("https://h/a/${A:-foo/sk-abc}/m?x=${B:-k&token=abc}", "https://h/a/${A:-foo/sk-abc}/m?x=${B:-k&token=abc}"),
        ("https://h/m?token=abc?def&x=1", "https://h/m?token=${secret:s-token}&x=1"),
        (
            "https://h/m?to%6ben=abc&&y#access_token=abc&z",
            "https://h/m?to%6ben=${secret:s-to-6ben}&&y#access_token=${secret:s-access-token}&z",
        ),
        ("https://h/m?token=a$&key=${b", "https://h/m?token=${secret:s-token}&key=${secret:s-key}"),
        ("https://h/mcp?api_key=${KEY}&b=c", "https://h/mcp?api_key=${KEY}&b=c"),
        (
            "https://example-company-name.example.com/v1/streamable-http",
            "https://example-company-name.example.com/v1/streamable-http",
        ),
        ("https://h/?key=", "https://h/?key="),
    ] {
        let world = World::new();
        let before = json!({"mcpServers": {"s": {"type": "http", "url": address}}}).to_string();
        let path = world.write("claude", &before);
        let plan = world.plan("claude", &IMPORT).unwrap();
        let shown = plan.changes().join("\n") + &plan.notes.join("\n");
        assert!(!shown.contains("canary") && !shown.contains(key), "{shown}");
        world.setup.apply(&plan).unwrap();
        assert_eq!(mcp(&world)["mcpServers"]["s"]["url"], expected);
        world.undo("claude");
        assert_eq!(text(&path), before);
        assert!(!world.home.mcp_path().exists() && world.home.vault().names().unwrap().is_empty(), "{address}");
    }
    let world = World::new();
    world.write("claude", r#"{"mcpServers": {"s": {"type": "http", "url": "https://me:canary@h/"}}}"#);
    let plan = world.plan("claude", &IMPORT).unwrap();
    assert!(
        plan.notes[0].contains("stays in Claude Code: it has a user or a password in its address"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn an_import_that_ended_before_another_client_changed_mcp_json_is_undone() {
    let world = World::new();
    let before = r#"{"mcpServers": {"both": {"command": "b"}}}"#;
    let more = r#"{"mcpServers": {"both": {"command": "b"}, "c": {"command": "x"}}}"#;
    let (claude, cursor) = (world.write("claude", before), world.write("cursor", more));
    world.set_up("claude", &IMPORT);
    let first = text(&world.home.mcp_path());
    world.set_up("cursor", &IMPORT);
    // As if the second process had been killed once its records were written.
    fs::write(world.home.mcp_path(), first).unwrap();
    fs::write(&cursor, more).unwrap();
    world.undo("claude");
    world.undo("cursor");
    assert_eq!((text(&claude), text(&cursor)), (before.to_owned(), more.to_owned()));
    assert!(!world.home.mcp_path().exists());
}

#[test]
fn a_server_leaves_mcp_json_only_if_its_client_has_it_again() {
    let keyed = |name: &str| json!({name: {"command": "x", "env": {"MY_TOKEN": format!("canary-{name}")}}});
    let file = |servers: &Value| json!({"x": 1, "mcpServers": servers}).to_string();
    let servers = |path: &std::path::Path| serde_json::from_str::<Value>(&text(path)).unwrap()["mcpServers"].clone();
    let with = |path: &std::path::Path, name: &str, entry: &Value| {
        let mut now: Value = serde_json::from_str(&text(path)).unwrap();
        now["mcpServers"][name] = entry.clone();
        fs::write(path, now.to_string()).unwrap();
    };
    // Added after a setup without an import, and between two imports.
    for first in [REGISTER, IMPORT] {
        let world = World::new();
        let path = world.write("claude", file(&keyed("a")));
        world.set_up("claude", &first);
        with(&path, "b", &keyed("b")["b"]);
        world.set_up("claude", &IMPORT);
        assert!(!text(&path).contains("canary"));
        world.undo("claude");
        assert_eq!(servers(&path), json!({"a": keyed("a")["a"], "b": keyed("b")["b"]}));
        assert!(!world.home.mcp_path().exists() && world.home.vault().names().unwrap().is_empty());
    }
    // The client's file is gone, or has another server of that name.
    for is_gone in [true, false] {
        let world = World::new();
        let path = world.write("claude", file(&keyed("a")));
        world.set_up("claude", &IMPORT);
        if is_gone {
            fs::remove_file(&path).unwrap();
        } else {
            with(&path, "a", &json!({"command": "new"}));
        }
        let plan = world.setup.plan_undo(client("claude").unwrap(), &SetupScope::User).unwrap().unwrap();
        assert!(plan.notes.iter().any(|note| note.contains("server `a` stays in mcp.json")), "{:?}", plan.notes);
        world.setup.apply(&plan).unwrap();
        assert_eq!(mcp(&world)["mcpServers"]["a"]["env"]["MY_TOKEN"], "${secret:a-my-token}");
        assert_eq!(world.home.vault().get(&"a-my-token".parse().unwrap()).unwrap().expose(), "canary-a");
    }
}

#[test]
fn a_secret_that_is_used_or_was_changed_stays_in_the_vault() {
    let world = World::new();
    let both = r#"{"mcpServers": {"a": {"command": "x", "env": {"A_TOKEN": "canary-a"}}, "b": {"command": "x", "env": {"B_TOKEN": "canary-b"}}}}"#;
    let path = world.write("claude", both);
    world.set_up("claude", &IMPORT);
    let provider = json!({"version": 1, "providers": {"p": {"preset": "custom", "token": {"secret": "a-token"}}}});
    fs::write(world.home.providers_path(), provider.to_string()).unwrap();
    let lock = world.home.lock().unwrap();
    world.home.vault().set(&lock, &"b-token".parse().unwrap(), &aiw_core::Secret::new("canary-new")).unwrap();
    drop(lock);
    let plan = world.setup.plan_undo(client("claude").unwrap(), &SetupScope::User).unwrap().unwrap();
    assert!(
        plan.notes[0].contains("the provider `p` uses it") && plan.notes[1].contains("changed"),
        "{:?}",
        plan.notes
    );
    world.setup.apply(&plan).unwrap();
    assert_eq!((text(&path), world.home.vault().names().unwrap().len()), (both.to_owned(), 2));
    assert!(!world.home.mcp_path().exists());
}

#[test]
fn entries_that_mean_the_same_are_one_server() {
    let world = World::new();
    fs::create_dir_all(world.home.root()).unwrap();
    let there = r#"{"mcpServers": {"a": {"command": "x"}, "b": {"url": "https://h/mcp"}}}"#;
    fs::write(world.home.mcp_path(), there).unwrap();
    let theirs = json!({"mcpServers": {
        "a": {"type": "stdio", "command": "x", "args": [], "env": {}},
        "b": {"type": "http", "url": "https://h/mcp", "headers": {}},
    }});
    let path = world.write("claude", theirs.to_string());
    let plan = world.plan("claude", &IMPORT).unwrap();
    assert!(!plan.notes.join("").contains("stays"), "{:?}", plan.notes);
    world.setup.apply(&plan).unwrap();
    assert_eq!(text(&world.home.mcp_path()), there);
    assert_eq!(serde_json::from_str::<Value>(&text(&path)).unwrap()["mcpServers"].as_object().unwrap().len(), 1);
    world.undo("claude");
    assert_eq!((text(&path), text(&world.home.mcp_path()).as_str()), (theirs.to_string(), there));
}

#[test]
fn a_server_whose_name_is_taken_moves_under_another_one_and_comes_back() {
    let world = World::new();
    fs::create_dir_all(world.home.root()).unwrap();
    let there = r#"{"mcpServers": {"a": {"command": "mine"}}}"#;
    fs::write(world.home.mcp_path(), there).unwrap();
    let theirs = json!({"mcpServers": {"a": {"command": "theirs"}}}).to_string();
    let path = world.write("cursor", &theirs);
    let notes = world.plan("cursor", &IMPORT).unwrap().notes.join("\n");
    assert!(notes.contains("`aiw setup cursor --import --rename a=a-cursor`"), "{notes}");
    let World { dir, home, setup } = world;
    let setup = setup.with_renames([("a".to_owned(), "a-cursor".to_owned())].into());
    let world = World { dir, home, setup };
    assert!(world.set_up("cursor", &IMPORT));
    assert_eq!(mcp(&world)["mcpServers"], json!({"a": {"command": "mine"}, "a-cursor": {"command": "theirs"}}));
    assert!(!text(&path).contains("theirs"));
    world.undo("cursor");
    assert_eq!((text(&path), text(&world.home.mcp_path()).as_str()), (theirs, there));
}

#[test]
fn a_server_of_aiws_own_name_does_not_move() {
    let world = World::new();
    let own = ["workflows", "planned", " Workflows", "aiw!", "workflows__x"];
    let servers: serde_json::Map<String, Value> =
        own.iter().chain(&["mine"]).map(|name| ((*name).to_owned(), json!({"command": "theirs"}))).collect();
    let theirs = json!({"mcpServers": servers}).to_string();
    let path = world.write("cursor", &theirs);
    let notes = world.plan("cursor", &IMPORT).unwrap().notes;
    for name in own {
        let wanted = format!("server `{}` stays in Cursor: it has aiw's own name: rename it", name.trim());
        assert!(notes.contains(&wanted), "{wanted}: {notes:?}");
    }
    // Nor does one under a name of aiw's own.
    let World { dir, home, setup } = world;
    let setup = setup.with_renames([("mine".to_owned(), "workflows".to_owned())].into());
    let world = World { dir, home, setup };
    let notes = world.plan("cursor", &IMPORT).unwrap().notes.join("\n");
    assert!(notes.contains("server `mine` stays in Cursor: `workflows` is aiw's own name"), "{notes}");
    world.set_up("cursor", &IMPORT);
    assert!(!world.home.mcp_path().exists() || !text(&world.home.mcp_path()).contains("theirs"));
    let left: Value = serde_json::from_str(&text(&path)).unwrap();
    assert!(own.iter().chain(&["mine"]).all(|name| left["mcpServers"][*name]["command"] == "theirs"), "{left}");
}

#[test]
fn two_clients_with_different_servers_of_one_name_are_previewed_as_they_will_be() {
    let world = World::new();
    world.write("claude", r#"{"mcpServers": {"a": {"command": "one"}}}"#);
    world.write("cursor", r#"{"mcpServers": {"a": {"command": "two"}, "b": {"command": "three"}}}"#);
    let first = world.plan("claude", &IMPORT).unwrap();
    let before = [first];
    let second = world.setup.plan_after(client("cursor").unwrap(), &SetupScope::User, &IMPORT, &before).unwrap();
    assert!(second.notes.join("").contains("server `a` stays in Cursor"), "{:?}", second.notes);
    assert!(!second.changes().join("").contains("mcpServers.a:"), "{:?}", second.changes());
    let [first] = before;
    for plan in [first, second] {
        world.setup.apply(&world.setup.refresh_plan(&plan).unwrap()).unwrap();
    }
    assert_eq!(mcp(&world)["mcpServers"], json!({"a": {"command": "one"}, "b": {"command": "three"}}));
}

#[test]
fn servers_that_could_move_are_told_of() {
    let world = World::new();
    world.write("claude", r#"{"mcpServers": {"a": {"command": "one"}}}"#);
    let notes = world.plan("claude", &REGISTER).unwrap().notes.join("");
    assert!(notes.contains("it has 1 server of its own: `aiw setup claude --import` puts it behind aiw"), "{notes}");
}
