//! Kept workflows: files, approvals, and tools of their own.

use std::fs;
use std::time::Duration;

use aiw_tests::{Environment, Run};
use serde_json::{Value, json};

use super::{TOOLSETS, client};
use crate::crash::rounds;
use crate::mcp::Client;
use crate::servers::{Servers, names, text};
use crate::until;

const CODE: &str = "async function workflow(input) {
  const all = await Promise.all([1, 2].map((n) => tools.one__echo({ n, city: input.city })));
  return { sum: all.reduce((sum, one) => sum + one.n, 0), city: all[0].city };
}";

fn save(client: &mut Client, name: &str, code: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let asked = json!({"name": name, "description": "Sums numbers of a city", "code": code, "input_schema": schema});
    client.good("save_workflow", asked)
}

/// What a command that must fail says.
fn failed(run: &Run) -> String {
    assert_ne!(run.code, 0, "{}", run.whole());
    run.stderr.clone()
}

fn answer(client: &mut Client, action: &str) -> String {
    let question = client.next_request();
    let said = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": action, "content": {}}});
    client.line(&said.to_string());
    question["params"]["message"].as_str().unwrap().to_owned()
}

/// A question without the frame around what it shows.
fn unframed(message: &str) -> String {
    message.replace("\n┆ ", "").replace("│ ", "").replace('│', "")
}

