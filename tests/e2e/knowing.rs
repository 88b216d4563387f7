//! A component that uses the model, collections of its own and MCP tools: the real ones.

use std::fs;

use aiw_tests::{Environment, component, onnx_runtime, tiny_model};

use serde_json::json;

use crate::mcp::Client;
use crate::servers::Servers;
use crate::until;

/// Adds the component, with what its manifest asks for.
fn with_knowing(env: &Environment) {
    let path = component("knowing").display().to_string();
    let run = env.run(&["extension", "add", &path, "--yes"]).ok();
    for granted in ["keep the collection of vectors `notes`", "call the MCP tool `files/slow`"] {
        assert!(run.stdout.contains(granted), "{}", run.whole());
    }
    assert!(run.stdout.contains("call the MCP tools `*/*` that destroy nothing"), "{}", run.whole());
}

/// What the component says that it got.
fn got(env: &Environment, mode: &str) -> String {
    let answer = env.json(&["mcp", "search", mode, "--source", "knowing"]);
    let problem = answer["sources"][0]["problem"].as_str();
    problem.unwrap_or_else(|| panic!("{mode}: {answer:#}")).to_owned()
}

/// An environment with the tiny model in use. `None` without a library to run it.
fn with_model() -> Option<Environment> {
    let runtime = onnx_runtime()?.display().to_string();
    let env = Environment::new();
    tiny_model(&env.path("tiny"));
    let model = env.path("tiny").display().to_string();
    env.run(&["model", "use", &model, "--runtime", &runtime]).ok();
    with_knowing(&env);
    Some(env)
}

#[test]
fn without_a_model_a_component_is_told_so() {
    let env = Environment::new();
    with_knowing(&env);
    assert_eq!(got(&env, "state"), "missing: no model is in use: `aiw model pull` gets one");
    assert_eq!(got(&env, "embed:a/b"), "unavailable: no model is in use: `aiw model pull` gets one");
    assert_eq!(got(&env, "count:notes"), "count 0");
    assert!(!env.home().join("vectors").exists());
}

#[test]
fn a_component_embeds_texts_and_keeps_their_vectors() {
    let Some(env) = with_model() else { return };
    assert_eq!(got(&env, "state"), "ready: 32 dimensions");
    assert_eq!(got(&env, "embed:find_news/search_headlines"), "2 vectors, alike");
    assert_eq!(got(&env, "embed:find_news/play_music"), "2 vectors, unlike");
    for _ in 0..2 {
        assert_eq!(got(&env, "collect"), "nearest `find news` of 2, 32 dimensions, 1 removed, 2 left");
    }
    // They stay.
    assert_eq!(got(&env, "count:notes"), "count 2");
    assert!(env.home().join("vectors/knowing/notes.vec").is_file());
    // A model whose files are gone is no model.
    fs::remove_file(env.path("tiny/config.json")).unwrap();
    let said = got(&env, "state");
    assert!(said.starts_with("missing: there is no `") && said.ends_with("config.json`"), "{said}");
}

