//! Commands of the binary, from their start to their end: rows beside the spawn of `true`, a bare fetch of git, and the
//! same of Claude Code's own `claude plugin`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use aiw_tests::command::root;
use aiw_tests::{commit_all, corpus, git, python, real_cli, tool_rows};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use wait4::Wait4;

use crate::figures::{megabytes, millis, prepend_fake_codex};
use crate::report::BenchReport;

/// A URL that git's configuration redirects to the marketplace.
const GIT_URL: &str = "https://git.example.com/bench.git";

/// Stands for the directory of the marketplace among arguments.
const MARKET: &str = "$MARKET";

/// The marketplaces that are searched.
const MARKET_COUNT: usize = 5;

/// The first message of an MCP client, on one line.
pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;

/// Fills an empty home before a command, which is not measured.
type Prepare = fn(&CommandBench, &Path) -> Result<()>;

/// A command that is measured.
pub struct CommandRow {
    pub label: &'static str,
    prepare: Prepare,
    arguments: &'static [&'static str],
    end: End,
    /// The peer's command for the same, with its own preparation.
    peer: Option<(Prepare, &'static [&'static str])>,
    /// `true` if the row needs the real marketplace.
    needs_market: bool,
}

/// When a measurement ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With the process.
    Exit,
    /// With the first line of a server that was sent [`INITIALIZE`].
    FirstResponse,
}

const fn row(what: &'static str, prepare: Prepare, arguments: &'static [&'static str]) -> CommandRow {
    CommandRow { label: what, prepare, arguments, end: End::Exit, peer: None, needs_market: false }
}

const fn beside(
    what: &'static str,
    ours: (Prepare, &'static [&'static str]),
    peer: (Prepare, &'static [&'static str]),
) -> CommandRow {
    CommandRow { peer: Some(peer), needs_market: true, ..row(what, ours.0, ours.1) }
}

/// The row that has `git fetch` for a yardstick.
const ADD_FROM_GIT_LABEL: &str = "add from local git";

/// All commands.
pub const ROWS: [CommandRow; 14] = [
    row("--version", |_, _| Ok(()), &["--version"]),
    row("status", CommandBench::copy_warm, &["status"]),
    CommandRow {
        end: End::FirstResponse,
        ..row("mcp serve, to its first answer", CommandBench::copy_warm, &["mcp", "serve"])
    },
    row("start to a component's first answer, warm", CommandBench::copy_warm, &["extension", "verify", "market-local"]),
    row("task list, 20 tasks", CommandBench::copy_tasks, &["task", "list"]),
    row(
        "codex under a provider, all before its start",
        CommandBench::copy_provider,
        &["codex", "-p", "router", "--explain", "say hello"],
    ),
    row(
        "codex under a provider, started detached",
        CommandBench::copy_provider,
        &["codex", "-p", "router", "--detach", "say hello"],
    ),
    row("cli list, warm", CommandBench::copy_tasks, &["cli", "list"]),
    beside(
        "add a folder (286 entries, 53 local)",
        (CommandBench::copy_warm, &["plugin", "marketplace", "add", MARKET, "--no-inspect"]),
        (|_, _| Ok(()), &["plugin", "marketplace", "add", MARKET]),
    ),
    CommandRow {
        needs_market: true,
        ..row(
            ADD_FROM_GIT_LABEL,
            CommandBench::redirect_git,
            &["plugin", "marketplace", "add", GIT_URL, "--no-inspect"],
        )
    },
    beside(
        "list what is available",
        (CommandBench::add_market, &["plugin", "list", "--available", "--all", "--json"]),
        (CommandBench::add_to_peer, &["plugin", "list", "--available", "--json"]),
    ),
    beside(
        "install a small local plugin",
        (CommandBench::add_market, &["plugin", "install", "context7@bench", "--yes"]),
        (CommandBench::add_to_peer, &["plugin", "install", "context7@bench"]),
    ),
    beside(
        "update a marketplace, unchanged",
        (CommandBench::add_market, &["plugin", "marketplace", "update", "bench", "--no-inspect"]),
        (CommandBench::add_to_peer, &["plugin", "marketplace", "update", "bench"]),
    ),
    CommandRow {
        needs_market: true,
        ..row("search over five marketplaces", CommandBench::add_markets, &["plugin", "search", "github"])
    },
];

