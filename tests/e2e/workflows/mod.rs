//! Scripts over tools: a real client, the real binary, the real component, and servers behind it.

mod kept;
mod real;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mcp::Client;
use crate::servers::{Servers, names, text};
use crate::until;

const TOOLSETS: [&str; 4] = ["mcp", "serve", "--toolsets", "default,workflows"];

fn client(servers: &Servers, capabilities: &Value) -> Client {
    let mut client = Client::start_with(&servers.env, &TOOLSETS);
    client.introduce("2025-06-18", capabilities.clone());
    until(|| names(&mut client).contains(&"one__echo".to_owned()));
    client
}

fn run(client: &mut Client, code: &str) -> Value {
    client.good("run_workflow", json!({"code": code}))
}

#[test]
fn a_script_does_a_job_of_many_calls_in_one() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).with("two", &[]).known();
    let mut client = client(&servers, &json!({}));
    let done = run(
        &mut client,
        "const all = await Promise.all([1, 2, 3].map((n) => tools.one__echo({ n })));
         const other = await mcp.call('two', 'echo', { city: 'Oslo' });
         console.log('summed', all.length);
         return { sum: all.reduce((sum, one) => sum + one.n, 0), city: other.city };",
    );
    assert_eq!((&done["done"], &done["result"]), (&json!(true), &json!({"sum": 6, "city": "Oslo"})), "{done:#}");
    let calls: Vec<&str> =
        done["calls"].as_array().unwrap().iter().map(|call| call["tool"].as_str().unwrap()).collect();
    assert_eq!(calls.len(), 4);
    assert!(calls.contains(&"two__echo"), "{calls:?}");
    assert_eq!(done["logs"], json!([{"level": "log", "line": "summed 3"}]));
    // Input, and a check without a run.
    let given = json!({"code": "export default async (input) => input.who", "input": {"who": "me"}});
    assert_eq!(client.good("run_workflow", given)["result"], "me");
    let checked = client.good("run_workflow", json!({"code": "return await tools.one__echo({})", "dry_run": true}));
    assert_eq!(checked, json!({"checked": true, "tools": ["one__echo"]}));
    // What is wrong is said before any call is made, and what was done before a failure, after it.
    let said = client.bad("run_workflow", json!({"code": "await tools.one__echo({});\nawait tools.one__ehco({})"}));
    assert!(said.contains("line 2") && said.contains("did you mean `one__echo`"), "{said}");
    let said = client.bad("run_workflow", json!({"code": "await tools.one__echo({});\nthrow new Error('no luck')"}));
    assert!(said.contains("line 2: no luck; calls so far: one__echo"), "{said}");
    let said = client.bad("run_workflow", json!({"code": "enum A { B }\nconst a: string = 'x'; return a"}));
    assert!(said.contains("TypeScript"), "{said}");
    // What failed is told with what it was called with.
    let said =
        client.bad("run_workflow", json!({"code": "return await tools.one__slow({ seconds: 'x', city: 'Oslo' })"}));
    assert!(said.contains("one__slow with {\"seconds\":\"x\",\"city\":\"Oslo\"} (failed:"), "{said}");
    let said = client.bad("wait_workflow", json!({"run": "ffff"}));
    assert!(said.contains("no run `ffff`"), "{said}");
    // A long result is cut as those of other servers are.
    let long = client.call("run_workflow", json!({"code": "return 'x'.repeat(2000000)"}));
    let shown = text(&long).len() + long["content"][1]["text"].as_str().unwrap().len();
    assert!(long.to_string().contains("Call read_result") && shown < 40_000, "{shown}");
}

