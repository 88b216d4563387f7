//! Everything that the real Claude Code, Codex and Gemini CLI send under aiw's providers, for a user who is signed
//! in everywhere and whose settings lead elsewhere. A proxy with its own certificate authority reads all traffic
//! through it, and `strace` sees what bypasses it.

mod logins;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aiw_tests::{Environment, Lane, Run, Sent, describing, git, not_run, real_cli};
use logins::USERS;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::terminal::Terminal;

const CLIS: [&str; 3] = ["claude", "codex", "gemini"];

/// The prefix of every secret of a provider.
const PROVIDERS: &str = "providers-canary-";

/// The headers that identify someone, and those that hostile settings would add.
const CREDENTIALS: [&str; 12] = [
    "api-key",
    "authorization",
    "chatgpt-account-id",
    "cookie",
    "openai-organization",
    "openai-project",
    "proxy-authorization",
    "x-api-key",
    "x-by-header",
    "x-goog-api-key",
    "x-goog-user-project",
    "x-users",
];

/// A machine whose user is signed in everywhere.
struct Machine {
    env: Environment,
    project: PathBuf,
}

/// What a run sent.
struct Traffic {
    sent: Vec<Sent>,
    /// The connections that bypassed the proxy.
    around: Vec<String>,
}

impl Machine {
    /// Creates a machine with these CLIs. Prints a message and returns `None` if something is missing.
    fn with(clis: &[&str]) -> Option<Self> {
        let mut bins = Vec::new();
        for cli in clis {
            let Some(real) = real_cli(cli) else {
                not_run(&format!("{cli} is absent"));
                return None;
            };
            bins.push(real.parent().unwrap().to_owned());
        }
        if let Err(why) = Lane::open() {
            not_run(why);
            return None;
        }
        let mut env = Environment::new();
        let project = env.path("project");
        fs::create_dir_all(&project).unwrap();
        git(&project, &["init", "-q"]);
        logins::sign_in(&mut env, &project);
        bins.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        env.set("PATH", std::env::join_paths(bins).unwrap().into_string().unwrap());
        env.set("PROVIDERS_MORE", format!("{PROVIDERS}more"));
        let component = env.path("auths.wasm");
        fs::write(&component, describing("hostile-provider", "auths")).unwrap();
        env.run(&["extension", "add", &component.display().to_string(), "--yes"]).ok();
        Some(Self { env, project })
    }

    /// Adds a provider with its own token, whose host answers from a script. Returns the host.
    fn provider(&self, lane: &Lane, name: &str, preset: &str, turns: &Value) -> String {
        // All tests share the proxy, but only this one has this lane.
        let host = format!("{name}.lane-{}.test", lane.address().port());
        lane.serve(&host, turns);
        let urls = [("anthropic", ""), ("openai", "/v1"), ("gemini", "")];
        let urls = urls.map(|(family, path)| format!("{family}=https://{host}{path}"));
        let mut add = vec!["provider", "add", name, "--preset", preset, "--token-stdin", "--model", "providers-main"];
        if preset.starts_with("by-") {
            add.extend(["--secret-env", "more=PROVIDERS_MORE"]);
        }
        urls.iter().for_each(|url| add.extend(["--base-url", url]));
        self.env.run_with_input(&add, format!("{}\n", token(name))).ok();
        host
    }

    /// Runs a CLI under a provider.
    fn run(&self, lane: &Lane, cli: &str, provider: &str, more: &[&str]) -> (Run, Traffic) {
        let project = self.project.display().to_string();
        let arguments = [&[cli, "--cwd", &project, "-p", provider, "--timeout", "100s", "Say hello"], more].concat();
        self.record(lane, self.env.command(&arguments))
    }

    /// Runs a command through a lane, and traces it and its child processes.
    fn record(&self, lane: &Lane, mut command: Command) -> (Run, Traffic) {
        command.envs(lane.variables());
        let trace = self.env.path(&format!("trace-{}", lane.address().port()));
        lane.clear();
        let run = to_its_end(Lane::traced(&command, &trace));
        (run, Traffic { sent: lane.sent(), around: lane.around(&trace) })
    }
}

/// Returns the token of a provider.
fn token(provider: &str) -> String {
    format!("{PROVIDERS}token-{provider}")
}

