//! What a call through aiw costs beside a direct one, in the same run: `aiw mcp serve` in front of a server that answers
//! at once. This program is that server too. Prints rows of `what, measured, limit, unit` for `cargo xtask bench`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and may fail")]

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use aiw_mcp::Tool;
use aiw_routing::{DynamicToolRegistry, MOST};
use serde_json::{Value, json};

/// Rounds of direct and proxied calls, one after the other. The median counts.
const ROUNDS: usize = 15;
const CALLS: usize = 300;

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
    row("serve to its first list, 20 servers known", median(&mut firsts).as_secs_f64() * 1e3, 30.0, "ms");
    let mut proxied = start();
    std::thread::sleep(Duration::from_secs(1));
    row("serve idle, 20 servers known", proxied.megabytes(), 25.0, "MB");

    let mut direct = Server::start({
        let mut command = Command::new(&own);
        command.arg("serve");
        command
    });
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(direct.each("echo"));
        ours.push(proxied.each("s0__echo"));
        let (through, straight) = (proxied.rate("s0__echo"), direct.rate("echo"));
        ratios.push(straight / through);
    }
    let added = median(&mut ours).saturating_sub(median(&mut theirs));
    row("a call over stdio through aiw, added to a direct one", added.as_secs_f64() * 1e6, 150.0, "us");
    ratios.sort_by(f64::total_cmp);
    row("direct throughput over that through aiw, stdio", ratios[ratios.len() / 2], 1.0 / 0.6, "");
    let mut lists: Vec<Duration> = (0..ROUNDS).map(|_| proxied.timed("tools/list", json!({}))).collect();
    // The issue of a limit of its own is the registry's; a client sees this.
    row("tools/list, end to end", median(&mut lists).as_secs_f64() * 1e3, 50.0, "ms");

    let tool = |n: usize| Tool::foreign(json!({"name": format!("t{n}"), "inputSchema": {"type": "object"}})).unwrap();
    let registry = DynamicToolRegistry::new((0..20).map(tool).collect());
    registry.register((20..20 + MOST).map(tool).collect(), Instant::now());
    let begun = Instant::now();
    const HITS: u32 = 1_000_000;
    for _ in 0..HITS {
        std::hint::black_box(registry.tools());
    }
    row("the registry's own hit, 120 tools", begun.elapsed().as_secs_f64() * 1e9 / f64::from(HITS), 200.0, "ns");
}

fn row(what: &str, measured: f64, limit: f64, unit: &str) {
    println!("{what}\t{measured:.2}\t{limit:.2}\t{unit}");
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
        for _ in AT_ONCE..CALLS {
            self.next();
            self.send("tools/call", call.clone());
        }
        for _ in 0..AT_ONCE {
            self.next();
        }
        CALLS as f64 / begun.elapsed().as_secs_f64()
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
        let message: Value = serde_json::from_str(&line).unwrap();
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({"protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}}, "serverInfo": {"name": "bench", "version": "1"}}),
            "tools/list" => json!({"tools": [{"name": "echo", "description": "Returns its arguments.",
                "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}}]}),
            "tools/call" => json!({"content": [{"type": "text", "text": message["params"]["arguments"].to_string()}]}),
            _ => json!({}),
        };
        if !message["id"].is_null() {
            writeln!(output, "{}", json!({"jsonrpc": "2.0", "id": message["id"], "result": result})).unwrap();
            output.flush().unwrap();
        }
    }
}
