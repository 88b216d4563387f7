//! `aiw mcp …`

use aiw_tests::Market;
use serde_json::json;

use super::Servers;

#[test]
fn a_server_is_added_looked_at_called_and_removed() {
    let Some(servers) = Servers::new() else { return };
    let env = &servers.env;
    let entry = servers.entry("test", &[]);
    let command: Vec<&str> = std::iter::once(&entry["command"])
        .chain(entry["args"].as_array().unwrap())
        .map(|word| word.as_str().unwrap())
        .collect();
    let add = |more: &[&str]| env.run(&[&["mcp", "add", "test"], more, &["--"], command.as_slice()].concat());
    let added = add(&[]).ok();
    assert_eq!(added.stdout, "Added `test`\n");
    assert!(added.stderr.contains("It works and has 14 tools."), "{}", added.stderr);
    assert_eq!(env.mcp()["mcpServers"]["test"], entry);
    assert!(add(&[]).code == 0, "the same again changes nothing");
    let other = add(&["--env", "A=b"]);
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("--force"), "{}", other.stderr);
    assert_eq!(add(&["--env", "A=b", "--force"]).ok().stdout, "Replaced `test`\n");
    let status = env.json(&["mcp", "status"]);
    let status = &status["servers"][0];
    assert_eq!(
        (&status["name"], &status["transport"], &status["state"], &status["tools"], &status["version"]),
        (&json!("test"), &json!("stdio"), &json!("ready"), &json!(14), &json!("1.2.3"))
    );
    assert!(status["latency_ms"].is_number() && status["error"].is_null() && status["tokens"].as_u64().unwrap() > 100);
    let called = env.run(&["mcp", "call", "test", "echo", "a=1", "b=two", "c={\"d\":null}"]).ok().stdout;
    assert_eq!(called, "{\"a\": 1, \"b\": \"two\", \"c\": {\"d\": null}}\n");
    let called = env.json(&["mcp", "call", "test", "odd", "{}"]);
    assert_eq!(called["result"]["unknown"], json!({"field": null}));
    let failed = env.run(&["mcp", "call", "test", "fails"]);
    assert_eq!((failed.code, failed.stderr.contains("not today")), (2, true));
    assert_eq!(env.run(&["mcp", "call", "test", "none"]).code, 2);
    assert!(env.run(&["mcp", "doctor"]).ok().stdout.contains("test: ready in "));
    assert!(env.run(&["mcp", "list"]).ok().stdout.contains("14 tools"));
    assert_eq!(env.run(&["mcp", "remove", "test"]).ok().stdout, "Removed `test`\n");
    assert_eq!(env.json(&["mcp", "list"])["servers"], json!([]));
    assert!(std::fs::read_dir(env.home().join("servers")).unwrap().next().is_none());
}

#[test]
fn a_removed_plugin_leaves_nothing_that_was_known_of_its_servers() {
    let Some(servers) = Servers::new() else { return };
    let env = &servers.env;
    let market = Market::new(env.path("m"), "m").plugin("p", "1.0.0", json!({"theirs": servers.entry("theirs", &[])}));
    env.add(market.root()).ok();
    env.run(&["plugin", "install", "p", "--yes"]).ok();
    assert_eq!(env.json(&["mcp", "tools"])["tools"].as_array().unwrap().len(), 14);
    let records = || std::fs::read_dir(env.home().join("servers")).unwrap().count();
    assert!(records() > 0);
    env.run(&["plugin", "remove", "p"]).ok();
    assert_eq!(records(), 0);
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    let Some(servers) = Servers::new() else { return };
    let env = &servers.env;
    for (args, code, says) in [
        (&["mcp", "add", "a b", "--no-check", "--", "x"] as &[&str], 64, "can't be the name of a server"),
        (&["mcp", "add", "aiw", "--no-check", "--", "x"], 64, "it is aiw's own"),
        (&["mcp", "add", "a"], 64, "required"),
        (&["mcp", "add", "a", "--url", "https://h", "--no-check", "--header", "X=@none"], 2, "no secret `none`"),
        (&["mcp", "add", "a", "--url", "nope"], 2, "not a URL"),
        (&["mcp", "add", "a", "--url", "ftp://h/"], 2, "scheme `ftp`"),
        (&["mcp", "add", "a", "--url", "http://u:canary@127.0.0.1/"], 2, "may not contain a user or a password"),
        (&["mcp", "add", "a", "--url", "https://${H}/", "--header", "a b=x"], 2, "not the name of a header"),
        (&["mcp", "add", "a", "--url", "https://h/", "--header", "X=a", "--header", "x=b"], 64, "given twice"),
        (&["mcp", "add", "a", "--url", "https://h/", "--header", "Host=x"], 2, "header `host` can't be set"),
        (&["mcp", "add", "a", "--url", "https://h/", "--header", "X=a\nb"], 2, "not allowed in a header"),
        (&["mcp", "remove", "none"], 2, "there is no MCP server `none`"),
        (&["mcp", "status", "none"], 2, "there is no MCP server `none`"),
        (&["mcp", "logs", "none"], 2, "there is no MCP server `none`"),
        (&["mcp", "approve", "none"], 2, "there is no MCP server `none`"),
        (&["mcp", "call", "none", "x"], 2, "there is no MCP server `none`"),
    ] {
        let run = env.run(args);
        assert_eq!(run.code, code, "{args:?}: {}", run.whole());
        assert!(run.stderr.contains(says) && !run.whole().contains("canary"), "{args:?}: {}", run.whole());
    }
    assert!(!env.home().join("mcp.json").exists());
    env.write_mcp(&json!({"mcpServers": {"old": {"type": "sse", "url": "https://h/sse"}, "gone": {"command": "no-such-program"}}}).to_string());
    let doctor = env.run(&["mcp", "doctor"]);
    assert_eq!(doctor.code, 69);
    assert!(
        doctor.stdout.contains("SSE") && doctor.stdout.contains("there is no program `no-such-program`"),
        "{}",
        doctor.whole()
    );
}

