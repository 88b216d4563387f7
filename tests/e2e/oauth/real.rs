//! A real authorization server: oidc-provider, which npm installed below `target/oauth`.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aiw_tests::{Environment, Run, not_run};
use serde_json::{Value, json};

use super::{Waiting, ask, kept};
use crate::mcp::Client;
use crate::terminal::Terminal;

/// An authorization server, an MCP server that takes its tokens, and a home that knows the latter.
struct World {
    env: Environment,
    issuer: String,
    mcp: String,
    log: PathBuf,
    provider: Child,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.provider.kill();
        let _ = self.provider.wait();
    }
}

/// Where a program is, of those on the `PATH`.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}

impl World {
    /// `lifetime` is that of an access token, in seconds.
    fn new(lifetime: &str) -> Option<Self> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let library = tests.parent().unwrap().join("target/oauth/node_modules/oidc-provider/lib/index.js");
        let (Some(node), Some(curl), true) = (program("node"), program("curl"), library.is_file()) else {
            not_run("node, curl or oidc-provider is absent (`npm install --prefix target/oauth oidc-provider@9`)");
            return None;
        };
        let mut env = Environment::cold();
        let log = env.path("requests");
        std::fs::write(&log, "").unwrap();
        let mut command = Command::new(node);
        command.arg(tests.join("oauth_provider.mjs")).arg(library).arg(&log).arg(lifetime);
        let mut provider = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(provider.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| said[key].as_str().unwrap().to_owned();
        env.write_mcp(&json!({"mcpServers": {"g": {"type": "http", "url": text("mcp")}}}).to_string());
        // A browser whose user agrees to everything.
        let browser = env.path("browser");
        std::fs::write(&browser, format!("#!/bin/sh\nexec {} -sL -b '' \"$1\"\n", curl.display())).unwrap();
        std::fs::set_permissions(&browser, PermissionsExt::from_mode(0o755)).unwrap();
        env.set("BROWSER", browser.to_str().unwrap());
        Some(Self { env, issuer: text("issuer"), mcp: text("mcp"), log, provider })
    }

    fn login(&self, more: &[&str]) -> Run {
        self.env.run(&[&["mcp", "login", "g", "--json"], more].concat()).ok()
    }

    /// The requests to a server so far.
    fn requests(&self, who: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.filter(|request| request["who"] == who).collect()
    }

    /// The refresh tokens that were used, in order.
    fn refreshes(&self) -> Vec<String> {
        let value = |body: &str, key: &str| {
            let mut pairs = body.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
        };
        let requests = self.requests("issuer");
        let forms = requests.iter().filter(|request| request["url"] == "/token").filter_map(|r| r["body"].as_str());
        forms
            .filter(|form| form.contains("grant_type=refresh_token"))
            .filter_map(|form| value(form, "refresh_token"))
            .collect()
    }

    /// The access tokens that the server got.
    fn tokens(&self) -> Vec<String> {
        let requests = self.requests("mcp");
        let keys = requests.iter().filter_map(|request| request["headers"]["authorization"].as_str());
        let mut tokens: Vec<String> = keys.filter_map(|key| key.strip_prefix("Bearer ")).map(str::to_owned).collect();
        tokens.dedup();
        tokens
    }

    /// From now on the server refuses the access tokens that it has got.
    fn void(&self) {
        assert_eq!(ask("POST", &self.mcp.replace("/mcp", "/void"), "text/plain", "").0, 200);
    }

    fn state(&self) -> String {
        let status = self.env.json(&["mcp", "status"]);
        status["servers"][0]["state"].as_str().unwrap_or_else(|| panic!("{status}")).to_owned()
    }
}

/// Calls a tool in a session: the text of its answer, whatever it is.
fn call(client: &mut Client, tool: &str) -> String {
    client.call("call_tool", json!({"server": "g", "tool": tool, "arguments": {}})).to_string()
}