fn to_its_end(mut command: Command) -> Run {
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = std::thread::spawn(move || std::io::read_to_string(&mut stdout).unwrap_or_default());
    let err = std::thread::spawn(move || std::io::read_to_string(&mut stderr).unwrap_or_default());
    let code = wait(&mut child);
    Run { code, stdout: out.join().unwrap(), stderr: err.join().unwrap() }
}

fn wait(child: &mut Child) -> i32 {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if start.elapsed() > aiw_tests::HANG_TIMEOUT {
            let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
            let _ = child.wait();
            return -1;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Traffic {
    /// Returns what should not have been sent: the user's data to a provider, a provider's to another one, anything
    /// to anyone else, anything around the proxy. For hosts in `anyway`, only secrets count.
    fn leaks(&self, hosts: &[(&str, &str)], anyway: &[&str]) -> BTreeSet<String> {
        let mut leaks: BTreeSet<String> = self.around.iter().cloned().collect();
        for sent in &self.sent {
            let whole = sent.request.as_ref().map(Value::to_string).unwrap_or_default();
            let what = format!("{}{}", sent.host, sent.path());
            let Some((_, name)) = hosts.iter().find(|(host, _)| *host == sent.host) else {
                if !anyway.contains(&sent.host.as_str()) {
                    leaks.insert(format!("{what} is asked"));
                }
                leaks.extend(canaries(&whole).map(|canary| format!("{what} gets {canary}")));
                continue;
            };
            let own = [token(name), format!("{PROVIDERS}more"), format!("{PROVIDERS}literal")];
            let others = canaries(&whole).filter(|canary| !own.contains(canary));
            leaks.extend(others.map(|canary| format!("{what} gets {canary}")));
        }
        leaks
    }

    /// Checks that nothing leaked.
    fn check(&self, hosts: &[(&str, &str)], said: &str) {
        assert_eq!(self.leaks(hosts, &[]), BTreeSet::new(), "{said}");
    }

    /// Returns the requests to a host.
    fn to<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Sent> {
        self.sent.iter().filter(move |sent| sent.host == host && sent.request.is_some())
    }
}

/// Finds the secrets in a text, each in full.
fn canaries(text: &str) -> impl Iterator<Item = String> {
    let text = text.to_lowercase();
    let found: BTreeSet<String> = [USERS, PROVIDERS]
        .iter()
        .flat_map(|beginning| text.match_indices(beginning))
        .map(|(at, _)| text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect())
        .collect();
    found.into_iter()
}

/// Returns the headers that identify a CLI, for each way in which a provider can expect a key. Gemini CLI also
/// sends its key in its own header. Claude Code would send the key that the user saved there.
fn expected(cli: &str, way: &str, token: &str) -> Vec<(&'static str, String)> {
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    match (cli, way) {
        ("claude", "by-none") => vec![bearer("none"), ("x-api-key", "none".to_owned())],
        ("claude", "by-bearer") => vec![bearer(token), ("x-api-key", token.to_owned())],
        ("claude", "by-api-key") => vec![("x-api-key", token.to_owned())],
        ("claude", "by-header") => {
            vec![bearer("none"), ("x-api-key", "none".to_owned()), ("x-by-header", token.to_owned())]
        }
        ("codex", "by-none") => vec![],
        ("codex", "by-header") => vec![("x-by-header", token.to_owned())],
        ("gemini", "by-bearer") => vec![bearer(token), ("x-goog-api-key", token.to_owned())],
        ("gemini", "by-none") => vec![("x-goog-api-key", "none".to_owned())],
        ("gemini", "by-api-key") => vec![("x-goog-api-key", token.to_owned())],
        ("gemini", "by-header") => vec![("x-by-header", token.to_owned()), ("x-goog-api-key", "none".to_owned())],
        _ => vec![bearer(token)],
    }
}

/// Runs a CLI under a provider of each kind, and then continues the session.
fn each_way(cli: &str) {
    let Some(machine) = Machine::with(&[cli]) else { return };
    for way in ["by-none", "by-bearer", "by-api-key", "by-header"] {
        let lane = Lane::open().unwrap();
        let host = machine.provider(&lane, way, way, &json!([{"text": "Hello from the model.", "repeat": true}]));
        let first = machine.run(&lane, cli, way, &[]);
        let again = || {
            let tasks = machine.env.json(&["task", "list"])["tasks"].clone();
            let task = tasks.as_array().unwrap().iter().find(|task| task["provider"] == way).unwrap()["id"].clone();
            let session = machine.env.json(&["task", "show", task.as_str().unwrap()])["task"]["session"].clone();
            let resume = if cli == "codex" { "resume" } else { "--resume" };
            machine.run(&lane, cli, way, &["--", resume, session.as_str().unwrap()])
        };
        let runs = if way == "by-bearer" { vec![first, again()] } else { vec![first] };
        for (run, traffic) in &runs {
            let said = format!("{cli} {way}: {}", run.whole());
            assert_eq!((run.code, run.stdout.as_str()), (0, "Hello from the model.\n"), "{said}");
            traffic.check(&[(&host, way)], &said);
            assert!(traffic.to(&host).any(|sent| sent.body().contains("Say hello")), "{said}");
            for sent in traffic.to(&host) {
                let what = format!("{cli} {way}: {}", sent.path());
                let values =
                    |name: &'static str| sent.header(name).into_iter().map(move |value| (name, value.to_owned()));
                let is: Vec<_> = CREDENTIALS.into_iter().flat_map(values).collect();
                assert_eq!(is, expected(cli, way, &token(way)), "{what}");
                assert_eq!(sent.header("x-literal"), ["providers-canary-literal"], "{what}");
                assert_eq!(sent.header("x-secret"), ["providers-canary-more"], "{what}");
            }
        }
        if let [(_, first), (_, again)] = runs.as_slice() {
            let longest =
                |traffic: &Traffic| traffic.to(&host).map(|sent| sent.body().matches("Say hello").count()).max();
            assert!(longest(again) > longest(first), "{cli} has not gone on with the session");
        }
    }
}

#[test]
fn claude_code_sends_nothing_of_the_users_to_a_provider_and_nothing_elsewhere() {
    each_way("claude");
}

#[test]
fn codex_sends_nothing_of_the_users_to_a_provider_and_nothing_elsewhere() {
    each_way("codex");
}

#[test]
fn gemini_cli_sends_nothing_of_the_users_to_a_provider_and_nothing_elsewhere() {
    each_way("gemini");
}

/// On a terminal, the CLIs contact more hosts, and Claude Code asks whether to use a key that is not a login.
#[test]
fn on_a_terminal_too_nothing_of_the_users_goes_to_a_provider_and_nothing_elsewhere() {
    for (cli, prompt) in [("claude", "'Say hello'"), ("codex", "'Say hello'"), ("gemini", "-i 'Say hello'")] {
        let Some(mut machine) = Machine::with(&[cli]) else { continue };
        let lane = Lane::open().unwrap();
        for (name, value) in lane.variables() {
            machine.env.set(name, value);
        }
        let host =
            machine.provider(&lane, "seen", "by-api-key", &json!([{"text": "Hello from the model.", "repeat": true}]));
        let trace = machine.env.path("trace");
        let project = machine.project.display();
        let traced = Lane::traced(&Command::new("\"$0\""), &trace);
        let words: Vec<_> =
            std::iter::once(traced.get_program()).chain(traced.get_args()).map(|word| word.to_string_lossy()).collect();
        let script = format!("{} {cli} --cwd {project} -p seen -- {prompt}", words.join(" "));
        let terminal = Terminal::shell(&machine.env, &script);
        terminal.wait_for("Hello from the model.");
        // Codex fetches its maker's announcement, which cannot be switched off, and contacts itself through the
        // proxy.
        let anyway = if cli == "codex" { vec!["raw.githubusercontent.com", "127.0.0.1"] } else { Vec::new() };
        // Whatever the CLI does in the background, it does soon.
        std::thread::sleep(Duration::from_secs(2));
        let traffic = Traffic { sent: lane.sent(), around: lane.around(&trace) };
        end_all(&trace);
        assert_eq!(traffic.leaks(&[(&host, "seen")], &anyway), BTreeSet::new(), "{cli}: {}", terminal.shown());
        assert!(traffic.to(&host).any(|sent| sent.body().contains("Say hello") && sent.says(&token("seen"))), "{cli}");
    }
}

/// Ends every process of a trace. `strace` does not leave when its terminal does, and neither does what it traces.
fn end_all(trace: &Path) {
    let text = fs::read_to_string(trace).unwrap();
    let numbers = text.lines().filter_map(|line| line.split(' ').next()?.parse().ok());
    for process in numbers.collect::<BTreeSet<i32>>().into_iter().filter_map(Pid::from_raw) {
        // Most have ended, and many are threads.
        let _ = kill_process(process, Signal::KILL);
    }
}

/// A CLI that is refused or gets no answer tries neither the user's login nor another host.
#[test]
fn a_provider_that_fails_sends_no_cli_elsewhere() {
    let failures = [
        ("s401", json!([{"status": 401, "repeat": true}])),
        ("s403", json!([{"status": 403, "repeat": true}])),
        ("s500", json!([{"status": 500, "repeat": true}])),
        ("closed", json!({"close": true})),
    ];
    for cli in CLIS {
        let Some(machine) = Machine::with(&[cli]) else { continue };
        let machine = &machine;
        std::thread::scope(|scope| {
            for (name, turns) in &failures {
                scope.spawn(move || {
                    let lane = Lane::open().unwrap();
                    let host = machine.provider(&lane, name, "by-bearer", turns);
                    let (run, traffic) = machine.run(&lane, cli, name, &[]);
                    let said = format!("{cli} {name}: {}", run.whole());
                    assert_ne!(run.code, 0, "{said}");
                    traffic.check(&[(&host, name)], &said);
                    assert!(traffic.to(&host).any(|sent| sent.says(&token(name))), "{said}");
                });
            }
        });
    }
}

/// A CLI under one provider starts CLIs under another. Neither gets anything that belongs to the other.
#[test]
fn a_run_within_a_run_keeps_to_its_own_provider() {
    let Some(machine) = Machine::with(&CLIS) else { return };
    let lane = Lane::open().unwrap();
    let (binary, _) = machine.env.parts();
    let inner =
        CLIS.map(|cli| format!("{} {cli} -p inner 'Greet whoever asks' || exit 1", binary.display())).join("; ");
    let call =
        json!({"name": "Bash", "input": {"command": format!("{inner}; echo all three are done"), "timeout": 200_000}});
    let outer = machine.provider(
        &lane,
        "outer",
        "by-bearer",
        &json!([
            {"match": "Say hello", "offers": "^Bash$", "tools": [call]},
            {"result": "all three are done", "text": "Hello from the model."},
        ]),
    );
    let inner = machine.provider(&lane, "inner", "custom", &json!([{"text": "Greetings.", "repeat": true}]));
    let (run, traffic) = machine.run(&lane, "claude", "outer", &["--", "--allowedTools", "Bash"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "Hello from the model.\n"), "{}", run.whole());
    traffic.check(&[(&outer, "outer"), (&inner, "inner")], &run.whole());
    for path in ["/v1/messages", "/v1/responses", "/v1beta/models/"] {
        let asked =
            traffic.to(&inner).any(|sent| sent.path().starts_with(path) && sent.body().contains("Greet whoever asks"));
        assert!(asked, "{path}");
    }
}

/// Without aiw, the same user's CLIs do send her secrets. This shows that the record can detect them.
#[test]
fn the_record_shows_what_the_clis_send_without_aiw() {
    if let (Some(machine), Ok(lane)) = (Machine::with(&[]), Lane::open()) {
        let trace = machine.env.path("trace");
        let mut around = machine.env.program("git".as_ref());
        around.args(["ls-remote", "http://127.0.0.1:9/x"]);
        assert_ne!(to_its_end(Lane::traced(&around, &trace)).code, 0);
        let seen = lane.around(&trace);
        assert!(seen.iter().any(|call| call.contains("sin_port=htons(9)")), "{seen:?}");
    }
    for (cli, arguments) in
        [("claude", &["-p", "Say hello"][..]), ("codex", &["exec", "Say hello"]), ("gemini", &["-p", "Say hello"])]
    {
        let Some(machine) = Machine::with(&[cli]) else { continue };
        let lane = Lane::open().unwrap();
        let mut command = machine.env.program(&real_cli(cli).unwrap());
        command.args(arguments).current_dir(&machine.project);
        let (run, traffic) = machine.record(&lane, command);
        let leaks = traffic.leaks(&[], &[]);
        let said = format!("{cli}: {leaks:?} {}", run.whole());
        assert!(leaks.iter().any(|leak| leak.contains(&format!("gets {USERS}"))), "{said}");
    }
}
