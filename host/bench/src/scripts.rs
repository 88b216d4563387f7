//! `cargo xtask bench scripts`: what a script over tools costs, beside the calls that it makes; and what a whole session
//! costs with a script and without, in the tokens that the real Claude Code sends to a scripted model.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use aiw_tests::command::root;
use aiw_tests::{Environment, ModelApi, git, python, real_cli};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::figures::millis;
use crate::report::BenchReport;

/// How many calls follow each other, to measure one.
const CALL_COUNT: usize = 150;

/// How long each of ten calls at once takes, in milliseconds.
const SLOW_CALL_DELAY_MS: u32 = 200;

/// Adds the rows of scripts.
pub fn run(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    first_scripts(report, aiw)?;
    let home = home(aiw)?;
    calls(report, &home, aiw)?;
    for loops in [1, 5] {
        beside_loops(report, &home, aiw, loops)?;
    }
    tokens(aiw)
}

/// Adds the rows of a script on a machine and in a session that ran none before.
fn first_scripts(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let first_in_session = |home: &Environment| -> Result<f64> {
        let mut client = BenchClient::start(home, aiw)?;
        // A client asks for the tools before a model can call one.
        client.request("tools/list", &json!({}))?;
        // No model writes one sooner.
        std::thread::sleep(Duration::from_secs(1));
        let begun = Instant::now();
        client.script("return 1")?;
        Ok(millis(begun.elapsed()))
    };
    report.measure_pairs("script: the first one on this machine", "ms", || first_in_session(&home(aiw)?))?;
    let home = home(aiw)?;
    first_in_session(&home)?;
    report.measure_pairs("script: the first one of a session", "ms", || first_in_session(&home))?;
    Ok(())
}

/// Adds the rows of scripts that call tools, beside the calls without a script.
fn calls(report: &mut BenchReport, home: &Environment, aiw: &Path) -> Result<()> {
    let mut client = BenchClient::start(home, aiw)?;
    client.wait_for_tool("one__echo")?;
    client.script("return await tools.one__echo({ n: 1 })")?;
    std::thread::sleep(Duration::from_secs(1));
    let took = |client: &mut BenchClient, code: &str| -> Result<f64> {
        // A runtime is ready by then.
        std::thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        client.script(code)?;
        Ok(millis(begun.elapsed()))
    };
    let nothing = report.measure_pairs("script: one that calls nothing", "ms", || took(&mut client, "return 1"))?;
    let slow = format!(
        "await Promise.all(Array.from({{ length: 10 }}, (_, n) => tools.one__slow({{ seconds: {}, n }})))",
        f64::from(SLOW_CALL_DELAY_MS) / 1e3
    );
    let one = format!("await tools.one__slow({{ seconds: {} }})", f64::from(SLOW_CALL_DELAY_MS) / 1e3);
    report.measure_custom_pairs("script: ten calls at once, beside one of them", "ms", || {
        Ok((took(&mut client, &slow)?, took(&mut client, &one)?))
    })?;
    let many = format!("for (let n = 0; n < {CALL_COUNT}; n++) await tools.one__echo({{ n }})");
    let each = |all: f64| all * 1e3 / CALL_COUNT as f64;
    report.measure_custom_pairs("script: a call, beside a direct one", "µs", || {
        let ours = each(took(&mut client, &many)? - nothing);
        let begun = Instant::now();
        for n in 0..CALL_COUNT {
            client.call("one__echo", &json!({ "n": n }))?;
        }
        Ok((ours, each(millis(begun.elapsed()))))
    })?;
    Ok(())
}