#[test]
fn one_login_serves_running_sessions_steps_up_and_ends() {
    let Some(world) = World::new("3600") else { return };
    let env = &world.env;
    let mut client = Client::initialized(env);
    let sentence = "the MCP server `g` needs a login: the user runs `aiw mcp login g`";
    assert!(call(&mut client, "echo").contains(sentence));
    assert_eq!(world.state(), "auth_required");
    assert!(env.run(&["mcp", "doctor"]).stdout.contains("aiw mcp login g"));
    assert_eq!(world.tokens(), [""; 0]);

    let mut said = world.login(&[]).whole();
    let answer = call(&mut client, "echo");
    assert!(answer.contains("echo done"), "{answer}");
    assert_eq!(world.state(), "ready");
    let narrow = call(&mut client, "write");
    assert!(narrow.contains("`aiw mcp login g --scope write`"), "{narrow}");
    assert!(call(&mut client, "echo").contains("echo done"));
    said += &world.login(&["--scope", "write"]).whole();
    std::thread::sleep(Duration::from_millis(1100));
    let answer = call(&mut client, "write");
    assert!(answer.contains("write done"), "{answer}");
    for request in world.requests("issuer").iter().filter(|request| request["url"] == "/token") {
        let resource = world.mcp.replace(':', "%3A").replace('/', "%2F");
        assert!(request["body"].as_str().unwrap().contains(&format!("resource={resource}")), "{request}");
    }

    let out = env.run(&["mcp", "logout", "g", "--json"]).ok();
    assert_eq!(out.json(), json!({"server": "g", "removed": true, "revoked": true}));
    assert_eq!(kept(env), [""; 0]);
    std::thread::sleep(Duration::from_millis(1100));
    assert!(call(&mut client, "echo").contains(sentence));
    assert_eq!(world.requests("issuer").iter().filter(|r| r["url"] == "/token/revocation").count(), 2);

    // What was given to whom, and what was written down.
    let issuer = world.requests("issuer");
    let revoked: Vec<String> = issuer
        .iter()
        .filter(|request| request["url"] == "/token/revocation")
        .filter_map(|request| request["body"].as_str()?.split('&').find_map(|pair| pair.strip_prefix("token=")))
        .map(str::to_owned)
        .collect();
    let mut secrets = world.tokens();
    assert!(secrets.len() >= 2 && revoked.len() == 2, "{secrets:?} {revoked:?}");
    assert!(
        !world.requests("mcp").iter().any(|request| request.to_string().contains(&revoked[0])),
        "the refresh token"
    );
    secrets.extend(revoked);
    said += &out.whole();
    for file in files(&env.home()) {
        said += &String::from_utf8_lossy(&std::fs::read(file).unwrap());
    }
    for secret in secrets {
        assert!(secret.len() > 20 && !said.contains(&secret), "a token was shown or written");
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    entries
        .flat_map(|entry| match entry.file_type().unwrap() {
            kind if kind.is_dir() => files(&entry.path()),
            kind if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn many_processes_with_an_old_token_use_one_refresh() {
    let Some(world) = World::new("3600") else { return };
    world.login(&[]);
    for round in 1..=2 {
        world.void();
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| world.env.run(&["mcp", "call", "g", "echo"]))).collect();
            for call in calls {
                assert_eq!(call.join().unwrap().ok().stdout, "echo done\n");
            }
        });
        let refreshes = world.refreshes();
        assert_eq!(refreshes.len(), round, "one refresh a round");
        assert!(refreshes.windows(2).all(|two| two[0] != two[1]), "the refresh token rotates");
    }
}

#[test]
fn an_expired_token_is_refreshed_before_it_is_sent() {
    let Some(world) = World::new("3") else { return };
    world.login(&[]);
    let mut client = Client::initialized(&world.env);
    assert!(call(&mut client, "echo").contains("echo done"));
    std::thread::sleep(Duration::from_secs(4));
    let answer = call(&mut client, "echo");
    assert!(answer.contains("echo done"), "{answer}");
    assert!(!world.refreshes().is_empty());
}

#[test]
fn a_refresh_token_that_somebody_else_used_ends_the_login_with_a_word() {
    let Some(world) = World::new("3600") else { return };
    world.login(&[]);
    world.void();
    assert_eq!(world.env.run(&["mcp", "call", "g", "echo"]).ok().stdout, "echo done\n");
    // It is used again: the authorization server takes it for stolen, and revokes all of the grant.
    let form = |request: &Value| request["body"].as_str().unwrap().to_owned();
    let requests = world.requests("issuer");
    let used = requests.iter().map(form).find(|form| form.contains("grant_type=refresh_token")).unwrap();
    let token = format!("{}/token", world.issuer);
    assert_eq!(ask("POST", &token, "application/x-www-form-urlencoded", &used).0, 400);
    let refused = world.env.run(&["mcp", "call", "g", "echo"]);
    assert_eq!(refused.code, 2, "{}", refused.whole());
    assert!(refused.stderr.contains("`aiw mcp login g`"), "{}", refused.stderr);
    assert_eq!(kept(&world.env), [""; 0]);
    // A new login works again.
    world.login(&[]);
    assert_eq!(world.env.run(&["mcp", "call", "g", "echo"]).ok().stdout, "echo done\n");
}

