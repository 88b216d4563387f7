//! `cargo xtask bench`: measures the release build against its limits, and against Claude Code's own `claude
//! plugin` in the same run. The figures depend on the machine; the limits do not.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use aiw_tests::{commit_all, corpus, git, python, real_cli, tool_rows};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use wait4::Wait4;

use crate::command::{host_cargo, root, run as run_command};
use crate::figures::{figures, megabytes, millis, with_codex};

/// The number of runs of each command. The median counts.
const RUNS: usize = 15;

/// The maximum memory of a command, in MB.
const MEMORY_MB: f64 = 40.0;

struct Sample {
    millis: f64,
    megabytes: f64,
}

/// A row of the table: what was measured, our figures, the limit, the peer's figures.
struct Row {
    what: String,
    ours: Sample,
    limit: f64,
    peer: Option<Sample>,
}

/// The benches of the rooms: package, name and arguments. A hundred thousand past messages are searched, because a
/// million take minutes to store.
const BENCHES: [(&str, &str, &[&str]); 12] = [
    ("aiw-testkit", "calls", &[]),
    ("aiw-tui", "frame", &[]),
    ("aiw-supervisor", "figures", &[]),
    ("aiw-wasm", "scripts", &[]),
    ("aiw-routing", "proxied", &[]),
    ("aiw-routing", "finder", &[]),
    ("aiw-routing", "quality", &["--figures"]),
    ("aiw-vectors", "meaning", &[]),
    ("aiw-history", "hook", &[]),
    ("aiw-history", "import", &[]),
    ("aiw-redact", "figures", &[]),
    ("aiw-history", "figures", &["--messages", "100000"]),
];

/// The benches with a module of their own.
const OTHERS: [fn(&Path) -> Result<bool>; 7] = [
    crate::registries::run,
    crate::processes::run,
    crate::scripts::run,
    crate::planning::run,
    crate::sync::run,
    crate::screens::run,
    crate::dashboard::run,
];

pub fn run() -> Result<bool> {
    run_command(host_cargo().args(["build", "--release", "-p", "agentic-warden"]))?;
    let Some(corpus) = corpus("anthropics+claude-plugins-official") else {
        bail!("the bench needs the real marketplace: set AIW_CORPORA to its folder");
    };
    let bench = Bench::new()?;
    corpus.write(&bench.market);
    rename(&bench.market, "bench")?;
    commit_all(&bench.market);
    match &bench.peer {
        Some(path) => println!("peer: {}", path.display()),
        None => println!("peer: Claude Code is not installed here (AIW_TEST_CLAUDE, target/clients or PATH)"),
    }
    let mut good = true;
    println!(
        "\n{:<46} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7}",
        "", "aiw ms", "limit", "peer ms", "aiw MB", "limit", "peer MB"
    );
    for row in bench.rows()? {
        let over = row.ours.millis > row.limit || row.ours.megabytes > MEMORY_MB;
        good &= !over;
        let peer =
            |value: fn(&Sample) -> f64| row.peer.as_ref().map_or("-".into(), |peer| format!("{:.1}", value(peer)));
        println!(
            "{:<46} {:>9.1} {:>9.1} {:>9} {:>7.1} {:>7.0} {:>7}{}",
            row.what,
            row.ours.millis,
            row.limit,
            peer(|s| s.millis),
            row.ours.megabytes,
            MEMORY_MB,
            peer(|s| s.megabytes),
            if over { "  OVER" } else { "" }
        );
    }
    let waited = bench.waiting()?;
    good &= waited <= 100.0;
    println!(
        "{:<46} {waited:>9.1} {:>9.1}{}",
        "wait, after the last of ten tasks has ended",
        100.0,
        if waited > 100.0 { "  OVER" } else { "" }
    );
    good &= bench.listed()?;
    println!();
    for ((package, name, arguments), built) in BENCHES.iter().zip(built(&BENCHES)?) {
        let output = built.command().args(*arguments).env("AIW_BENCH_SHIM", &bench.aiw).output()?;
        if !output.status.success() {
            bail!("the bench `{name}` of {package} failed");
        }
        good &= figures(&String::from_utf8_lossy(&output.stdout))?;
    }
    for measure in OTHERS {
        good &= measure(&bench.aiw)?;
    }
    println!("the search of a million messages: `cargo xtask bench history --figures 1000000`");
    Ok(good)
}