#[test]
fn a_script_is_kept_approved_and_called_as_a_tool() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).known();
    let mut mute = client(&servers, &json!({}));
    let saved = save(&mut mute, "sum-city", CODE);
    assert_eq!((&saved["approved"], &saved["tool"]), (&json!(false), &json!("workflows__sum-city")), "{saved:#}");
    assert!(saved["message"].as_str().unwrap().contains("aiw workflow approve sum-city"), "{saved:#}");
    assert_eq!(saved["tools"], json!(["one__echo"]));
    // It is no tool before the user has seen it, whoever asks for it.
    let said = mute.bad("workflows__sum-city", json!({"city": "Oslo"}));
    assert!(said.contains("has not been approved") && said.contains("the user's way"), "{said}");
    assert!(!names(&mut mute).contains(&"workflows__sum-city".to_owned()));
    let said = failed(&servers.env.run(&["workflow", "run", "sum-city", "city=Oslo"]));
    assert!(said.contains("has not been approved"), "{said}");
    // What somebody wrote is not replaced by a model.
    let again = json!({"name": "sum-city", "description": "x", "code": "return 1"});
    assert!(mute.bad("save_workflow", again).contains("there is a workflow `sum-city` already"));

    let shown = servers.env.run(&["workflow", "approve", "sum-city", "--yes"]).ok().stdout;
    assert!(
        shown.contains("tools.one__echo({ n, city") && shown.contains("`one__echo` says that it only reads"),
        "{shown}"
    );
    until(|| names(&mut mute).contains(&"workflows__sum-city".to_owned()));
    let tools = mute.result("tools/list", json!({}));
    let tool = tools["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "workflows__sum-city").unwrap();
    assert_eq!(tool["annotations"]["readOnlyHint"], true);
    assert_eq!(tool["inputSchema"]["required"], json!(["city"]));
    let done = mute.good("workflows__sum-city", json!({"city": "Oslo"}));
    assert_eq!(done["result"], json!({"sum": 3, "city": "Oslo"}), "{done:#}");
    let said = mute.bad("workflows__sum-city", json!({"ctiy": "Oslo"}));
    assert!(said.contains("`city` is missing, and `ctiy` is not one of its arguments"), "{said}");

    // The command line runs it, too, and every run leaves its trace.
    let ran = servers.env.json(&["workflow", "run", "sum-city", "city=Oslo", "--trace-arguments"]);
    assert_eq!(ran["result"], json!({"sum": 3, "city": "Oslo"}));
    mute.bad("run_workflow", json!({"code": "await tools.one__failed({ secret: 'a-secret' })"}));
    let all = servers.env.json(&["workflow", "runs"]);
    assert!(all.to_string().contains("one__failed") && !all.to_string().contains("a-secret"), "{all:#}");
    let runs = servers.env.json(&["workflow", "runs", "--workflow", "sum-city"]);
    let runs = runs["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "{runs:#?}");
    assert_eq!((&runs[0]["client"], runs[0]["calls"].as_array().unwrap().len()), (&json!("aiw"), 2));
    // Calls are recorded in the order of their ends, and these two ran at once.
    let mut arguments: Vec<&str> =
        runs[0]["calls"].as_array().unwrap().iter().map(|call| call["arguments"].as_str().unwrap()).collect();
    arguments.sort_unstable();
    assert_eq!(arguments, [r#"{"n":1,"city":"Oslo"}"#, r#"{"n":2,"city":"Oslo"}"#]);
    assert!(runs[1]["calls"][0].get("arguments").is_none(), "{runs:#?}");

    // What stands around the code is not kept, and what is kept runs.
    let fenced = format!("// It sums.\nHere it is:\n```js\n{CODE}\n```\nIt returns a sum.");
    let path = save(&mut mute, "fenced", &fenced)["path"].as_str().unwrap().to_owned();
    let kept = fs::read_to_string(path).unwrap();
    assert!(kept.ends_with(&format!("---*/\n{CODE}\n")), "{kept}");
    servers.env.run(&["workflow", "approve", "fenced", "--yes"]).ok();
    assert_eq!(servers.env.json(&["workflow", "run", "fenced", "city=Oslo"])["result"]["sum"], 3);
    servers.env.run(&["workflow", "remove", "fenced"]).ok();

    // An edit makes the approval void, in the session that runs, too.
    let file = servers.env.home().join("workflows/sum-city.js");
    let edited = fs::read_to_string(&file).unwrap().replace("sum: all", "total: all");
    fs::write(&file, &edited).unwrap();
    let said = mute.bad("workflows__sum-city", json!({"city": "Oslo"}));
    assert!(said.contains("was edited after it was approved"), "{said}");
    let listed = servers.env.json(&["workflow", "list"]);
    assert_eq!(listed["workflows"][0]["state"], "edited");
    let doctor = servers.env.run(&["doctor"]).stdout;
    assert!(doctor.contains("was edited after you approved it") && doctor.contains("aiw workflow approve"), "{doctor}");
    servers.env.run(&["workflow", "approve", "sum-city", "-y"]).ok();
    assert_eq!(mute.good("workflows__sum-city", json!({"city": "Oslo"}))["result"]["total"], 3);
    servers.env.run(&["workflow", "remove", "sum-city"]).ok();
    until(|| !names(&mut mute).contains(&"workflows__sum-city".to_owned()));
    assert!(mute.bad("workflows__sum-city", json!({"city": "Oslo"})).contains("there is no workflow"));
}

#[test]
fn the_user_sees_the_whole_script_before_they_approve_it_in_a_form() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).known();
    let mut asking = client(&servers, &json!({"elicitation": {}}));
    // `odd` does not say that it only reads.
    let code = "async function workflow(input) { return (await tools.one__odd({ n: 7 })).n }";
    let ask = |asking: &mut Client, name: &str| {
        let asked = json!({"name": name, "description": "Odd */ one", "code": code});
        asking.send("tools/call", &json!({"name": "save_workflow", "arguments": asked}))
    };
    let id = ask(&mut asking, "odd");
    let message = unframed(&answer(&mut asking, "accept"));
    assert!(message.contains(code) && message.contains("`one__odd` may change something"), "{message}");
    assert_eq!(asking.answer(id)["result"]["structuredContent"]["approved"], true);
    until(|| names(&mut asking).contains(&"workflows__odd".to_owned()));
    // The approval was for its calls, too.
    assert_eq!(asking.good("workflows__odd", json!({}))["result"], 7);
    let id = ask(&mut asking, "declined");
    answer(&mut asking, "decline");
    assert_eq!(asking.answer(id)["result"]["structuredContent"]["approved"], false);
    assert!(asking.bad("workflows__declined", json!({})).contains("has not been approved"));
    // Nobody is asked about what they can't see whole.
    for hidden in [
        format!("// {}\nreturn 1", "x".repeat(8000)),
        "// \u{202e}\nreturn 1".to_owned(),
        "// \u{e0169}\u{e0167}\nreturn 1".to_owned(),
        (0..300).fold("return 1".to_owned(), |code, n| format!("{code}\n// {n}")),
    ] {
        let name = format!("long{}", hidden.len());
        let saved = asking.good("save_workflow", json!({"name": name, "description": "x", "code": hidden}));
        assert_eq!(saved["approved"], false, "{saved:#}");
    }
    // A fence in a comment is a comment, and what is around a script is not kept.
    let hiding =
        "async function workflow() { return 'harmless' }\n/*\n```js\nreturn await tools.one__odd({ evil: 1 })\n```\n*/";
    let asked = json!({"name": "hiding", "description": "x", "code": hiding, "tools": ["one__odd"]});
    let id = asking.send("tools/call", &json!({"name": "save_workflow", "arguments": asked}));
    answer(&mut asking, "accept");
    asking.answer(id);
    assert_eq!(asking.good("workflows__hiding", json!({}))["result"], "harmless");
    let fenced = "<think>Hm */ hm</think>\n```js\nexport default async (input) => input.a\n```";
    let asked = json!({"name": "fenced", "description": "x", "code": fenced});
    let id = asking.send("tools/call", &json!({"name": "save_workflow", "arguments": asked}));
    let message = unframed(&answer(&mut asking, "accept"));
    assert!(message.ends_with("---*/\nexport default async (input) => input.a"), "{message}");
    asking.answer(id);
    assert_eq!(asking.good("workflows__fenced", json!({"a": 5}))["result"], 5);
    until(|| names(&mut asking).contains(&"workflows__fenced".to_owned()));
    for (name, code, part) in [
        ("../up", "return 1", "is not 1 to 48 lowercase letters"),
        ("a", "return (", "line 1"),
        ("a", "return await tools.one__ehco({})", "did you mean `one__echo`"),
    ] {
        let said = asking.bad("save_workflow", json!({"name": name, "description": "x", "code": code}));
        assert!(said.contains(part), "{said}");
    }
    assert!(!servers.env.home().join("workflows/a.js").exists());
}

#[test]
fn a_tool_that_changes_makes_the_approval_void() {
    let Some(servers) = Servers::new() else { return };
    let file = servers.env.path("tools.json");
    let define = |text: &str| {
        let tools = json!([
            {"name": "echo", "description": text, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}},
        ]);
        fs::write(&file, tools.to_string()).unwrap();
    };
    define("first");
    let servers = servers.with("one", &["--define", file.to_str().unwrap()]).known();
    let env = &servers.env;
    let script = env.path("script.js");
    fs::write(&script, "return await tools.one__echo({ n: 1 })").unwrap();
    env.run(&["workflow", "save", "echo", script.to_str().unwrap(), "--description", "Echoes"]).ok();
    env.run(&["workflow", "approve", "echo", "-y"]).ok();
    env.run(&["workflow", "run", "echo"]).ok();
    define("second");
    let said = failed(&env.run(&["workflow", "run", "echo"]));
    assert!(said.contains("not there") || said.contains("changed"), "{said}");
    env.run(&["mcp", "approve", "one", "-y"]).ok();
    let said = failed(&env.run(&["workflow", "run", "echo"]));
    assert!(said.contains("calls tools that have changed since it was approved: `one__echo`"), "{said}");
    env.run(&["workflow", "approve", "echo", "-y"]).ok();
    env.run(&["workflow", "run", "echo"]).ok();
}

#[test]
fn a_workflow_is_written_tested_and_shown_by_hand() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).known();
    let env = &servers.env;
    let said = failed(&env.run(&["workflow", "new", "odd", "--tool", "one__od"]));
    assert!(said.contains("there is no tool `one__od`") && said.contains("did you mean `one__odd`"), "{said}");
    env.run(&["workflow", "new", "odd", "--tool", "one__odd"]).ok();
    let declared = fs::read_to_string(env.home().join("workflows/tools.d.ts")).unwrap();
    assert!(declared.contains("one__odd(args?: Record<string, unknown>)"), "{declared}");
    let said = failed(&env.run(&["workflow", "new", "odd"]));
    assert!(said.contains("there is a workflow `odd` already"), "{said}");
    // A test changes nothing.
    let said = failed(&env.run(&["workflow", "test", "odd"]));
    assert!(said.contains("`one__odd` may change something, and this is only a test"), "{said}");
    let shown = env.run(&["workflow", "show", "odd"]).ok().stdout;
    assert!(shown.contains("tools: ") || shown.contains("- \"one__odd\""), "{shown}");
    // A call that the head does not name.
    let file = env.home().join("workflows/odd.js");
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, before.replace("one__odd({", "one__echo({")).unwrap();
    let said = failed(&env.run(&["workflow", "approve", "odd", "-y"]));
    assert!(said.contains("none of the tools"), "{said}");
    fs::write(&file, "return 1").unwrap();
    let said = failed(&env.run(&["workflow", "show", "odd"]));
    assert!(said.contains("the workflow `odd` has no head"), "{said}");
    let listed = env.json(&["workflow", "list"]);
    assert_eq!(listed["workflows"][0]["state"], "broken");
    let said = failed(&env.run(&["workflow", "remove", "odd", "gone"]));
    assert!(said.contains("there is no workflow `gone`"), "{said}");
    assert!(!file.exists());
}

