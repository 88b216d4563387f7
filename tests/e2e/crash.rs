//! Concurrent processes and processes that die: they leave the old state or the new one, never something between.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::{Child, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use aiw_tests::{Answer, Environment, Market, Run, Server};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// How often something is killed; `cargo xtask soak` asks for more.
pub(crate) fn rounds() -> u64 {
    std::env::var("AIW_SOAK_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap())
}

fn market(plugins: usize) -> (Environment, Market) {
    let env = Environment::new();
    let mut market = Market::new(env.path("m"), "m");
    for n in 0..plugins {
        let server = json!({"command": "true", "args": ["${CLAUDE_PLUGIN_ROOT}/x"], "env": {"N": n.to_string()}});
        market = market.plugin(&format!("p{n}"), "1.0.0", json!({format!("s{n}"): server}));
        for file in 0..20 {
            market.put(&format!("plugins/p{n}/files/{file}.txt"), &"x".repeat(2000));
        }
    }
    env.add(market.root()).ok();
    (env, market)
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits for a process to end, and kills it if it hangs.
fn ended(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > aiw_tests::HANG_TIMEOUT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the process did not end within {:?}", aiw_tests::HANG_TIMEOUT);
        }
        sleep(Duration::from_millis(2));
    }
}

fn all(children: Vec<Child>) -> Vec<Run> {
    children.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect()
}

fn document(env: &Environment, name: &str) -> Value {
    let text = env.read(name);
    if text.is_empty() {
        return json!({});
    }
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}: {text}"))
}

/// Checks that the documents agree, and returns the ids of what is installed.
fn consistent(env: &Environment) -> BTreeSet<String> {
    let (plugins, mcp, settings) =
        (document(env, "plugins.json"), document(env, "mcp.json"), document(env, "settings.json"));
    let keys =
        |value: &Value| value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect::<BTreeSet<_>>();
    let installed = keys(&plugins["plugins"]);
    assert_eq!(keys(&plugins["servers"]), keys(&mcp["mcpServers"]), "{plugins:#}\n{mcp:#}");
    assert_eq!(installed, keys(&settings["enabledPlugins"]), "{plugins:#}\n{settings:#}");
    for (id, record) in plugins["plugins"].as_object().into_iter().flatten() {
        let digest = record["digest"].as_str().unwrap();
        assert!(env.home().join("plugins").join(digest).join(".mcp.json").is_file(), "the tree of {id}");
        for server in record["servers"].as_array().unwrap() {
            let key = server["key"].as_str().unwrap();
            assert_eq!(plugins["servers"][key]["owners"], json!([id]));
            assert_eq!(mcp["mcpServers"][key], server["written"]);
        }
    }
    installed
}

fn ids(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(|n| format!("p{n}@m")).collect()
}

#[test]
fn eight_installs_at_once_are_all_recorded_and_eight_removes_too() {
    let (env, _market) = market(8);
    let installs = (0..8).map(|n| env.start(&["plugin", "install", &format!("p{n}"), "--yes"])).collect();
    for run in all(installs) {
        assert_eq!(run.code, 0, "{}", run.whole());
    }
    assert_eq!(consistent(&env), ids(0..8));
    let removes = (0..8).map(|n| env.start(&["plugin", "remove", &format!("p{n}")])).collect();
    for run in all(removes) {
        assert_eq!(run.code, 0, "{}", run.whole());
    }
    assert_eq!(consistent(&env), ids([]));
    assert_eq!(fs::read_dir(env.home().join("plugins")).unwrap().count(), 0);
}

#[test]
fn installs_and_removes_at_once_do_not_disturb_each_other() {
    let (env, _market) = market(8);
    for n in 0..4 {
        env.run(&["plugin", "install", &format!("p{n}"), "--yes"]).ok();
    }
    let at_once = (0..8)
        .map(|n| {
            let id = format!("p{n}");
            if n < 4 { env.start(&["plugin", "remove", &id]) } else { env.start(&["plugin", "install", &id, "--yes"]) }
        })
        .collect();
    for run in all(at_once) {
        assert_eq!(run.code, 0, "{}", run.whole());
    }
    assert_eq!(consistent(&env), ids(4..8));
}