/// A bench as cargo built it.
struct BuiltBench {
    package: String,
    name: String,
    file: PathBuf,
    /// The directory of its package, where it runs.
    directory: PathBuf,
}

impl BuiltBench {
    /// Reads a line of what cargo prints in JSON, if it tells of a bench.
    fn of(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_bench = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "bench");
        // `path+file:///directory#name@version`
        let package = message["package_id"].as_str()?.rsplit_once('#')?.1;
        is_bench.then_some(Self {
            package: package.split('@').next()?.to_owned(),
            name: message["target"]["name"].as_str()?.to_owned(),
            file: message["executable"].as_str()?.into(),
            directory: Path::new(message["manifest_path"].as_str()?).parent()?.to_owned(),
        })
    }

    /// A command that runs it as cargo would. Its errors go to standard error.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command.arg("--bench").current_dir(&self.directory).stderr(Stdio::inherit());
        command
    }
}

/// Builds benches and returns them in their order. One call of cargo for all compiles once what they share: with a call
/// for each, every package chooses other features for it.
fn built(benches: &[(&str, &str, &[&str])]) -> Result<Vec<BuiltBench>> {
    let mut build = host_cargo();
    build.args(["bench", "--no-run", "--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    for (package, name, _) in benches {
        build.args(["-p", package, "--bench", name]);
    }
    let printed = crate::command::output(&mut build)?;
    let mut built: Vec<BuiltBench> = printed.lines().filter_map(BuiltBench::of).collect();
    let take = |(package, name, _): &(&str, &str, &[&str])| {
        let at = built.iter().position(|built| built.package == *package && built.name == *name);
        Ok(built.swap_remove(at.with_context(|| format!("cargo built no bench `{name}` of {package}"))?))
    };
    benches.iter().map(take).collect()
}

/// Measures the search of past sessions: how often it finds the right message, or with a number of messages, what it
/// costs. The model is the real one, where `.ci/run` or `AIW_TEST_MODEL` puts it.
pub fn history(messages: Option<usize>) -> Result<bool> {
    let mut command = host_cargo();
    command.args(["bench", "--quiet", "-p", "aiw-history", "--bench"]);
    match messages {
        Some(messages) => {
            run_command(host_cargo().args(["build", "--release", "-p", "agentic-warden"]))?;
            command.env("AIW_BENCH_SHIM", root().join("target/release/aiw"));
            command.args(["figures", "--", "--messages", &messages.to_string()])
        }
        None => command.args(["quality", "--", "--run"]),
    };
    if let (Some(model), Some(_)) = (aiw_tests::real_model("all-MiniLM-L6-v2"), aiw_tests::onnx_runtime()) {
        command.env("AIW_TEST_MODEL", model.parent().unwrap_or(&model));
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("a bench of aiw-history failed");
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    if messages.is_some() {
        return figures(&printed);
    }
    print!("{printed}");
    Ok(true)
}

/// Tools and requests for them.
#[derive(clap::Args)]
pub struct ToolSet {
    /// The directory with `tools.jsonl` and `queries.jsonl`
    #[arg(long, value_name = "DIR", required_unless_present = "apis")]
    set: Option<PathBuf>,
    /// Requests for the directory's tools in place of its own
    #[arg(long, value_name = "FILE", requires = "set")]
    requests: Option<PathBuf>,
    /// The tools of APIs that the bench makes itself, by a seed
    #[arg(long, value_name = "SEED", conflicts_with = "set")]
    apis: Option<u64>,
    /// With `--apis`: the loose requests, not the plain ones
    #[arg(long, requires = "apis")]
    loose: bool,
    /// A directory of which every fourth tool stands beside the set's
    #[arg(long, value_name = "DIR")]
    beside: Option<PathBuf>,
    /// Leave out what servers are called and what they say of themselves
    #[arg(long)]
    nameless: bool,
}

impl ToolSet {
    /// The arguments of the bench `quality`.
    fn arguments(&self) -> Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = Vec::new();
        for (name, path) in [("--set", &self.set), ("--requests", &self.requests), ("--beside", &self.beside)] {
            if let Some(path) = path {
                let path = path.canonicalize().with_context(|| format!("`{}`", path.display()))?;
                arguments.extend([name.into(), path.into()]);
            }
        }
        if let Some(seed) = self.apis {
            arguments.extend(["--apis".into(), seed.to_string().into()]);
        }
        let flags = [("--loose", self.loose), ("--nameless", self.nameless)];
        arguments.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name.into()));
        Ok(arguments)
    }
}