/// The time and the peak memory of a command.
pub struct Sample {
    pub millis: f64,
    pub megabytes: f64,
}

/// Adds the rows of all commands.
pub fn run(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let bench = CommandBench::new(aiw.to_owned())?;
    match &bench.peer {
        Some(path) => println!("peer: {}", path.display()),
        None => println!("peer: Claude Code is not installed here (AIW_TEST_CLAUDE, target/clients or PATH)"),
    }
    if bench.market.is_none() {
        println!("commands over the real marketplace are not measured: AIW_CORPORA names its folder");
    }
    let mut peak: f64 = 0.0;
    for row in ROWS.iter().filter(|row| bench.can_run(row)) {
        let mut ours = || -> Result<f64> {
            let sample = bench.sample(row)?;
            peak = peak.max(sample.megabytes);
            Ok(sample.millis)
        };
        match (&bench.peer, row.peer) {
            _ if row.label == ADD_FROM_GIT_LABEL => {
                report.measure_custom_pairs(row.label, "ms", || Ok((ours()?, bench.bare_fetch()?)))?;
            }
            (Some(peer), Some((prepare, arguments))) => {
                let peer = || bench.sample_of(peer, prepare, arguments, End::Exit);
                report.measure_custom_pairs(row.label, "ms", || Ok((ours()?, peer()?.millis)))?;
            }
            _ => {
                report.measure_pairs(row.label, "ms", ours)?;
            }
        }
    }
    report.add_measurement("peak memory of these commands", "MB", peak)?;
    report.measure_pairs("wait, after the last of ten tasks has ended", "ms", || bench.wait_delay())?;
    bench.listed(report)
}

/// A binary with a directory for its homes.
pub struct CommandBench {
    dir: tempfile::TempDir,
    /// The real marketplace, a repository of git. `None` if it is absent.
    market: Option<PathBuf>,
    aiw: PathBuf,
    peer: Option<PathBuf>,
    /// A home with compiled components.
    warm: PathBuf,
    /// A home with tasks that have ended.
    tasks: PathBuf,
    /// The `PATH`, with a fake CLI first that only says that it is done.
    path: OsString,
}