#[test]
fn the_same_plugin_installed_by_several_at_once_is_installed_once() {
    let (env, _market) = market(1);
    let runs = all((0..6).map(|_| env.start(&["plugin", "install", "p0", "--yes"])).collect());
    assert!(runs.iter().any(|run| run.code == 0));
    for run in runs.iter().filter(|run| run.code != 0) {
        assert_eq!(run.code, 2, "{}", run.whole());
        assert_eq!(run.stderr, "error: plugin `p0@m` changed in the meantime; nothing was done\n");
    }
    assert_eq!(consistent(&env), ids([0]));
    assert_eq!(fs::read_dir(env.home().join("plugins")).unwrap().count(), 1);
}

#[test]
fn marketplaces_added_by_several_at_once_are_all_there() {
    let env = Environment::new();
    let markets: Vec<Market> = (0..6).map(|n| Market::new(env.path(&format!("m{n}")), &format!("m{n}"))).collect();
    let adds = markets.iter().map(|m| env.start(&["plugin", "marketplace", "add", &m.root().display().to_string()]));
    for run in all(adds.collect()) {
        assert_eq!(run.code, 0, "{}", run.whole());
    }
    let listed = env.json(&["plugin", "marketplace", "list"]);
    assert_eq!(listed["marketplaces"].as_array().unwrap().len(), 2 + 6);
}

/// A small random number generator (xorshift64), so that a failed round can be repeated.
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    pub(crate) fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_state_or_the_new() {
    let (env, market) = market(4);
    let mut seed = Seed(0x5eed_2026);
    let mut killed = 0;
    // The kills are spread over what a command takes here: on a busy machine none ends within a fixed time.
    let start = Instant::now();
    env.run(&["plugin", "install", "p0", "--yes"]).ok();
    let command_us = u64::try_from(start.elapsed().as_micros()).unwrap();
    for round in 0..25 {
        let n = usize::try_from(seed.next(4)).unwrap();
        let (id, name) = (format!("p{n}@m"), format!("p{n}"));
        let before = consistent(&env);
        let arguments = match (before.contains(&id), seed.next(2)) {
            (false, _) => vec!["plugin", "install", &name, "--yes"],
            (true, 0) => vec!["plugin", "remove", &name],
            (true, _) => {
                market.put(
                    &format!("plugins/p{n}/.claude-plugin/plugin.json"),
                    &json!({"name": name, "version": format!("1.{round}.0")}).to_string(),
                );
                vec!["plugin", "update", &name]
            }
        };
        let mut child = env.start(&arguments);
        sleep(Duration::from_micros(seed.next(command_us)));
        killed += u32::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();

        // Each document is valid even before anything repairs the state. After the next command they agree.
        for name in ["mcp.json", "plugins.json", "settings.json"] {
            document(&env, name);
        }
        env.run(&["plugin", "list"]).ok();
        let after = consistent(&env);
        let changed: Vec<_> = before.symmetric_difference(&after).collect();
        assert!(changed.is_empty() || changed == [&id], "round {round}, {arguments:?}: {changed:?}");
        assert!(!env.home().join(".journal.json").exists(), "round {round}");
    }
    assert!(killed > 0, "every process had ended before it was killed");

    // Leftovers are removed: trees with the next change, half-written files after a day.
    let left = |prefix: &str| {
        let dirs = [env.home(), env.home().join("plugins")];
        let names = dirs.iter().flat_map(|dir| fs::read_dir(dir).unwrap().flatten().map(|file| file.path()));
        names
            .filter(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(prefix)))
            .collect::<Vec<_>>()
    };
    fs::create_dir(env.home().join("plugins/.new-left")).unwrap();
    fs::write(env.home().join(".aiw-left"), "").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    for path in left(".new-").into_iter().chain(left(".aiw-")) {
        File::open(path).unwrap().set_modified(long_ago).unwrap();
    }
    for id in consistent(&env) {
        env.run(&["plugin", "remove", &id]).ok();
    }
    env.run(&["plugin", "install", "p0", "--yes"]).ok();
    assert_eq!(left(".new-").len() + left(".aiw-").len(), 0);
    assert_eq!(fs::read_dir(env.home().join("plugins")).unwrap().count(), 1);
}

