//! Trust in the files of a project: which bytes are used, from which path, and what a program starts in.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aiw_tests::{Environment, Run};
use serde_json::{Value, json};

use crate::mcp::Client;
use crate::until;

/// A program that leaves a mark when it runs, and is no MCP server otherwise.
fn program(path: &Path, mark: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\npwd > '{}'\n", mark.display())).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn declare(directory: &Path, servers: &Value) {
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join(".mcp.json"), json!({ "mcpServers": servers }).to_string()).unwrap();
}

/// The digest of bytes, as settings hold it.
fn digest(path: &Path, bytes: &[u8]) -> String {
    fs::write(path, bytes).unwrap();
    let said = std::process::Command::new("sha256sum").arg(path).output().unwrap().stdout;
    format!("sha256:{}", String::from_utf8(said).unwrap().split_whitespace().next().unwrap())
}

/// Runs the binary in a directory.
fn within(env: &Environment, directory: &Path, arguments: &[&str]) -> Run {
    env.command(arguments).current_dir(directory).output().unwrap().into()
}

/// A project `good` with a server that is trusted; its mark, and that of a stranger's program.
struct World {
    env: Environment,
    good: PathBuf,
    mark: PathBuf,
    evil: PathBuf,
}

impl World {
    fn new(server: &Value) -> Self {
        let env = Environment::cold();
        let (good, mark, evil) = (env.path("good"), env.path("mark"), env.path("evil"));
        program(&good.join("tools/server.sh"), &mark);
        declare(&good, &json!({ "s": server }));
        within(&env, &good, &["trust", "add", "--yes"]).ok();
        Self { env, good, mark, evil }
    }

    /// Starts the servers of a directory.
    fn start(&self, directory: &Path) -> Run {
        let _ = fs::remove_file(&self.mark);
        within(&self.env, directory, &["mcp", "status"])
    }
}

#[test]
fn a_linked_file_runs_nothing_of_the_directory_that_links_to_it() {
    for server in [
        json!({"command": "./tools/server.sh"}),
        json!({"command": "sh", "args": ["tools/server.sh"]}),
        json!({"command": "sh", "args": ["${CLAUDE_PROJECT_DIR}/tools/server.sh"]}),
        json!({"command": "sh", "args": ["server.sh"], "cwd": "tools"}),
        json!({"command": "server.sh", "env": {"PATH": "tools:/bin:/usr/bin"}}),
    ] {
        let world = World::new(&server);
        for bad in [world.env.path("bad"), world.good.join("vendor/bad")] {
            program(&bad.join("tools/server.sh"), &world.evil);
            symlink(world.good.join(".mcp.json"), bad.join(".mcp.json")).unwrap();
            let said = world.start(&bad);
            assert!(!world.evil.exists(), "{server} runs in {}", bad.display());
            assert!(said.stderr.contains(".mcp.json` are left out"), "{}", said.whole());
            // It can't be trusted either.
            assert!(said.stderr.contains("is a link") && !said.stderr.contains("trust add"), "{}", said.whole());
            let refused = within(&world.env, &bad, &["trust", "add", "--yes"]);
            assert!(refused.code != 0 && refused.stderr.contains("is a link"), "{}", refused.whole());
            // A directory of somebody else's inside a project starts the project's own program.
            fs::remove_file(bad.join(".mcp.json")).unwrap();
            world.start(&bad);
            assert!(!world.evil.exists(), "{server} runs in {}", bad.display());
            assert_eq!(world.mark.exists(), bad.starts_with(&world.good), "{server}");
        }
        world.start(&world.good);
        let within_tools = server.get("cwd").is_some();
        let started = fs::read_to_string(&world.mark).unwrap();
        assert_eq!(started.trim().ends_with("/good/tools"), within_tools, "{started}");
    }
}