/// Adds the row of calls while scripts loop without end.
fn beside_loops(report: &mut BenchReport, home: &Environment, aiw: &Path, loops: usize) -> Result<()> {
    let mut client = BenchClient::start(home, aiw)?;
    client.wait_for_tool("one__echo")?;
    client.call("one__echo", &json!({}))?;
    (0..loops).try_for_each(|_| client.begin_script("for (;;) {}"))?;
    std::thread::sleep(Duration::from_millis(500));
    let (begun, computed) = (Instant::now(), client.computed());
    let mut times = Vec::new();
    for n in 0..300 {
        let asked = Instant::now();
        client.call("one__echo", &json!({ "n": n }))?;
        times.push(asked.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    times.sort();
    let plural = if loops == 1 { "a script that loops" } else { "five such scripts" };
    let p99 = millis(times[times.len() * 99 / 100]);
    report.add_measurement(&format!("script: another call beside {plural}, p99"), "ms", p99)?;
    if let (Some(before), Some(now)) = (computed, client.computed()) {
        let used = (now - before).as_secs_f64() / begun.elapsed().as_secs_f64();
        report.note(&format!("processors that {plural} use"), used, "");
    }
    Ok(())
}

/// Prints what sessions cost with a script and without.
fn tokens(aiw: &Path) -> Result<()> {
    let Some(claude) = real_cli("claude") else {
        println!("tokens were not counted: Claude Code is not installed here (AIW_TEST_CLAUDE, target/clients)");
        return Ok(());
    };
    println!(
        "\nA session of Claude Code, in thousands of tokens that it sends (a fourth of the bytes of its requests):\n"
    );
    println!("{:<58} {:>9} {:>9}", "", "script", "calls");
    let call = |tool: &str, input: Value| json!({"name": format!("mcp__aiw__{tool}"), "input": input});
    let route = |declarations: bool| {
        call(
            "intelligent_route",
            json!({"user_request": "Return a text of some length. Return arguments.", "declarations": declarations}),
        )
    };
    for (what, calls, bytes) in [
        ("one call, a result of 200 bytes", 1, 200),
        ("five calls that need each other, results of 200 bytes", 5, 200),
        ("five calls that need each other, results of 4,000 bytes", 5, 4000),
        ("twenty calls that need each other, results of 4,000 bytes", 20, 4000),
    ] {
        let big = |n: usize| call("one__big", json!({"bytes": bytes + n}));
        // Both get one call wrong, and do it again.
        let wrong_call = call("one__big", json!({"byte": bytes}));
        let code = |argument: &str| {
            format!(
                "let size = {bytes};\nfor (let n = 0; n < {calls}; n++) {{\n  const text = await tools.one__big({{ \
                 {argument}: size }});\n  size = text.length;\n}}\nreturn size;"
            )
        };
        let script = |argument: &str| call("run_workflow", json!({"code": code(argument)}));
        let with = vec![route(true), script("byte"), script("bytes")];
        let without: Vec<Value> = [route(false), wrong_call].into_iter().chain((0..calls).map(big)).collect();
        let with = session(aiw, &claude, &["servers", "routing", "workflows"], &with)?;
        let without = session(aiw, &claude, &["servers", "routing"], &without)?;
        println!("{what:<58} {with:>9.1} {without:>9.1}{}", if with > without { "  the script loses" } else { "" });
    }
    Ok(())
}

/// Runs a session in which the model makes these calls. Returns the tokens of all its requests, in thousands.
fn session(aiw: &Path, claude: &Path, toolsets: &[&str], calls: &[Value]) -> Result<f64> {
    const PROMPT: &str = "do the job";
    let home = home(aiw)?;
    home.settings(&json!({"mcp": {"toolsets": toolsets}}));
    let turns: Vec<Value> = calls
        .iter()
        .map(|call| json!({"match": PROMPT, "offers": "call_tool", "tools": [call]}))
        .chain([json!({"match": PROMPT, "offers": "call_tool", "text": "it is done"})])
        .collect();
    let api = ModelApi::start(&turns.into()).context("python3 is absent")?;
    let project = home.path("project");
    fs::create_dir_all(&project)?;
    git(&project, &["init", "-q"]);
    let config = home.path("servers.json");
    fs::write(&config, json!({"mcpServers": {"aiw": {"command": aiw, "args": ["mcp", "serve"]}}}).to_string())?;
    let mut command: Command = home.program(claude);
    command.args(["-p", PROMPT, "--strict-mcp-config", "--allowedTools", "mcp__aiw", "--mcp-config"]).arg(config);
    command.env("ANTHROPIC_BASE_URL", api.url()).env("ANTHROPIC_API_KEY", "sk-ant-dummy");
    command.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1").env("DISABLE_AUTOUPDATER", "1");
    let ended = command.current_dir(&project).stdin(Stdio::null()).output()?;
    ensure!(String::from_utf8_lossy(&ended.stdout).contains("it is done"), "the session failed: {ended:?}");
    let bodies = api.requests().into_iter().map(|request| request["body"].to_string());
    let asked: Vec<usize> =
        bodies.filter(|body| body.contains("call_tool") && body.contains(PROMPT)).map(|body| body.len()).collect();
    ensure!(asked.len() == calls.len() + 1, "the session made {} requests", asked.len());
    #[expect(clippy::cast_precision_loss, reason = "megabytes at most")]
    Ok(asked.iter().sum::<usize>() as f64 / 4e3)
}

/// A home with one server, whose tools are known.
fn home(aiw: &Path) -> Result<Environment> {
    let env = Environment::cold();
    let python = python().context("python3 is absent")?;
    let state = env.path("state");
    fs::create_dir_all(&state)?;
    let server = json!({"command": python, "args": [root().join("tests/mcp_server.py"), "--state", state]});
    env.write_mcp(&json!({"mcpServers": {"one": server}}).to_string());
    let known = env.program(aiw).args(["mcp", "tools"]).output()?;
    ensure!(known.status.success(), "the server's tools can't be learned: {known:?}");
    // They don't say that they only read.
    let allowed = ["mcp", "approve", "one", "--scripts", "slow", "--scripts", "big", "--yes"];
    let allowed = env.program(aiw).args(allowed).output()?;
    ensure!(allowed.status.success(), "scripts may not call what they need: {allowed:?}");
    Ok(env)
}

/// A client of `aiw mcp serve` that says only what it must.
pub struct BenchClient {
    server: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    asked: u64,
}

impl BenchClient {
    fn start(env: &Environment, aiw: &Path) -> Result<Self> {
        Self::start_as("bench", env, aiw)
    }

    /// Starts a server in an environment, as a client of this name.
    pub fn start_as(name: &str, env: &Environment, aiw: &Path) -> Result<Self> {
        let mut command = env.program(aiw);
        command.args(["mcp", "serve", "--toolsets", "default,workflows"]);
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let to = server.stdin.take().context("it has an input")?;
        let from = BufReader::new(server.stdout.take().context("it has an output")?);
        let mut client = Self { server, to, from, asked: 0 };
        let about = json!({"name": name, "version": "1"});
        client.request(
            "initialize",
            &json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about}),
        )?;
        client.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(client)
    }

    fn say(&mut self, line: &Value) -> Result<()> {
        Ok(self.to.write_all(format!("{line}\n").as_bytes())?)
    }

    /// Asks, and returns the result.
    pub fn request(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.asked += 1;
        let id = self.asked;
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let mut line = String::new();
            ensure!(self.from.read_line(&mut line)? > 0, "the server has ended");
            let said: Value = serde_json::from_str(&line)?;
            if said["id"] == id {
                return Ok(said["result"].clone());
            }
        }
    }

    fn call(&mut self, name: &str, arguments: &Value) -> Result<()> {
        let result = self.request("tools/call", &json!({"name": name, "arguments": arguments}))?;
        ensure!(result["isError"] != true && result["content"].is_array(), "`{name}` failed: {result}");
        Ok(())
    }

    fn script(&mut self, code: &str) -> Result<()> {
        self.call("run_workflow", &json!({ "code": code }))
    }

    /// Starts a script, whose end nobody waits for.
    fn begin_script(&mut self, code: &str) -> Result<()> {
        self.asked += 1;
        let call = json!({"name": "run_workflow", "arguments": {"code": code}});
        self.say(&json!({"jsonrpc": "2.0", "id": self.asked, "method": "tools/call", "params": call}))
    }

    /// How long the server's threads have computed, where the system tells.
    fn computed(&self) -> Option<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.server.id())).ok()?;
        let of = |thread: fs::DirEntry| -> Option<u64> {
            fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
        };
        Some(Duration::from_nanos(threads.flatten().filter_map(of).sum()))
    }

    /// Waits until a tool is there.
    pub fn wait_for_tool(&mut self, tool: &str) -> Result<()> {
        let begun = Instant::now();
        while !self.request("tools/list", &json!({}))?.to_string().contains(tool) {
            ensure!(begun.elapsed() < Duration::from_secs(20), "`{tool}` never comes");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for BenchClient {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