/// Measures how often routing finds the right tools in a set. The model is the real one, where `.ci/run` or
/// `AIW_TEST_MODEL` puts it.
pub fn routing(set: &ToolSet, json: bool) -> Result<()> {
    let mut command = host_cargo();
    command.args(["bench", "--quiet", "-p", "aiw-routing", "--bench", "quality", "--"]).args(set.arguments()?);
    if let (Some(model), Some(_)) = (aiw_tests::real_model("all-MiniLM-L6-v2"), aiw_tests::onnx_runtime()) {
        command.env("AIW_TEST_MODEL", model.parent().unwrap_or(&model));
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the bench `quality` failed");
    }
    let figures: Value = serde_json::from_slice(&output.stdout).context("the bench printed no figures")?;
    if json {
        println!("{figures}");
        return Ok(());
    }
    println!(
        "{}: {} tools, {} requests",
        figures["set"].as_str().unwrap_or_default(),
        figures["tools"],
        figures["queries"]
    );
    println!(
        "{:<10} {:>9} {:>9} {:>10} {:>7} {:>12}",
        "", "recall@1", "recall@5", "recall@10", "ndcg@5", "us a request"
    );
    for (mode, f) in figures["modes"].as_object().into_iter().flatten() {
        let cell = |key: &str| f[key].to_string();
        println!(
            "{mode:<10} {:>9} {:>9} {:>10} {:>7} {:>12}",
            cell("recall@1"),
            cell("recall@5"),
            cell("recall@10"),
            cell("ndcg@5"),
            cell("us_per_query")
        );
    }
    Ok(())
}

/// How to prepare a home, and what to run in it.
type BenchStep<'a> = (&'a dyn Fn(&Path) -> Result<()>, &'a [&'a str]);

struct Bench {
    dir: tempfile::TempDir,
    market: PathBuf,
    aiw: PathBuf,
    peer: Option<PathBuf>,
    /// A home with compiled components.
    warm: PathBuf,
    /// The `PATH`, with a fake CLI first that only says that it is done.
    path: OsString,
}