#[test]
fn a_directory_that_is_reached_by_a_link_is_the_directory_itself() {
    let world = World::new(&json!({"command": "./tools/server.sh"}));
    let link = world.env.path("link");
    symlink(&world.good, &link).unwrap();
    world.start(&link);
    assert_eq!(fs::read_to_string(&world.mark).unwrap().trim(), world.good.to_str().unwrap());
    // A link in the place of a trusted directory leads to a directory that nobody trusted.
    let bad = world.env.path("bad");
    program(&bad.join("tools/server.sh"), &world.evil);
    fs::copy(world.good.join(".mcp.json"), bad.join(".mcp.json")).unwrap();
    fs::rename(&world.good, world.env.path("moved")).unwrap();
    symlink(&bad, &world.good).unwrap();
    world.start(&world.good);
    assert!(!world.evil.exists());
    let removed = world.env.run(&["trust", "remove", world.good.to_str().unwrap()]).ok();
    assert!(removed.stdout.contains("No longer trusted"), "{}", removed.whole());
    assert_eq!(world.env.json(&["trust", "list"])["directories"], json!([]));
}

#[test]
fn trust_that_is_removed_is_removed_from_everything_beneath() {
    let world = World::new(&json!({"command": "./tools/server.sh"}));
    let root = world.env.path("");
    within(&world.env, &root, &["trust", "add", "--yes"]).ok();
    world.env.run(&["trust", "remove"]).ok();
    assert_eq!(world.env.json(&["trust", "list"])["directories"], json!([]));
    let said = world.start(&world.good);
    assert!(!world.mark.exists() && said.stderr.contains("until you trust them"), "{}", said.whole());
    let refused = world.env.run(&["trust", "remove"]);
    assert!(refused.code != 0 && refused.stderr.contains("is not in the list"), "{}", refused.whole());
    world.env.run(&["trust", "add", "--yes"]).ok();
    let refused = within(&world.env, &world.good, &["trust", "remove"]);
    assert!(refused.stderr.contains("it is trusted with"), "{}", refused.whole());
}

#[test]
fn the_bytes_that_are_trusted_are_the_bytes_that_run() {
    let world = World::new(&json!({"command": "./tools/server.sh"}));
    program(&world.good.join("evil.sh"), &world.evil);
    let (file, swap, stop) = (world.good.join(".mcp.json"), world.env.path("swap"), AtomicBool::new(false));
    let trusted = fs::read(&file).unwrap();
    let hostile = json!({"mcpServers": {"s": {"command": "./evil.sh"}}}).to_string().into_bytes();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for bytes in [&hostile, &trusted] {
                    fs::write(&swap, bytes).unwrap();
                    fs::rename(&swap, &file).unwrap();
                }
            }
        });
        let start = Instant::now();
        let mut ran = 0;
        while start.elapsed() < Duration::from_secs(4) {
            world.start(&world.good);
            ran += u32::from(world.mark.exists());
            if world.evil.exists() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(!world.evil.exists(), "untrusted code ran after {:?}", start.elapsed());
        assert!(ran > 0, "the trusted server never ran");
    });
}