#[test]
fn only_named_tools_are_called_and_the_profile_holds() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).with("two", &[]).known();
    let mut free = client(&servers, &json!({}));
    // A name that is made up while it runs was not named.
    let code = "const name = 'one__' + 'echo'; return await tools[name]({})";
    let said = free.bad("run_workflow", json!({"code": code}));
    assert!(said.contains("none of the tools of this run"), "{said}");
    assert_eq!(free.good("run_workflow", json!({"code": code, "tools": ["one__echo"]}))["result"], json!({}));
    let said = free.bad("run_workflow", json!({"code": "return 1", "tools": ["one__nothing"]}));
    assert!(said.contains("there is no tool `one__nothing`"), "{said}");
    drop(free);

    servers.env.run(&["mcp", "profile", "add", "small", "--allow", "one/echo"]).ok();
    let mut words = TOOLSETS.to_vec();
    words.extend(["--profile", "small"]);
    let mut small = Client::start_with(&servers.env, &words);
    small.introduce("2025-06-18", json!({}));
    until(|| names(&mut small).contains(&"one__echo".to_owned()));
    let said = small.bad("run_workflow", json!({"code": "return await tools.two__echo({})"}));
    assert!(said.contains("none of the tools"), "{said}");
}

#[test]
fn a_missing_tool_may_be_one_of_a_server_that_is_not_known_yet() {
    let Some(servers) = Servers::new() else { return };
    // It reads nothing for longer than this test takes.
    let servers = servers.with("one", &[]).known().with("two", &["--late", "600"]);
    let mut client = client(&servers, &json!({}));
    let said = client.bad("run_workflow", json!({"code": "return await tools.two__echo({})"}));
    assert!(said.contains("none of the tools of this run") && said.contains("line 1"), "{said}");
    assert!(said.contains("the tools of `two` are not known yet") && said.contains("try again"), "{said}");
    let said = client.bad("run_workflow", json!({"code": "return 1", "tools": ["two__echo"]}));
    assert!(said.contains("no tool `two__echo`: the tools of `two` are not known yet"), "{said}");
    // With names, those are all that it may call.
    let said = client.bad("run_workflow", json!({"code": "tools.one__nothing({})", "tools": ["one__echo"]}));
    assert!(!said.contains("not known yet"), "{said}");
}

#[test]
fn what_changes_something_is_asked_for_and_a_yes_covers_what_the_user_said() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).known();
    // `odd` says that it destroys nothing, but not that it only reads.
    let code = "const all = []; for (let n = 0; n < 12; n++) all.push((await tools.one__odd({ n })).n); return all";
    let mut asking = client(&servers, &json!({"elicitation": {}}));
    let id = asking.send("tools/call", &json!({"name": "run_workflow", "arguments": {"code": code}}));
    for n in [0, 10] {
        let question = asking.next_request();
        assert_eq!(question["method"], "elicitation/create", "{question}");
        let message = question["params"]["message"].as_str().unwrap();
        assert!(message.contains("`one__odd`") && message.contains(&format!("{{\"n\":{n}}}")), "{message}");
        let allow = &question["params"]["requestedSchema"]["properties"]["allow"];
        assert_eq!((&allow["default"], &allow["enum"][0]), (&json!("this call only"), &json!("this call only")));
        assert!(allow["enum"][1].as_str().unwrap().contains("9 more calls of `one__odd`"), "{allow}");
        let content = json!({"allow": allow["enum"][1]});
        let yes = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": content}});
        asking.line(&yes.to_string());
    }
    let done = asking.answer(id)["result"]["structuredContent"].clone();
    assert_eq!(done["result"], json!((0..12).collect::<Vec<_>>()), "{done:#}");

    // A yes that says no more, and a call that the user can't see whole, are for one call.
    for code in [
        "for (const n of [1, 2, 3]) await tools.one__odd({ n }); return 0",
        "for (const n of [1, 2, 3]) await tools.one__odd({ n, all: 'x'.repeat(9000) + n }); return 0",
    ] {
        let id = asking.send("tools/call", &json!({"name": "run_workflow", "arguments": {"code": code}}));
        for n in 1..=3 {
            let question = asking.next_request();
            let message = question["params"]["message"].as_str().unwrap();
            assert!(message.contains(&format!("\"n\":{n}")), "{message}");
            let fields = question["params"]["requestedSchema"]["properties"].as_object().unwrap();
            let is_long = code.contains("repeat");
            assert!(fields.is_empty() == is_long && message.contains("sha256") == is_long, "{question}");
            let yes = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {}}});
            asking.line(&yes.to_string());
        }
        assert_eq!(asking.answer(id)["result"]["structuredContent"]["result"], 0);
    }

    // A no holds for the run: the second call asks nothing.
    let code =
        "for (const n of [1, 2]) { try { await tools.one__odd({ n }) } catch (e) { if (n === 2) return e.message } }";
    let id = asking.send("tools/call", &json!({"name": "run_workflow", "arguments": {"code": code}}));
    let question = asking.next_request();
    let no = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}});
    asking.line(&no.to_string());
    let said = asking.answer(id)["result"]["structuredContent"]["result"].clone();
    assert!(said.as_str().unwrap().contains("the user declined"), "{said}");

    // A client that can't ask is told what to do instead.
    let mut mute = client(&servers, &json!({}));
    let said = mute.bad("run_workflow", json!({"code": "return await tools.one__odd({ n: 1 })"}));
    assert!(said.contains("may change something") && said.contains("aiw mcp approve one --scripts odd"), "{said}");
}

