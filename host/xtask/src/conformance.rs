//! The official conformance suite of MCP against this server and this client, and its results as a document.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use aiw_tests::command;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The suite, and the Node.js that it needs.
const PACKAGES: [&str; 3] = [
    "@modelcontextprotocol/conformance@0.1",
    "conformance-next@npm:@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "node@24",
];

/// Scenarios of the version without sessions, which only the suite's preview has. Its others are of extensions.
const NEXT: [&str; 6] = [
    "server-stateless",
    "server-session-lifecycle",
    "http-header-validation",
    "http-custom-header-server-validation",
    "caching",
    "sep-2164-resource-not-found",
];

/// The scenarios that need no fixed tools.
const OF_AIW: [&str; 4] = ["server-initialize", "ping", "tools-list", "server-sse-multiple-streams"];

/// Runs the suite, and writes `docs/conformance.md`. False if a scenario fails.
pub fn run() -> Result<bool> {
    let root = command::root();
    let place = root.join("target/conformance-suite");
    let modules = place.join("node_modules");
    let suite = Suite { node: modules.join(".bin/node"), program: modules.join("@modelcontextprotocol/conformance") };
    let next = Suite { node: suite.node.clone(), program: modules.join("conformance-next") };
    if ![&suite.node, &suite.program, &next.program].iter().all(|path| path.exists()) {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(&place).args(PACKAGES);
        command::run(&mut npm)?;
    }
    command::run(command::host_build().args(["--bin", "aiw", "--example", "conformance"]))?;
    let binaries = root.join("target/debug");

    let fixed = Server::start(&mut Command::new(binaries.join("examples/conformance")))?;
    let all = scenarios(&suite, &fixed.url, None)?;
    let mut later = Vec::new();
    for name in NEXT {
        later.extend(scenarios(&next, &fixed.url, Some(name))?);
    }

    let home = tempfile::tempdir()?;
    let aiw = |arguments: &[&str]| {
        let mut command = Command::new(binaries.join("aiw"));
        command.args(arguments).env("AIW_HOME", home.path().join("aiw"));
        command
    };
    let served = Server::start(&mut aiw(&["mcp", "serve", "--http", "127.0.0.1:0", "--json"]))?;
    let token = command::output(&mut aiw(&["mcp", "token"]))?;
    let url = forward(&served.url, token.trim())?;
    let mut own = Vec::new();
    for name in OF_AIW {
        own.extend(scenarios(&suite, &url, Some(name))?);
    }

    let script = root.join("tests/conformance_client.sh");
    let client = format!("{} {}", script.display(), binaries.join("aiw").display());
    let logins = results(&suite, "auth", &["client", "--command", &client, "--suite", "auth"])?;

    let document = document([&suite.version()?, &next.version()?], [&all, &later, &own, &logins]);
    std::fs::write(root.join("docs/conformance.md"), document)?;
    let failed: Vec<_> =
        all.iter().chain(&later).chain(&own).chain(&logins).filter(|outcome| outcome.failed > 0).collect();
    println!("conformance: {} scenarios, {} failed", all.len() + later.len() + own.len() + logins.len(), failed.len());
    Ok(failed.is_empty())
}

/// A version of the suite.
struct Suite {
    node: PathBuf,
    program: PathBuf,
}

impl Suite {
    fn version(&self) -> Result<String> {
        let package: Value = serde_json::from_slice(&std::fs::read(self.program.join("package.json"))?)?;
        Ok(package["version"].as_str().context("it has a version")?.to_owned())
    }
}

/// A running server, which ends with this value.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(command: &mut Command) -> Result<Self> {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take().context("it has an output")?;
        // From here on, it ends with the value.
        let mut server = Self { process, url: String::new() };
        BufReader::new(stdout).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("a server says: {line}"))?;
        said["url"].as_str().context("it says its URL")?.clone_into(&mut server.url);
        Ok(server)
    }
}

/// The result of a scenario.
struct ScenarioOutcome {
    name: String,
    passed: u64,
    failed: u64,
}