#[test]
fn all_that_decides_is_shown_and_asked_about() {
    let env = Environment::cold();
    let project = env.path("project");
    declare(
        &project,
        &json!({
            "local": {"command": "python3", "args": ["-c", "print()"], "cwd": "sub", "env": {"NODE_OPTIONS": "--require ./x.js", "KEY": "${MINE:-\u{1b}[2K}"}},
            "remote": {"url": "https://h/", "headers": {"X": "v"}, "oauth": {"issuer": "https://issuer"}},
            "asks": {"command": "x", "env": {"K": "${secret:openrouter}"}},
        }),
    );
    fs::write(project.join(".aiw.json"), r#"{"provider": "one", "mcp": {"profiles": {"few": {}}}}"#).unwrap();
    fs::create_dir_all(project.join(".claude/agents")).unwrap();
    fs::write(project.join(".claude/agents/r.md"), "---\nname: r\ndescription: reads\n---\nRead.\n").unwrap();
    let asked = within(&env, &project, &["trust", "add"]);
    assert_ne!(asked.code, 0);
    insta::assert_snapshot!(env.stable(&asked.whole()), @r#"
    `[TMP]/project`
      [TMP]/project/.mcp.json starts these MCP servers in this directory:
        local (stdio) runs: python3 -c 'print()'
          cwd: sub
          env NODE_OPTIONS: --require ./x.js
          env KEY: ${MINE:-\u{1b}[2K}
          decides by its options which code runs: NODE_OPTIONS, -c
          reads MINE
        remote (http) reaches: https://h/
          headers X: v
          oauth: {"issuer":"https://issuer"}
        asks is left out: it asks for the secret `openrouter`, which only you may give a server, in mcp.json
      claude uses the provider one
      codex uses the provider one
      gemini uses the provider one
      defines the profiles few
      role r: reads
    ------- stderr -------
    error: `Trust this directory and everything below it?` needs an answer, and there is no terminal to ask on
    hint: answer with `--yes`
    ------- exit code 2 -------
    "#);
    assert_eq!(env.json(&["trust", "list"])["directories"], json!([]));
    within(&env, &project, &["trust", "add", "--yes"]).ok();
    // Nothing is new, so nothing is asked.
    assert!(within(&env, &project, &["trust", "add"]).ok().stdout.contains("Already trusted"));
}

#[test]
fn a_project_file_of_any_kind_leaves_the_users_own_servers_alone() {
    let world = World::new(&json!({"command": "./tools/server.sh"}));
    let (env, above) = (&world.env, world.env.path("above"));
    let (mine, mark) = (env.path("mine.sh"), env.path("mine"));
    program(&mine, &mark);
    env.write_mcp(&json!({"mcpServers": {"mine": {"command": mine}}}).to_string());
    let session = above.join("deep/session");
    fs::create_dir_all(&session).unwrap();
    let file = above.join(".mcp.json");
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)).into_bytes();
    let kinds: [(&str, &dyn Fn()); 7] = [
        // Root reads it all the same.
        ("unreadable", &|| {
            fs::write(&file, "{}").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        }),
        ("untrusted", &|| fs::write(&file, "{}").unwrap()),
        ("huge", &|| fs::write(&file, vec![b' '; 9 << 20]).unwrap()),
        ("deep", &|| fs::write(&file, &deep).unwrap()),
        ("a directory", &|| fs::create_dir(&file).unwrap()),
        ("a link", &|| symlink(world.good.join(".mcp.json"), &file).unwrap()),
        ("a pipe", &|| assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success())),
    ];
    for trusted in [false, true] {
        let directories = if trusted { vec![above.clone()] } else { Vec::new() };
        let files = if trusted { json!({file.to_str().unwrap(): digest(&env.path("deep"), &deep)}) } else { json!({}) };
        env.settings(&json!({"trustedDirectories": directories, "trustedFiles": files}));
        for (name, make) in &kinds {
            make();
            let _ = fs::remove_file(&mark);
            for command in ["status", "doctor", "list"] {
                let run = within(env, &session, &["mcp", command, "--json"]);
                let problems = run.json()["problems"].clone();
                assert_eq!(problems.as_array().unwrap().len(), 1, "{name}: {}", run.whole());
                assert!(problems[0].as_str().unwrap().contains("above/.mcp.json"), "{name}: {problems}");
                assert_eq!(run.json()["servers"].as_array().unwrap().len(), 1, "{name}: {}", run.whole());
            }
            assert!(mark.exists(), "{name}: the user's own server did not start");
            if file.is_dir() { fs::remove_dir(&file).unwrap() } else { fs::remove_file(&file).unwrap() }
        }
    }
    // The log of a session names it.
    fs::write(env.path(".mcp.json"), "{}").unwrap();
    let _client = Client::initialized(env);
    until(|| env.run(&["mcp", "logs", "aiw"]).ok().stdout.contains("until you trust them"));
}