#[test]
fn a_script_that_nobody_waits_for_ends_with_its_calls() {
    let Some(servers) = Servers::new() else { return };
    let file = servers.env.path("tools.json");
    let slow = json!([
        {"name": "echo", "inputSchema": {"type": "object"}},
        {"name": "slow", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}},
        {"name": "was_cancelled", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}},
    ]);
    std::fs::write(&file, slow.to_string()).unwrap();
    let servers = servers.with("one", &["--define", file.to_str().unwrap()]).known();
    let mut client = client(&servers, &json!({}));
    let code = "return await tools.one__slow({ seconds: 30 })";
    let id = client.send("tools/call", &json!({"name": "run_workflow", "arguments": {"code": code}}));
    std::thread::sleep(Duration::from_millis(4000));
    client
        .line(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}).to_string());
    let start = Instant::now();
    let code =
        "while ((await tools.one__was_cancelled({})).length === 0) await new Promise((done) => setTimeout(done, 20));
        return 'cancelled'";
    assert_eq!(run(&mut client, code)["result"], "cancelled");
    assert!(start.elapsed() < Duration::from_secs(25), "it waited for the call: {:?}", start.elapsed());
}

#[test]
fn hostile_scripts_leave_the_server_as_it_was() {
    let Some(servers) = Servers::new() else { return };
    let servers = servers.with("one", &[]).known();
    let mut client = client(&servers, &json!({}));
    run(&mut client, "return 1");
    // An endless one runs beside, and the server answers meanwhile.
    let id = client.send("tools/call", &json!({"name": "run_workflow", "arguments": {"code": "while (true) {}"}}));
    assert_eq!(run(&mut client, "return await tools.one__echo({ a: 1 })")["result"], json!({"a": 1}));
    let said = client.answer(id)["result"].clone();
    assert!(said["isError"] == true && text(&said).contains("ran for 10 s"), "{said}");
    let before = client.kilobytes();
    for _ in 0..2 {
        for code in [
            "const a = []; while (true) a.push(new Array(1e5).fill(1))",
            "const f = () => f(); f()",
            "'x'.repeat(2 ** 30)",
        ] {
            client.bad("run_workflow", json!({"code": code}));
        }
    }
    // Runtimes are thrown away with their memory: 6 of 64 MiB would be four times this.
    let after = client.kilobytes();
    assert!(after < before + 100_000, "{before} kB, and then {after} kB");
    assert_eq!(run(&mut client, "return 2")["result"], 2);
}