/// Runs one scenario or all against a server.
fn scenarios(suite: &Suite, url: &str, only: Option<&str>) -> Result<Vec<ScenarioOutcome>> {
    let which = only.map_or(["--suite", "all"], |name| ["--scenario", name]);
    results(suite, "", &[&["server", "--url", url], which.as_slice()].concat())
}

/// Runs the suite, and reads the results from its files, which are in this folder.
fn results(suite: &Suite, within: &str, arguments: &[&str]) -> Result<Vec<ScenarioOutcome>> {
    let results = tempfile::tempdir()?;
    let mut run = Command::new(&suite.node);
    run.arg(suite.program.join("dist/index.js")).args(arguments).arg("--output-dir").arg(results.path());
    // Its exit code says only whether something failed.
    run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let mut outcomes = Vec::new();
    for folder in std::fs::read_dir(results.path().join(within))? {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        let name = name.strip_prefix("server-").unwrap_or(&name);
        // `NAME-2026-01-01T00-00-00-000Z`
        let name = name.get(..name.len().saturating_sub(25)).unwrap_or(name).to_owned();
        let checks: Vec<Value> = serde_json::from_slice(&std::fs::read(folder.path().join("checks.json"))?)?;
        let count = |wanted: &str| checks.iter().filter(|check| check["status"] == wanted).count() as u64;
        outcomes.push(ScenarioOutcome { name, passed: count("SUCCESS"), failed: count("FAILURE") });
    }
    if outcomes.is_empty() {
        bail!("the suite wrote no results for {}", arguments.join(" "));
    }
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outcomes)
}

/// A port that passes requests on to a server and adds the token, which the suite can't.
fn forward(url: &str, token: &str) -> Result<String> {
    let target = url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let own = listener.local_addr()?.to_string();
    let token = token.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (target, token) = (target.clone(), token.clone());
            std::thread::spawn(move || pass(client, &target, &token));
        }
    });
    Ok(format!("http://{own}/mcp"))
}

/// Passes on one request, and ends the connection after its answer.
fn pass(client: TcpStream, target: &str, token: &str) -> Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "host" => write!(head, "Host: {target}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n")?,
            "connection" => {}
            _ => head.push_str(&line),
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut server = TcpStream::connect(target)?;
    server.write_all(head.as_bytes())?;
    let (mut to_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let up = std::thread::spawn(move || copy(&mut reader, &mut to_server));
    let down = copy(&mut server, &mut to_client);
    // Either side's end is the other's.
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = server.shutdown(std::net::Shutdown::Both);
    let _ = up.join();
    Ok(down?)
}

/// Copies as it comes, not in blocks: events are awaited.
fn copy(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(buffer.get(..read).unwrap_or_default())?;
    }
}

fn document([version, next]: [&str; 2], [all, later, own, logins]: [&[ScenarioOutcome]; 4]) -> String {
    let mut text = format!(
        "# Conformance\n\nResults of the official suite, `@modelcontextprotocol/conformance` {version}, and of its preview \
         {next}.\n`cargo xtask conformance` writes this file.\n"
    );
    for (title, outcomes) in [
        ("A server with the suite's fixed tools, over `aiw-mcp` and `aiw-listen`", all),
        ("The same server, with the preview's scenarios for 2026-07-28", later),
        ("`aiw mcp serve --http`, through a forwarder that adds the token", own),
        ("`aiw mcp login` and `aiw mcp call` as the client, scenarios of logins", logins),
    ] {
        let _ = write!(text, "\n## {title}\n\n| scenario | passed | failed |\n|---|---|---|\n");
        for ScenarioOutcome { name, passed, failed } in outcomes {
            let _ = writeln!(text, "| `{name}` | {passed} | {failed} |");
        }
    }
    text.push_str(
        "\n`dns-rebinding-protection` passes where the server's own origin is allowed, as the suite wants it. `aiw mcp \
         serve` refuses every\n`Origin`. `basic-cimd` passes with a warning: aiw has no address on the web that could be its client id, and \
         registers itself.\n",
    );
    text
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