#[test]
fn a_component_can_not_have_more_than_its_own_or_too_much() {
    let Some(env) = with_model() else { return };
    let over = "invalid: at most 256 texts of 1024 KiB in total can be embedded at once";
    assert_eq!(got(&env, "embed-many"), over);
    assert_eq!(got(&env, "embed-large"), over);
    assert_eq!(got(&env, "embed-forever"), "component `knowing` embedded more than 2000 texts in one call");
    for name in ["other", "..", "../knowing/notes", "notes/", "/etc/passwd", "NOTES", &"x".repeat(1500)] {
        let said = got(&env, &format!("count:{name}"));
        assert!(said.starts_with("denied: component `knowing` may not use the collection `"), "{said}");
        assert!(said.ends_with("its manifest does not name it under `collections`"), "{said}");
    }
    insta::assert_snapshot!(got(&env, "bad").replace("; ", "\n"), @"
    0 stored
    invalid: a vector holds a number that is not finite
    invalid: a vector holds only zeros, so it has no direction
    invalid: a vector has 3 dimensions, and the collection has 2
    invalid: an id has 0 bytes, and must have 1 to 1024
    invalid: an id has 2000 bytes, and must have 1 to 1024
    invalid: a collection must have 1 to 4096 dimensions, not 5000
    ");
    assert_eq!(got(&env, "million"), "invalid: a collection may hold 64 MiB of vectors");
    assert_eq!(got(&env, "count:large"), "count 16000");
    let files: Vec<_> = fs::read_dir(env.home().join("vectors")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(files, ["knowing"]);
}

#[test]
fn a_component_lists_and_calls_the_tools_that_it_was_granted() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("files", &[]).with("time", &[]);
    let env = &servers.env;
    with_knowing(env);
    assert_eq!(got(env, "list"), "");
    assert!(servers.starts("files").is_empty());
    // The server is started to see what the tool is.
    let result = got(env, r#"call:files/echo/{"text": "hello"}"#);
    assert!(result.contains("hello"), "{result}");
    assert_eq!((servers.starts("files").len(), servers.starts("time").len()), (1, 0));
    assert_eq!(got(env, "list"), "files/echo files/odd files/slow");
    // A tool that does not say that it only reads has to be named.
    assert!(got(env, "call:files/slow").contains("done"));
    for tool in ["environment", "dies"] {
        assert_eq!(
            got(env, &format!("call:files/{tool}")),
            format!(
                "denied: component `knowing` may not call the MCP tool `files/{tool}`, which may destroy something: its \
                 manifest does not name it under `mcp`"
            )
        );
    }
    let before = servers.starts("time").len();
    assert!(got(env, "call:time/slow").starts_with("denied: "));
    assert_eq!(servers.starts("time").len(), before + 1);
    for (mode, said) in [
        ("call:nobody/echo", "not found: there is no MCP server `nobody`"),
        ("call:files/nothing", "not found: the MCP server `files` offers no tool `nothing`"),
        ("call:files/echo/[1]", "invalid: the arguments are not a JSON object: "),
        ("call:../echo", "not found: there is no MCP server `..`"),
        ("call-long", "invalid: there is no MCP tool `xxx"),
    ] {
        let answer = got(env, mode);
        assert!(answer.starts_with(said), "{mode}: {answer}");
    }

    // Both keys: what the user did not agree to is not given.
    let lock = env.home().join("extensions.lock");
    let text = fs::read_to_string(&lock).unwrap();
    fs::write(&lock, text.replace("\"files/slow\"", "\"files/other\"").replace("\"notes\"", "\"other\"")).unwrap();
    for (mode, to) in [
        ("call:files/slow", "call the MCP tool `files/slow`, which may destroy something"),
        ("count:notes", "use the collection `notes`"),
    ] {
        assert_eq!(
            got(env, mode),
            format!(
                "denied: component `knowing` may not {to}: its manifest names it, but you did not agree to it; run `aiw \
                 extension update knowing --accept-changes`"
            )
        );
    }
}

#[test]
fn a_component_calls_several_tools_at_once() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("files", &[]).with("time", &[]);
    let env = &servers.env;
    with_knowing(env);
    assert_eq!(got(env, "none"), "None");
    let said = got(
        env,
        r#"together:files/slow/{"seconds": 3};files/slow/{"seconds": 2};files/echo;files/nothing;files/dies;time/echo/[]"#,
    );
    // The slow ones end last, the shorter one first. One after the other they would take 5 s.
    let last = |seconds: u32| format!(", 2: done, 1: done after {seconds} s");
    assert!(said.ends_with(&last(3)) || said.ends_with(&last(4)), "{said}");
    for outcome in [
        "3: done",
        "4: not found: the MCP server `files` offers no tool `nothing`",
        "5: denied: component `knowing` may not call the MCP tool `files/dies`, which may destroy something",
        "6: invalid: the arguments are not a JSON object",
    ] {
        assert!(said.contains(outcome), "{outcome}: {said}");
    }
    assert_eq!(
        got(env, r#"many:files/slow/{"seconds": 1}"#),
        "8 started; invalid: more than 8 calls are under way; one more after a result: true"
    );
    // A name that is too long starts nothing.
    assert!(got(env, &format!("together:{}/echo", "x".repeat(300))).starts_with("invalid: there is no MCP tool `xxx"));
}

#[test]
fn a_call_that_a_component_leaves_is_cancelled() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("files", &[]);
    let env = &servers.env;
    with_knowing(env);
    // Of the other registries, none is asked.
    let query = json!({"query": r#"leave:files/slow/{"seconds": 60}"#});
    let ranks = "sources:\n  registry-official: {enabled: false}\n  registry-smithery: {enabled: false}\n";
    fs::write(env.home().join("registry.yaml"), ranks).unwrap();
    let mut client = Client::start_with(env, &["mcp", "serve", "--toolsets", "default,registries"]);
    client.initialize("2025-06-18");
    client.result("tools/call", json!({"name": "search_servers", "arguments": query}));
    // The server of the session goes on: its call was taken back.
    until(|| fs::read_to_string(servers.state("files").join("cancelled")).is_ok_and(|text| text.lines().count() == 1));
    let told = json!({"server": "files", "tool": "echo", "arguments": {"text": "still here"}});
    let told = client.result("tools/call", json!({"name": "call_tool", "arguments": told}));
    assert!(told.to_string().contains("still here"), "{told}");
    assert_eq!(servers.starts("files").len(), 1);
    client.leave_whatever_comes();
}

/// The names that a search in Acme's catalogue finds, in their order.
fn catalogued(env: &Environment, query: &str) -> Vec<String> {
    let answer = env.json(&["mcp", "search", query, "--source", "acme-catalogue"]);
    assert_eq!(answer["sources"][0].get("problem"), None, "{answer:#}");
    let servers = answer["servers"].as_array().unwrap();
    servers.iter().map(|server| server["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_registry_finds_its_servers_with_a_tool_and_ranks_them_by_meaning() {
    let Some(servers) = Servers::new() else { return };
    // Eleven pages: the first says so, and the others are asked for side by side.
    let row = |page: usize| match page {
        3 => json!({"name": "acme/headlines", "about": "search headlines", "version": "1", "npm": "headlines"}),
        7 => {
            json!({"name": "acme/music", "about": "play music", "version": "1", "url": "https://music.acme.example/mcp"})
        }
        page => json!({"name": format!("acme/n{page}"), "about": format!("number {page}"), "version": "1", "npm": "n"}),
    };
    let pages: Vec<_> = (0..11).map(|page| json!({"pages": 11, "servers": [row(page)]})).collect();
    let tool = json!({"name": "list_servers", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true},
        "_pages": pages});
    let file = servers.env.path("catalogue.json");
    fs::write(&file, json!([tool]).to_string()).unwrap();
    let servers = servers.with("acme", &["--define", file.to_str().unwrap()]);
    let env = &servers.env;
    let path = component("acme-catalogue").display().to_string();
    env.run(&["extension", "add", &path, "--yes"]).ok();
    // Without a model, by words.
    assert_eq!(catalogued(env, "headlines"), ["acme/headlines"]);
    assert!(catalogued(env, "news").is_empty());
    // The catalogue is kept, so its server is started once.
    assert_eq!(servers.starts("acme").len(), 1);

    let Some(runtime) = onnx_runtime() else { return };
    tiny_model(&env.path("tiny"));
    let (model, runtime) = (env.path("tiny").display().to_string(), runtime.display().to_string());
    env.run(&["model", "use", &model, "--runtime", &runtime]).ok();
    assert_eq!(catalogued(env, "find news")[0], "acme/headlines");
    assert!(env.home().join("vectors/acme-catalogue/servers.vec").is_file());
}