#[test]
fn scripts_call_what_was_allowed_beforehand() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).known();
    let env = &servers.env;
    let code = json!({"code": "return (await tools.one__odd({ n: 3 })).n"});
    let mut mute = client(&servers, &json!({}));
    let said = mute.bad("run_workflow", code.clone());
    assert!(said.contains("aiw mcp approve one --scripts odd"), "{said}");
    let said = failed(&env.run(&["mcp", "approve", "one", "--scripts", "od", "-y"]));
    assert!(said.contains("has no tool"), "{said}");
    let said = failed(&env.run(&["mcp", "approve", "one", "--scripts", "od*", "-y"]));
    assert!(said.contains("would stand for other tools"), "{said}");
    env.run(&["mcp", "approve", "one", "--scripts", "odd", "-y"]).ok();
    assert_eq!(mute.good("run_workflow", code.clone())["result"], 3);
    env.run(&["mcp", "approve", "one", "--no-scripts", "odd"]).ok();
    mute.bad("run_workflow", code.clone());
    // A profile decides for its own sessions alone.
    env.settings(&json!({"mcp": {"profiles": {"free": {"scripts": ["one/odd"]}, "small": {"allow": ["one"]}}}}));
    for (profile, works) in [("free", true), ("small", false)] {
        let mut words = TOOLSETS.to_vec();
        words.extend(["--profile", profile]);
        let mut client = Client::start_with(env, &words);
        client.introduce("2025-06-18", json!({}));
        until(|| names(&mut client).contains(&"one__odd".to_owned()));
        let result = client.call("run_workflow", code.clone());
        assert_eq!(result["isError"] != true, works, "{profile}: {}", text(&result));
    }
    // Only the user decides that nobody is asked.
    let project = env.path("project");
    fs::create_dir_all(&project).unwrap();
    let settings = json!({"mcp": {"profiles": {"free": {"scripts": ["one"]}}}});
    fs::write(project.join(".aiw.json"), settings.to_string()).unwrap();
    env.run(&["trust", "add", project.to_str().unwrap(), "-y"]);
    let mut command = env.command(&["mcp", "profile", "list"]);
    let ended = command.current_dir(&project).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success());
    assert!(said.contains("only your own settings may have"), "{said}");
}