#[test]
fn a_key_in_the_path_of_an_address_is_in_no_message() {
    let Some(servers) = Servers::new() else { return };
    let env = &servers.env;
    let key = "canary/of a path";
    env.run_with_input(&["secret", "set", "path"], key).ok();
    // Nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("http://127.0.0.1:{port}/${{secret:path}}/mcp");
    let mut said = env.run(&["mcp", "add", "far", "--url", &address]).ok().whole();
    env.run(&["mcp", "add", "open", "--url", "http://h.example/${secret:path}", "--no-check"]).ok();
    said += &env.run(&["mcp", "login", "open", "--no-browser"]).whole();
    assert!(said.contains("`http://h.example` is not encrypted"), "{said}");
    for args in [
        &["mcp", "status"] as &[&str],
        &["mcp", "doctor"],
        &["mcp", "call", "far", "x"],
        &["mcp", "list"],
        &["mcp", "logs", "far"],
        &["mcp", "login", "far", "--no-browser"],
    ] {
        said += &env.run(args).whole();
    }
    assert!(said.contains(&format!("cannot reach `http://127.0.0.1:{port}`")), "{said}");
    assert!(!said.contains("canary") && !said.contains("of%20a"), "{said}");
}

#[test]
fn a_secret_in_a_program_or_a_directory_is_not_shown() {
    let Some(servers) = Servers::new() else { return };
    let env = &servers.env;
    env.run_with_input(&["secret", "set", "sk"], "canaryvalue-9f8e7d6c").ok();
    let entries = json!({"mcpServers": {
        "program": {"command": "/nonexistent/${secret:sk}"},
        "directory": {"command": "true", "cwd": "/nonexistent/${secret:sk}"},
    }});
    std::fs::write(env.home().join("mcp.json"), entries.to_string()).unwrap();
    let mut said = String::new();
    for arguments in [
        &["mcp", "status"][..],
        &["mcp", "status", "--json"],
        &["mcp", "doctor", "--json"],
        &["mcp", "call", "program", "x"],
        &["mcp", "call", "directory", "x"],
    ] {
        said += &env.run(arguments).whole();
    }
    for file in std::fs::read_dir(env.home().join("servers")).into_iter().flatten().flatten() {
        said += &String::from_utf8_lossy(&std::fs::read(file.path()).unwrap());
    }
    assert!(said.contains("there is no program") && said.contains("cannot work in"), "{said}");
    assert!(!said.contains("canaryvalue"), "{said}");
}

#[test]
fn no_server_has_the_name_of_aiws_own_tools() {
    let Some(servers) = Servers::new() else { return };
    let entry = servers.entry("test", &[]);
    let env = &servers.env;
    std::fs::create_dir_all(env.home()).unwrap();
    std::fs::write(env.home().join("mcp.json"), json!({"mcpServers": {"aiw": entry}}).to_string()).unwrap();
    let status = env.run(&["mcp", "status", "--json"]).json();
    assert_eq!(status["servers"][0]["tools"], 0, "{status}");
    assert!(status["servers"][0]["error"].as_str().unwrap().contains("has aiw's own name"), "{status}");
}