#[test]
fn a_file_that_can_not_be_used_does_not_keep_the_rest_from_being_trusted() {
    let env = Environment::cold();
    let project = env.path("project");
    let many: serde_json::Map<_, _> = (0..5_000).map(|n| (format!("s{n}"), json!({"command": "x"}))).collect();
    declare(&project, &many.into());
    fs::write(project.join(".aiw.json"), r#"{"mcp": {"profiles": {"few": {}}}}"#).unwrap();
    for (broken, problem) in [(false, "declares 5000 servers, more than 200"), (true, ".mcp.json` is left out: it ")] {
        if broken {
            fs::write(project.join(".mcp.json"), "{").unwrap();
        }
        let said = within(&env, &project, &["trust", "add", "--yes"]).ok();
        assert!(said.stdout.contains(problem) || broken && said.stdout.contains("Already"), "{}", said.whole());
        assert!(said.stdout.len() < 2_000, "{}", said.whole());
        let status = within(&env, &project, &["mcp", "status", "--json"]).json();
        assert_eq!(status["servers"], json!([]));
    }
    let file = project.join(".mcp.json");
    for (make, problem) in [
        (None, "it "),
        (Some("truncate -s 5M"), "it is larger than 4 MiB"),
        (Some("mkfifo"), "it is not a plain file"),
        (Some("mkdir"), "it is not a plain file"),
    ] {
        if let Some(make) = make {
            fs::remove_file(&file).unwrap();
            let run = env.program(Path::new("sh")).args(["-c", &format!("{make} \"$0\"")]).arg(&file).status();
            assert!(run.unwrap().success(), "{make}");
        }
        within(&env, &project, &["trust", "remove"]).ok();
        let said = within(&env, &project, &["trust", "add", "--yes"]).ok();
        let left_out = format!(".mcp.json` is left out: {problem}");
        assert!(said.stdout.contains(&left_out) && said.stdout.contains("profiles few"), "{}", said.whole());
        let again = within(&env, &project, &["trust", "add", "--yes", "--json"]).ok();
        assert!(again.stderr.contains(".mcp.json` is left out: it "), "{}", again.whole());
    }
}

#[test]
fn an_untrusted_settings_file_stops_no_session() {
    let env = Environment::cold();
    env.settings(&json!({"mcp": {"profiles": {"mine": {"allow": ["aiw"]}}}}));
    for text in ["{", "[]", &"[".repeat(100_000)] {
        fs::write(env.path(".aiw.json"), text).unwrap();
        let mut client = Client::start_with(&env, &["mcp", "serve", "--profile", "mine"]);
        assert!(client.initialize("2025-06-18").get("result").is_some());
    }
    // One that is trusted, and a link to it, say what is wrong.
    env.run(&["trust", "add", "--yes"]).ok();
    let said = env.run(&["claude", "--explain"]);
    assert!(said.code != 0 && said.stderr.contains(".aiw.json"), "{}", said.whole());
    fs::rename(env.path(".aiw.json"), env.path("else.json")).unwrap();
    fs::write(env.path("else.json"), "{}").unwrap();
    symlink(env.path("else.json"), env.path(".aiw.json")).unwrap();
    let said = env.run(&["claude", "--explain"]);
    assert!(said.code != 0 && said.stderr.contains("is a link"), "{}", said.whole());
}

#[test]
fn a_relative_command_is_kept_as_the_path_that_was_meant() {
    let env = Environment::cold();
    let (here, there) = (env.path("here"), env.path("there"));
    program(&here.join("server.sh"), &env.path("mark"));
    program(&there.join("server.sh"), &env.path("evil"));
    within(&env, &here, &["mcp", "add", "--no-check", "s", "--", "./server.sh"]).ok();
    within(&env, &there, &["mcp", "status"]);
    assert!(env.path("mark").exists() && !env.path("evil").exists());
    // As somebody may have written it by hand.
    env.write_mcp(&json!({"mcpServers": {"s": {"command": "./server.sh"}}}).to_string());
    within(&env, &there, &["mcp", "status"]);
    assert!(!env.path("evil").exists());
}