#[test]
fn signatures_are_a_line_a_tool() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).with("two", &[]).known();
    let mut client = client(&servers, &json!({}));
    for tool in ["search_tools", "intelligent_route"] {
        let asked = match tool {
            "search_tools" => json!({"query": "returns arguments", "declarations": true}),
            _ => json!({"user_request": "Return the arguments.", "declarations": true}),
        };
        let found = client.good(tool, asked);
        let lines = found["declarations"].as_str().unwrap();
        let line = "tools.one__echo(args?: Record<string, unknown>): Promise<any>; // Returns its arguments.\n";
        assert!(lines.contains(line), "{found:#}");
        assert!(found.get("tools").is_none() && found["message"].as_str().unwrap().contains("no orders to you"));
    }
}

#[test]
fn whatever_is_killed_no_workflow_is_half_kept() {
    let env = Environment::new();
    let long = format!("// {}\nreturn 1\n", "x".repeat(100_000));
    let whole = |version: u64| format!("/*---\ndescription: \"{version}\"\ntools: []\n---*/\n{long}");
    let file = env.home().join("workflows/kept.js");
    let script = env.path("script.js");
    fs::write(&script, whole(0)).unwrap();
    let save = ["workflow", "save", "kept", "--force", script.to_str().unwrap()];
    env.run(&save).ok();
    env.run(&["workflow", "approve", "kept", "-y"]).ok();
    for round in 1..=rounds() {
        fs::write(&script, whole(round)).unwrap();
        let mut child = env.command(&save).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(700 * (round % 20)));
        let _ = child.kill();
        child.wait().unwrap();
        let found = fs::read_to_string(&file).unwrap();
        assert!((0..=round).rev().any(|version| found == whole(version)), "round {round}: {} bytes", found.len());
        // It runs as it was approved, or it asks.
        let listed = env.json(&["workflow", "list"]);
        let state = listed["workflows"][0]["state"].as_str().unwrap().to_owned();
        let expected = if found == whole(0) { "approved" } else { "edited" };
        assert_eq!(state, expected, "round {round}");
    }
    let left: Vec<_> = fs::read_dir(env.home().join("workflows")).unwrap().flatten().map(|f| f.file_name()).collect();
    assert!(left.len() < 30, "{left:?}");
}
