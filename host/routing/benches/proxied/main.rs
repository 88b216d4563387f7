//! What a call through aiw costs beside a direct one and beside other proxies, in the same run: `aiw mcp serve` in front
//! of a server that answers at once. This program is that server too. Prints rows of `what, measured, unit` for `cargo xtask bench`.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "a bench prints, and may fail")]

mod http;
mod peers;

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use aiw_mcp::Tool;
use aiw_routing::{DynamicToolRegistry, MAX_DYNAMIC_TOOLS};
use serde_json::{Value, json};

use crate::http::{Connections, Place};

/// Rounds of direct and proxied calls, one after the other. The median counts.
const ROUNDS: usize = 15;
const CALLS: usize = 300;

/// Calls of a round for the throughput. Fewer take a few milliseconds, in which other processes decide the result.
const BURST: usize = 4800;

/// Calls that are on their way at once, for the throughput.
const AT_ONCE: usize = 16;

/// Servers whose tools are known, for the start and the memory.
const KNOWN: usize = 20;

fn main() {
    if std::env::args().any(|argument| argument == "serve") {
        return serve();
    }
    let Some(aiw) = std::env::var_os("AIW_BENCH_SHIM") else { return };
    let aiw = Path::new(&aiw);
    let home = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let entry = json!({"command": own, "args": ["serve"]});
    let servers: serde_json::Map<String, Value> = (0..KNOWN).map(|n| (format!("s{n}"), entry.clone())).collect();
    std::fs::write(home.path().join("mcp.json"), json!({"mcpServers": servers}).to_string()).unwrap();
    let start = || {
        let mut command = Command::new(aiw);
        command.args(["mcp", "serve"]).env("AIW_HOME", home.path()).current_dir(home.path());
        Server::start(command)
    };
    // What the servers offer is learnt once.
    let learnt = Command::new(aiw).args(["mcp", "tools"]).env("AIW_HOME", home.path()).output().unwrap();
    assert!(learnt.status.success(), "{}", String::from_utf8_lossy(&learnt.stderr));

    let mut firsts = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut server = start();
        server.ask("tools/list", json!({}));
        firsts.push(begun.elapsed());
    }
    row("serve to its first list, 20 servers known", median(&mut firsts).as_secs_f64() * 1e3, "ms");
    let mut proxied = start();
    std::thread::sleep(Duration::from_secs(1));
    row("serve idle, 20 servers known", proxied.megabytes(), "MB");

    let mut direct = Server::start({
        let mut command = Command::new(&own);
        command.arg("serve");
        command
    });
    // What any process between a client and a server costs: one that copies bytes, each way.
    let mut copied = Server::start({
        let mut command = Command::new("sh");
        command.args(["-c", r#"cat | "$0" serve | cat"#]).arg(&own);
        command
    });
    let (mut straight, mut through, mut copies) = (Measured::default(), Measured::default(), Measured::default());
    for _ in 0..ROUNDS {
        straight.stdio(&mut direct, "echo");
        through.stdio(&mut proxied, "s0__echo");
        copies.stdio(&mut copied, "echo");
    }
    let (straight, through, copies) = (straight.medians(), through.medians(), copies.medians());
    let added = through.0.saturating_sub(straight.0);
    row("a call over stdio through aiw, added to a direct one", added.as_secs_f64() * 1e6, "us");
    let by_copies = copies.0.saturating_sub(straight.0);
    row("a call over stdio through two processes that copy, added", by_copies.as_secs_f64() * 1e6, "us");
    row("calls over stdio, direct", straight.1, "/s");
    row("calls over stdio through aiw", through.1, "/s");
    row("direct throughput over that through aiw, stdio", straight.1 / through.1, "");
    row("direct throughput over that through two processes that copy", straight.1 / copies.1, "");
    over_http(aiw, home.path(), &own, added);
    let mut lists: Vec<Duration> = (0..ROUNDS).map(|_| proxied.timed("tools/list", json!({}))).collect();
    // The registry has a row of its own; a client sees this.
    row("tools/list, end to end", median(&mut lists).as_secs_f64() * 1e3, "ms");

    let tool =
        |n: usize| Tool::from_definition(json!({"name": format!("t{n}"), "inputSchema": {"type": "object"}})).unwrap();
    let registry = DynamicToolRegistry::new((0..20).map(tool).collect());
    registry.register((20..20 + MAX_DYNAMIC_TOOLS).map(tool).collect(), Instant::now());
    let begun = Instant::now();
    const HITS: u32 = 1_000_000;
    for _ in 0..HITS {
        std::hint::black_box(registry.tools());
    }
    row("the registry's own hit, 120 tools", begun.elapsed().as_secs_f64() * 1e9 / f64::from(HITS), "ns");
}

/// Measures over HTTP, where the other proxies are at home.
fn over_http(aiw: &Path, home: &Path, own: &Path, added_stdio: Duration) {
    let mut server = Command::new(aiw);
    server.args(["mcp", "serve", "--http", "127.0.0.1:0", "--json"]).env("AIW_HOME", home).current_dir(home);
    let mut server = Running(server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut listening = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut listening).unwrap();
    let listening: Value = serde_json::from_str(&listening).unwrap();
    let address = listening["url"].as_str().unwrap().trim_start_matches("http://").trim_end_matches("/mcp");
    let token = Command::new(aiw).args(["mcp", "token"]).env("AIW_HOME", home).output().unwrap();
    let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();

    let mut ours = Connections::new(&Place::mcp(address.to_owned(), Some(token), "s0__echo")).unwrap();
    let mut direct = Connections::new(&Place::mcp(http::serve(), None, "echo")).unwrap();
    let peers = peers::start(own, home);
    let mut theirs: Vec<_> = peers
        .iter()
        .filter_map(|peer| Some((peer.name, Connections::new(&peer.place)?, Measured::default())))
        .collect();
    let (mut through, mut straight) = (Measured::default(), Measured::default());
    for round in 0..ROUNDS {
        straight.add(&mut direct, BURST);
        through.add(&mut ours, BURST);
        // Other proxies are slow.
        if round % 3 == 0 {
            theirs.iter_mut().for_each(|(_, connections, measured)| measured.add(connections, BURST / 4));
        }
    }
    let (straight, through) = (straight.medians(), through.medians());
    let added = |each: Duration| each.saturating_sub(straight.0).as_secs_f64() * 1e6;
    row("a call over HTTP through aiw, added to a direct one", added(through.0), "us");
    row("calls over HTTP, direct", straight.1, "/s");
    row("calls over HTTP through aiw", through.1, "/s");
    row("direct throughput over that through aiw, HTTP", straight.1 / through.1, "");
    for (name, _, measured) in theirs {
        let (each, rate) = measured.medians();
        row(&format!("a call over HTTP through {name}, added"), added(each), "us");
        row(&format!("calls over HTTP through {name}"), rate, "/s");
        row(&format!("throughput of {name} over that of aiw, HTTP"), rate / through.1, "");
        let share = added_stdio.as_secs_f64() * 1e6 / added(each);
        row(&format!("added by aiw over stdio, of what {name} adds"), share, "");
    }
}

/// The measurements of several rounds: the time of a single call, and calls a second.
#[derive(Default)]
struct Measured(Vec<Duration>, Vec<f64>);

impl Measured {
    fn add(&mut self, connections: &mut Connections, burst: usize) {
        self.0.push(connections.each());
        self.1.push(connections.rate(burst));
    }

    fn stdio(&mut self, server: &mut Server, tool: &str) {
        self.0.push(server.each(tool));
        self.1.push(server.rate(tool));
    }

    fn medians(mut self) -> (Duration, f64) {
        self.1.sort_by(f64::total_cmp);
        (median(&mut self.0), self.1[self.1.len() / 2])
    }
}

/// A process that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn row(what: &str, measured: f64, unit: &str) {
    println!("{what}\t{measured:.2}\t{unit}");
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A server over stdio, with a client for it.
struct Server {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    id: u64,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let input = BufWriter::new(child.stdin.take().unwrap());
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, input, output, id: 0 };
        let info = json!({"name": "bench", "version": "1"});
        server.ask("initialize", json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}));
        server.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        server
    }

    fn write(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
        self.input.flush().unwrap();
    }

    fn send(&mut self, method: &str, params: Value) -> u64 {
        self.id += 1;
        self.write(&json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}));
        self.id
    }

    /// The next answer; notifications are passed over.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server has ended");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message.get("method").is_none() {
                return message;
            }
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let answer = self.next();
        assert_eq!(answer["id"], id);
        assert!(answer["result"]["isError"] != true, "{answer}");
        answer
    }

    fn timed(&mut self, method: &str, params: Value) -> Duration {
        let begun = Instant::now();
        self.ask(method, params);
        begun.elapsed()
    }

    /// The median of single calls.
    fn each(&mut self, tool: &str) -> Duration {
        let call = json!({"name": tool, "arguments": {"text": "hello"}});
        let mut times: Vec<Duration> = (0..CALLS).map(|_| self.timed("tools/call", call.clone())).collect();
        median(&mut times)
    }

    /// Calls a second, several at once.
    fn rate(&mut self, tool: &str) -> f64 {
        let call = json!({"name": tool, "arguments": {"text": "hello"}});
        let begun = Instant::now();
        for _ in 0..AT_ONCE {
            self.send("tools/call", call.clone());
        }
        for _ in AT_ONCE..BURST {
            self.next();
            self.send("tools/call", call.clone());
        }
        for _ in 0..AT_ONCE {
            self.next();
        }
        BURST as f64 / begun.elapsed().as_secs_f64()
    }

    fn megabytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or_default() / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that answers at once.
fn serve() {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if let Some(answer) = answer(&serde_json::from_str(&line).unwrap()) {
            writeln!(output, "{answer}").unwrap();
            output.flush().unwrap();
        }
    }
}

/// Returns the answer; none to a notification.
fn answer(message: &Value) -> Option<Value> {
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({"protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}}, "serverInfo": {"name": "bench", "version": "1"}}),
        "tools/list" => json!({"tools": [{"name": "echo", "description": "Returns its arguments.",
            "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}}]}),
        "tools/call" => json!({"content": [{"type": "text", "text": message["params"]["arguments"].to_string()}]}),
        _ => json!({}),
    };
    (!message["id"].is_null()).then(|| json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
}