#[test]
fn a_journal_that_was_left_behind_is_completed_by_the_next_command_that_only_reads() {
    let (env, _market) = market(1);
    env.run(&["plugin", "install", "p0", "--yes"]).ok();
    let (mcp, plugins) = (env.home().join("mcp.json"), env.home().join("plugins.json"));
    let (mcp_after, plugins_after) = (fs::read_to_string(&mcp).unwrap(), fs::read_to_string(&plugins).unwrap());
    // As if the process had died between writing the first file and the second.
    fs::remove_file(&mcp).unwrap();
    let journal = json!([
        {"path": plugins, "old": "something else", "new": plugins_after},
        {"path": mcp, "old": null, "new": mcp_after},
    ]);
    fs::write(env.home().join(".journal.json"), journal.to_string()).unwrap();
    env.run(&["plugin", "list"]).ok();
    assert_eq!(fs::read_to_string(&mcp).unwrap(), mcp_after);
    assert_eq!(consistent(&env), ids([0]));
}

/// Runs a command against a server that never answers, and stops it with a signal.
fn stopped(arguments: &[&str], with: Signal) -> (Environment, Run) {
    let (env, _market) = market(1);
    env.run(&["plugin", "install", "p0", "--yes"]).ok();
    let before = ["mcp.json", "plugins.json", "settings.json"].map(|name| env.read(name));
    let server = Server::start(|_| Answer::Silence);
    let put: Vec<String> = arguments.iter().map(|word| word.replace("URL", &server.url())).collect();
    let mut child = env.start(&put.iter().map(String::as_str).collect::<Vec<_>>());
    let start = Instant::now();
    while server.seen().is_empty() {
        assert!(
            start.elapsed() < aiw_tests::HANG_TIMEOUT && child.try_wait().unwrap().is_none(),
            "it never asked the server"
        );
        sleep(Duration::from_millis(5));
    }
    signal(&child, with);
    ended(&mut child);
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(["mcp.json", "plugins.json", "settings.json"].map(|name| env.read(name)), before);
    assert_eq!(consistent(&env), ids([0]));
    assert_eq!(fs::read_dir(env.home().join("plugins")).unwrap().count(), 1);
    (env, run)
}

#[test]
fn ctrl_c_ends_a_fetch_with_130_and_nothing_is_half_written() {
    let (_env, run) = stopped(&["plugin", "marketplace", "add", "URL/marketplace.json", "--yes"], Signal::INT);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (130, "", ""));
}

#[test]
fn sigterm_ends_a_fetch_with_143_and_nothing_is_half_written() {
    let (_env, run) = stopped(&["plugin", "marketplace", "add", "URL/marketplace.json", "--yes"], Signal::TERM);
    assert_eq!((run.code, run.stderr.as_str()), (143, ""));
}

#[test]
fn ctrl_c_ends_a_git_fetch_too() {
    let (_env, run) = stopped(&["plugin", "marketplace", "add", "URL/m.git", "--yes"], Signal::INT);
    assert_eq!((run.code, run.stderr.as_str()), (130, ""));
}

#[test]
fn ctrl_c_with_json_is_an_error_object() {
    let (_env, run) = stopped(&["plugin", "marketplace", "add", "URL/m.git", "--yes", "--json"], Signal::INT);
    assert_eq!(run.code, 130);
    assert_eq!(run.json()["error"]["kind"], "interrupted");
}

#[test]
fn ctrl_c_ends_the_wait_for_another_process() {
    let (env, _market) = market(1);
    let lock = File::options().write(true).create(true).truncate(false).open(env.home().join(".lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut child = env.start(&["plugin", "install", "p0", "--yes"]);
    sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "it waits for the lock");
    signal(&child, Signal::INT);
    ended(&mut child);
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(run.code, 130, "{}", run.whole());
    drop(lock);
    assert_eq!(consistent(&env), ids([]));
}