#[test]
fn a_code_is_worth_nothing_in_another_login() {
    let Some(world) = World::new("3600") else { return };
    // The code of one login, taken out of its redirect.
    let (first, second) = (Waiting::start(&world.env, &[]), Waiting::start(&world.env, &[]));
    let curl = program("curl").unwrap();
    let mut command = Command::new(curl);
    let stolen = command.args(["-s", "-L", "-b", "", "-o", "/dev/null", "-w", "%{url_effective}"]);
    let stolen = stolen.arg(first.url.as_ref().unwrap()).output().unwrap();
    let landed = String::from_utf8(stolen.stdout).unwrap();
    let code = landed.split_once("code=").unwrap().1.split('&').next().unwrap().to_owned();
    assert_eq!(first.end().code, 0);
    let state = second.parameter("state").unwrap();
    second.comes_back(&format!("code={code}&state={state}&iss={}", world.issuer));
    let refused = second.end();
    assert_ne!(refused.code, 0);
    assert!(refused.whole().contains("invalid_grant"), "{}", refused.whole());
}

#[test]
fn a_client_that_was_registered_by_hand_proves_who_it_is_with_its_secret() {
    let Some(world) = World::new("3600") else { return };
    world.env.run_with_input(&["secret", "set", "client"], "canary secret/of+the:client").ok();
    let run = world.login(&["--client-id", "by-hand", "--client-secret", "client"]);
    assert!(!run.whole().contains("canary"), "{}", run.whole());
    assert_eq!(world.env.run(&["mcp", "call", "g", "echo"]).ok().stdout, "echo done\n");
    world.void();
    assert_eq!(world.env.run(&["mcp", "call", "g", "echo"]).ok().stdout, "echo done\n");
    assert_eq!(world.refreshes().len(), 1);
    world.env.run(&["mcp", "logout", "g"]).ok();
    // Now the server's entry names the client.
    let oauth = json!({"clientId": "by-hand", "clientSecret": "${secret:client}", "scopes": ["read", "write"]});
    let entry = json!({"type": "http", "url": world.mcp, "oauth": oauth});
    world.env.write_mcp(&json!({"mcpServers": {"g": entry}}).to_string());
    world.login(&[]);
    assert_eq!(world.env.run(&["mcp", "call", "g", "write"]).ok().stdout, "write done\n");
    let registrations = world.requests("issuer").iter().filter(|request| request["url"] == "/reg").count();
    assert_eq!(registrations, 0);
}

#[test]
fn the_address_that_a_browser_elsewhere_ended_up_at_can_be_pasted() {
    let Some(world) = World::new("3600") else { return };
    let mut terminal = Terminal::start(&world.env, &["mcp", "login", "g", "--no-browser"]);
    terminal.wait_for("paste the address");
    let screen: String = terminal.shown().lines().map(str::trim_end).collect();
    let url = screen.split_once("http://").unwrap().1;
    let url = url.split_once("http://").unwrap().1.split("If the browser").next().unwrap();
    // It goes all the way but the last step, which leads to the other machine itself.
    let mut landed = String::new();
    for most in 1..8 {
        let mut command = Command::new(program("curl").unwrap());
        command.args(["-s", "-L", "-b", "", "-o", "/dev/null", "-w", "%{redirect_url}", "--max-redirs"]);
        let output = command.arg(most.to_string()).arg(format!("http://{url}")).output().unwrap();
        landed = String::from_utf8(output.stdout).unwrap();
        if landed.contains("code=") {
            break;
        }
    }
    assert!(landed.contains("/callback/"), "{landed}\n{screen}");
    terminal.press("https://elsewhere.example/?code=x\r");
    terminal.wait_for("That is not the address");
    terminal.press(format!("{landed}\r"));
    terminal.wait_for("Logged in to `g`");
    assert_eq!(world.env.run(&["mcp", "call", "g", "echo"]).ok().stdout, "echo done\n");
}