impl Bench {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let aiw = root().join("target/release/aiw");
        let warm = dir.path().join("warm");
        let end = r#"{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}"#;
        let path = with_codex(&dir.path().join("bin"), &format!("grep -q sleep && sleep 1; echo '{end}'"))?;
        let bench =
            Self { market: dir.path().join("market"), warm: warm.clone(), aiw, peer: real_cli("claude"), path, dir };
        let ran = bench.aiw(&warm, &["extension", "verify"]).stdout(Stdio::null()).status()?;
        if !ran.success() {
            bail!("`aiw extension verify` failed");
        }
        Ok(bench)
    }

    fn aiw(&self, home: &Path, arguments: &[&str]) -> Command {
        self.command(&self.aiw, home, arguments)
    }

    fn command(&self, program: &Path, home: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
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

    /// Prints the tokens that a session of Claude Code lists with seven real servers behind aiw, those with the most tools.
    fn listed(&self) -> Result<bool> {
        const SERVERS: usize = 7;
        const TOKENS: f64 = 5000.0;
        let (Some(rows), Some(python)) = (tool_rows(), python()) else {
            println!(
                "what a session lists was not measured: AIW_CORPORA names the folder of the tools; it needs python3"
            );
            return Ok(true);
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
        copy(&self.warm, &home)?;
        let mut entries = Map::new();
        for (number, (_, tools)) in servers.iter().take(SERVERS).enumerate() {
            let (state, file) = (home.join(format!("state-{number}")), home.join(format!("tools-{number}.json")));
            fs::create_dir_all(&state)?;
            fs::write(&file, serde_json::to_vec(tools)?)?;
            let script = root().join("tests/mcp_server.py");
            let entry = json!({"command": python, "args": [script, "--state", state, "--define", file]});
            entries.insert(format!("server-{number}"), entry);
        }
        fs::write(home.join("mcp.json"), json!({"mcpServers": entries}).to_string())?;
        let answer = |arguments: &[&str]| -> Result<Value> {
            let output = self.aiw(&home, arguments).stdout(Stdio::piped()).output()?;
            serde_json::from_slice(&output.stdout).with_context(|| format!("{arguments:?} printed no JSON"))
        };
        answer(&["mcp", "tools", "--json"])?;
        let session = &answer(&["mcp", "tools", "--session", "claude", "--json"])?["session"];
        let sum = |key: &str| {
            session["servers"].as_array().into_iter().flatten().filter_map(|s| s[key].as_f64()).sum::<f64>()
        };
        let listed = session["tokens"].as_f64().context("a session has no tokens")?;
        let over = if listed > TOKENS { "  OVER" } else { "" };
        println!("{:<46} {listed:>9} {TOKENS:>9} tokens{over}", "what a session lists, with seven servers");
        println!(
            "{:<46} {:>9}           tokens, {} tools",
            "  all that these servers offer",
            sum("tokens"),
            sum("tools")
        );
        Ok(over.is_empty())
    }

    /// Measures the median of some runs. `prepare` sets up the home before each run and is not measured.
    fn measure(&self, program: &Path, prepare: impl Fn(&Path) -> Result<()>, arguments: &[&str]) -> Result<Sample> {
        let mut samples = Vec::new();
        for _ in 0..RUNS {
            let home = self.dir.path().join("home");
            // A process that outlives its command may still write there.
            let start = Instant::now();
            while home.exists() {
                let gone = fs::remove_dir_all(&home);
                if start.elapsed() > Duration::from_secs(10) {
                    gone?;
                }
            }
            fs::create_dir(&home)?;
            prepare(&home)?;
            let start = Instant::now();
            let ended = self.command(program, &home, arguments).spawn()?.wait4()?;
            let took = start.elapsed();
            if !ended.status.success() {
                bail!("`{} {}` failed in the bench", program.display(), arguments.join(" "));
            }
            samples.push((took, ended.rusage.maxrss));
        }
        samples.sort();
        let (took, _) = samples[samples.len() / 2];
        let memory = samples.iter().map(|s| s.1).max().unwrap_or_default();
        Ok(Sample { millis: millis(took), megabytes: megabytes(memory) })
    }

    fn both(&self, what: &str, limit: f64, ours: BenchStep<'_>, peers: BenchStep<'_>) -> Result<Row> {
        let peer = match &self.peer {
            Some(peer) => Some(self.measure(peer, peers.0, peers.1)?),
            None => None,
        };
        Ok(Row { what: what.into(), ours: self.measure(&self.aiw, ours.0, ours.1)?, limit, peer })
    }

    // Long: one table of rows.
    fn rows(&self) -> Result<Vec<Row>> {
        let market = self.market.to_str().context("a path in UTF-8")?;
        let url = format!("file://{market}");
        let nothing = |_: &Path| Ok(());
        // The peer accepts no `file://` URL, so git's configuration redirects an `https` URL there for both.
        let git_url = "https://git.example.com/bench.git";
        let git_config = format!("[url \"{url}\"]\n\tinsteadOf = {git_url}\n");
        let mirrored = |home: &Path| Ok(fs::write(home.join(".gitconfig"), &git_config)?);
        let warm = |home: &Path| copy(&self.warm, home);
        let ran = |command: &mut Command| -> Result<()> {
            if !command.status()?.success() {
                bail!("the set-up of the bench failed: {command:?}");
            }
            Ok(())
        };
        let added = |home: &Path| {
            warm(home)?;
            ran(&mut self.aiw(home, &["plugin", "marketplace", "add", market, "--no-inspect"]))
        };
        let five = |home: &Path| {
            warm(home)?;
            for n in 0..5 {
                let name = format!("bench-{n}");
                ran(&mut self.aiw(home, &["plugin", "marketplace", "add", market, "--no-inspect", "--name", &name]))?;
            }
            Ok(())
        };
        let peer = self.peer.clone().unwrap_or_default();
        let peer_added = |home: &Path| ran(&mut self.command(&peer, home, &["plugin", "marketplace", "add", market]));
        let fetch = self.bare_fetch(&url)?;
        let mut rows = vec![
            self.both("--version", 5.0, (&nothing, &["--version"]), (&nothing, &["--version"]))?,
            self.both(
                "add a folder (286 entries, 53 local)",
                50.0,
                (&warm, &["plugin", "marketplace", "add", market, "--no-inspect"]),
                (&nothing, &["plugin", "marketplace", "add", market]),
            )?,
            self.both(
                &format!("add from local git (a bare fetch: {fetch:.1} ms)"),
                fetch * 1.5,
                (
                    &|home| warm(home).and_then(|()| mirrored(home)),
                    &["plugin", "marketplace", "add", git_url, "--no-inspect"],
                ),
                (&mirrored, &["plugin", "marketplace", "add", git_url]),
            )?,
            self.both(
                "list what is available",
                30.0,
                (&added, &["plugin", "list", "--available", "--all", "--json"]),
                (&peer_added, &["plugin", "list", "--available", "--json"]),
            )?,
            self.both(
                "install a small local plugin",
                60.0,
                (&added, &["plugin", "install", "context7@bench", "--yes"]),
                (&peer_added, &["plugin", "install", "context7@bench"]),
            )?,
            self.both(
                "update a marketplace, unchanged",
                30.0,
                (&added, &["plugin", "marketplace", "update", "bench", "--no-inspect"]),
                (&peer_added, &["plugin", "marketplace", "update", "bench"]),
            )?,
        ];
        for (what, limit, prepare, arguments) in [
            (
                "search over five marketplaces",
                30.0,
                &five as &dyn Fn(&Path) -> Result<()>,
                &["plugin", "search", "github"][..],
            ),
            ("start to a component's first answer, warm", 8.0, &warm, &["extension", "verify", "market-local"]),
        ] {
            rows.push(Row { what: what.into(), ours: self.measure(&self.aiw, prepare, arguments)?, limit, peer: None });
        }
        let provider = |home: &Path| {
            warm(home)?;
            ran(
                &mut self.aiw(home, &["provider", "add", "router", "--preset", "openrouter", "--token-env", "THE_KEY"])
            )?;
            // A CLI whose version no file tells is run once to ask for it.
            ran(&mut self.aiw(home, &["cli", "list"]))
        };
        let tasks = self.dir.path().join("tasks");
        provider(&tasks)?;
        for _ in 0..20 {
            ran(&mut self.aiw(&tasks, &["codex", "-p", "own", "say hello"]))?;
        }
        let with_tasks = |home: &Path| copy(&tasks, home);
        for (what, limit, prepare, arguments) in [
            ("task list, 20 tasks", 8.0, &with_tasks as &dyn Fn(&Path) -> Result<()>, &["task", "list"][..]),
            (
                "codex under a provider, all before its start",
                15.0,
                &provider,
                &["codex", "-p", "router", "--explain", "say hello"],
            ),
            (
                "codex under a provider, started detached",
                20.0,
                &provider,
                &["codex", "-p", "router", "--detach", "say hello"],
            ),
            ("cli list, warm", 20.0, &with_tasks, &["cli", "list"]),
        ] {
            rows.push(Row { what: what.into(), ours: self.measure(&self.aiw, prepare, arguments)?, limit, peer: None });
        }
        Ok(rows)
    }

    /// Returns the time from the end of the last of ten tasks until `aiw wait` in another process returns, in
    /// milliseconds.
    fn waiting(&self) -> Result<f64> {
        let home = self.dir.path().join("waiting");
        copy(&self.warm, &home)?;
        let mut over = Vec::new();
        for _ in 0..5 {
            for _ in 0..10 {
                if !self.aiw(&home, &["codex", "-p", "own", "--detach", "sleep"]).status()?.success() {
                    bail!("a task of the bench did not start");
                }
            }
            let output = self.aiw(&home, &["wait", "--json"]).stdout(Stdio::piped()).output()?;
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64() * 1e3;
            let answer: Value = serde_json::from_slice(&output.stdout)?;
            let ended = answer["tasks"].as_array().into_iter().flatten().filter_map(|task| {
                let ended = time::OffsetDateTime::parse(
                    task["ended"].as_str()?,
                    &time::format_description::well_known::Rfc3339,
                );
                Some(ended.ok()?.unix_timestamp_nanos())
            });
            let last = ended.max().context("tasks that have ended")?;
            #[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
            over.push(now - last as f64 / 1e6);
        }
        over.sort_by(f64::total_cmp);
        Ok(over[over.len() / 2])
    }

    /// Measures `git fetch` of a repository into an empty bare one.
    fn bare_fetch(&self, url: &str) -> Result<f64> {
        let mut times = Vec::new();
        for n in 0..RUNS {
            let repository = self.dir.path().join(format!("fetch-{n}.git"));
            fs::create_dir(&repository)?;
            git(&repository, &["init", "-q", "--bare"]);
            let start = Instant::now();
            git(&repository, &["fetch", "-q", url, "HEAD"]);
            times.push(start.elapsed());
        }
        times.sort();
        Ok(millis(times[RUNS / 2]))
    }
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