impl CommandBench {
    pub fn new(aiw: PathBuf) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let at = |name: &str| dir.path().join(name);
        let end = r#"{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}"#;
        let path = prepend_fake_codex(&at("bin"), &format!("grep -q sleep && sleep 1; echo '{end}'"))?;
        let market = match corpus("anthropics+claude-plugins-official") {
            Some(corpus) => {
                corpus.write(&at("market"));
                rename(&at("market"), "bench")?;
                commit_all(&at("market"));
                Some(at("market"))
            }
            None => None,
        };
        let (warm, tasks) = (at("warm"), at("tasks"));
        let bench = Self { market, warm, tasks, aiw, peer: real_cli("claude"), path, dir };
        bench.ran(&bench.warm, &["extension", "verify"])?;
        bench.copy_provider(&bench.tasks)?;
        for _ in 0..20 {
            bench.ran(&bench.tasks, &["codex", "-p", "own", "say hello"])?;
        }
        Ok(bench)
    }

    /// Returns `true` if what the row needs is there.
    pub fn can_run(&self, row: &CommandRow) -> bool {
        !row.needs_market || self.market.is_some()
    }

    /// Runs a command once, in a home of its own.
    pub fn sample(&self, row: &CommandRow) -> Result<Sample> {
        self.sample_of(&self.aiw, row.prepare, row.arguments, row.end)
    }

    fn sample_of(&self, program: &Path, prepare: Prepare, arguments: &[&str], end: End) -> Result<Sample> {
        let home = self.dir.path().join("home");
        // A process that outlives its command may still write there.
        let begun = Instant::now();
        while home.exists() {
            let gone = fs::remove_dir_all(&home);
            if begun.elapsed() > Duration::from_secs(10) {
                gone?;
            }
        }
        fs::create_dir(&home)?;
        prepare(self, &home)?;
        let mut command = self.command(program, &home, arguments);
        let begun = Instant::now();
        let mut child;
        let mut answered = None;
        if end == End::FirstResponse {
            child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            await_first_response(&mut child)?;
            answered = Some(begun.elapsed());
            // The server ends with its input.
            drop(child.stdin.take());
        } else {
            child = command.spawn()?;
        }
        let ended = child.wait4()?;
        let took = answered.unwrap_or_else(|| begun.elapsed());
        ensure!(ended.status.success(), "`{} {}` failed in the bench", program.display(), arguments.join(" "));
        Ok(Sample { millis: millis(took), megabytes: megabytes(ended.rusage.maxrss) })
    }

    fn command(&self, program: &Path, home: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        for argument in arguments {
            match &self.market {
                Some(market) if *argument == MARKET => command.arg(market),
                _ => command.arg(argument),
            };
        }
        command
            .env_clear()
            .env("PATH", &self.path)
            .env("AIW_RUNTIME_DIR", self.dir.path().join("run"))
            .env("THE_KEY", "not-a-key")
            .env("LANG", "C.UTF-8")
            .env("HOME", home)
            .env("AIW_HOME", home)
            .env("CLAUDE_CONFIG_DIR", home)
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .env("DISABLE_AUTOUPDATER", "1")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs a command of aiw that has to succeed.
    fn ran(&self, home: &Path, arguments: &[&str]) -> Result<()> {
        run_quietly(&mut self.command(&self.aiw, home, arguments))
    }

    fn copy_warm(&self, home: &Path) -> Result<()> {
        copy(&self.warm, home)
    }

    fn copy_tasks(&self, home: &Path) -> Result<()> {
        copy(&self.tasks, home)
    }

    fn copy_provider(&self, home: &Path) -> Result<()> {
        self.copy_warm(home)?;
        self.ran(home, &["provider", "add", "router", "--preset", "openrouter", "--token-env", "THE_KEY"])?;
        // A CLI whose version no file tells is run once to ask for it.
        self.ran(home, &["cli", "list"])
    }

    fn add_market(&self, home: &Path) -> Result<()> {
        self.copy_warm(home)?;
        self.ran(home, &["plugin", "marketplace", "add", MARKET, "--no-inspect"])
    }

    fn add_markets(&self, home: &Path) -> Result<()> {
        self.copy_warm(home)?;
        for number in 0..MARKET_COUNT {
            let name = format!("bench-{number}");
            self.ran(home, &["plugin", "marketplace", "add", MARKET, "--no-inspect", "--name", &name])?;
        }
        Ok(())
    }

    fn add_to_peer(&self, home: &Path) -> Result<()> {
        let peer = self.peer.as_deref().context("a peer")?;
        run_quietly(&mut self.command(peer, home, &["plugin", "marketplace", "add", MARKET]))
    }

    /// Redirects [`GIT_URL`] to the marketplace.
    fn redirect_git(&self, home: &Path) -> Result<()> {
        self.copy_warm(home)?;
        let config = format!("[url \"{}\"]\n\tinsteadOf = {GIT_URL}\n", self.market_url()?);
        Ok(fs::write(home.join(".gitconfig"), config)?)
    }

    fn market_url(&self) -> Result<String> {
        let market = self.market.as_deref().and_then(Path::to_str).context("a marketplace with a path in UTF-8")?;
        Ok(format!("file://{market}"))
    }

    /// Measures `git fetch` of the marketplace into an empty bare repository, in milliseconds.
    fn bare_fetch(&self) -> Result<f64> {
        let repository = tempfile::tempdir_in(self.dir.path())?;
        git(repository.path(), &["init", "-q", "--bare"]);
        let begun = Instant::now();
        git(repository.path(), &["fetch", "-q", &self.market_url()?, "HEAD"]);
        Ok(millis(begun.elapsed()))
    }

    /// Returns the time from the end of the last of ten tasks until `aiw wait` in another process returns, in
    /// milliseconds.
    fn wait_delay(&self) -> Result<f64> {
        let home = self.dir.path().join("waiting");
        if !home.exists() {
            self.copy_warm(&home)?;
        }
        for _ in 0..10 {
            self.ran(&home, &["codex", "-p", "own", "--detach", "sleep"]).context("a task of the bench")?;
        }
        let output = self.command(&self.aiw, &home, &["wait", "--json"]).stdout(Stdio::piped()).output()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64() * 1e3;
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        let ended = answer["tasks"].as_array().into_iter().flatten().filter_map(|task| {
            let format = &time::format_description::well_known::Rfc3339;
            let ended = time::OffsetDateTime::parse(task["ended"].as_str()?, format);
            Some(ended.ok()?.unix_timestamp_nanos())
        });
        let last = ended.max().context("tasks that have ended")?;
        Ok(now - last as f64 / 1e6)
    }

    /// Adds the tokens that a session of Claude Code lists with seven real servers behind aiw, those with the most
    /// tools, beside the tokens of all their tools.
    fn listed(&self, report: &mut BenchReport) -> Result<()> {
        const SERVER_COUNT: usize = 7;
        let (Some(rows), Some(python)) = (tool_rows(), python()) else {
            println!(
                "what a session lists was not measured: AIW_CORPORA names the folder of the tools; it needs python3"
            );
            return Ok(());
        };
        let mut servers: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for row in &rows {
            let tool =
                json!({"name": row["name"], "description": row["description"], "inputSchema": row["input_schema"]});
            servers.entry(row["server"].as_str().unwrap_or_default()).or_default().push(tool);
        }
        let mut servers: Vec<_> = servers.into_iter().collect();
        servers.sort_by_key(|(_, tools)| Reverse(tools.len()));
        let home = self.dir.path().join("listed");
        self.copy_warm(&home)?;
        let mut entries = Map::new();
        for (number, (_, tools)) in servers.iter().take(SERVER_COUNT).enumerate() {
            let (state, file) = (home.join(format!("state-{number}")), home.join(format!("tools-{number}.json")));
            fs::create_dir_all(&state)?;
            fs::write(&file, serde_json::to_vec(tools)?)?;
            let script = root().join("tests/mcp_server.py");
            let entry = json!({"command": python, "args": [script, "--state", state, "--define", file]});
            entries.insert(format!("server-{number}"), entry);
        }
        fs::write(home.join("mcp.json"), json!({"mcpServers": entries}).to_string())?;
        let answer = |arguments: &[&str]| -> Result<Value> {
            let output = self.command(&self.aiw, &home, arguments).stdout(Stdio::piped()).output()?;
            serde_json::from_slice(&output.stdout).with_context(|| format!("{arguments:?} printed no JSON"))
        };
        answer(&["mcp", "tools", "--json"])?;
        let session = &answer(&["mcp", "tools", "--session", "claude", "--json"])?["session"];
        let sum = |key: &str| {
            session["servers"].as_array().into_iter().flatten().filter_map(|s| s[key].as_f64()).sum::<f64>()
        };
        let listed = session["tokens"].as_f64().context("a session has no tokens")?;
        let pair = (listed, sum("tokens"));
        report.add_pairs("what a session lists, with seven servers", "tokens", &[pair])?;
        report.note("tools of these servers", sum("tools"), "");
        Ok(())
    }
}

/// Sends [`INITIALIZE`] to a server and waits for its answer.
pub fn await_first_response(server: &mut std::process::Child) -> Result<()> {
    let input = server.stdin.as_mut().context("an input")?;
    input.write_all(format!("{INITIALIZE}\n").as_bytes())?;
    let mut line = String::new();
    let output = server.stdout.as_mut().context("an output")?;
    BufReader::new(output).read_line(&mut line)?;
    let answer: Value = serde_json::from_str(&line).with_context(|| format!("no answer: `{line}`"))?;
    ensure!(answer["result"].is_object(), "the server refused: {line}");
    Ok(())
}

fn run_quietly(command: &mut Command) -> Result<()> {
    if !command.status()?.success() {
        bail!("the set-up of the bench failed: {command:?}");
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target)? } else { fs::copy(entry.path(), target).map(drop)? }
    }
    Ok(())
}

/// Gives the copy of the real marketplace a name that nobody owns.
fn rename(market: &Path, name: &str) -> Result<()> {
    let path = market.join(".claude-plugin/marketplace.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&path)?)?;
    document["name"] = name.into();
    Ok(fs::write(path, serde_json::to_vec_pretty(&document)?)?)
}
